"""What every trainable judge of success can do, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor, nn


class Backend(Protocol):
    """A yes/no judge that can be trained: images and questions to logits of yes.

    Sentences are embedded, and kept by sentence, inside. A judge that has nothing to train returns no parameters.
    """

    def logits(self, images: Sequence[Tensor], questions: Sequence[str]) -> Tensor:
        """Return float32 (N,) logits of yes, before calibration, with gradients where training wants them.

        Args:
            images: Per camera, in the observation spec's order, uint8 (N, H, W, 3), rgb8 at policy size.
            questions: N sentences of tasks, as in "put the peg in the bin".

        Raises:
            ValueError: for a blank question, or images of another size than it was made for.
        """
        ...

    def trainable(self) -> Iterable[nn.Parameter]:
        """Return what training may change; everything else is locked."""
        ...
