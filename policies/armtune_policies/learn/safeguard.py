"""What to do about a loss that is not finite, or beyond what any value can make: skip it, and after three in a row go
back to the last good state."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor

IN_A_ROW = 3
EVERY = 100
"""Updates between two copies of the state."""
GIVE_UP = 3
"""Returns to the last good state before any update gets past the one that failed, after which training stops."""


class Restorable(Protocol):
    updates: int

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, tensors: dict[str, Tensor]) -> None: ...


class Safeguard:
    """Counts what it skipped. The copy is of a state that made a finite loss, taken before the step."""

    def __init__(self) -> None:
        self.skipped = self.restored = 0
        self._row = self._vain = self._failed_at = 0
        self._good: dict[str, Tensor] = {}

    def forget(self) -> None:
        """Keep no state to go back to: what comes next is of another kind."""
        self._good = {}

    def passes(self, loss: Tensor, agent: Restorable, most: float = math.inf) -> bool:
        """Return whether to step on this loss, which is finite and at most ``most`` in size.

        Raises:
            ValueError: when going back did not help.
        """
        if math.isfinite(value := loss.item()) and abs(value) <= most:
            self._row = 0
            if agent.updates > self._failed_at:  # what led there is past
                self._vain = 0
            if not self._good or agent.updates % EVERY == 0:
                self._good = {name: tensor.clone() for name, tensor in agent.state().items()}
            return True
        self.skipped += 1
        self._row += 1
        if self._row >= IN_A_ROW:
            self._go_back(agent)
        return False

    def _go_back(self, agent: Restorable) -> None:
        self._row, self._vain, self._failed_at = 0, self._vain + 1, max(self._failed_at, agent.updates)
        if not self._good or self._vain > GIVE_UP:
            raise ValueError(
                f"the loss stayed not finite or beyond reach over {self.skipped} updates, {self.restored} returns to "
                "the last good state did not help; look for extreme rewards or lower the learning rates"
            )
        agent.restore(self._good)
        self.restored += 1
