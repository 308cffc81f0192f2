"""The files a robot's run and a training cannot do without, their writer killed: what was there before, or the new one.

A row for each writer: how the state before is made, how the next one is written, and how it is read again, as the
product does when it starts. Of a file that only grows a death costs no more than the line or step in flight.

What is thinned: of writes one after another only the first, second, fourth, eighth ... is a death; other calls all are.
What is not seen: writes within libraries in C, as of pyarrow, HDF5 and PyAV: of what they make only the flushes and
renames around it count. What has no row: LeRobot folders, places of grasps, a training's curve, views and sessions of a
calibration, results and pictures of evaluations, studies and the demo, the pieces a workstation fetches, the console's
events. All but the last two go through the same ``store.files``; fetching is killed in ``policies/transfer``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from armtune_calibration.record import Calibration, load, newest, save
from armtune_policies.contract import ActionSpec, ObservationSpec, Verdict
from armtune_policies.datasets import publish as publishing
from armtune_policies.episode.course import Counts
from armtune_policies.learn.checkpoint import load_checkpoint, save_checkpoint
from armtune_policies.learn.export import About, write_model
from armtune_policies.learn.saved import load_training, save_training
from armtune_policies.reward.audit import Decision, Review
from armtune_policies.reward.frameset import FrameSet, read_frames, write_frames
from armtune_policies.runtime.seats import Seats
from armtune_policies.store.aside import Aside
from armtune_policies.store.combine import merge
from armtune_policies.store.edits import Edit, read_edit, write_edit
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import read_json
from armtune_policies.store.labels import LabelSet, label_path, read_labels, write_labels
from armtune_policies.store.manifest import entry, load_model
from armtune_policies.store.reviews import add_reviews, read_reviews
from armtune_policies.store.ring import save_fault
from armtune_policies.store.salvage import salvage_folder
from armtune_policies.store.series import Series
from armtune_runtime.practising import KeptCounts
from fixtures.crashing import Death, every_death
from fixtures.episodes import made

pytestmark = pytest.mark.unhurried

EPISODE = made(steps=3, hole=None, cameras=("front",))
NAME = EPISODE.episode_id
DEATHS: tuple[Death, ...] = ("kill", "power", "late")


@dataclass(frozen=True)
class Writer:
    """``write(folder, n)`` writes state n, 0 the one before; ``read`` returns what is there, None for nothing."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], Any]


def _labels(run: Path, n: int) -> object:
    verdicts = (Verdict.NO, Verdict.NO, Verdict.YES if n else Verdict.NO)
    return write_labels(run, LabelSet("mine", NAME, verdicts, 2 if n else None))


def _read_labels(run: Path) -> object:
    return read_labels(run, EPISODE, "mine") if label_path(run, NAME, "mine").exists() else None


def _reviews(run: Path, n: int) -> object:
    return add_reviews(run, EPISODE, [Review(Decision(NAME, n, Verdict.NO), Verdict.YES)])


def _model(folder: Path, n: int) -> object:
    about = About("m", ActionSpec(), ObservationSpec(height_px=16, width_px=16), {})
    blobs = {"encoder.onnx": bytes([n]) * 3000, "golden.safetensors": bytes([n]) * 9}
    digest = entry(blobs["encoder.onnx"]).sha256
    return write_model(folder / "policy", about, blobs, 0.0, kind="encoder", encoder_digest=digest)


def _read_model(folder: Path) -> object:
    return load_model(folder / "policy").digest


def _training(folder: Path, n: int) -> object:
    return save_training(folder, {"w": torch.full((4,), float(n))}, "digest", n, steps=n)


def _read_training(folder: Path) -> object:
    found = load_training(folder, "digest")
    return None if found is None else (found[0]["w"].tolist(), found[1]["steps"])


def _net() -> tuple[dict[str, torch.nn.Module], torch.optim.Optimizer]:
    net = torch.nn.Linear(2, 1)
    return {"net": net}, torch.optim.Adam(net.parameters())


def _checkpoint(folder: Path, n: int) -> object:
    return save_checkpoint(folder / "c.safetensors", *_net(), n, "digest")


def _read_checkpoint(folder: Path) -> object:
    path = folder / "c.safetensors"
    return load_checkpoint(path, *_net(), "digest")[0] if path.exists() else None


