"""Everything the graph says of itself, newest first, as plain values for a page. Pure: time is handed in."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

from armtune_policies.contract import Clock

from .facts import blinded

LOST_S = 0.5
"""The gate beats four times a second, and ticks; silent for so long it is lost, as pages say within a second."""
RATE_S = 3.0
"""Over how long a rate is taken."""
PACE_S = 30.0
ALIVE = ("beat", "tick", "decision", "gate")
"""What only a gate that works says."""


class Board:
    """Nodes write by ``put``, pages read by ``snapshot``; from any thread."""

    def __init__(self, clock: Clock, fixed: dict[str, Any]) -> None:
        self._clock, self._fixed = clock, fixed
        self._lock = threading.Lock()
        self._facts: dict[str, dict[str, Any]] = {}
        self._heard_ns: dict[str, int] = {}
        self._ticks: deque[int] = deque(maxlen=256)
        self._updates: deque[tuple[int, int]] = deque(maxlen=256)
        self._policy_ns = clock.now_ns()
        self._nodes: dict[str, dict[str, Any]] = {}

    def put(self, kind: str, facts: dict[str, Any]) -> None:
        """Note what a message said; ``kind`` as in ``facts.WIRES``."""
        now_ns = self._clock.now_ns()
        with self._lock:
            before = self._facts.get(kind, {})
            self._facts[kind], self._heard_ns[kind] = facts, now_ns
            if kind == "tick":
                self._ticks.append(now_ns)
            elif kind == "learner" and facts["updates_done"] != before.get("updates_done"):
                self._updates.append((now_ns, facts["updates_done"]))
            elif kind == "policy" and facts["version"] != before.get("version"):
                self._policy_ns = now_ns

    def put_node(self, name: str, facts: dict[str, Any]) -> None:
        """Note what a node's diagnostics said."""
        with self._lock:
            self._nodes[name] = facts

    def get(self, kind: str) -> dict[str, Any]:
        """Return the newest facts of one kind, empty before they were heard."""
        with self._lock:
            return self._facts.get(kind, {})

    def page_of(self, node: str) -> str:
        """Return the address of the page that a node says it serves, blank for none."""
        with self._lock:
            return str(self._nodes.get(node, {}).get("values", {}).get("page", ""))

    @property
    def silent_s(self) -> float:
        """How long the gate was not heard; infinite when it never was."""
        with self._lock:
            return self._silent_s(self._clock.now_ns())

    def snapshot(self) -> dict[str, Any]:
        """Return all of it; every number is finite."""
        now_ns = self._clock.now_ns()
        with self._lock:
            silent_s = self._silent_s(now_ns)
            ages = {kind: round((now_ns - at_ns) / 1e9, 2) for kind, at_ns in self._heard_ns.items()}
            said = {
                **self._fixed,
                **{kind: facts for kind, facts in self._facts.items() if kind not in ("beat", "tick")},
                "nodes": dict(self._nodes),
                "ages_s": ages,
                "is_alive": silent_s <= LOST_S,
                "lost": _lost(silent_s),
                "step_hz": _rate(self._ticks, now_ns),
                "updates_hz": self._update_rate(now_ns),
                "policy_age_s": round((now_ns - self._policy_ns) / 1e9),
            }
        return _finite(blinded(said))

    def _silent_s(self, now_ns: int) -> float:
        heard = [self._heard_ns[kind] for kind in ALIVE if kind in self._heard_ns]
        return (now_ns - max(heard)) / 1e9 if heard else math.inf

    def _update_rate(self, now_ns: int) -> float:
        """Gradient steps a second over the last half minute."""
        recent = [row for row in self._updates if (now_ns - row[0]) / 1e9 <= PACE_S]
        if len(recent) < 2:
            return 0.0
        (first_ns, first), (last_ns, last) = recent[0], recent[-1]
        return round((last - first) / ((last_ns - first_ns) / 1e9), 1) if last_ns > first_ns else 0.0


def _lost(silent_s: float) -> str:
    if silent_s <= LOST_S:
        return ""
    return "the gate has not been heard yet" if math.isinf(silent_s) else f"the gate is silent for {silent_s:.1f} s"


def _rate(stamps: deque[int], now_ns: int) -> float:
    recent = [at for at in stamps if (now_ns - at) / 1e9 <= RATE_S]
    if len(recent) < 2:
        return 0.0
    return round((len(recent) - 1) / max((recent[-1] - recent[0]) / 1e9, 1e-3), 2)


def _finite(value: Any) -> Any:
    """NaN and infinity become None: JSON has no name for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value
