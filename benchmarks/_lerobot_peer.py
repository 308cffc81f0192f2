"""What the ``lerobot`` package itself does; runs in the environment ``benchmarks/peers/lerobot/.venv``.

``load ROOT`` opens a dataset and prints what it holds and what its items' statistics are;
``write ROOT`` records one with keys that our learner takes; ``record ROOT SECONDS`` records
episodes until it is killed, telling after each that it was saved.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

NAMES = ["x", "y", "z", "rx", "ry", "rz", "gripper"]
ACTIONS = ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]
FPS, SIZE, STEPS = 5, 16, 12


def features(use_success: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": (7,), "names": NAMES},
        "action": {"dtype": "float32", "shape": (7,), "names": ACTIONS},
        "observation.images.front": {
            "dtype": "image", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]
        },
    }  # fmt: skip
    if use_success:
        found["next.success"] = {"dtype": "bool", "shape": (1,), "names": None}
    return found


def frame(episode: int, step: int, sentence: str, use_success: bool) -> dict[str, Any]:
    rng = np.random.default_rng([episode, step])
    made: dict[str, Any] = {
        "observation.state": rng.normal(0, 0.1, 7).astype(np.float32),
        "action": rng.uniform(-0.04, 0.04, 7).astype(np.float32),
        "observation.images.front": rng.integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8),
        "task": sentence,
    }
    if use_success:
        made["next.success"] = np.array([step == STEPS - 1])
    return made


def write(root: Path, sentences: list[str]) -> dict[str, Any]:
    data = LeRobotDataset.create("local/made", FPS, features(True), root=root, use_videos=False)
    for episode, sentence in enumerate(sentences):
        for step in range(STEPS):
            data.add_frame(frame(episode, step, sentence, True))
        data.save_episode()
    data.finalize()
    return {"episodes": data.num_episodes, "frames": data.num_frames}


def load(root: Path) -> dict[str, Any]:
    data = LeRobotDataset("local/made", root=root)
    items = [data[k] for k in range(len(data))]
    found: dict[str, Any] = {}
    for key in ("observation.state", "action", *data.meta.camera_keys):
        values = np.stack([item[key].numpy() for item in items]).astype(np.float64)
        axes = (0, 2, 3) if values.ndim == 4 else 0
        stats = data.meta.stats[key]
        gaps = {
            "mean": values.mean(axes) - np.squeeze(stats["mean"]), "std": values.std(axes) - np.squeeze(stats["std"]),
            "min": values.min(axes) - np.squeeze(stats["min"]), "max": values.max(axes) - np.squeeze(stats["max"]),
            "q50": np.quantile(values, 0.5, axis=axes) - np.squeeze(stats["q50"]),
        }  # fmt: skip
        found[key] = {"shape": list(items[0][key].shape), **{n: float(np.abs(v).max()) for n, v in gaps.items()}}
    from lerobot.datasets.utils import dataset_to_policy_features

    policy = {key: feature.type.name for key, feature in dataset_to_policy_features(data.features).items()}
    return {
        "episodes": data.num_episodes, "frames": len(data), "fps": data.fps, "tasks": sorted(data.meta.tasks.index),
        "policy_features": policy, "keys": sorted(items[0]), "gaps": found,
        "first_state": items[0]["observation.state"].tolist(), "last_action": items[-1]["action"].tolist(),
    }  # fmt: skip


def record(root: Path, period_s: float) -> None:
    data = LeRobotDataset.create("local/made", FPS, features(True), root=root, use_videos=False)
    for episode in range(100_000):
        for step in range(STEPS):
            data.add_frame(frame(episode, step, "open it", True))
            print(json.dumps({"episode": episode, "step": step}), flush=True)
            time.sleep(period_s)
        data.save_episode()
        print(json.dumps({"saved": episode + 1}), flush=True)


def main(argv: list[str]) -> None:
    what, root = argv[0], Path(argv[1])
    if what == "record":
        record(root, float(argv[2]))
        return
    print(json.dumps(load(root) if what == "load" else write(root, argv[2:] or ["open it", "close it"])))


if __name__ == "__main__":
    main(sys.argv[1:])
