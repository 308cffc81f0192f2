"""The main job, small: from the shipped checkpoint to the report, through the real graph."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROOT, own_domain

pytestmark = pytest.mark.unhurried

SMALL = ("demos=1", "failures=0", "evaluations=1", "episodes=2", "scene_episodes=1")


@pytest.mark.slow
def test_main_job_leaves_one_folder_with_a_report_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run = tmp_path / "small"
    shutil.copytree(ROOT / "policies/shipped/drawer", run / "models")
    overrides = [f"experiment.folder={tmp_path}", "experiment.name=small", *(f"experiment.{one}" for one in SMALL)]
    with own_domain() as domain:
        done = subprocess.run(
            [sys.executable, "-m", "armtune_bringup.cli", "demo", *overrides],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            capture_output=True,
            text=True,
            timeout=170,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for direction in ("forward", "backward"):
        for label in ("before", "after"):
            assert f"{direction:<9} {label:<7} " in done.stdout
            assert (run / f"videos/{direction}-{label}.mp4").stat().st_size > 10_000
    page = (run / "report.html").read_text()
    assert page.count('class="success" title') + page.count('class="timeout" title') == 2
    assert len(list((run / "episodes").glob("*.mcap"))) == 2
    assert not list(run.rglob("*.part"))
