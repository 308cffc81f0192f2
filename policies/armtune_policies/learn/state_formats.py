"""States of an agent that were saved before it was what it is now, brought up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

FORMAT = 2
"""Of a state, the last of its counters.

0 has none: agents acted by their weights, not by the running mean; 1: actor and critics shared one projection.
"""


def of_today(tensors: Mapping[str, Tensor], has_critics: bool) -> Mapping[str, Tensor]:
    """Return a state as agents have it now; what it lacked begins where what it had was, Adam's moments anew."""
    counters = tensors.get("counters", torch.empty(0))
    number = int(counters[2]) if len(counters) > 2 else 0
    if len(counters) < 2 or number == FORMAT:
        return tensors
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith("adam.")}
    if number < 1:
        had_none = ("nets.actor.",) if has_critics else ("nets.actor.", "nets.projection.")
        found |= {n.replace("nets", "targets", 1): tensor for n, tensor in found.items() if n.startswith(had_none)}
    found = dict(_parted(found))
    return {**found, "counters": torch.cat([counters[:2], torch.tensor([FORMAT])])}


def _parted(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors by the names of today: the critics' projection once more for the actor, the network beside both."""
    for name, tensor in tensors.items():
        whose, _, rest = name.partition(".projection.")
        if rest.startswith("net."):
            yield f"{whose}.{rest}", tensor
            continue
        yield name, tensor
        if rest:
            yield f"{whose}.actor_projection.{rest}", tensor
