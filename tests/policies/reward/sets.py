"""Small frame sets for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from armtune_policies.reward.frameset import FrameSet


def frame_set(
    truths: Sequence[Sequence[bool]], questions: Sequence[int] | None = None, kind: str = "demo", opening: float = 1.0
) -> FrameSet:
    """One episode per row of truths; a frame's image holds its episode and step."""
    lengths = [len(row) for row in truths]
    count = sum(lengths)
    episode = np.repeat(np.arange(len(truths)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    images = np.zeros((count, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = episode, step
    state = np.zeros((count, 7), np.float32)
    state[:, 6] = opening
    asked = np.array(questions if questions is not None else [0] * len(truths))
    return FrameSet(
        images={"front": images},
        state=state,
        frame=np.arange(count),
        question=asked[episode],
        is_success=np.concatenate([np.array(row, bool) for row in truths]),
        episode=episode,
        step=step,
        kind=np.zeros(count, np.int64),
        questions=("do it", "undo it"),
        episodes=tuple(f"{kind}-{i}" for i in range(len(truths))),
        kinds=(kind,),
    )
