"""Episodes as a LeRobot v3 folder, as lerobot 0.4 lays it out and reads it.

Standard keys hold what any tool expects. What only we know (real stamps, what was proposed, who
judged) is under ``complementary_info.``, which LeRobot's policies leave alone: a key that begins
with ``action`` or ``observation`` they would take for an output or an input. Steps that lack a part
are left out, and another of LeRobot's episodes begins after them: what it takes for neighbours are
neighbours. With pictures as PNG ``lerobot_read`` gets every episode back as it was.

Rewards are ``labels.derive``'s: one 0, at the success, and -1 before it. Steps that it leaves out,
unknown ones and those after the success, say -1 and ``complementary_info.is_judged`` false.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, keys
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.errors import BadData, needs
from armtune_policies.store.files import whole_folder, write_json
from armtune_policies.store.labels import STEP_REWARD, LabelSet, derive, labels_json
from armtune_policies.store.pictures import png
from armtune_policies.store.rate import OneRate

from .lerobot_files import EPISODES, INFO, STATS, TASKS
from .lerobot_read import ABOUT
from .lerobot_stats import Histogram, Stats, column_stats, flat
from .video import VideoFile

if TYPE_CHECKING:
    import pyarrow as pa

PNG = "png"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
DATA_MB, VIDEO_MB, CHUNK = 100, 200, 1000
VECTORS = {keys.STATE: STATE_NAMES, keys.ACTION: ActionSpec().names, keys.extra("proposed"): ActionSpec().names}

Columns = dict[str, npt.NDArray[Any]]


@dataclass
class Exported:
    """What was written."""

    folder: Path
    fps: float = 0.0
    episodes: int = 0
    pieces: int = 0
    """LeRobot's episodes: more than ours where steps are left out in between."""
    empty: int = 0
    """Episodes left out: they have no whole step."""
    frames: int = 0
    left_out: int = 0
    """Steps that lack a part."""
    sentences: list[str] = field(default_factory=list)


def export(
    judged: Iterable[tuple[Episode, LabelSet]], folder: Path, pictures: str = PNG, robot: str = "armtune"
) -> Exported:
    """Write episodes, each with who says when it succeeded, as a new folder; whole, or not at all.

    Args:
        judged: Episodes of one rate, with the same cameras and sizes.
        folder: Made; must not be there.
        pictures: ``png`` (exact, inside parquet) or a codec of ``video.CODECS`` (smaller, not exact).
        robot: LeRobot's ``robot_type``.

    Raises:
        BadData: for episodes that differ in rate or cameras, or of which none tells the rate; none at all.
        ValueError: when pyarrow or PyAV is missing.
        OSError: when the disk refuses.
    """
    needs("a LeRobot folder", "pyarrow", "av")
    with whole_folder(folder) as part:
        writer = _Writer(part, pictures, robot)
        try:
            for episode, labels in judged:
                writer.add(episode, labels)
            done = writer.finish()
        finally:
            writer.close()
    done.folder = Path(folder)
    return done


