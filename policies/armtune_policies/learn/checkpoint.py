"""Training state as safetensors: networks, optimiser moments and the step; never pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from armtune_policies.store.files import write_whole


def save_checkpoint(
    path: Path, nets: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, step: int, digest: str
) -> None:
    """Write a training's state, whole or not at all."""
    tensors = {f"net.{name}.{key}": t for name, net in nets.items() for key, t in net.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors.update({f"opt.{index}.{key}": torch.as_tensor(t) for key, t in moments.items()})
    plain = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    write_whole(path, save(plain, {"step": str(step), "digest": digest}))


def load_checkpoint(path: Path, nets: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, digest: str) -> int:
    """Restore a training's state and return its step.

    Raises:
        ValueError: when the file is no checkpoint of this training.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as why:
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
    return int(about["step"])
