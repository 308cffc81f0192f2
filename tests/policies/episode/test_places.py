"""Where demonstrations took hold is read off their files once, and again when there are others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from armtune_policies.contract import Decision, Kind, Mode
from armtune_policies.episode.places import KEPT, demonstrated, keep, kept_in
from armtune_policies.store import nouns
from armtune_policies.store.episode_writer import EpisodeWriter


def show(run: Path, name: str, direction: str, outcome: str, shut: int | None) -> None:
    """An episode along x, a centimetre a step, whose hand is told to shut at one of its steps."""
    about = nouns.EpisodeState(run_id="run", episode_id=name, sentence="do it", direction=direction)
    writer = EpisodeWriter(run / "episodes", about)
    for step in range(5):
        image = np.zeros((8, 8, 3), np.uint8)
        seen = nouns.Observation(name, step, step, {"front": image}, np.array([0.01 * step, 0, 0.1, 0, 0, 0, 1.0]))
        opening = 0.0 if shut is not None and step >= shut else 1.0
        decision = Decision(step, 1, name, step, "policy", step, "v", step, Kind.TOOL_DELTA, (0.0,) * 7,
                            (0.0,) * 6 + (opening,), (), "", Mode.RUN)  # fmt: skip
        writer.add_step(observation=seen, decision=decision, answer=None)
    writer.close(outcome, 4)


def test_successes_alone_say_where_and_what_was_read_is_kept(tmp_path: Path) -> None:
    show(tmp_path, "run-00000", "forward", nouns.SUCCESS, 3)
    show(tmp_path, "run-00001", "forward", nouns.TIMEOUT, 2)
    show(tmp_path, "run-00002", "backward", nouns.SUCCESS, None)
    found = demonstrated(tmp_path)
    assert [at.tolist() for at in found["forward"]] == [pytest.approx([0.03, 0.0, 0.1])] and found["backward"] == []
    kept = (tmp_path / KEPT).stat().st_mtime_ns
    assert len(demonstrated(tmp_path)["forward"]) == 1 and (tmp_path / KEPT).stat().st_mtime_ns == kept
    show(tmp_path, "run-00003", "backward", nouns.SUCCESS, 1)
    assert demonstrated(tmp_path)["backward"][0].tolist() == pytest.approx([0.01, 0.0, 0.1])


def test_places_kept_without_files_are_read_as_they_were(tmp_path: Path) -> None:
    assert kept_in(tmp_path) == {"forward": [], "backward": []}
    keep(tmp_path, {"forward": [np.array([0.1, 0.2, 0.3])], "backward": []})
    found = kept_in(tmp_path)
    assert [at.tolist() for at in found["forward"]] == [[0.1, 0.2, 0.3]] and found["backward"] == []


@pytest.mark.parametrize("said", ['{"forward": [[1, 2]], "backward": []}', '{"forward": []}', "[]", '{"forward": 3}'])
def test_places_that_are_none_are_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / KEPT).write_text(f'{{"grasps_m": {said}}}')
    with pytest.raises(ValueError, match=r"grasps.json: expected places of three numbers by direction; remove it"):
        kept_in(tmp_path)
