"""LeRobot v3 folders as episodes like our own, so that labels, features and checks are the same ones.

A folder is read by its own ``meta/info.json``: rows from parquet, pictures from parquet or video.
State and action must mean what ours mean: the tool's pose, and its allowed change over one period.
Success is ``next.success`` where there is that column, else the better of two values of
``next.reward``, else ``next.terminated``; without any of them nobody judged, and a demonstration's
end counts as success (``offline.shown_labels``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec, Verdict, keys
from armtune_policies.runtime.images import prepare
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import read_json
from armtune_policies.store.nouns import SUCCESS, TIMEOUT, EpisodeState

from .trajectory import BadData

if TYPE_CHECKING:
    import pyarrow as pa

INFO, TASKS, EPISODES = "meta/info.json", "meta/tasks.parquet", "meta/episodes"
VERSION = "v3"
INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
JUDGED = (keys.SUCCESS, keys.REWARD, keys.TERMINATED)
KNOWN = (
    *INDICES, *JUDGED, keys.STATE, keys.ACTION, keys.DONE, keys.TRUNCATED, keys.PROPOSED, keys.INTERVENTION,
    keys.FEATURES, keys.STAMP,
)  # fmt: skip
IMAGE = keys.image("")

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Frames = npt.NDArray[np.uint8]


def is_lerobot(folder: Path) -> bool:
    """Return whether a folder says of itself that it is LeRobot's."""
    return (Path(folder) / INFO).is_file()


@dataclass(frozen=True)
class Placed:
    """Where an episode of the folder lies."""

    index: int
    length: int
    row: Mapping[str, Any]


