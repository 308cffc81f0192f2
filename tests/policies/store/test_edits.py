"""An edit changes what counts, never the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.learn.sources import sources
from armtune_policies.store.edits import Edit, kept_paths, read_edit, read_kept, write_edit
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.labels import derive, live_labels
from fixtures.episodes import made


def run_of(tmp_path: Path, count: int = 2) -> Path:
    for index in range(count):
        write_episode(tmp_path / "episodes", made(index, hole=None))
    return tmp_path


def test_a_dropped_episode_is_not_learnt_from_and_comes_back(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    bytes_before = (run / "episodes/made-00000.mcap").read_bytes()
    write_edit(run, Edit("made-00000", is_dropped=True, why="the cup fell"))
    assert [path.stem for path in kept_paths(run)] == ["made-00001"]
    assert [one.name for one in sources(run, ActionSpec(), ObservationSpec())] == ["made-00001.mcap"]
    write_edit(run, Edit("made-00000"))
    assert len(list(kept_paths(run))) == 2 and (run / "episodes/made-00000.mcap").read_bytes() == bytes_before


def test_trimmed_steps_are_left_out_and_labels_keep_their_places(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    path = run / "episodes/made-00000.mcap"
    before = sources(run, ActionSpec(), ObservationSpec())[0].digest()
    write_edit(run, Edit("made-00000", first_step=3, last_step=8))
    episode = read_kept(path)
    assert list(np.flatnonzero(episode.complete)) == [3, 4, 5, 6, 7, 8] and episode.steps == 12
    cut = ~episode.complete
    assert np.isnan(episode.state[cut]).all() and np.isnan(episode.allowed[cut]).all()
    assert not episode.images["front"][cut].any() and np.isfinite(episode.state[3:9]).all()
    rows = derive(episode, live_labels(episode))
    assert list(rows.steps) == [3, 4, 5, 6, 7, 8] and not rows.terminated.any() and not rows.has_next[-1]
    assert sources(run, ActionSpec(), ObservationSpec())[0].digest() != before


@pytest.mark.parametrize(("text", "says"), [("[]", "expected an edit of"), ('{"episode_id": "x"}', "expected an edit"),
                                            ("{", "expected JSON")])  # fmt: skip
def test_a_sidecar_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "edits").mkdir()
    (tmp_path / "edits/made-00000.json").write_text(text)
    with pytest.raises(ValueError, match=says):
        read_edit(tmp_path, "made-00000")


def test_steps_that_are_none_and_names_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected first <= last, both from 0; got 5 and 2"):
        write_edit(tmp_path, Edit("made-00000", first_step=5, last_step=2))
    with pytest.raises(ValueError, match=r"episode_id '\.\./x'"):
        write_edit(tmp_path, Edit("../x", is_dropped=True))
