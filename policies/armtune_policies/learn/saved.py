"""Checkpoints of a training: one safetensors file, and a JSON that names it with its hash, written last.

A kill at any time leaves the JSON of the last whole checkpoint, and the file it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays
from safetensors.torch import load, save
from torch import Tensor

from armtune_policies.contract import file_digest
from armtune_policies.store.files import read_json, write_json, write_whole
from armtune_policies.store.tensors import check_header

from .trajectory import BadData, Trajectory

CHECKPOINT = "checkpoint.json"


def save_training(folder: Path, tensors: Mapping[str, Tensor], digest: str, number: int, **about: Any) -> None:
    """Write checkpoint ``number`` of the training that ``digest`` names; the one before it is kept until then.

    ``about`` is what the training wants to know again, as JSON can say it.
    """
    data = save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    # Named by what it holds, too: written over, the file that the last JSON names would be gone before the next one.
    sha256 = hashlib.sha256(data).hexdigest()
    folder, name = Path(folder), f"state-{number:09d}-{sha256[:8]}.safetensors"
    write_whole(folder / name, data)
    value = {"file": name, "sha256": sha256, "digest": digest, **about}
    write_json(folder / CHECKPOINT, value)
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_training(folder: Path, digest: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and ``about`` of a folder's checkpoint; None where there is none yet.

    Raises:
        ValueError: when it is of other data or settings, or its file is not what was written.
    """
    path = Path(folder) / CHECKPOINT
    if not path.is_file():
        return None
    about = read_json(path)
    said = about.get("digest") if isinstance(about, dict) else None
    if said != digest:
        raise ValueError(
            f"{path} is of training {said}, this one is {digest}; use another folder, or the same data and settings"
        )
    state = path.parent / Path(str(about.get("file"))).name
    if not state.is_file() or file_digest(state) != about.get("sha256"):
        raise ValueError(f"{state}: expected the file that {path.name} names by its hash, got another; start again")
    check_header(state)
    return load(state.read_bytes()), about


EXPERT = "expert"
COLUMNS = ("features", "state", "action", "reward", "terminated", "follows", "is_step")
IMAGE = "image."


def save_trajectory(path: Path, trajectory: Trajectory) -> None:
    """Write a trajectory, its images with it, whole or not at all."""
    columns = {name: getattr(trajectory, name) for name in COLUMNS}
    columns |= {EXPERT: trajectory.expert} if trajectory.expert is not None else {}
    columns |= {f"{IMAGE}{camera}": frames for camera, frames in trajectory.images.items()}
    about = {"source": trajectory.source, "sentence": str(trajectory.sentence), "imitate": str(trajectory.imitate)}
    write_whole(path, save_arrays({name: np.ascontiguousarray(column) for name, column in columns.items()}, about))


def load_trajectory(path: Path) -> Trajectory:
    """Read a trajectory.

    Raises:
        BadData: when it is no such file, or holds what a trajectory may not.
    """
    try:
        check_header(path)
        with safe_open(path, "np") as file:
            about, names = file.metadata() or {}, file.keys()
            columns = {name: file.get_tensor(name) for name in COLUMNS}
            expert = file.get_tensor(EXPERT) if EXPERT in names else None
            images = {n.removeprefix(IMAGE): file.get_tensor(n) for n in names if n.startswith(IMAGE)}
    except (SafetensorError, ValueError) as why:
        raise BadData(str(path), "file", "a trajectory", why) from None
    if wrong := [name for name in ("sentence", "imitate") if name not in about]:
        raise BadData(str(path), wrong[0], "said in its metadata", "nothing")
    sentence, imitate = int(about["sentence"]), about["imitate"] == "True"
    return Trajectory(source=str(path), sentence=sentence, imitate=imitate, expert=expert, images=images, **columns)
