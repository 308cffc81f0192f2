"""LeRobot v3 folders written without our reader: pyarrow, PyAV and the format's own description."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from armtune_policies.store.episode_reader import Episode

NAMES = {"observation.state": ["x", "y", "z", "rx", "ry", "rz", "gripper"],
         "action": ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]}  # fmt: skip
CAMERA = "observation.images.front"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


def write_folder(
    root: Path,
    episodes: Sequence[Episode],
    fps: int = 5,
    video: bool = False,
    columns: dict[str, Sequence[Sequence[Any]]] | None = None,
    per_file: int = 2,
) -> Path:
    """Write some episodes; ``columns`` are more of them, by key a row of values for each episode."""
    more = columns or {}
    tasks = sorted({one.sentence for one in episodes})
    size = list(episodes[0].images["front"].shape[1:])
    features: dict[str, Any] = {key: {"dtype": "float32", "shape": [7], "names": names} for key, names in NAMES.items()}
    features[CAMERA] = {"dtype": "video" if video else "image", "shape": size, "names": ["height", "width", "channels"]}
    for key in (*more, "timestamp", "frame_index", "episode_index", "index", "task_index"):
        features[key] = {"dtype": "float32", "shape": [1], "names": None}
    info = {"codebase_version": "v3.0", "fps": fps, "features": features, "data_path": DATA, "video_path": VIDEO,
            "total_episodes": len(episodes), "chunks_size": 1000}  # fmt: skip
    (root / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    (root / "meta" / "info.json").write_text(json.dumps(info))
    pq.write_table(
        pa.table({"task_index": list(range(len(tasks))), "__index_level_0__": tasks}), root / "meta/tasks.parquet"
    )
    about = []
    for file in range(0, len(episodes), per_file):
        about += _file(
            root, list(enumerate(episodes))[file : file + per_file], file // per_file, fps, video, more, tasks
        )
    pq.write_table(pa.Table.from_pylist(about), root / "meta/episodes/chunk-000/file-000.parquet")
    return root


def _file(
    root: Path, chosen: list[tuple[int, Episode]], file: int, fps: int, video: bool,
    more: dict[str, Sequence[Sequence[Any]]], tasks: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    rows: list[dict[str, Any]] = []
    about, frames, start_s = [], [], 0.0
    for index, one in chosen:
        for row in range(one.steps):
            made: dict[str, Any] = {
                "observation.state": one.state[row].tolist(), "action": one.allowed[row].tolist(),
                "timestamp": np.float32(row / fps).item(), "frame_index": row, "episode_index": index,
                "index": 100 * index + row, "task_index": tasks.index(one.sentence),
            }  # fmt: skip
            made |= {key: values[index][row] for key, values in more.items()}
            if not video:
                made[CAMERA] = {"bytes": _png(one.images["front"][row]), "path": f"frame-{row:06d}.png"}
            rows.append(made)
        frames += list(one.images["front"])
        found: dict[str, Any] = {"episode_index": index, "tasks": [one.sentence], "length": one.steps,
                                 "data/chunk_index": 0, "data/file_index": file, "stats/action/max": [1.0]}  # fmt: skip
        if video:
            found |= {f"videos/{CAMERA}/{key}": value for key, value in (
                ("chunk_index", 0), ("file_index", file), ("from_timestamp", start_s),
                ("to_timestamp", start_s + one.steps / fps))}  # fmt: skip
        start_s += one.steps / fps
        about.append(found)
    path = root / DATA.format(chunk_index=0, file_index=file)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    if video:
        _mp4(root / VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=file), frames, fps)
    return about


def _png(frame: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "PNG")
    return out.getvalue()


def _mp4(path: Path, frames: list[np.ndarray], fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "g": "4"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
