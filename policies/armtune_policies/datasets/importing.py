"""Someone else's recordings as episode files of a run: one call, which goes on where it was killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ConfigError, ObservationSpec, Verdict, digest
from armtune_policies.runtime.images import prepare
from armtune_policies.store import pictures
from armtune_policies.store.episode_copy import renamed, write_episode
from armtune_policies.store.episode_reader import Episode, read_episode
from armtune_policies.store.episode_writer import ABOUT, PART
from armtune_policies.store.errors import BadData
from armtune_policies.store.files import checked_name, is_held, trash
from armtune_policies.store.labels import LabelSet, shown_labels, write_labels
from armtune_policies.store.mcap_scan import entries
from armtune_policies.store.nouns import SUCCESS, TIMEOUT, EpisodeState

from .bag import Bag, is_bag
from .contract_file import Contract
from .foreign import Foreign, RawEpisode, plain_episode
from .lerobot_files import IMAGE, LeRobotFiles, is_lerobot
from .lerobot_read import LeRobotFolder
from .rlds import Rlds, is_rlds
from .robomimic import Robomimic, is_hdf5

FROM = "imported_from"
"""Metadata of an imported episode: where it was."""
DIGEST = "import_digest"
"""And of what: another source of the same name is not gone on with."""
KINDS = "a LeRobot v3 folder, a folder of .tfrecord files, a robomimic .hdf5 file or a bag"
EDGE_BYTES = 4096
JPEG_QUALITY = 95
SOURCE = "import"
"""Who proposed the actions of an imported episode, where its recording does not say."""

OnEpisode = Callable[[Path], None]


@dataclass(frozen=True)
class Imported:
    """What an import wrote."""

    run: Path
    episodes: int
    steps: int
    resumed_from: int
    left_out: int = 0
    """Steps of a bag that no episode has: where topics were silent, or a clock was set."""


def import_folder(
    source: Path,
    run: Path,
    name: str,
    contract: Contract | None,
    observation: ObservationSpec,
    on_episode: OnEpisode = lambda _: None,
) -> Imported:
    """Write the episodes of a recording into ``run/episodes`` as ``<name>-00000`` and so on.

    Args:
        source: A LeRobot v3 folder, a folder of TFRecord files, a robomimic file, or a bag; it says itself which.
        run: Run folder; made when missing.
        name: Prefix of the episodes.
        contract: What its keys mean; None for a LeRobot folder whose keys mean what ours mean.
        observation: Size that pictures are shrunk to; larger ones are kept beside it as JPEG.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ConfigError: when it is of no known kind, or needs a contract.
        ValueError: for a name that will not do, or episodes of another source under it.
        OSError: when the disk refuses.
    """
    source, run = Path(source), Path(run)
    checked_name(name, "name")
    if not source.exists():
        raise ConfigError(f"{source}: expected {KINDS}; got nothing there")
    if (run / "config.yaml").exists():
        raise ConfigError(f"{run}: expected a folder for imports, got a run that was recorded; import into another")
    have = next(k for k in count() if not _file(run, name, k).exists())
    same = _index_digest(source, contract, observation)
    if have:
        _check_same(run, name, have, source, same)
    for left in sorted((run / "episodes").glob(f"{name}-*.mcap{PART}")):
        _clear(left)
    reader = None if contract is None else opened(source, contract)
    steps = made = 0
    for index, (episode, views, labels) in enumerate(_episodes(source, reader, observation, have), have):
        said = {FROM: f"{source.name} {index}", DIGEST: same, **({"contract": contract.text} if contract else {})}
        episode = renamed(episode, name, index)
        if labels is not None and (labels := replace(labels, episode_id=episode.episode_id)) != shown_labels(episode):
            write_labels(run, labels)  # first: a killed import goes on after the file
        path = write_episode(run / "episodes", episode, said, views)
        made, steps = made + 1, steps + int(episode.complete.sum())
        on_episode(path)
    if not made and not have:
        raise BadData(str(source), "episodes", "at least one", "none")
    return Imported(run, made, steps, have, 0 if reader is None else reader.left_out)


def _episodes(
    source: Path, reader: Foreign | None, observation: ObservationSpec, first: int
) -> Iterator[tuple[Episode, Mapping[str, list[bytes]], LabelSet | None]]:
    if reader is None:
        if not is_lerobot(source):
            raise ConfigError(f"{source}: expected a contract that says what its keys mean; give one by --contract")
        folder = LeRobotFolder.as_it_is(source)
        for at in folder.placed[first:]:
            episode = folder.read(at)
            yield episode, {}, folder.labels(at, episode)
        return
    for raw in reader.episodes(first):
        yield *as_episode(raw, reader.contract, observation), None


def opened(source: Path, contract: Contract) -> Foreign:
    """Return the reader of a recording.

    Raises:
        ConfigError: when it is of no known kind.
    """
    kinds: tuple[tuple[Callable[[Path], bool], Callable[[Path, Contract], Foreign]], ...] = (
        (is_lerobot, LeRobotRaw), (is_rlds, Rlds), (is_hdf5, Robomimic), (is_bag, Bag),
    )  # fmt: skip
    for fits, reader in kinds:
        if fits(source):
            return reader(source, contract)
    raise ConfigError(f"{source}: expected {KINDS}; got none of them")


class LeRobotRaw:
    """A LeRobot folder of another robot, its columns as they are."""

    def __init__(self, path: Path, contract: Contract) -> None:
        self.files, self.contract, self.source, self.left_out = LeRobotFiles(path), contract, str(path), 0

    def episodes(self, first: int = 0) -> Iterator[RawEpisode]:
        if self.files.fps != self.contract.rate_hz:
            raise BadData(self.files.source, "fps", f"{self.contract.rate_hz:g} as in the contract", self.files.fps)
        wanted = [key if key.startswith(IMAGE) else f"{IMAGE}{key}" for key in self.contract.images.values()]
        if missing := [key for key in wanted if key not in self.files.features]:
            there = ", ".join(self.files.cameras) or "none"
            raise BadData(self.files.source, missing[0], "pictures of this camera", f"none; there are {there}")
        for at in self.files.placed[first:]:
            rows, source = self.files.rows(at), self.files.named(at)
            arrays = {key: _array(rows, key, source) for key in self.contract.keys if key in rows.column_names}
            images = {c: list(self.files.frames(at, rows, key)) for c, key in zip(self.contract.images, wanted)}
            yield RawEpisode(source, arrays, images, sentence=self.files.sentence(rows, source))


def as_episode(
    raw: RawEpisode, contract: Contract, observation: ObservationSpec
) -> tuple[Episode, Mapping[str, list[bytes]]]:
    """Return an episode in our terms, and full-size views of cameras whose pictures are larger than the policy's."""
    state, action = contract.rows(raw.arrays, raw.source)
    length = len(action)
    for camera, frames in raw.images.items():
        if len(frames) < length:
            raise BadData(raw.source, f"camera {camera}", f"{length} pictures", len(frames))
    sentence = contract.sentence or raw.sentence
    if not sentence:
        raise BadData(raw.source, "sentence", "what the arm was told; write `sentence: {text: ...}`", "none")
    success = _success(raw, contract, length)
    won = success is None or bool(success.any())  # a recording that does not judge is a demonstration
    end = length - 1 if success is None or not success.any() else int(np.argmax(success))
    verdicts = np.full(length, Verdict.UNKNOWN, np.uint8)
    if success is not None:
        verdicts = np.where(success, Verdict.YES, Verdict.NO).astype(np.uint8)
    made_up_ns = np.round(np.arange(length) * 1e9 / contract.rate_hz).astype(np.int64)
    kept = slice(0, end + 1)
    size = (observation.height_px, observation.width_px)
    episode = plain_episode(
        Path(raw.source),
        EpisodeState(sentence=sentence, outcome=SUCCESS if won else TIMEOUT, end_step=end),
        {camera: np.stack([prepare(f, *size) for f in frames[kept]]) for camera, frames in raw.images.items()},
        state[kept],
        action[kept],
        (made_up_ns if raw.stamps_ns is None else raw.stamps_ns)[kept],
        verdicts[kept],
    )
    large = {
        camera: [pictures.jpeg(frame, JPEG_QUALITY) for frame in frames[kept]]
        for camera, frames in raw.images.items()
        if frames[0].shape[0] * frames[0].shape[1] > size[0] * size[1]
    }
    return replace(episode, proposed=action[kept], sources=(SOURCE,) * (end + 1)), large


