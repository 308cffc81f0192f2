"""One type for what is learnt from: rows of one episode in order, whatever file they came from.

A row is an observation, and what was done there when that is known. The row after it is its
next observation where ``follows`` says so; nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.episode.nudge import shut_at
from armtune_policies.store.errors import BadData

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

KEYS = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
NEEDED = KEYS[:4]


@dataclass(frozen=True)
class Trajectory:
    """R rows in order. Checked when made.

    Raises:
        BadData: for shapes that do not match, no steps at all, or numbers that are not finite.
    """

    source: str
    """File or name, for errors."""
    features: npt.NDArray[np.floating]
    """(R, F) of the frozen encoder; F may be 0."""
    state: Floats
    """(R, S)."""
    action: Floats
    """(R, A) in -1..1; what was allowed, not what was proposed. 0 where ``is_step`` is not."""
    reward: Floats
    """(R,) before the transform; 0 where ``is_step`` is not."""
    terminated: Flags
    """(R,): a success; its value does not bootstrap. A time limit is not one."""
    follows: Flags
    """(R,): whether row r + 1 is what was seen after row r; False for the last."""
    is_step: Flags
    """(R,): whether action and reward are known; not so for a last observation, or an unjudged step."""
    sentence: int = 0
    imitate: bool = False
    """Whether its steps are worth imitating: demonstrations, and the arm's own successes."""
    expert: Floats | None = None
    """(R, A) in -1..1: what hindsight says should have been done; NaN where it does not know, None where nowhere."""
    images: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    """By camera: (R, H, W, 3)."""
    group: str = ""
    """Which set of data it belongs to, for reports."""
    weight: float = 1.0
    """How often its steps are drawn, beside steps of weight 1; 0 for never."""

    def __post_init__(self) -> None:
        rows = len(self.state)
        if not rows or not self.is_step.any():
            raise BadData(self.source, "is_step", "at least one step", f"{rows} rows without one")
        for name in ("features", "state", "action", "reward", "terminated", "follows", "is_step"):
            column = getattr(self, name)
            dims = 2 if name in ("features", "state", "action") else 1
            if column.ndim != dims or len(column) != rows:
                raise BadData(self.source, name, f"{rows} rows in {dims} dimensions", f"shape {column.shape}")
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                row = int(np.flatnonzero(~np.isfinite(column).reshape(rows, -1).all(axis=1))[0])
                raise BadData(self.source, name, "finite numbers", f"{column[row]} in row {row}")
        for camera, frames in self.images.items():
            if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) != rows:
                got = f"{frames.dtype} {frames.shape}"
                raise BadData(self.source, f"image {camera}", f"uint8 ({rows}, height, width, 3)", got)
        if not 0.0 <= self.weight < np.inf:
            raise BadData(self.source, "weight", "a finite number from 0", self.weight)
        if not (np.abs(self.action) <= 1.0 + 1e-6).all():
            raise BadData(self.source, "action", "numbers in -1..1", float(np.abs(self.action).max()))
        if self.expert is not None and (self.expert.shape != self.action.shape or (np.abs(self.expert) > 1.0).any()):
            raise BadData(self.source, "expert", f"{self.action.shape} in -1..1, or NaN", self.expert.shape)
        if self.follows[-1] or (self.terminated & ~self.is_step).any():
            raise BadData(
                self.source, "follows, terminated", "no next row after the last, success on steps only", "one"
            )

    def __len__(self) -> int:
        return len(self.state)

    @property
    def usable(self) -> Flags:
        """Which rows can be learnt from, (R,): steps that ended in success or whose next observation is known."""
        return self.is_step & (self.terminated | self.follows)


