"""ONNX Runtime in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from armtune_policies.store.manifest import ModelError

from . import worker
from .session import Arrays, Port


def is_accelerated(providers: tuple[str, ...]) -> bool:
    """Return whether one of these but the CPU is built into the runtime of this process; its device may be gone."""
    return bool({name.partition(":")[0] for name in providers} & set(ort.get_available_providers()) - {worker.CPU})


class OrtSession:
    """A graph in ONNX Runtime, on the best provider that really works here."""

    gap = 0.0

    def __init__(self, graph: bytes, providers: tuple[str, ...] = worker.PROVIDERS) -> None:
        """Load the graph.

        Raises:
            ModelError: when the bytes are not a self-contained ONNX graph.
        """
        try:
            session = worker.open_graph(ort, graph, providers)
            inputs, outputs = worker.ports(session)
        except Exception as why:  # onnxruntime's errors share no useful base
            raise ModelError(f"not a graph ONNX Runtime {ort.__version__} can load: {worker.sentence(why)}") from None
        self.inputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in inputs)
        self.outputs = tuple(Port(name, dtype, tuple(shape)) for name, dtype, shape in outputs)
        # What was asked for may have fallen back: only the session knows what it uses.
        self.provider: str = session.get_providers()[0]
        self._run = worker.runner(ort, session)

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        try:
            values = self._run(feeds)
        except Exception as why:  # as above
            raise ModelError(f"the graph refused its inputs: {worker.sentence(why)}") from None
        return {name: np.asarray(value) for name, value in values.items()}

    def close(self) -> None:
        self._run = None
