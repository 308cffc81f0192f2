"""Training state as safetensors: networks, optimiser moments and the step; never pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from armtune_policies.store.files import write_whole
from armtune_policies.store.tensors import check_header

LOSSES = "losses"


def fingerprint(*arrays: npt.NDArray[Any] | torch.Tensor) -> str:
    """Return the SHA-256 of arrays and tensors, 64 hex digits: what a training learns from, and begins as."""
    found = hashlib.sha256()
    for array in arrays:
        plain = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
        found.update(f"{plain.dtype.str}{plain.shape}".encode())
        found.update(np.ascontiguousarray(plain).data)
    return found.hexdigest()


def save_checkpoint(
    path: Path,
    nets: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    step: int,
    digest: str,
    losses: Sequence[float] = (),
) -> None:
    """Write a training's state, and its newest losses, whole or not at all."""
    tensors = {f"net.{name}.{key}": t for name, net in nets.items() for key, t in net.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors.update({f"opt.{index}.{key}": torch.as_tensor(t) for key, t in moments.items()})
    tensors[LOSSES] = torch.tensor(losses, dtype=torch.float64)
    plain = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    write_whole(path, save(plain, {"step": str(step), "digest": digest}))


def load_checkpoint(
    path: Path, nets: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, digest: str
) -> tuple[int, list[float]]:
    """Restore a training's state; return its step and its newest losses.

    Raises:
        ValueError: when the file is no checkpoint of this training.
    """
    try:
        check_header(path)
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError) as why:
        raise ValueError(f"{path} is not a checkpoint: {why}; delete it to start again") from None
    if about.get("digest") != digest:
        raise ValueError(
            f"{path} is of training {about.get('digest')}, this one is {digest};"
            " use another folder, or the same data and settings"
        )
    try:
        for name, net in nets.items():
            prefix = f"net.{name}."
            net.load_state_dict({k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)})
    except RuntimeError as why:
        raise ValueError(f"{path} does not fit the networks: {str(why).splitlines()[0]}") from None
    state = optimiser.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("opt."):
            _, index, moment = key.split(".", 2)
            moments.setdefault(int(index), {})[moment] = tensor
    optimiser.load_state_dict({**state, "state": moments})
    return int(about["step"]), tensors[LOSSES].tolist() if LOSSES in tensors else []
