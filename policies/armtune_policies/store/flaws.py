"""What is wrong with a demonstration, seen in its file: told while the person is still there to do it again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import Checked, Verdict, num, topics

from . import schemas
from .episode_reader import Episode
from .files import checked_name, write_json
from .mcap_scan import entries
from .nouns import SUCCESS

Array = NDArray[np.float64]
CHECKED = "checked"
"""Folder of a run: a file for each episode that was checked, whatever a person decided of it since."""


@dataclass(frozen=True, kw_only=True)
class FlawParams(Checked):
    """When a demonstration is too poor to count."""

    least_steps: int = num(5, low=1, high=1000, doc="fewer steps are no demonstration")
    least_move_m: float = num(0.02, low=0.0, high=1.0, doc="a tool that moved less, and no grip, show nothing [m]")
    least_grip: float = num(0.2, low=0.0, high=1.0, doc="change of the gripper's opening that counts as a grip")
    lost_frames: float = num(0.05, low=0.0, high=1.0, doc="part of the steps that may lack a new picture")
    jump_slack_rad: float = num(0.05, low=0.0, high=1.0, doc="beyond its speed limit a joint that jumps further [rad]")
    convinced_steps: int = num(3, low=1, high=100, doc="last steps in which a reward model says yes once, if it is one")


@dataclass(frozen=True)
class JointPath:
    """Joint states of one episode as they came: stamps (n,) [ns] and positions (n, dof) [rad]."""

    stamps_ns: NDArray[np.int64]
    positions_rad: Array


def flaws(
    episode: Episode, joints: JointPath, names: Sequence[str], velocity_rad_s: Sequence[float], params: FlawParams
) -> tuple[str, ...]:
    """Return what is wrong, one sentence each; empty for a sound demonstration.

    Args:
        episode: As read.
        joints: What its arm measured.
        names: Of the joints, in the order of ``joints``.
        velocity_rad_s: Their speed limits [rad/s].
        params: The bounds.
    """
    if episode.steps < params.least_steps:
        return (f"too short: {episode.steps} steps, at least {params.least_steps} are wanted",)
    found = [_still(episode, params), _lost(episode, params), _jumps(joints, names, velocity_rad_s, params)]
    return tuple(text for text in (*found, _unconvincing(episode, params), clock_jumps(episode)) if text)


def was_checked(run: Path, episode_id: str) -> bool:
    """Return whether somebody looked an episode through for flaws and noted it.

    Raises:
        ValueError: for a name that will not do as a part of a path.
    """
    return _checked_path(run, episode_id).exists()


def note_checked(run: Path, episode_id: str, found: Sequence[str]) -> Path:
    """Note beside a run that an episode was looked through, and what was found; return the file.

    Raises:
        ValueError: as ``was_checked``.
        OSError: when the disk refuses.
    """
    path = _checked_path(run, episode_id)
    write_json(path, {"episode_id": episode_id, "flaws": list(found)})
    return path


def _checked_path(run: Path, episode_id: str) -> Path:
    return Path(run) / CHECKED / f"{checked_name(episode_id, 'episode_id')}.json"


def read_joints(path: Path, names: Sequence[str]) -> JointPath:
    """Return the joint states that an episode file holds, those that name every joint.

    Raises:
        ValueError, OSError: when it cannot be read.
    """
    stamps, rows = [], []
    for entry in entries(path):
        if entry.topic == topics.JOINT_STATES and entry.type_name == schemas.JOINT_STATE:
            m = schemas.decode(entry.type_name, entry.data)
            at = dict(zip(m.name, m.position))
            if all(name in at for name in names):
                stamps.append(m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec)
                rows.append([at[name] for name in names])
    return JointPath(np.array(stamps, np.int64), np.array(rows, float).reshape(-1, len(names)))


def _still(episode: Episode, params: FlawParams) -> str:
    state = episode.state[episode.complete]
    if not len(state):
        return "no step is whole: neither picture nor decision"
    way_m = float(np.linalg.norm(np.diff(state[:, :3], axis=0), axis=1).sum())
    grip = float(np.ptp(state[:, 6]))
    if way_m >= params.least_move_m or grip >= params.least_grip:
        return ""
    return f"no motion: the tool went {way_m * 100:.1f} cm, at least {params.least_move_m * 100:g} cm are wanted"


def _lost(episode: Episode, params: FlawParams) -> str:
    """A step with a decision and no picture, or with the picture of the step before."""
    decided = np.isfinite(episode.allowed).all(axis=1)
    missing = decided & ~episode.complete
    again = np.append(False, (np.diff(episode.stamps_ns) == 0) & episode.complete[1:])
    lost, count = int((missing | again).sum()), max(int(decided.sum()), 1)
    return f"frames lost: {lost} of {count} steps" if lost > params.lost_frames * count else ""


def _jumps(joints: JointPath, names: Sequence[str], velocity_rad_s: Sequence[float], params: FlawParams) -> str:
    if len(joints.stamps_ns) < 2:
        return "no joint states were recorded"
    dt_s = np.diff(joints.stamps_ns)[:, None] / 1e9
    beyond = np.abs(np.diff(joints.positions_rad, axis=0)) - np.asarray(velocity_rad_s) * np.maximum(dt_s, 0.0)
    row, column = np.unravel_index(int(np.argmax(beyond)), beyond.shape)
    if beyond[row, column] <= params.jump_slack_rad:
        return ""
    step = float(np.abs(np.diff(joints.positions_rad, axis=0))[row, column])
    return f"joint {names[int(column)]} jumped by {step:.2f} rad in {dt_s[row, 0] * 1e3:.0f} ms"


def clock_jumps(episode: Episode) -> str:
    """Where the stamps of whole steps go back, or further on than a minute: whoever stamped them lost the time."""
    steps = np.flatnonzero(episode.complete)
    apart_s = np.diff(episode.stamps_ns[steps].astype(np.int64)) / 1e9
    at = np.flatnonzero(~((apart_s >= 0) & (apart_s < 60)))
    found = [f"by {apart_s[i]:+.0f} s at step {steps[i + 1]}" for i in at]
    return f"the wall clock jumped {', '.join(found)}" if found else ""


def _unconvincing(episode: Episode, params: FlawParams) -> str:
    """A success of which the reward model, where one answered, saw nothing at the end."""
    last = params.convinced_steps
    answered = episode.verdicts[episode.verdicts != Verdict.UNKNOWN]
    if episode.outcome != SUCCESS or not len(answered) or np.any(answered[-last:] == Verdict.YES):
        return ""
    return f"success not reached, says the reward model (probability {np.nanmax(episode.probabilities[-last:]):.2f})"
