"""Every kind of file that the product writes and reads again, cut short: whole, or refused in a sentence.

We leave none like it (``test_crash_consistency``); a copy that broke off, or a disk, may. A row for each kind: its own
writer writes a small one, its own reader reads it. A file of up to 3 ``edge`` bytes is cut at every byte; a longer one
at each of the first and last ``edge``, and at as many places in between, evenly apart. What a reader takes must be what
was written; of a table that grows, its first rows.

What has no row: an episode that is being recorded, which is cut at every byte in ``policies/store/test_salvage``; the
pieces a workstation fetches, in ``policies/transfer``; what nobody reads again: pictures and pages of reports,
TensorBoard's files, LeRobot's ``stats.json``, and the note that an episode was looked through, of which only the name
counts. ``SHA256SUMS`` of
a published folder is the list itself: cut between two lines it is a shorter list.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armtune_bringup.compose import compose
from armtune_bringup.evaluating import Contender, Ledger
from armtune_bringup.study.cells import Curve
from armtune_calibration.board import BoardParams
from armtune_calibration.record import PlaceRecord, load, newest, picture_of
from armtune_calibration.views import Session, SessionParams, read_session, read_views
from armtune_console.journal import Journal, counts, events_path
from armtune_policies.datasets.lerobot_read import LeRobotFolder
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.datasets.publish import SUMS
from armtune_policies.datasets.publish import sha256 as sha256_of
from armtune_policies.episode.places import demonstrated
from armtune_policies.learn.logs import Log, LogParams
from armtune_policies.learn.saved import load_trajectory, save_trajectory
from armtune_policies.learn.trajectory import Trajectory
from armtune_policies.reward.frameset import read_frames
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import read_json
from armtune_policies.store.labels import shown_labels
from armtune_policies.store.manifest import load_model
from armtune_policies.store.mcap_scan import checksums
from armtune_policies.store.series import Series
from fixtures.episodes import made
from fixtures.writers import EPISODE, WRITERS

pytestmark = pytest.mark.unhurried


@dataclass(frozen=True)
class Cut:
    """``read(folder)`` returns what ``write(folder)`` wrote; ``files`` of it are cut, a glob."""

    files: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    edge: int = 256
    grows: bool = False


def of(writer: str, files: str, read: Callable[[Path], Any] | None = None, states: Sequence[int] = (0, 1)) -> Cut:
    """A row for a writer of ``fixtures.writers``, in its second state."""
    row = WRITERS[writer]

    def write(folder: Path) -> None:
        for n in states:
            row.write(folder, n)

    return Cut(files, write, read or row.read)


def _calibration(folder: Path) -> Any:
    found = newest("arm", folder)
    assert found is not None
    place = PlaceRecord(kind="scene", picture="place-1.png", sha256=hashlib.sha256(bytes(100)).hexdigest())
    return load(found), picture_of(found, place).name


def _fault(run: Path) -> Any:
    said, has = checksums(next((run / "faults").glob("*.mcap")))
    if said != has:
        raise ValueError(f"expected checksum {said}, got {has}")
    return said


def _summed(files: dict[str, str], said: str) -> dict[str, str]:
    """As ``sha256sum -c``."""
    wanted = {name: digest for digest, name in (line.split("  ", 1) for line in said.splitlines())}
    if missing := [name for name, digest in wanted.items() if files.get(name) != digest]:
        raise ValueError(f"{missing[0]} has another checksum than it should")
    return wanted


def _folder(folder: Path) -> Any:
    out = folder / "out"
    files = {path.relative_to(out).as_posix(): sha256_of(path) for path in out.rglob("*") if path.is_file()}
    return _summed(files, (out / SUMS).read_text())


def _tar(folder: Path) -> Any:
    try:
        with tarfile.open(folder / "out.tar") as tar:
            files = {m.name.removeprefix("out/"): tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    except (tarfile.TarError, EOFError) as why:
        raise ValueError(f"out.tar is none: {type(why).__name__}") from None
    if SUMS not in files:
        raise ValueError(f"out.tar holds no {SUMS}")
    return _summed({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, files[SUMS].decode())


def _episodes(run: Path) -> Any:
    return [read_episode(path) for path in list_episodes(run)]


def _demonstrated(run: Path) -> Any:
    write_episode(run / "episodes", EPISODE) if not list_episodes(run) else None
    return demonstrated(run)


def _log(folder: Path) -> Log:
    return Log(folder, LogParams(), "mine", "key", 5, {})


def _rows(folder: Path) -> Any:
    with _log(folder) as log:
        return log.rows


def _logged(folder: Path) -> None:
    with _log(folder) as log:
        for step in range(3):
            log.write(step, {"loss": 0.5 / (1 + step)})


def _trajectory(folder: Path) -> None:
    rows, step = np.linspace(0, 1, 21, dtype=np.float32).reshape(3, 7), np.array([True, True, False])
    images = {"front": np.full((3, 4, 4, 3), 9, np.uint8)}
    columns = {"features": rows[:, :2], "state": rows, "action": rows * step[:, None], "reward": -1.0 * step}
    flags = {"terminated": np.array([False, True, False]), "follows": ~np.array([False, True, True]), "is_step": step}
    columns["reward"] = columns["reward"].astype(np.float32)
    save_trajectory(folder / "t.safetensors", Trajectory("made", **columns, **flags, images=images))


def _views(folder: Path) -> None:
    about = SessionParams(camera="front", robot="wx250s", board=BoardParams())
    for shade in (50, 90):
        picture = np.random.default_rng(shade).integers(0, shade, (24, 32, 3)).astype(np.uint8)
        Session(folder, about).add(picture, shade, shade, 0.0, np.eye(4))


def _read_views(folder: Path) -> Any:
    return read_session(folder), [(view.name, view.about, view.picture()) for view in read_views(folder)]


@cache
def _plan() -> Any:
    return compose(["experiment.evaluations=2", "experiment.seed=5"])


def _ledger(folder: Path) -> Ledger:
    who = [Contender(name, Path(name), f"{name}-1", "d") for name in ("new", "old")]
    return Ledger(folder / "result.json", who, _plan(), by_truth=True)


def _noted(folder: Path) -> None:
    ledger = _ledger(folder)
    ledger.note(ledger.left[0], "run-eval-00001", True)
    ledger.note_void(ledger.left[0], "the arm was held")


def _curve(folder: Path) -> None:
    curve = Curve(folder / "curve.json", 100, 10)
    for steps in (10, 20):
        curve.add({"steps": steps}, {"forward": [1, 2]})


def _journal(run: Path) -> None:
    with closing(Journal(run)) as journal:
        for second, what in enumerate(("stopped", "answered", "act")):
            journal.note(what, "e-stop pressed", second)


def _happened(run: Path) -> list[str]:
    """What is counted, before and after a console that goes on with the file."""
    path = events_path(run)
    before = list(counts(run).elements())
    Series(path, ("stamp_ns", "kind", "what")).close()
    after = list(counts(run).elements())
    assert after == before[: len(after)], "what goes on tells more than what was there"
    return after


def _lerobot(pictures: str) -> Cut:
    episodes = [made(0, steps=4, hole=None, cameras=("front",)), made(1, steps=3, hole=None, cameras=("front",))]
    judged = [(one, shown_labels(one)) for one in episodes]

    def read(folder: Path) -> Any:
        found = LeRobotFolder.as_it_is(folder / "l")
        return [found.read(at) for at in found.placed]

    return Cut("l/[dmv]*/**/[!s]*.*", lambda folder: export(judged, folder / "l", pictures), read, edge=24)


CUTS: dict[str, Cut] = {
    "labels": of("labels", "labels/*/*"),
    "reviews": of("reviews", "audit/*"),
    "edit": of("edit", "edits/*.json"),
    "frames of a classifier": of("frames of a classifier", "*", lambda folder: read_frames(folder / "f.safetensors")),
    "model folder": of("model folder", "policy/*", lambda folder: load_model(folder / "policy").manifest),
    "training": of("training", "*"),
    "checkpoint": of("checkpoint", "*"),
    "counts of a practice": of("counts of a practice", "practice.json"),
    "what practice acts by": of("what practice acts by", "policy.json", lambda run: read_json(run / "policy.json")),
    "what was offered last": of("what was offered last", "offered.json", lambda run: read_json(run / "offered.json")),
    "calibration": of("calibration", "arm/*", _calibration, states=(1,)),
    "what led to a fault": of("what led to a fault", "faults/*", _fault, states=(1,)),
    "published folder": of("published folder", "out/[!S]*", _folder),
    "published tar": of("published tar", "out.tar", _tar),
    "merged run": of("merged run", "both/episodes/*", lambda folder: _episodes(folder / "both")),
    "places of grasps": Cut("grasps.json", _demonstrated, _demonstrated),
    "a training's curve": Cut("curve.json", _logged, _rows),
    "a trajectory": Cut("*", _trajectory, lambda folder: load_trajectory(folder / "t.safetensors")),
    "views of a calibration": Cut("*", _views, _read_views),
    "trials of an evaluation": Cut("*", _noted, lambda folder: _ledger(folder).rows),
    "curve of a study": Cut("*", _curve, lambda folder: Curve(folder / "curve.json", 100, 10).points),
    "events of the console": Cut("console/*", _journal, _happened, grows=True),
    "LeRobot folder": _lerobot("png"),
    "LeRobot folder with videos": _lerobot("h264"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files; what is tested is where they end."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def places(size: int, edge: int) -> Iterator[int]:
    """Where a file of so many bytes is cut."""
    between = range(edge, size - edge, max(1, (size - 2 * edge) // edge))
    yield from sorted({*range(min(edge, size)), *between, *range(max(size - edge, 0), size)})


def plain(value: Any) -> Any:
    """Return what can be compared, whatever it holds."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


@pytest.mark.fault("F34")
@pytest.mark.parametrize("name", CUTS)
def test_file_cut_anywhere_is_whole_or_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    row = CUTS[name]
    row.write(tmp_path)
    wanted = plain(row.read(tmp_path))
    files = [path for path in sorted(tmp_path.glob(row.files)) if path.is_file()]
    assert files and wanted
    for path in files:
        data, refused = path.read_bytes(), 0
        for cut in places(len(data), row.edge):
            path.write_bytes(data[:cut])
            where = f"{path.relative_to(tmp_path)} cut at byte {cut} of {len(data)}"
            try:
                found = plain(row.read(tmp_path))
            except (ValueError, OSError) as why:
                refused += 1
                assert re.search(r"\w \w", str(why)) and "\n" not in str(why), f"{where}: no sentence: {why!r}"
            else:
                np.testing.assert_equal(found, wanted[: len(found)] if row.grows else wanted, f"{where}: half is taken")
        assert refused or row.grows, f"{path.relative_to(tmp_path)}: nobody reads it"
        path.write_bytes(data)


def test_every_writer_that_is_killed_is_cut_too() -> None:
    assert set(WRITERS) - set(CUTS) == {"edit that is taken away"}, "which leaves no file"