def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]], source: str, imitate: bool = False) -> list[Trajectory]:
    """Cut D4RL's flat arrays into trajectories.

    A trajectory ends at a terminal, a timeout, and wherever the next observation is not the
    following row's: bridging such a gap is the classic silent error (CORL PR 63).

    Args:
        arrays: ``observations`` (N, D), ``actions`` (N, A) in -1..1, ``rewards`` (N,), ``terminals`` (N,),
            and if known ``timeouts`` (N,) and ``next_observations`` (N, D).
        source: File or name, for errors.
        imitate: Whether it is worth imitating.

    Raises:
        BadData: for missing or unknown keys, other shapes, numbers that are not finite, or no rows.
    """
    _check_keys(arrays, source)
    arrays = {key: _column(column, key, source) for key, column in arrays.items()}
    seen = np.asarray(arrays["observations"], np.float32)
    if not len(seen):
        raise BadData(source, "observations", "shape (N, D) with N > 0", seen.shape)
    for key, column in arrays.items():
        if len(column) != len(seen):
            raise BadData(source, key, f"{len(seen)} rows", len(column))
    after = np.asarray(arrays["next_observations"], np.float32) if "next_observations" in arrays else None
    if after is not None and after.shape != seen.shape:
        raise BadData(source, "next_observations", f"shape {seen.shape}", after.shape)
    terminal = np.asarray(arrays["terminals"], bool)
    ends = terminal | np.asarray(arrays.get("timeouts", np.zeros(len(seen))), bool)
    if after is not None:
        ends[:-1] |= (after[:-1] != seen[1:]).any(axis=1)
    ends[-1] = True
    stops = np.flatnonzero(ends) + 1
    starts = np.concatenate([[0], stops[:-1]])
    return [_piece(arrays, seen, after, terminal, range(a, b), source, imitate) for a, b in zip(starts, stops)]


def shown(trajectories: Iterable[Trajectory]) -> tuple[list[Trajectory], ...]:
    """Return the successes of a task pair by direction; one of an episode's copies."""
    ones = {one.source: one for one in trajectories if one.imitate and one.group != "prior"}.values()
    return tuple([one for one in ones if one.sentence == sentence] for sentence in range(len(DIRECTIONS)))


def grasps(trajectories: Iterable[Trajectory]) -> dict[Direction, list[npt.NDArray[np.floating]]]:
    """Return where the successes of a task pair took hold [m], by direction, (3,) each; one of an episode's copies."""
    found: dict[Direction, list[npt.NDArray[np.floating]]] = {}
    for direction, ones in zip(DIRECTIONS, shown(trajectories)):
        places = [shut_at(one.state, (one.action[:, -1] + 1.0) / 2.0) for one in ones]
        found[direction] = [at for at in places if at is not None]
    return found


def _piece(
    arrays: Mapping[str, npt.NDArray[np.generic]],
    seen: Floats,
    after: Floats | None,
    terminal: Flags,
    rows: range,
    source: str,
    imitate: bool,
) -> Trajectory:
    at = slice(rows.start, rows.stop)
    state, steps = seen[at], len(rows)
    is_step = np.ones(steps, bool)
    if after is not None and not terminal[rows.stop - 1]:
        state, is_step = np.concatenate([state, after[rows.stop - 1 : rows.stop]]), np.append(is_step, False)
    extra = len(state) - steps
    follows = np.ones(len(state), bool)
    follows[-1] = False
    return Trajectory(
        source=f"{source} rows {rows.start} to {rows.stop - 1}",
        features=np.zeros((len(state), 0), np.float32),
        state=state,
        action=np.pad(np.asarray(arrays["actions"][at], np.float32), ((0, extra), (0, 0))),
        reward=np.pad(np.asarray(arrays["rewards"][at], np.float32), (0, extra)),
        terminated=np.pad(terminal[at], (0, extra)),
        follows=follows & ~np.pad(terminal[at], (0, extra)),
        is_step=is_step,
        imitate=imitate,
    )


def _column(column: npt.ArrayLike, key: str, source: str) -> npt.NDArray[np.generic]:
    """Return an array of numbers with the dimensions its key has; flags are 0 or 1, for NaN would count as one."""
    dims = 2 if key in ("observations", "actions", "next_observations") else 1
    try:
        made = np.asarray(column)
    except ValueError:  # rows of unlike length
        raise BadData(source, key, f"an array in {dims} dimensions", "rows of unlike length") from None
    if made.dtype.kind not in "fiub":
        raise BadData(source, key, "numbers", f"values of type {made.dtype}")
    if made.ndim != dims:
        raise BadData(source, key, f"shape {'(N, D) with N > 0' if dims == 2 else '(N,)'}", made.shape)
    if key in ("terminals", "timeouts") and len(odd := np.flatnonzero((made != 0) & (made != 1))):
        raise BadData(source, key, "0 or 1", f"{made[odd[0]]} in row {odd[0]}")
    return made


def _check_keys(arrays: Mapping[str, npt.NDArray[np.generic]], source: str) -> None:
    if unknown := sorted(set(arrays) - set(KEYS)):
        raise BadData(source, unknown[0], f"one of the keys {', '.join(KEYS)}", "this one")
    if missing := [key for key in NEEDED if key not in arrays]:
        raise BadData(source, missing[0], "an array", "none")