class LeRobotFolder:
    """A folder whose metadata fits the contract; episodes are read one at a time.

    Args:
        root: The folder with ``meta/info.json``.
        action: What its actions must mean, its rate included.
        observation: Cameras that are needed, and the size that pictures are shrunk to.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ValueError: when pyarrow or PyAV is missing.
    """

    def __init__(self, root: Path, action: ActionSpec, observation: ObservationSpec) -> None:
        for module, package in (("pyarrow", "pyarrow"), ("av", "av")):
            if find_spec(module) is None:
                raise ValueError(f"LeRobot folders need the package {package}: run `pip install {package}`, then again")
        self.root, self.action, self.observation = Path(root), action, observation
        self.info = read_json(self.root / INFO)
        self._check_info()
        self._cached: tuple[Path, Any] | None = None

    def __len__(self) -> int:
        return len(self.placed)

    @cached_property
    def placed(self) -> list[Placed]:
        """All episodes in order."""
        found: list[Placed] = []
        for path in sorted((self.root / EPISODES).rglob("*.parquet")):
            table = _table(path, [name for name in _names(path) if not name.startswith("stats/")])
            for row in table.to_pylist():
                if missing := [key for key in ("episode_index", "length") if row.get(key) is None]:
                    raise BadData(str(path), missing[0], "a number", "none")
                found.append(Placed(int(row["episode_index"]), int(row["length"]), row))
        if not found:
            raise BadData(str(self.root / EPISODES), "episodes", "at least one", "none")
        return sorted(found, key=lambda one: one.index)

    @cached_property
    def sentences(self) -> dict[int, str]:
        """Task sentences by ``task_index``."""
        path = self.root / TASKS
        rows = _table(path).to_pylist()
        named = [(row.get("task_index"), [v for v in row.values() if isinstance(v, str)]) for row in rows]
        if not named or any(index is None or len(texts) != 1 for index, texts in named):
            raise BadData(str(path), "task_index", "a number and one sentence a row", rows[:1])
        return {int(index): texts[0] for index, texts in named if index is not None}

    def read(self, at: Placed) -> Episode:
        """Read one episode; pictures at policy size.

        Raises:
            BadData: naming the file and the episode, the key, what was expected and what came.
        """
        path = self._file("data_path", at.row, "data")
        source = f"{path} episode {at.index}"
        table = self._rows(path, at, source)
        numbers = {key: _numbers(table, key, self._width(key), source) for key in (keys.STATE, keys.ACTION)}
        stamps_s = _column(table, "timestamp", source)
        sentence = self._sentence(table, source)
        done, outcome, verdicts = _judged(table, source)
        images = {
            camera: np.stack(list(self._frames(table, camera, at, stamps_s, source)))
            for camera in self.observation.cameras
        }
        about = EpisodeState(
            episode_id=f"episode-{at.index:06d}", index=at.index, sentence=sentence, outcome=outcome, end_step=done
        )
        return _episode(Path(source), about, images, numbers, stamps_s, verdicts)

    def _check_info(self) -> None:
        source, info = str(self.root / INFO), self.info
        if not str(info.get("codebase_version")).startswith(VERSION):
            raise BadData(source, "codebase_version", f"{VERSION}.x (LeRobot converts older ones)",
                          info.get("codebase_version"))  # fmt: skip
        if info.get("fps") != self.action.rate_hz:
            raise BadData(source, "fps", f"{self.action.rate_hz:g}, the rate of the policy", info.get("fps"))
        features = info.get("features")
        if not isinstance(features, dict):
            raise BadData(source, "features", "what each column is", features)
        cameras = [keys.image(camera) for camera in self.observation.cameras]
        if unknown := sorted(key for key in features if key not in KNOWN and not key.startswith(IMAGE)):
            raise BadData(source, unknown[0], f"one of the keys {', '.join(KNOWN)}, {IMAGE}<camera>", "this one")
        if missing := [key for key in (*INDICES, keys.STATE, keys.ACTION, *cameras) if key not in features]:
            raise BadData(source, missing[0], "this key", "none")
        for key, names in ((keys.STATE, STATE_NAMES), (keys.ACTION, self.action.names)):
            _check_names(features[key], key, names, source)

    def _width(self, key: str) -> int:
        return len(STATE_NAMES) if key == keys.STATE else len(self.action.names)

    def _file(self, key: str, row: Mapping[str, Any], part: str, **more: str) -> Path:
        try:
            at = {"chunk_index": row[f"{part}/chunk_index"], "file_index": row[f"{part}/file_index"]}
            path = self.root / str(self.info[key]).format(**at, **more)
        except (KeyError, ValueError, IndexError) as why:
            raise BadData(str(self.root / INFO), key, "a path with chunk_index and file_index", why) from None
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise BadData(str(self.root / INFO), key, "a path inside the folder", path)
        return path

    def _rows(self, path: Path, at: Placed, source: str) -> pa.Table:
        import pyarrow.compute as pc

        if self._cached is None or self._cached[0] != path:
            wanted = {key for key in self.info["features"] if not key.startswith(IMAGE)}
            wanted |= {keys.image(camera) for camera in self.observation.cameras}
            self._cached = (path, _table(path, [name for name in _names(path) if name in wanted]))
        table = self._cached[1]
        if "episode_index" not in table.column_names:
            raise BadData(source, "episode_index", "a column", "none")
        found = table.filter(pc.equal(table["episode_index"], at.index))
        if found.num_rows != at.length or not at.length:
            raise BadData(source, "length", f"{at.length} rows, at least one", found.num_rows)
        frames = _column(found, "frame_index", source)
        if len(odd := np.flatnonzero(frames != np.arange(at.length))):
            raise BadData(source, "frame_index", f"{odd[0]} in row {odd[0]}", int(frames[odd[0]]))
        return found

    def _sentence(self, table: pa.Table, source: str) -> str:
        named = sorted({int(index) for index in _column(table, "task_index", source)})
        if len(named) != 1 or named[0] not in self.sentences:
            raise BadData(source, "task_index", f"one of {sorted(self.sentences)} throughout", named)
        return self.sentences[named[0]]

    def _frames(self, table: pa.Table, camera: str, at: Placed, stamps_s: Doubles, source: str) -> Iterator[Frames]:
        key, size = keys.image(camera), (self.observation.height_px, self.observation.width_px)
        feature = self.info["features"][key]
        if feature.get("dtype") == "video":
            path = self._file("video_path", at.row, f"videos/{key}", video_key=key)
            start_s = float(at.row.get(f"videos/{key}/from_timestamp") or 0.0)
            named = f"{path} episode {at.index}"
            found = _video(path, start_s + stamps_s, 0.5 / self.action.rate_hz, key, named)
        else:
            found = _pictures(table, key, self.root, source)
        first: tuple[int, ...] = ()
        for row, frame in enumerate(found):
            first = first or frame.shape
            if frame.shape != first:
                raise BadData(source, key, f"pictures of shape {first}", f"{frame.shape} in row {row}")
            yield prepare(frame, *size)


def _judged(table: pa.Table, source: str) -> tuple[int, str, npt.NDArray[np.uint8]]:
    """Return the last step, the outcome and the verdict of each step (T,)."""
    count = table.num_rows
    key = next((key for key in JUDGED if key in table.column_names), None)
    if key is None:
        return count - 1, SUCCESS, np.full(count, Verdict.UNKNOWN, np.uint8)
    values = _column(table, key, source)
    allowed = ({-1.0, 0.0}, {0.0, 1.0}) if key == keys.REWARD else ({0.0, 1.0},)
    if not any(set(values.tolist()) <= some for some in allowed):
        raise BadData(source, key, "-1 and 0, or 0 and 1" if key == keys.REWARD else "0 or 1", sorted(set(values))[:4])
    good = values == (0.0 if values.min() < 0 else 1.0)
    verdicts = np.where(good, Verdict.YES, Verdict.NO).astype(np.uint8)
    return (int(np.argmax(good)), SUCCESS, verdicts) if good.any() else (count - 1, TIMEOUT, verdicts)