class _Writer:
    """Files that grow by episodes, and the metadata about them."""

    def __init__(self, root: Path, pictures: str, robot: str) -> None:
        self.root, self.pictures, self.robot = root, pictures, robot
        self.done = Exported(root)
        self._rate = OneRate()
        self._early: list[tuple[Episode, LabelSet]] = []
        self._features: dict[str, Any] = {}
        self._file, self._data_bytes = 0, 0
        self._data: Any = None
        self._videos: dict[str, VideoFile] = {}
        self._about: list[dict[str, Any]] = []
        self._columns: list[Columns] = []
        self._seen: dict[str, Histogram] = {}

    def add(self, episode: Episode, labels: LabelSet) -> None:
        """Append one episode, or keep it until a longer one tells the rate."""
        self._rate.check(episode)
        self._early.append((episode, labels))
        if self._rate.nominal_hz is not None:
            ready, self._early = self._early, []
            for one in ready:
                self._append(*one)

    def _append(self, episode: Episode, labels: LabelSet) -> None:
        whole = episode.complete & np.isfinite(episode.allowed).all(1) & np.isfinite(episode.state).all(1)
        rows = np.flatnonzero(whole)
        if not len(rows):
            self.done.empty += 1
            return
        features = _features(episode, self.pictures)
        if self._features and features != self._features:
            odd = next(key for key in {**features, **self._features} if features.get(key) != self._features.get(key))
            raise BadData(str(episode.path), odd, f"{self._features.get(odd)} as before", features.get(odd))
        self._features = features
        columns, about = _columns(episode, labels, rows), _about(episode, labels)
        for places in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > 1) + 1):
            piece = {key: values[places] for key, values in columns.items()}
            images = {keys.image(camera): frames[rows[places]] for camera, frames in episode.images.items()}
            self._append_piece(piece, images, episode.sentence, about)
        self.done.left_out += episode.steps - len(rows)
        self.done.episodes += 1

    def _append_piece(
        self, columns: Columns, frames: Mapping[str, npt.NDArray[np.uint8]], sentence: str, about: str
    ) -> None:
        """Append rows without a hole between them, pictures and metadata."""
        count = len(columns[keys.STATE])
        columns = columns | self._indices(sentence, count)
        place = self._write(columns, frames)
        stats: dict[str, Stats] = {k: column_stats(v) for k, v in columns.items() if v.dtype.kind != "U"}
        for key, some in frames.items():
            seen = Histogram()
            seen.add(some)
            self._seen.setdefault(key, Histogram()).merge(seen)
            stats[key] = seen.stats()
        first = self.done.frames
        self.done.frames += count
        self._about.append({
            "episode_index": self.done.pieces, "tasks": [sentence], "length": count,
            "dataset_from_index": first, "dataset_to_index": self.done.frames,
            "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0, ABOUT: about,
            **place, **flat(stats),
        })  # fmt: skip
        self._columns.append({key: value for key, value in columns.items() if value.dtype.kind != "U"})
        self.done.pieces += 1

    def finish(self) -> Exported:
        """Write the metadata, when all episodes are in."""
        import pyarrow as pa

        self.close()
        if self._early:
            wanted = "three whole steps in some episode, for the rate"
            raise BadData(str(self._early[0][0].path), "stamps", wanted, "none; add an episode that has")
        if not self.done.pieces:
            raise BadData(str(self.root), "episodes", "at least one with a whole step", "none; see: armtune data check")
        self.done.fps = self._fps
        stats = {key: column_stats(np.concatenate([c[key] for c in self._columns])) for key in self._columns[0]}
        stats |= {key: seen.stats() for key, seen in self._seen.items()}
        tasks = pa.table({"task_index": list(range(len(self.done.sentences))), "task": self.done.sentences})
        _parquet(tasks.replace_schema_metadata(_pandas_index("task")), self.root / TASKS)
        _parquet(pa.Table.from_pylist(self._about), self.root / EPISODES / "chunk-000/file-000.parquet")
        write_json(self.root / STATS, stats)
        write_json(self.root / INFO, self._info())
        return self.done

    def close(self) -> None:
        """Finish the open files."""
        if self._data is not None:
            self._data.close()
            self._data = None
        for video in self._videos.values():
            video.close()
        self._videos = {}

    @property
    def _fps(self) -> float:
        """Steps a second; whole ones as int, as LeRobot has them."""
        rate_hz = self._rate.nominal_hz or 0.0
        return int(rate_hz) if rate_hz.is_integer() else rate_hz

    def _indices(self, sentence: str, count: int) -> Columns:
        if sentence not in self.done.sentences:
            self.done.sentences.append(sentence)
        step = np.arange(count)
        return {
            "timestamp": (step / self._fps).astype(np.float32),
            "frame_index": step,
            "episode_index": np.full(count, self.done.pieces),
            "index": self.done.frames + step,
            "task_index": np.full(count, self.done.sentences.index(sentence)),
        }

    def _write(self, columns: Columns, frames: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, Any]:
        """Append rows and pictures; return where they are."""
        import pyarrow.parquet as pq

        large = self._data_bytes >= DATA_MB * 1e6 or any(v.size_bytes >= VIDEO_MB * 1e6 for v in self._videos.values())
        if self._data is not None and large:
            self.close()
            self._file, self._data_bytes = self._file + 1, 0
        at = {"chunk_index": self._file // CHUNK, "file_index": self._file % CHUNK}
        stored = frames if self.pictures == PNG else {}
        rows = _table(columns, stored, self._features)
        if self._data is None:
            path = self.root / DATA_PATH.format(**at)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = pq.ParquetWriter(path, rows.schema, compression="snappy")
        self._data.write_table(rows)
        self._data_bytes += rows.nbytes
        place: dict[str, Any] = {f"data/{key}": value for key, value in at.items()}
        fps = self._fps
        if self.pictures != PNG and not isinstance(fps, int):
            raise BadData(str(self.root), "rate", "a whole number of steps a second for video, or pictures=png", fps)
        for key, some in frames.items() if self.pictures != PNG else ():
            if key not in self._videos:
                path = self.root / VIDEO_PATH.format(video_key=key, **at)
                self._videos[key] = VideoFile(path, self.pictures, int(fps), some.shape[1:3])
            start_s, end_s = self._videos[key].add(some)
            named = {**at, "from_timestamp": start_s, "to_timestamp": end_s}
            place |= {f"videos/{key}/{name}": value for name, value in named.items()}
        return place

    def _info(self) -> dict[str, Any]:
        done, has_video = self.done, self.pictures != PNG
        features = dict(self._features)
        for key in features if has_video else ():
            if features[key]["dtype"] == "video":
                features[key] = {
                    **features[key],
                    "info": VideoFile.info(self.pictures, int(done.fps), features[key]["shape"]),
                }
        return {
            "codebase_version": "v3.0", "robot_type": self.robot, "total_episodes": done.pieces,
            "total_frames": done.frames, "total_tasks": len(done.sentences), "chunks_size": CHUNK,
            "data_files_size_in_mb": DATA_MB, "video_files_size_in_mb": VIDEO_MB, "fps": done.fps,
            "splits": {"train": f"0:{done.pieces}"}, "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if has_video else None, "features": features,
        }  # fmt: skip


def _features(episode: Episode, pictures: str) -> dict[str, Any]:
    """Return ``info.json``'s description of every key."""
    kinds: dict[str, str] = {
        keys.REWARD: "float32", keys.DONE: "bool", keys.TERMINATED: "bool", keys.TRUNCATED: "bool",
        keys.SUCCESS: "bool", keys.INTERVENTION: "bool", keys.extra("is_proposed"): "bool",
        keys.extra("is_judged"): "bool",
        keys.extra("step"): "int64", keys.extra("stamp_ns"): "int64", keys.extra("mode"): "int64",
        keys.extra("verdict"): "int64", keys.extra("probability"): "float32", keys.extra("source"): "string",
        keys.extra("limited_by"): "string", keys.extra("refused"): "string", keys.extra("policy"): "string",
        "timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64",
        "task_index": "int64",
    }  # fmt: skip
    vectors: dict[str, Any] = {
        key: {"dtype": "float32", "shape": [7], "names": list(names)} for key, names in VECTORS.items()
    }
    if width := episode.features.shape[1]:
        vectors[keys.extra("features")] = {"dtype": "float32", "shape": [width], "names": None}
    images = {
        keys.image(camera): {"dtype": "image" if pictures == PNG else "video", "shape": list(frames.shape[1:]),
                             "names": ["height", "width", "channels"]}
        for camera, frames in episode.images.items()
    }  # fmt: skip
    return {**images, **vectors, **{key: {"dtype": kind, "shape": [1], "names": None} for key, kind in kinds.items()}}


def _columns(episode: Episode, labels: LabelSet, rows: npt.NDArray[np.int64]) -> Columns:
    """Return what each of some steps holds, by key."""
    made = derive(episode, labels)
    terminated, is_judged = np.isin(rows, made.steps[made.terminated]), np.isin(rows, made.steps)
    reward = np.full(len(rows), STEP_REWARD, np.float32)
    reward[is_judged] = made.reward[np.isin(made.steps, rows)]
    is_last = np.append(np.diff(rows) > 1, True)
    is_before = np.ones(len(rows), bool) if labels.success_step is None else rows < labels.success_step
    proposed = episode.proposed[rows]
    has = np.isfinite(proposed).all(1)
    probability = episode.probabilities[rows]
    found = {
        keys.STATE: episode.state[rows],
        keys.ACTION: episode.allowed[rows],
        keys.REWARD: reward,
        keys.DONE: terminated | is_last,
        keys.TERMINATED: terminated,
        keys.TRUNCATED: is_last & is_before,
        keys.SUCCESS: terminated,
        keys.INTERVENTION: episode.intervention[rows],
        keys.extra("proposed"): np.where(has[:, None], proposed, 0.0).astype(np.float32),
        keys.extra("is_proposed"): has,
        keys.extra("is_judged"): is_judged,
        keys.extra("step"): rows,
        keys.extra("stamp_ns"): episode.stamps_ns[rows],
        keys.extra("mode"): episode.modes[rows].astype(np.int64),
        keys.extra("verdict"): episode.verdicts[rows].astype(np.int64),
        keys.extra("probability"): np.where(np.isfinite(probability), probability, -1.0).astype(np.float32),
        keys.extra("source"): np.array([episode.sources[k] for k in rows], str),
        keys.extra("limited_by"): np.array([";".join(episode.limited_by[k]) for k in rows], str),
        keys.extra("refused"): np.array([episode.refused[k] for k in rows], str),
        keys.extra("policy"): np.array([episode.policy_versions[k] for k in rows], str),
    }
    if episode.features.shape[1]:
        found[keys.extra("features")] = episode.features[rows]
    return found


def _about(episode: Episode, labels: LabelSet) -> str:
    digests = {key: getattr(episode, key) for key in ("encoder_digest", "observation_digest", "reward_digest")}
    said = labels_json(labels)
    return json.dumps(
        {"about": asdict(episode.about), "metadata": dict(episode.metadata), **digests, "labels": said}, sort_keys=True
    )


def _table(columns: Columns, frames: Mapping[str, npt.NDArray[np.uint8]], features: Mapping[str, Any]) -> pa.Table:
    """Return rows as Arrow, pictures as PNG, with the note that the ``datasets`` library looks for."""
    import pyarrow as pa

    arrays: dict[str, Any] = {}
    for key, some in frames.items():
        made = [{"bytes": png(frame), "path": f"frame-{row:06d}.png"} for row, frame in enumerate(some)]
        arrays[key] = pa.array(made, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    for key, value in columns.items():
        is_vector = value.ndim == 2
        arrays[key] = (
            pa.FixedSizeListArray.from_arrays(pa.array(value.reshape(-1)), value.shape[1])
            if is_vector
            else pa.array(value.tolist(), pa.string())
            if value.dtype.kind == "U"
            else pa.array(value)
        )
    said = {key: _hugging_face(features[key]) for key in arrays}
    note = {"huggingface": json.dumps({"info": {"features": said}})}
    return pa.table(arrays).replace_schema_metadata(note)


def _hugging_face(feature: Mapping[str, Any]) -> dict[str, Any]:
    if feature["dtype"] == "image":
        return {"_type": "Image"}
    value = {"dtype": feature["dtype"], "_type": "Value"}
    return value if feature["shape"] == [1] else {"feature": value, "length": feature["shape"][0], "_type": "Sequence"}


def _pandas_index(name: str) -> dict[str, str]:
    """Return the note by which pandas takes a column of texts for the index: LeRobot looks sentences up there."""
    named = {"name": name, "field_name": name, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64",
              "metadata": None}  # fmt: skip
    blank = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
             "metadata": {"encoding": "UTF-8"}}  # fmt: skip
    note = {"index_columns": [name], "column_indexes": [blank], "columns": [number, named],
            "creator": {"library": "pyarrow", "version": "1"}, "pandas_version": "2.0.0"}  # fmt: skip
    return {"pandas": json.dumps(note)}


def _parquet(rows: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
