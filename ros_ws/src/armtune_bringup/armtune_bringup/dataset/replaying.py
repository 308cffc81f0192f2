"""A recorded episode once more on the simulated arm, through the gate: how far from what was recorded does it go?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from armtune_bringup.compose import options
from armtune_bringup.settings import Config
from armtune_bringup.stages import make_env
from armtune_policies.contract import DIRECTIONS, ConfigError
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.rate import OneRate
from armtune_safety.rotations import exp, log
from armtune_sim.gated import GatedWorld
from armtune_sim.settings import SimParams

Floats = npt.NDArray[np.float64]
APPROACH_STEPS = 100
NEAR_M, NEAR_RAD = 0.003, 0.03


@dataclass(frozen=True)
class Replayed:
    """What came of it; row k is after the recorded action of step k."""

    wanted: Floats
    """(K, 7): the state recorded at the next step."""
    reached: Floats
    """(K, 7): the state the replay was in then."""
    limited: int
    """Steps in which the gate changed the action."""
    approached: bool
    """Whether the arm began where the recording did."""
    is_success: bool | None
    """Whether the simulated task was done at the end; None where the recording does not say which scene it had."""
    seed: int

    @property
    def position_m(self) -> Floats:
        """Distance of the tool, (K,)."""
        return np.asarray(np.linalg.norm(self.wanted[:, :3] - self.reached[:, :3], axis=1))

    @property
    def rotation_rad(self) -> Floats:
        """Angle between the tools, (K,)."""
        return np.array([np.linalg.norm(turn_between(a[3:6], b[3:6])) for a, b in zip(self.reached, self.wanted)])


def replay(
    config: Config, episode: Episode, seed: int | None = None, on_step: Callable[[int, int], None] = lambda k, n: None
) -> Replayed:
    """Command an episode's actions again, open loop.

    Args:
        config: Robot, limits and task; its rate must be the recording's.
        episode: Its actions are commanded in its first two whole steps in a row and those after, up to a hole.
        seed: Of the scene; the episode's own where it says one.
        on_step: Told of the progress.

    Raises:
        BadData: for a recording of another rate.
        ConfigError: when it is of another simulated task, or has no two whole steps in a row.
    """
    if (task := episode.about.task) != config.task.name and task in options("task"):
        raise ConfigError(f"{episode.path}: expected its own task, task={task}; got task={config.task.name}")
    OneRate(config.policy.rate_hz).check(episode)
    whole = episode.complete & np.isfinite(episode.allowed).all(axis=1) & np.isfinite(episode.state).all(axis=1)
    rows = np.flatnonzero(whole)
    rows = next((some for some in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(some) > 1), rows[:0])
    if not len(rows):
        raise ConfigError(f"{episode.path}: expected two whole steps in a row, got none; name another episode")
    begin, end = int(rows[0]), int(rows[-1])
    knows_scene = seed is not None or "world_seed" in episode.metadata
    seed = int(episode.metadata.get("world_seed", 0)) if seed is None else seed
    direction = episode.direction if episode.direction in DIRECTIONS else DIRECTIONS[0]
    env = make_env(config, _scene(config.sim, episode.metadata))
    try:
        world = env.gated
        world.reset(seed, direction)
        world.begin("replay")  # one lease for all: its change would be a hold
        near = _approach(world, episode.state[begin].astype(float))
        reached, limited = [], 0
        for step in range(begin, end):
            decision = world.step(np.clip(episode.allowed[step], world.spec.low, world.spec.high))
            limited += bool(decision.limited_by)
            reached.append(world.state())
            on_step(step + 1 - begin, end - begin)
        done = bool(world.world.success(direction)) if knows_scene else None
    finally:
        env.close()
    wanted = episode.state[begin + 1 : end + 1].astype(float)
    return Replayed(wanted, np.array(reached, float), limited, near, done, seed)


def _scene(sim: SimParams, said: Mapping[str, str]) -> SimParams:
    """Return how the scene of the recording varied, where it says so."""
    kinds = {"variation": float, "looks": float, "distractors": int, "table": int}
    return replace(
        sim, **{name: kind(said[f"world_{name}"]) for name, kind in kinds.items() if f"world_{name}" in said}
    )


def turn_between(from_rad: Floats, to_rad: Floats) -> Floats:
    """Return the rotation vector [rad] that turns one rotation vector into another: exp(turn) exp(from) = exp(to)."""
    return log(exp(to_rad) @ exp(from_rad).T)


def _approach(world: GatedWorld, start: Floats) -> bool:
    """Bring the tool where the recording began, through the gate; return whether it came there."""
    for _ in range(APPROACH_STEPS):
        state = np.asarray(world.state(), float)
        gap = start[:3] - state[:3]
        turn = turn_between(state[3:6], start[3:6])
        if np.linalg.norm(gap) < NEAR_M and np.linalg.norm(turn) < NEAR_RAD and abs(start[6] - state[6]) < 0.05:
            return True
        spec = world.spec
        wanted = np.clip([*gap, *turn, start[6]], spec.low, spec.high)
        world.step(wanted)
    return False


def figure(found: Replayed, period_s: float) -> bytes:
    """Return a PNG: recorded and replayed position, and the distance between them."""
    from matplotlib.figure import Figure

    from armtune_bringup.report.plots import png

    made = Figure(figsize=(8.0, 5.0), dpi=110)
    upper, lower = made.subplots(2, 1, sharex=True)
    t_s = period_s * np.arange(1, len(found.wanted) + 1)
    for axis, colour, name in zip(range(3), ("#cf222e", "#2da44e", "#0969da"), "xyz"):
        upper.plot(t_s, found.wanted[:, axis], color=colour, lw=1.0, ls="--")
        upper.plot(t_s, found.reached[:, axis], color=colour, lw=1.5, label=name)
    upper.set(ylabel="tool [m], dashed: recorded")
    upper.legend(frameon=False, ncols=3)
    lower.plot(t_s, 1000 * found.position_m, color="#0b6e99", label="position [mm]")
    lower.plot(t_s, np.degrees(found.rotation_rad), color="#d9730d", label="rotation [deg]")
    lower.set(xlabel="time [s]", ylabel="replayed against recorded", ylim=(0, None))
    lower.legend(frameon=False)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    return png(made)
