"""What one row of the table of nodes says; the vocabulary of graph, launch and runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

World = Literal["sim", "robot", "workstation"]
"""Where a graph runs: with a simulated arm, with a real one, or what either leaves to a second machine."""


@dataclass(frozen=True)
class NodeSpec:
    """One process: what to start, what it is told, how often it may come back.

    Only what looks at pictures shares memory. A process that dies or hangs in Fast DDS' shared memory
    blocks all who write there, for 1 s until its health check (eProsima/Fast-DDS#5469).
    """

    package: str
    executable: str
    name: str
    namespace: str
    parameters: Mapping[str, Any]
    remaps: tuple[tuple[str, str], ...] = ()
    max_respawns: int = 0
    respawn_window_s: float = 60.0
    environment: tuple[tuple[str, str], ...] = ()
    shares_memory: bool = False
    is_spare: bool = False
    """Whether the others go on without it once its respawns are spent."""

    @property
    def enclave(self) -> str:
        """Whose keys it has where ROS security is on; see ``permissions``."""
        return f"/{self.namespace}/{self.name}"


class RespawnBudget:
    """Counts the respawns of one node within a sliding window."""

    def __init__(self, spec: NodeSpec) -> None:
        self._limit, self._window_s = spec.max_respawns, spec.respawn_window_s
        self._spent_s: list[float] = []

    def spend(self, now_s: float) -> bool:
        """Take one respawn at a steady time; return False when none is left."""
        self._spent_s = [t for t in self._spent_s if now_s - t <= self._window_s]
        if len(self._spent_s) >= self._limit:
            return False
        self._spent_s.append(now_s)
        return True

    def __str__(self) -> str:
        return f"{len(self._spent_s)} of {self._limit} within {self._window_s:g} s"


@dataclass(frozen=True)
class RunFacts:
    """What the nodes of one run are told about it."""

    run_id: str
    run_folder: str
    config_hash: str
