"""Several processes that make one batch together, as ``torchrun`` starts them; or the one there is.

Each process holds its own part of the data and averages with the others what a mean over the
whole batch needs. What they tell each other goes as tensors or JSON, never as pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch import distributed as dist

from armtune_policies.contract import ConfigError

SILENCE_S = 600.0
"""How long the others may be silent: reading their part of the data is the longest they are."""


def device_of(name: str, index: int = 0) -> torch.device:
    """Return where an agent learns, by ``AgentParams.device``; of several GPUs the one of that number.

    Raises:
        ConfigError: when torch finds no such GPU.
    """
    if name == "cpu":
        return torch.device(name)
    if not index < (count := torch.cuda.device_count()):
        raise ConfigError(f"device: expected cpu, or cuda with a GPU for each process; got {name}, and torch finds "
                          f"{count}; see `nvidia-smi` and torch's build, or leave device={name} away")  # fmt: skip
    return torch.device(name, index)


class CrewLost(ValueError):
    """Another process ended, or fell silent."""


class Alone:
    """The one process there is: all data and the whole batch are its own."""

    rank, size = 0, 1

    def own(self, count: int) -> range:
        """Return which of ``count`` items, in order, are this process's part."""
        return range(count)

    def ratio(self, part: Tensor, whole: Tensor) -> Tensor:
        """Return a mean by its sum and its count over this process's rows, as the whole batch has it."""
        return part / whole.clamp(min=1.0)

    def mean(self, numbers: Tensor) -> Tensor:
        """Return the whole batch's means of numbers that are means over this process's rows; no gradient."""
        return numbers

    def sum(self, numbers: Tensor) -> Tensor:
        """Return sums over processes; no gradient."""
        return numbers

    def most(self, number: Tensor) -> Tensor:
        """Return the largest of what processes have; no gradient."""
        return number

    def pooled(self, items: Sequence[Any]) -> list[Any]:
        """Return everybody's items, in order of rank; they must be what JSON can say."""
        return list(items)

    def agree(self, value: Any, what: str) -> None:
        """Compare a value, as JSON can say it, with everybody's.

        Raises:
            ValueError: naming ``what`` and the first process that has another.
        """
        said = self.pooled([value])
        if wrong := [rank for rank, theirs in enumerate(said) if theirs != said[0]]:
            raise ValueError(f"{what}: expected the same in all {self.size} processes, {wrong[0]} has another than 0; "
                             "start them all by one command, on one kind of machine")  # fmt: skip


class Crew(Alone):
    """One of ``size`` processes.

    A process has ``part`` of the batch, 0..1; its losses, each a mean over its rows, count by that
    part, and gradients are summed: the whole batch's, whatever the parts are.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.part = 1.0 / size

    @classmethod
    def from_environment(cls, name: str = "cpu", silence_s: float = SILENCE_S) -> Crew | None:
        """Join the processes that ``torchrun`` started, by NCCL on GPUs and gloo on CPUs; None for one process.

        Args:
            name: Of the device, as in ``AgentParams``; each process of a machine has a GPU of its own.
            silence_s: How long the others may be silent.

        Raises:
            ConfigError: when there is no GPU for this process.
            CrewLost: when they do not all come.
        """
        device = device_of(name, int(os.environ.get("LOCAL_RANK", "0")))
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return None
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, timeout=timedelta(seconds=silence_s))
        except RuntimeError as why:
            raise CrewLost(f"not all processes came within {silence_s:g} s; start them by torchrun: {why}") from None
        return cls(dist.get_rank(), dist.get_world_size(), device)

    def leave(self) -> None:
        """End what joins the processes, when all are here: gloo aborts one that hears from one that has left.

        Raises:
            CrewLost: when one is not.
        """
        self._together(dist.barrier)
        dist.destroy_process_group()

    def own(self, count: int) -> range:
        """Return this process's items: neighbours, so that all parts in order of rank are the whole in order.

        Raises:
            ValueError: when there are fewer items than processes.
        """
        if count < self.size:
            raise ValueError(f"{count} episodes for {self.size} processes: start no more processes than episodes")
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def ratio(self, part: Tensor, whole: Tensor) -> Tensor:
        return part / self.sum(whole).clamp(min=1.0) * (1.0 / self.part if self.part else 0.0)

    def mean(self, numbers: Tensor) -> Tensor:
        return self.sum(numbers * self.part)

    def sum(self, numbers: Tensor) -> Tensor:
        return self._reduced(numbers, dist.ReduceOp.SUM)

    def most(self, number: Tensor) -> Tensor:
        return self._reduced(number, dist.ReduceOp.MAX)

    def pooled(self, items: Sequence[Any]) -> list[Any]:
        said = torch.frombuffer(bytearray(json.dumps(list(items)).encode()), dtype=torch.uint8).to(self.device)
        sizes = self._gathered(torch.tensor([len(said)], device=self.device))
        most = max(int(size) for size in sizes)
        rows = self._gathered(torch.nn.functional.pad(said, (0, most - len(said))))
        heard = [row[: int(size)].cpu().numpy().tobytes() for row, size in zip(rows, sizes)]
        return [item for text in heard for item in json.loads(text)]

    def of_first(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the first process's tensors, on the CPU, whatever the others have."""
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        said = torch.frombuffer(bytearray(save(plain)), dtype=torch.uint8).to(self.device)
        size = torch.tensor([len(said)], device=self.device)
        self._together(dist.broadcast, size, src=0)
        heard = said if self.rank == 0 else torch.empty(int(size), dtype=torch.uint8, device=self.device)
        self._together(dist.broadcast, heard, src=0)
        return load(heard.cpu().numpy().tobytes())

    def sum_gradients(self, weights: Sequence[Tensor]) -> None:
        """Sum the gradients of some weights over processes, in one message."""
        grads = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        self._together(dist.all_reduce, flat)
        torch._foreach_copy_(grads, [f.view_as(g) for f, g in zip(flat.split([g.numel() for g in grads]), grads)])

    def _gathered(self, tensor: Tensor) -> list[Tensor]:
        rows = [torch.empty_like(tensor) for _ in range(self.size)]
        self._together(dist.all_gather, rows, tensor)
        return rows

    def _reduced(self, numbers: Tensor, by: Any) -> Tensor:
        found = numbers.detach().clone()
        self._together(dist.all_reduce, found, op=by)
        return found

    def _together(self, what: Any, *args: Any, **kwargs: Any) -> None:
        try:
            what(*args, **kwargs)
        except RuntimeError as why:
            raise CrewLost(
                f"process {self.rank} of {self.size} lost another one, whose own message says why; start the same "
                f"command again, training goes on from its checkpoint ({str(why).splitlines()[0]})"
            ) from None


ALONE = Alone()