def _episode(
    path: Path,
    about: EpisodeState,
    images: Mapping[str, Frames],
    numbers: Mapping[str, Floats],
    stamps_s: Doubles,
    verdicts: npt.NDArray[np.uint8],
) -> Episode:
    count = about.end_step + 1
    blank = ("",) * count
    return Episode(
        path=path,
        about=about,
        metadata={},
        images={camera: frames[:count] for camera, frames in images.items()},
        state=numbers[keys.STATE][:count],
        features=np.zeros((count, 0), np.float32),
        proposed=np.full((count, numbers[keys.ACTION].shape[1]), np.nan, np.float32),
        allowed=numbers[keys.ACTION][:count],
        stamps_ns=np.round(stamps_s[:count] * 1e9).astype(np.int64),
        complete=np.ones(count, bool),
        modes=np.zeros(count, np.uint8),
        verdicts=verdicts[:count],
        probabilities=np.full(count, np.nan, np.float32),
        sources=blank,
        limited_by=((),) * count,
        refused=blank,
        policy_versions=blank,
        encoder_digest="",
        observation_digest="",
        reward_digest="",
    )


def _check_names(feature: Any, key: str, names: tuple[str, ...], source: str) -> None:
    shape, said = feature.get("shape"), feature.get("names")
    if list(shape or ()) != [len(names)]:
        raise BadData(source, key, f"shape [{len(names)}]", shape)
    if isinstance(said, dict):
        said = next(iter(said.values()), None)
    if said is not None and list(said) != list(names):
        raise BadData(source, f"{key} names", ", ".join(names), said)


def _names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as why:
        raise BadData(str(path), "file", "a parquet file", why) from None


def _table(path: Path, columns: list[str] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns, partitioning=None)
    except (pa.ArrowException, OSError) as why:
        raise BadData(str(path), "file", "a parquet file", why) from None


def _column(table: pa.Table, key: str, source: str) -> Doubles:
    """Return a column of one number a row, (T,)."""
    return _numbers(table, key, 1, source, np.float64)[:, 0]


def _numbers(table: pa.Table, key: str, width: int, source: str, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """Return a column of ``width`` numbers a row, (T, width), finite."""
    if key not in table.column_names:
        raise BadData(source, key, "a column", "none")
    rows = table[key].to_pylist()
    for row, value in enumerate(rows):
        size = len(value) if isinstance(value, list) else 1
        if value is None or size != width:
            raise BadData(source, key, f"{width} numbers a row", f"{'none' if value is None else size} in row {row}")
    try:
        made = np.asarray(rows, dtype).reshape(len(rows), width)
    except (TypeError, ValueError):
        raise BadData(source, key, "numbers", f"values like {rows[0]!r}") from None
    if len(odd := np.flatnonzero(~np.isfinite(made).all(axis=1))):
        raise BadData(source, key, "finite numbers", f"{made[odd[0]]} in row {odd[0]}")
    return made


def _pictures(table: pa.Table, key: str, root: Path, source: str) -> Iterator[Frames]:
    """Give pictures kept in parquet, rgb8."""
    if key not in table.column_names:
        raise BadData(source, key, "a column", "none")
    for row, value in enumerate(table[key].to_pylist()):
        data = (value or {}).get("bytes")
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if bgr is None:
            raise BadData(source, key, "a PNG or JPEG picture", f"{'damaged' if data else 'no'} bytes in row {row}")
        yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _video(path: Path, stamps_s: Doubles, near_s: float, key: str, source: str) -> Iterator[Frames]:
    """Give the frames shown at some times, rgb8; times rise."""
    import av

    given = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            base = float(stream.time_base or 1.0)
            container.seek(max(int((stamps_s[0] - near_s) / base), 0), stream=stream)
            for frame in container.decode(stream):
                at_s = float(frame.time or 0.0)
                if at_s > stamps_s[given] + near_s:
                    raise BadData(source, key, f"a frame at {stamps_s[given]:.3f} s", f"the next at {at_s:.3f} s")
                if at_s >= stamps_s[given] - near_s:
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    given += 1
                if given == len(stamps_s):
                    return
    except (av.FFmpegError, OSError, IndexError) as why:
        raise BadData(source, key, "a video file", why) from None
    raise BadData(source, key, f"{len(stamps_s)} frames", given)
