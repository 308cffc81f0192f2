"""The port behind which a graph runs: in this process, or in a worker with its own Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec
from armtune_policies.store.manifest import ModelError

Arrays = dict[str, npt.NDArray[Any]]
SENTENCE_SIZE = 384
"""Length of a sentence embedding (MiniLM)."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph; -1 in ``shape`` is any size (the batch)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Session(Protocol):
    """Something that runs one graph. Not for use by two threads at once."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    provider: str
    gap: float
    """How far answers may be from full precision's, over the largest of them; 0.0: not at all."""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """Return the outputs by name, or raise ModelError in one sentence."""

    def close(self) -> None:
        """Let go of the graph, and of the worker if there is one."""


OpenSession = Callable[[bytes], Session]
"""How a session is made from the verified bytes of an ONNX file."""


def image_ports(spec: ObservationSpec) -> tuple[Port, ...]:
    return tuple(Port(f"image.{c}", "uint8", (-1, spec.height_px, spec.width_px, 3)) for c in spec.cameras)


def encoder_ports(spec: ObservationSpec, feature_size: int) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    return image_ports(spec), (Port("features", "float32", (-1, feature_size)),)


def head_ports(action: ActionSpec, feature_size: int) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    inputs = (
        Port("features", "float32", (-1, feature_size)),
        Port("state", "float32", (-1, len(STATE_NAMES))),
        Port("sentence", "float32", (-1, SENTENCE_SIZE)),
    )
    return inputs, (Port("proposed", "float32", (-1, len(action.names))),)


def reward_ports(
    spec: ObservationSpec, says_distance: bool = False, sentence_size: int = SENTENCE_SIZE
) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """A judge with a text tower of its own is told sentences of its own length."""
    inputs = (*image_ports(spec), Port("sentence", "float32", (-1, sentence_size)))
    outputs = ("probability", "distance") if says_distance else ("probability",)
    return inputs, tuple(Port(name, "float32", (-1,)) for name in outputs)


def check_ports(session: Session, expected: tuple[tuple[Port, ...], tuple[Port, ...]], what: str) -> None:
    """Refuse a graph whose names, dtypes or shapes differ from the contract's.

    Raises:
        ModelError: naming the port, what was expected and what came.
    """
    for side, want, have in (("input", expected[0], session.inputs), ("output", expected[1], session.outputs)):
        got = {port.name: port for port in have}
        if set(got) != {port.name for port in want}:
            names = ", ".join(sorted(port.name for port in want))
            raise ModelError(f"{what}: expected {side}s {names}; got {', '.join(sorted(got)) or 'none'}")
        for port in want:
            other = got[port.name]
            if (port.dtype, port.shape) != (other.dtype, other.shape):
                raise ModelError(
                    f"{what}: {side} {port.name}: expected {port.dtype} {port.shape}, got {other.dtype} {other.shape}"
                )


def finite(outputs: Arrays, what: str) -> Arrays:
    """Return ``outputs`` unchanged when every number in them is finite.

    Raises:
        ModelError: naming the output that is not.
    """
    for name, value in outputs.items():
        if not np.all(np.isfinite(value)):
            raise ModelError(f"{what}: output {name} holds NaN or infinity; do not use this model")
    return outputs