def _calibration(folder: Path, n: int) -> object:
    return save(Calibration(robot_id="arm", robot="wx250s", made=""), folder, {f"place-{n}.png": bytes(100)})


def _read_calibration(folder: Path) -> object:
    found = newest("arm", folder)
    return found and (load(found).robot_id, found.name)


CARD = publishing.Card("t", "mit", "x", 1, 3, 1, 5.0, (), ("front",), False)


def _published(name: str) -> Writer:
    def write(folder: Path, n: int) -> object:
        if n == 0:
            return write_episode(folder / "run" / "episodes", EPISODE)
        return publishing.publish(folder / "run", list_episodes(folder / "run"), CARD, folder / name)

    return Writer(write, lambda folder: sorted(p.stat().st_size for p in _all(folder / name)) or None)


def _all(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]


def _merged(folder: Path, n: int) -> object:
    if n == 0:
        return write_episode(folder / "a" / "episodes", EPISODE)
    return merge([folder / "a"], folder / "both")


def _fault(run: Path, n: int) -> object:
    return save_fault(run, "f", n * 10**9, [])


def _frames(folder: Path, n: int) -> object:
    count = n + 2
    images, rows = {"front": np.zeros((count, 4, 4, 3), np.uint8)}, np.arange(count)
    none = np.zeros(count, np.int64)
    frames = FrameSet(images=images, state=np.zeros((count, 7), np.float32), frame=rows, question=none,
                      is_success=none > 0, episode=none, step=rows, kind=none, questions=("do it",), episodes=("e",),
                      kinds=("demo",))  # fmt: skip
    return write_frames(folder / "f.safetensors", frames)


def _counts(run: Path, n: int) -> object:
    return KeptCounts(run).keep(Counts(episodes=n + 1))


def _acts_by(run: Path, n: int) -> None:
    seats = object.__new__(Seats)  # no policy is loaded
    seats._path = run / "policy.json"
    seats._note(Path(f"/heads/{n}"))


def _offered(run: Path, n: int) -> None:
    """As the thread of ``Aside`` does, on this one: only it is killed."""
    with contextlib.closing(Aside()) as aside:
        aside._waiting[run / "offered.json"] = {"version": f"head-{n}", "folder": f"/heads/{n}"}
        aside._write(run / "offered.json")


def _episode(run: Path, n: int) -> object:
    return write_episode(run / "episodes", made(n, steps=3 + n, hole=None, cameras=("front",)))


def _read_episodes(run: Path) -> object:
    """As a recorder begins: what is unfinished is salvaged first."""
    salvage_folder(run / "episodes")
    assert not list((run / "episodes").glob("*.part"))
    found = [read_episode(path) for path in list_episodes(run)]
    assert all(one.complete.all() for one in found)
    return {one.episode_id: one.steps for one in found}


def _is_there(path: Path, read: Callable[[Path], Any]) -> Any:
    return read(path) if path.exists() else None


WRITERS: dict[str, Writer] = {
    "labels": Writer(_labels, _read_labels),
    "reviews": Writer(_reviews, lambda run: read_reviews(run, NAME)),
    "edit": Writer(lambda run, n: write_edit(run, Edit(NAME, first_step=n + 1)), lambda run: read_edit(run, NAME)),
    "edit that is taken away": Writer(
        lambda run, n: write_edit(run, Edit(NAME, first_step=1 - n)), lambda run: read_edit(run, NAME)
    ),
    "frames of a classifier": Writer(_frames, lambda f: _is_there(f / "f.safetensors", lambda p: len(read_frames(p)))),
    "model folder": Writer(_model, _read_model),
    "training": Writer(_training, _read_training),
    "checkpoint": Writer(_checkpoint, _read_checkpoint),
    "counts of a practice": Writer(_counts, lambda run: KeptCounts(run).counts),
    "what practice acts by": Writer(_acts_by, lambda run: _is_there(run / "policy.json", read_json)),
    "what was offered last": Writer(_offered, lambda run: _is_there(run / "offered.json", read_json)),
    "calibration": Writer(_calibration, _read_calibration),
    "what led to a fault": Writer(_fault, lambda run: [(p.name, p.read_bytes()[-8:]) for p in _faults(run)]),
    "published folder": _published("out"),
    "published tar": _published("out.tar"),
    "merged run": Writer(_merged, lambda f: [read_episode(p).steps for p in list_episodes(f / "both")] or None),
}


