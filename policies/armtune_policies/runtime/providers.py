"""Which processor runs a graph: the quickest that gives the right answers, by measurement; and what if it is lost.

What is asked for may not be here, may be slower than the CPU (small graphs on a GPU are), or wrong. So each is tried
with the same inputs before one is trusted. One that fails at work is replaced by the CPU only if that was measured to
be quick enough; else nothing answers, and the gate holds the arm (F27).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.store.manifest import ModelError

from .ort_session import OrtSession, is_accelerated
from .session import Arrays, OpenSession, Session
from .worker import CPU, HALF, PROVIDERS
from .worker_session import WorkerSession

TENSORRT = "TensorrtExecutionProvider"
FULL_GAP, HALF_GAP = 1e-4, 1e-2
"""Largest difference from the CPU's answer over its largest number; for full precision over 1 where that is more."""
TRIED, WARM = 20, 3
OpenOn = Callable[[bytes, tuple[str, ...]], Session]


@dataclass(frozen=True)
class Hardware:
    """Where graphs may run.

    ``providers`` best first; ``where`` as ``WorkerSession`` takes it, blank for this process, or for a child where an
    accelerator is tried: a driver that hangs cannot be called back; ``half`` lets TensorRT compute in half precision;
    ``patience_s`` is the slowest answer of the CPU that is of use when the rest is lost.
    """

    providers: tuple[str, ...] = PROVIDERS
    where: str = ""
    half: bool = False
    patience_s: float = 0.1

    @property
    def open_session(self) -> OpenSession:
        """How a session is made from the verified bytes of an ONNX file."""
        return partial(open_quickest, hardware=self, open_on=self._open_on)

    def _open_on(self, graph: bytes, providers: tuple[str, ...]) -> Session:
        if self.where:
            return WorkerSession(graph, self.where, providers)
        if is_accelerated(providers):
            child = WorkerSession(graph, sys.executable, providers)
            if child.provider != CPU:
                return child
            child.close()  # what is built in is not plugged in
        return OrtSession(graph, (CPU,))


def open_quickest(graph: bytes, hardware: Hardware, open_on: OpenOn) -> Session:
    """Return the session that answers soonest of those that agree with the CPU.

    Raises:
        ModelError: when the graph cannot be loaded.
    """
    first = open_on(graph, hardware.providers)
    if first.provider == CPU:
        return first  # nothing else works here, so there is nothing to compare
    cpu = open_on(graph, (CPU,))
    feeds = _sample(cpu)
    right, cpu_s = cpu.run(feeds), _took_s(cpu, feeds)
    own_gap = HALF_GAP if _is_coarse(graph) else 0.0
    found = [(cpu_s, cpu)]
    others = [_opened(graph, name, open_on) for name in hardware.providers if name not in (first.provider, CPU)]
    halved = _opened(graph, f"{TENSORRT}:{HALF}", open_on) if hardware.half else None
    for session in (first, *others, halved):
        if session is not None and _agrees(session, feeds, right, HALF_GAP if session is halved else own_gap):
            found.append((_took_s(session, feeds), session))
        elif session is not None:
            session.close()
    best = min(found, key=lambda row: row[0])[1]
    spare = cpu if best is not cpu and cpu_s <= hardware.patience_s else None
    for _, session in found:
        if session is not best and session is not spare:
            session.close()
    gap = HALF_GAP if best is halved else own_gap
    return best if best is cpu else Guarded(best, spare, cpu_s, gap)


class Guarded:
    """A session on an accelerator that may be lost; then the spare answers, if there is one."""

    def __init__(self, best: Session, spare: Session | None, spare_s: float, gap: float = 0.0) -> None:
        self._now, self._spare, self._spare_s, self.gap = best, spare, spare_s, gap
        self.inputs, self.outputs, self.provider = best.inputs, best.outputs, best.provider

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """As ``Session.run``; an accelerator that fails once is not asked again while the CPU is quick enough."""
        try:
            return self._now.run(feeds)
        except ModelError as why:
            if self._now.provider == CPU:
                raise
            if self._spare is None:
                took = f"the CPU takes {self._spare_s * 1e3:.0f} ms, too long to go on with"
                raise type(why)(f"{self.provider} failed: {why}; {took}") from None
            answer = self._spare.run(feeds)  # refuses, too, when it is the inputs that are wrong
            self._now.close()
            self._now, self._spare = self._spare, None
            self.provider = f"{CPU}, {self.provider} was lost"
            return answer

    def close(self) -> None:
        for session in (self._now, self._spare):
            if session is not None:
                session.close()


def _opened(graph: bytes, name: str, open_on: OpenOn) -> Session | None:
    """Return a session on this very provider, None when it is not to be had."""
    try:
        session = open_on(graph, (name, CPU))
    except ModelError:
        return None
    if session.provider == name.partition(":")[0]:
        return session
    session.close()
    return None


def _is_coarse(graph: bytes) -> bool:
    """Whether a graph computes in half precision or in 8 bits by itself: other processors round otherwise, then."""
    import onnx

    coarse = {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    return any(tensor.data_type in coarse for tensor in onnx.load_from_string(graph).graph.initializer)


def _agrees(session: Session, feeds: Arrays, right: Arrays, gap: float) -> bool:
    try:
        got = session.run(feeds)
    except ModelError:
        return False
    for name, value in right.items():
        largest = float(np.max(np.abs(value), initial=0.0))
        if not np.max(np.abs(got[name] - value), initial=0.0) <= max(FULL_GAP * max(1.0, largest), gap * largest):
            return False
    return True


def _took_s(session: Session, feeds: Arrays) -> float:
    """Return the median time of a run [s]."""
    took = []
    for _ in range(WARM + TRIED):
        start_s = time.perf_counter()
        session.run(feeds)
        took.append(time.perf_counter() - start_s)
    return float(np.median(took[WARM:]))


def _sample(session: Session) -> Arrays:
    """Return one made-up input of each port."""
    rng = np.random.default_rng(0)
    feeds: Arrays = {}
    for port in session.inputs:
        shape = tuple(1 if size < 0 else size for size in port.shape)
        is_image = port.dtype == "uint8"
        feeds[port.name] = rng.integers(0, 256, shape, np.uint8) if is_image else rng.normal(size=shape).astype("f4")
    return feeds
