"""What a simulated arm's controller wrote of itself, as arrays: the oracle's only witness. Pure."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SETPOINT, HOLD, RESET = "setpoint", "hold", "reset"
"""What a controller follows: the gate's newest setpoint, its own hold, or a scene that starts anew."""


@dataclass(frozen=True)
class MotionLog:
    """One row a setpoint or a controller tick.

    ``t_ns`` (n,) int64; ``source`` (n,) of SETPOINT, HOLD and RESET; ``setpoint`` and ``measured``
    (n, dof + 1): joints [rad] and the gripper's opening [1].
    """

    t_ns: NDArray[np.int64]
    source: NDArray[np.str_]
    setpoint: Array
    measured: Array

    @classmethod
    def of(cls, t_ns: ArrayLike, setpoint: ArrayLike, measured: ArrayLike, source: str = SETPOINT) -> MotionLog:
        """Build from rows of one source."""
        times = np.asarray(t_ns, np.int64)
        return cls(times, np.full(len(times), source), np.asarray(setpoint, float), np.asarray(measured, float))

    def rows(self, keep: NDArray[Any] | slice) -> MotionLog:
        """Return some rows: a mask, indices or a slice."""
        return MotionLog(self.t_ns[keep], self.source[keep], self.setpoint[keep], self.measured[keep])

    def after(self, count: int) -> MotionLog:
        """Return all rows but the first ``count``."""
        return self.rows(slice(count, None))

    def between(self, start_ns: int, end_ns: int) -> MotionLog:
        """Return the rows of ``[start_ns, end_ns)``."""
        return self.rows((self.t_ns >= start_ns) & (self.t_ns < end_ns))


def read(path: Path, clock: str = "steady") -> MotionLog:
    """Read a controller's CSV: ``steady_ns,sim_ns,source,s0..,m0..``; a last line cut short is left out.

    Args:
        path: The file.
        clock: Whose time the rows bear: ``steady`` in real time, ``sim`` in lockstep.

    Raises:
        ValueError: for a file of other columns, or a damaged line that is not the last.
        OSError: when it cannot be read.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    head = rows[0] if rows else []
    dof = sum(name.startswith("s") and name[1:].isdigit() for name in head)
    wanted = ["steady_ns", "sim_ns", "source", *(f"s{i}" for i in range(dof)), *(f"m{i}" for i in range(dof))]
    if not dof or head != wanted:
        raise ValueError(f"{path}: expected columns steady_ns,sim_ns,source,s0..,m0.., got {','.join(head) or 'none'}")
    body = rows[1:-1] if len(rows[-1]) < len(head) else rows[1:]
    if bad := next((i for i, row in enumerate(body, start=2) if len(row) != len(head)), 0):
        raise ValueError(f"{path}, line {bad}: expected {len(head)} columns")
    numbers = np.array([row[3:] for row in body], float).reshape(-1, 2 * dof)
    t_ns = np.array([row[head.index(f"{clock}_ns")] for row in body], np.int64)
    return MotionLog(t_ns, np.array([row[2] for row in body], str), numbers[:, :dof], numbers[:, dof:])
