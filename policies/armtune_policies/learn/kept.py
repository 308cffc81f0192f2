"""The data of an offline training, beside its checkpoint: an agent can then practise where its demonstrations are not.

Features are kept, not pictures: they are smaller, and nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armtune_policies.episode.places import keep

from .crew import ALONE, Alone
from .offline import Offline
from .saved import COLUMNS, load_training, save_training
from .trajectory import BadData, Trajectory

DATA = "data"
"""Folder of it, within the training's."""
NAMED = ("source", "sentence", "imitate", "group", "weight")
"""What a trajectory is beside its rows."""


def keep_data(training: Path, data: Offline, crew: Alone = ALONE) -> None:
    """Keep what an agent learnt from, named by its digest, and where its successes took hold.

    Nothing of an agent that learns from pixels: pictures stay in their episodes. Nor of one that several processes
    trained: none of them has all.
    """
    if not data.feature_size or crew.size > 1:
        return
    rows = {name: np.concatenate([getattr(one, name) for one in data.trajectories]) for name in COLUMNS}
    about = {
        "sentences": data.sentences,
        "episodes": data.episodes,
        "successes": data.successes,
        "trajectories": [_about(one) for one in data.trajectories],
    }
    tensors = {name: torch.from_numpy(column) for name, column in rows.items()}
    save_training(Path(training) / DATA, tensors, data.digest, 0, **about)
    keep(training, data.grasps)


def kept_data(training: Path, digest: str) -> Offline:
    """Return the data that ``digest`` names.

    Raises:
        ValueError: when it is not there, is of another training, or its file is not what was written.
    """
    folder = Path(training) / DATA
    found = load_training(folder, digest)
    if found is None:
        raise ValueError(f"{folder}: no data of the agent's training; name the run it was trained on by "
                         "experiment.demos_folder, or run armtune pretrain to the same folder")  # fmt: skip
    tensors, about = found
    try:
        return _offline(str(folder), tensors, about, digest)
    except (KeyError, TypeError, AttributeError) as why:
        raise BadData(str(folder), "data", "what a training kept", f"something else: {why!r}") from None


def _offline(folder: str, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any], digest: str) -> Offline:
    rows = {name: tensors[name].numpy() for name in COLUMNS}
    stops = np.cumsum([0, *(one["rows"] for one in about["trajectories"])])
    if {len(column) for column in rows.values()} != {int(stops[-1])}:
        raise BadData(
            folder, "rows", f"{stops[-1]} in each column", {name: len(column) for name, column in rows.items()}
        )
    trajectories = tuple(
        _trajectory({name: column[begin:end] for name, column in rows.items()}, one)
        for (begin, end), one in zip(pairwise(stops), about["trajectories"])
    )
    size, sentences = rows["features"].shape[1], tuple(about["sentences"])
    return Offline(trajectories, sentences, size, digest, about["episodes"], about["successes"])


def _about(one: Trajectory) -> dict[str, Any]:
    return {**{name: getattr(one, name) for name in NAMED}, "source": Path(one.source).name, "rows": len(one)}


def _trajectory(rows: dict[str, Any], about: dict[str, Any]) -> Trajectory:
    return Trajectory(**rows, **{name: about[name] for name in NAMED})
