"""LeRobot v3 folders as they lie on disk: what ``meta/info.json`` says, rows from parquet, pictures from either.

The layout is that of lerobot 0.4 (``LeRobotDataset``, codebase version v3.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import keys
from armtune_policies.store import pictures
from armtune_policies.store.errors import BadData, needs
from armtune_policies.store.files import MAX_TEXT_BYTES, read_json

from .room import check_room

if TYPE_CHECKING:
    import pyarrow as pa

INFO, TASKS, EPISODES, STATS = "meta/info.json", "meta/tasks.parquet", "meta/episodes", "meta/stats.json"
VERSION = "v3"
INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
IMAGE = keys.image("")
_PLACE, _PLAIN = re.compile(r"\{[^}]*\}?"), re.compile(r"\{(chunk_index|file_index|video_key)(:0?\d)?d?\}")
"""Of a path's template: a place to fill, and what it may ask for. A format string may ask for far more."""

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


class LeRobotFiles:
    """A folder of the format, whatever its robot; episodes are read one at a time.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ValueError: when pyarrow or PyAV is missing.
    """

    def __init__(self, root: Path) -> None:
        needs("a LeRobot folder", "pyarrow", "av")
        self.root = Path(root)
        self.source = str(self.root / INFO)
        self.info = read_json(self.root / INFO, MAX_TEXT_BYTES)
        said = self.info.get("codebase_version")
        if not str(said).startswith(VERSION):
            raise BadData(self.source, "codebase_version", f"{VERSION}.x (LeRobot converts older ones)", said)
        self.features = self.info.get("features")
        if not isinstance(self.features, dict):
            raise BadData(self.source, "features", "what each column is", self.features)
        if missing := [key for key in INDICES if key not in self.features]:
            raise BadData(self.source, missing[0], "this key", "none")
        self.fps = self.info.get("fps")
        if not isinstance(self.fps, (int, float)) or not self.fps > 0:
            raise BadData(self.source, "fps", "a number above 0", self.fps)
        self._cached: tuple[Path, Any] | None = None

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, without the prefix of their keys."""
        return tuple(key.removeprefix(IMAGE) for key in self.features if key.startswith(IMAGE))

    @cached_property
    def placed(self) -> list[Placed]:
        """All episodes in order."""
        found: list[Placed] = []
        for path in sorted((self.root / EPISODES).rglob("*.parquet")):
            for row in table(path, [name for name in names(path) if not name.startswith("stats/")]).to_pylist():
                if missing := [key for key in ("episode_index", "length") if row.get(key) is None]:
                    raise BadData(str(path), missing[0], "a number", "none")
                found.append(Placed(int(row["episode_index"]), int(row["length"]), row))
        if not found:
            raise BadData(str(self.root / EPISODES), "episodes", "at least one", "none; copy the folder anew")
        return sorted(found, key=lambda one: one.index)

    @cached_property
    def sentences(self) -> dict[int, str]:
        """Task sentences by ``task_index``."""
        path = self.root / TASKS
        rows = table(path).to_pylist()
        named = [(row.get("task_index"), [v for v in row.values() if isinstance(v, str)]) for row in rows]
        if not named or any(index is None or len(texts) != 1 for index, texts in named):
            raise BadData(str(path), "task_index", "a number and one sentence a row", rows[:1])
        return {int(index): texts[0] for index, texts in named if index is not None}

    def named(self, at: Placed) -> str:
        """The file and the episode, for errors."""
        return f"{self.file('data_path', at.row, 'data')} episode {at.index}"

    def rows(self, at: Placed) -> pa.Table:
        """Return the rows of one episode, pictures kept in parquet included."""
        import pyarrow.compute as pc

        path, source = self.file("data_path", at.row, "data"), self.named(at)
        if self._cached is None or self._cached[0] != path:
            self._cached = (path, table(path, [name for name in names(path) if name in self.features]))
        everything = self._cached[1]
        if "episode_index" not in everything.column_names:
            raise BadData(source, "episode_index", "a column", "none")
        found = everything.filter(pc.equal(everything["episode_index"], at.index))
        if found.num_rows != at.length or not at.length:
            raise BadData(source, "length", f"{at.length} rows, at least one", found.num_rows)
        frames = column(found, "frame_index", source)
        if len(odd := np.flatnonzero(frames != np.arange(at.length))):
            raise BadData(source, "frame_index", f"{odd[0]} in row {odd[0]}", int(frames[odd[0]]))
        return found

    def sentence(self, rows: pa.Table, source: str) -> str:
        """Return what the arm was told in an episode."""
        said = sorted({int(index) for index in column(rows, "task_index", source)})
        if len(said) != 1 or said[0] not in self.sentences:
            raise BadData(source, "task_index", f"one of {sorted(self.sentences)} throughout", said)
        return self.sentences[said[0]]

    def frames(self, at: Placed, rows: pa.Table, key: str) -> Iterator[Frames]:
        """Give the pictures of one episode, rgb8 (H, W, 3), all of one size."""
        source = self.named(at)
        if self.features[key].get("dtype") == "video":
            path = self.file("video_path", at.row, f"videos/{key}", video_key=key)
            start_s = float(at.row.get(f"videos/{key}/from_timestamp") or 0.0)
            stamps_s, near_s = column(rows, "timestamp", source), 0.5 / self.fps
            found = _video(path, start_s + stamps_s, near_s, key, f"{path} episode {at.index}")
        else:
            found = _pictures(rows, key, source)
        first: tuple[int, ...] = ()
        for row, frame in enumerate(found):
            first = first or frame.shape
            if frame.shape != first:
                raise BadData(source, key, f"pictures of shape {first}", f"{frame.shape} in row {row}")
            yield frame

    def file(self, key: str, row: Mapping[str, Any], part: str, **more: str) -> Path:
        """Return the path that a template of ``info.json`` makes of an episode's row; it stays inside the folder."""
        if odd := [part for part in _PLACE.findall(str(self.info.get(key, ""))) if not _PLAIN.fullmatch(part)]:
            raise BadData(self.source, key, "a path with {chunk_index} or {file_index:03d}", odd[0])
        try:
            at = {"chunk_index": row[f"{part}/chunk_index"], "file_index": row[f"{part}/file_index"]}
            path = self.root / str(self.info[key]).format(**at, **more)
        except (KeyError, ValueError, IndexError) as why:
            raise BadData(self.source, key, "a path with chunk_index and file_index", why) from None
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise BadData(self.source, key, "a path inside the folder", path)
        return path


