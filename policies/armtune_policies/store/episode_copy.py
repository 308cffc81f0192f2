"""An episode in memory as an episode file: what an import writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict

from .episode_reader import Episode
from .episode_writer import EpisodeWriter
from .nouns import ABORTED, EpisodeState, Observation

Views = Mapping[str, Sequence[bytes]]
"""By camera: the full-size view of each step, JPEG."""


def write_episode(
    folder: Path, episode: Episode, extra: Mapping[str, str] | None = None, views: Views | None = None
) -> Path:
    """Write an episode whose steps that lack a part stay holes.

    Args:
        folder: The run's ``episodes`` folder; the episode's id names the file.
        episode: What to write; its ``path`` is not read.
        extra: More text for the file's metadata.
        views: Full-size pictures, one a step.

    Raises:
        FileExistsError: when an episode of this name is there already.
        OSError: when the disk refuses; nothing stays.
    """
    about = episode.about
    known = set(EpisodeState.__dataclass_fields__)
    more = {key: value for key, value in episode.metadata.items() if key not in known}
    with EpisodeWriter(folder, about, {**more, **dict(extra or {})}) as writer:
        for step in np.flatnonzero(episode.complete).tolist():
            observation, decision, answer = parts(episode, step)
            writer.add_step(observation=observation, decision=decision, answer=answer)
            for camera, pictures in (views or {}).items():
                writer.write_view(camera, pictures[step], observation.stamp_ns)
        return writer.close(about.outcome or ABORTED, about.end_step, about.reason, about.mark)


def parts(episode: Episode, step: int) -> tuple[Observation, Decision, RewardAnswer | None]:
    """Return what one whole step was made of."""
    name, stamp_ns = episode.episode_id, int(episode.stamps_ns[step])
    observation = Observation(
        episode_id=name,
        step=step,
        stamp_ns=stamp_ns,
        images={camera: frames[step] for camera, frames in episode.images.items()},
        state=episode.state[step],
        features=episode.features[step],
        encoder_digest=episode.encoder_digest,
        observation_digest=episode.observation_digest,
    )
    proposed = episode.proposed[step]
    decision = Decision(
        stamp_ns=stamp_ns,
        boot_id=0,
        episode_id=name,
        step=step,
        source=episode.sources[step],
        seq=step,
        policy_version=episode.policy_versions[step],
        observation_stamp_ns=stamp_ns,
        kind=Kind.TOOL_DELTA,
        proposed=tuple(map(float, proposed)) if np.isfinite(proposed).all() else (),
        allowed=tuple(map(float, episode.allowed[step])),
        limited_by=episode.limited_by[step],
        refused=episode.refused[step],
        mode=Mode(int(episode.modes[step])),
    )
    verdict, probability = Verdict(int(episode.verdicts[step])), float(episode.probabilities[step])
    if verdict == Verdict.UNKNOWN and not np.isfinite(probability):
        return observation, decision, None
    probability = probability if np.isfinite(probability) else float(verdict == Verdict.YES)
    return observation, decision, RewardAnswer(name, step, probability, verdict, episode.reward_digest, 0.0)


def renamed(episode: Episode, run_id: str, index: int) -> Episode:
    """Return the same episode as number ``index`` of a run."""
    about = replace(episode.about, run_id=run_id, index=index, episode_id=f"{run_id}-{index:05d}")
    return replace(episode, about=about)
