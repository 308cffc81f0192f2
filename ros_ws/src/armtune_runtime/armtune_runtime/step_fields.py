"""A recorded row in the fields of ``armtune_interfaces/msg/Step``, told to whoever watches."""

from __future__ import annotations

from typing import Any

import numpy as np

from armtune_policies.store.nouns import EpisodeState
from armtune_policies.store.step_table import Row


def as_fields(row: Row, *known: EpisodeState) -> dict[str, Any]:
    """Return what a row says.

    Args:
        row: A step, with holes where a part of it did not come.
        known: States of episodes; one of the row's says its direction and sentence.
    """
    told = {"episode_id": row.episode_id, "step": row.step, "verdict": int(row.verdict), "complete": row.is_complete}
    for state in known:
        if row.episode_id == state.episode_id:
            told |= {"direction": state.direction, "sentence": state.sentence}
    if row.observation is not None:
        told["state"] = np.asarray(row.observation.state, np.float32)
    if (made := row.decision) is not None:
        told |= {"source": made.source, "mode": int(made.mode), "limited_by": list(made.limited_by)}
        told |= {"proposed": list(made.proposed), "allowed": list(made.allowed)}
    if row.answer is not None:
        told["probability"] = row.answer.probability
    return told
