"""What an operator is told, in words: how the gate and the episode stand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armtune_policies.contract import OPERATOR_LOST, Mode

HELD = "the arm is held: take it again, or `armtune hold --off` lets others have it"


def stands(
    engaged: bool, speed: float, trouble: str, said: str, mode: int, reasons: Sequence[str], episode: Any
) -> dict[str, Any]:
    """Return plain values for every display of an operator.

    Args:
        engaged: Whether the operator holds the dead-man and is heard.
        speed: Part of full speed.
        trouble: What is wrong with the device, blank for nothing.
        said: The newest answer to an episode key, or news of the episode.
        mode: Of the gate.
        reasons: Why the gate is in that mode.
        episode: The newest episode state.
    """
    trouble = "; ".join(filter(None, [trouble, HELD if OPERATOR_LOST in reasons else ""]))
    holds = "" if mode < Mode.HOLD or not engaged else f"gate is in {Mode(mode).name}: {', '.join(reasons)}"
    return {
        "engaged": engaged, "speed": speed, "trouble": trouble or holds, "said": trouble or holds or said,
        "phase": episode.phase, "direction": episode.direction, "sentence": episode.sentence,
        "episode": episode.episode_id,
    }  # fmt: skip


def news(before: Any, now: Any) -> str:
    """Return what changed between two episode states that an operator should hear of; blank for nothing."""
    if now.outcome and (now.episode_id, now.outcome) != (before.episode_id, before.outcome):
        return f"{now.episode_id}: {now.outcome}{f', {now.reason}' if now.reason else ''}"
    if now.reason and now.reason != before.reason:
        return str(now.reason)
    if now.phase != before.phase and now.phase in ("acting", "showing"):
        return f"go: {now.sentence}"
    return ""
