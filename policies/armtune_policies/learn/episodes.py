"""Episode files as trajectories: rewards from a named label set, actions on -1..1, features of one encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.labels import LabelSet, derive, live_labels

from .scaling import ActionScale
from .trajectory import BadData, Trajectory

Floats = npt.NDArray[np.float32]
NEAR = 1.25
"""Steps may take this much longer or shorter than the action's period: cameras jitter, rates differ by more."""


def as_trajectory(
    episode: Episode,
    action: ActionSpec,
    sentences: Sequence[str],
    encoder_digest: str,
    features: Floats | None = None,
    labels: LabelSet | None = None,
) -> Trajectory:
    """Return one episode's rows: every whole observation, a step where its action and reward are known.

    Args:
        episode: As read from its file.
        action: What its actions mean; bounds map to -1..1.
        sentences: What the agent's table of sentences holds, in its order.
        encoder_digest: Recorded features are used when they are of this encoder.
        features: Else these, (T, F), row by row with the episode.
        labels: Who says what was a success; the live vote without.

    Raises:
        BadData: for another encoder without ``features``, an unknown sentence, or nothing to learn from.
    """
    source = str(episode.path)
    if episode.sentence not in sentences:
        raise BadData(source, "sentence", f"one of {', '.join(map(repr, sentences))}", repr(episode.sentence))
    if features is None:
        if episode.encoder_digest != encoder_digest:
            raise BadData(source, "features", f"those of encoder {encoder_digest or 'none'}", episode.encoder_digest)
        features = episode.features
    if len(features) != episode.steps:
        raise BadData(source, "features", f"{episode.steps} rows", len(features))
    if episode.state.shape[1:] != (len(STATE_NAMES),):
        raise BadData(source, "state", f"{len(STATE_NAMES)} numbers a row", episode.state.shape[1:])
    _check_rate(episode, action)
    found = derive(episode, labels or live_labels(episode))
    end = found.steps[-1] + 1 if found.terminated.any() else episode.steps
    rows = np.flatnonzero(episode.complete[:end])
    at = np.searchsorted(rows, found.steps)
    if len(odd := [step for step in found.steps if not np.isfinite(episode.allowed[step]).all()]):
        raise BadData(source, "action", "finite numbers", f"{episode.allowed[odd[0]]} in row {odd[0]}")
    allowed = ActionScale(action).to_unit(episode.allowed[rows])
    is_step, terminated = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    reward = np.zeros(len(rows), np.float32)
    is_step[at], terminated[at], reward[at] = True, found.terminated, found.reward
    return Trajectory(
        source=source,
        features=features[rows],
        state=episode.state[rows].astype(np.float32),
        action=np.where(is_step[:, None], allowed, 0.0).astype(np.float32),
        reward=reward,
        terminated=terminated,
        follows=np.append(np.diff(rows) == 1, False),
        is_step=is_step,
        sentence=list(sentences).index(episode.sentence),
        imitate=bool(found.terminated.any()),
        images={camera: frames[rows] for camera, frames in episode.images.items()},
    )


def _check_rate(episode: Episode, action: ActionSpec) -> None:
    """Refuse an episode of another control rate: its actions and its discount would mean something else."""
    stamps = episode.stamps_ns[episode.complete]
    if len(stamps) < 3:
        return
    period_s = float(np.median(np.diff(stamps))) * 1e-9
    if not action.period_s / NEAR <= period_s <= action.period_s * NEAR:
        raise BadData(str(episode.path), "stamps", f"a step every {action.period_s:g} s", f"every {period_s:g} s")
