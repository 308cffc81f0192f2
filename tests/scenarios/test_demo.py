"""The main job, small: demonstrations, an agent, practice through the real graph, the report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import ROOT, own_domain

pytestmark = [pytest.mark.unhurried, pytest.mark.slow, pytest.mark.timeout(1200)]

SMALL = ("evaluations=1", "steps=90", "name=small")


def demo(folder: Path, *more: str) -> str:
    overrides = [f"experiment.folder={folder}", *(f"experiment.{one}" for one in SMALL), *more]
    with own_domain() as domain:
        done = subprocess.run(
            [sys.executable, "-m", "armtune_bringup.cli", "demo", *overrides],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            capture_output=True,
            text=True,
            timeout=550,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_told(said: str, run: Path) -> None:
    """Check what a run leaves: rates, films, a page with every episode."""
    for direction in ("forward", "backward"):
        for label in ("before", "after"):
            assert f"{direction:<9} {label:<7} " in said
            assert (run / f"videos/{direction}-{label}.mp4").stat().st_size > 10_000
    page, episodes = (run / "report.html").read_text(), list((run / "episodes").glob("*.mcap"))
    assert sum(page.count(f'class="{outcome}" title') for outcome in ("success", "timeout", "aborted")) == len(episodes)
    assert len(episodes) >= 3
    assert not list(run.rglob("*.part"))


def test_main_job_trains_an_agent_practises_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    few = ("experiment.demos=1", "experiment.failures=1", "offline.updates=20", "learner.utd=1")
    tiny, run = ("--anew", *few), tmp_path / "small"
    is_told(demo(tmp_path, *tiny), run)
    heads = sorted((run / "models").glob("head-*"))
    assert heads, "the learner offered nothing"
    before = sorted(path.stat().st_mtime_ns for path in run.rglob("*.mcap"))
    (run / "report.html").unlink()
    is_told(demo(tmp_path, *tiny), run)
    assert sorted(path.stat().st_mtime_ns for path in run.rglob("*.mcap")) == before
    assert sorted((run / "models").glob("head-*")) == heads


def test_main_job_starts_from_what_is_shipped_where_it_is_not_made_anew(tmp_path: Path) -> None:
    is_told(demo(tmp_path), run := tmp_path / "small")
    for made, kept in (("policy", "agent"), ("policy.training", "agent.training"), ("reward", "reward")):
        there = ROOT / "policies/shipped/drawer" / kept
        for file in (path.relative_to(there) for path in there.rglob("*") if path.is_file()):
            assert (run / "models" / made / file).read_bytes() == (there / file).read_bytes()
    assert list((run / "models").glob("head-*")), "the learner offered nothing"
    assert not (run / "demos").exists()