def names(path: Path) -> list[str]:
    """Return the columns of a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as why:
        raise BadData(str(path), "file", "a parquet file", why) from None


def table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a parquet file, or some of its columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(path)
        encoded = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
        check_room(max(encoded, 8 * about.num_rows * (len(columns) if columns else 1)), path, "rows")
        return pq.read_table(path, columns=columns, partitioning=None)
    except (pa.ArrowException, OSError) as why:
        raise BadData(str(path), "file", "a parquet file", why) from None


def column(rows: pa.Table, key: str, source: str) -> Doubles:
    """Return a column of one number a row, (T,)."""
    return numbers(rows, key, 1, source, np.float64)[:, 0]


def texts(rows: pa.Table, key: str, source: str) -> tuple[str, ...]:
    """Return a column of texts, one a row."""
    if key not in rows.column_names:
        raise BadData(source, key, "a column", "none")
    found = rows[key].to_pylist()
    if odd := [value for value in found if not isinstance(value, str)]:
        raise BadData(source, key, "texts", odd[0])
    return tuple(found)


def numbers(rows: pa.Table, key: str, width: int, source: str, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """Return a column of ``width`` numbers a row, (T, width), finite."""
    if key not in rows.column_names:
        raise BadData(source, key, "a column", "none")
    found = rows[key].to_pylist()
    for row, value in enumerate(found):
        size = len(value) if isinstance(value, list) else 1
        if value is None or size != width:
            raise BadData(source, key, f"{width} numbers a row", f"{'none' if value is None else size} in row {row}")
    try:
        made = np.asarray(found, dtype).reshape(len(found), width)
    except (TypeError, ValueError):
        raise BadData(source, key, "numbers", f"values like {found[0]!r}") from None
    if len(odd := np.flatnonzero(~np.isfinite(made).all(axis=1))):
        raise BadData(source, key, "finite numbers", f"{made[odd[0]]} in row {odd[0]}")
    return made


def _pictures(rows: pa.Table, key: str, source: str) -> Iterator[Frames]:
    """Give pictures kept in parquet, rgb8."""
    if key not in rows.column_names:
        raise BadData(source, key, "a column", "none")
    for row, value in enumerate(rows[key].to_pylist()):
        data = (value or {}).get("bytes") or b""
        try:
            yield pictures.decoded(data)
        except ValueError:
            got = f"{'damaged' if data else 'no'} bytes in row {row}"
            raise BadData(source, key, "a PNG or JPEG picture", got) from None


def _video(path: Path, stamps_s: Doubles, near_s: float, key: str, source: str) -> Iterator[Frames]:
    """Give the frames shown at some times, rgb8; times rise."""
    import av

    given = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.width * stream.height > pictures.MAX_PIXELS:
                raise BadData(source, key, f"at most {pictures.MAX_PIXELS} pixels", f"{stream.width}x{stream.height}")
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