def _success(raw: RawEpisode, contract: Contract, length: int) -> npt.NDArray[np.bool_] | None:
    if contract.success is None:
        return None
    values = contract.success.of(raw.arrays, 1, raw.source)[:length, 0]
    return values > (0.5 if contract.success.above is None else contract.success.above)


def _file(run: Path, name: str, index: int) -> Path:
    return run / "episodes" / f"{name}-{index:05d}.mcap"


def _check_same(run: Path, name: str, have: int, source: Path, same: str) -> None:
    path = _file(run, name, have - 1)
    said = read_episode(path).metadata
    if said.get(DIGEST) != same or not said.get(FROM, "").endswith(f" {have - 1}"):
        got = f"{said[FROM]} of another source, contract or size" if FROM in said else "a run's own"
        raise ValueError(
            f"{path}: expected episode {have - 1} of {source.name}, got {got}; import under another --name"
        )


def _clear(left: Path) -> None:
    """Set aside what a killed import left: its source is still there. Nothing else is touched."""
    if is_held(left):
        raise ValueError(f"{left}: expected nobody at work on it, got a recorder or another import; wait for its end")
    try:
        said = next((entry.metadata for entry in entries(left) if entry.metadata_name == ABOUT), None)
    except ValueError:
        said = None
    if said is not None and FROM not in said:
        raise ValueError(
            f"{left}: expected an import's, got an unfinished recording; `armtune data check --salvage` it"
        )
    trash(left)


def _index_digest(source: Path, contract: Contract | None, observation: ObservationSpec) -> str:
    """Name a source by its files' names, sizes, first and last bytes, and what its keys are taken to mean."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    listed = []
    for path in files:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(EDGE_BYTES)
            file.seek(max(size - EDGE_BYTES, 0))
            listed.append([path.relative_to(source).as_posix(), size, head.hex(), file.read(EDGE_BYTES).hex()])
    size_px = [observation.height_px, observation.width_px] if contract else []
    return digest([listed, contract.text if contract else "", size_px])


def _array(rows: Any, key: str, source: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(rows[key].to_pylist(), np.float64)
    except (TypeError, ValueError):
        raise BadData(source, key, "numbers, as many in each row", "others") from None
