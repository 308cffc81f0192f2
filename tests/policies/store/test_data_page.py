"""The page on data keeps its word: its snippet runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import EpisodeState, Observation

PAGE = Path(__file__).parents[3] / "docs" / "data.md"


def test_snippet_of_the_page_runs_when_there_is_a_run(tmp_path: Path) -> None:
    about, values = EpisodeState(episode_id="my-run-00000", run_id="my-run", direction="forward"), (0.0,) * 7
    with EpisodeWriter(tmp_path / "runs" / "my-run" / "episodes", about) as episode:
        picture = {"front": np.zeros((4, 4, 3), np.uint8)}
        episode.add_step(
            observation=Observation("my-run-00000", 0, 0, picture, np.zeros(7, np.float32)),
            decision=Decision(
                0, 1, "my-run-00000", 0, "policy", 0, "v", 0, Kind.TOOL_DELTA, values, values, (), "", Mode.RUN
            ),
            answer=RewardAnswer("my-run-00000", 0, 0.9, Verdict.YES, "m", 0.0),
        )
        episode.close("success", end_step=0)
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == ["my-run-00000 forward success 1", "[0] [0.] [ True] [False]"]