def _faults(run: Path) -> list[Path]:
    return sorted((run / "faults").glob("*.mcap"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the states before needs no real disk either."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


@pytest.mark.fault("F34")
@pytest.mark.parametrize("name", WRITERS)
def test_writer_that_dies_leaves_the_old_or_the_new(name: str, tmp_path: Path) -> None:
    writer, before, after = WRITERS[name], tmp_path / "before", tmp_path / "after"
    before.mkdir()
    writer.write(before, 0)
    shutil.copytree(before, after)
    writer.write(after, 1)
    allowed = [writer.read(before), writer.read(after)]
    assert allowed[0] != allowed[1] and allowed[1]

    def check(left: Path) -> None:
        found = writer.read(left)
        assert found in allowed, f"{found} is neither {allowed[0]} nor {allowed[1]}"
        writer.write(left, 1) if found == allowed[0] else None
        assert writer.read(left) == allowed[1], "the next try does not mend it"

    assert every_death(lambda folder: writer.write(folder, 1), before, check, DEATHS) >= 3 * 2


@pytest.mark.fault("F35")
def test_recorder_that_dies_keeps_finished_episodes_and_whole_steps(tmp_path: Path) -> None:
    before = tmp_path / "before"
    _episode(before, 0)

    def check(left: Path) -> None:
        found = _read_episodes(left)
        assert found.pop("made-00000") == 3 and found.pop("made-00001", 0) in range(5) and not found

    assert every_death(lambda run: _episode(run, 1), before, check, ("kill", "power")) > 30


@pytest.mark.fault("F35")
def test_salvage_that_dies_is_done_by_the_next_one(tmp_path: Path) -> None:
    before = tmp_path / "before"
    _episode(before, 0)
    whole = before / "episodes/made-00000.mcap"
    whole.rename(whole.with_name("made-00000.mcap.part"))
    os.truncate(whole.with_name("made-00000.mcap.part"), whole.with_name("made-00000.mcap.part").stat().st_size - 400)

    def check(left: Path) -> None:
        assert _read_episodes(left) in ({"made-00000": 2}, {"made-00000": 3})

    # a power cut in the midst may tear the end that was being written; the steps before it were forced long ago
    every_death(lambda run: salvage_folder(run / "episodes"), before, check, ("kill",))


def test_table_that_grows_loses_only_its_last_line(tmp_path: Path) -> None:
    before = tmp_path / "before"
    with contextlib.closing(Series(before / "t.csv", ("a", "b"))) as table:
        table.append((0, 0))

    def append(folder: Path) -> None:
        with contextlib.closing(Series(folder / "t.csv", ("a", "b"))) as table:
            for row in range(1, 4):
                table.append((row, row))

    def check(left: Path) -> None:
        Series(left / "t.csv", ("a", "b")).close()
        rows = (left / "t.csv").read_text().splitlines()
        assert rows == ["a,b", "0,0", "1,1", "2,2", "3,3"][: len(rows)] and len(rows) >= 2

    every_death(append, before, check, DEATHS)


CUT: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "labels": ("labels/made-00000/mine.json", _read_labels),
    "model folder": ("policy/manifest.json", lambda folder: load_model(folder / "policy")),
    "training": ("checkpoint.json", _read_training),
    "checkpoint": ("c.safetensors", _read_checkpoint),
    "counts of a practice": ("practice.json", lambda run: KeptCounts(run).counts),
    "frames of a classifier": ("f.safetensors", lambda folder: read_frames(folder / "f.safetensors")),
}


@pytest.mark.fault("F34")
@pytest.mark.parametrize("name", CUT)
def test_file_that_was_cut_at_any_byte_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    """A copy that broke off: we write none like it."""
    file, read = CUT[name]
    WRITERS[name].write(tmp_path, 1)
    whole = (tmp_path / file).read_bytes()
    for cut in range(len(whole) - 1):  # the last byte is the line's end
        (tmp_path / file).write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"\w") as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)
