"""A fitted judge written to its folder, as every command that makes one does: graph, card, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_bringup.compose import config_hash

from .settings import Judging

if TYPE_CHECKING:
    from armtune_policies.learn.reward.fit import Fitted
    from armtune_policies.learn.reward.judge import Embeddings
    from armtune_policies.store.manifest import Manifest


def write_judge(
    judging: Judging,
    folder: Path,
    fitted: Fitted,
    known: Embeddings,
    facts: Mapping[str, Any],
    name: str = "",
    more: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Export a judge with its card; return its manifest.

    Args:
        judging: Config and settings that it was made by.
        folder: Where to.
        fitted: The judge.
        known: Sentences and their embeddings.
        facts: What the manifest says of its making, beside the settings.
        name: What it is called; by default after the task.
        more: Further files.

    Raises:
        ModelError: when it cannot be exported.
    """
    from armtune_policies.learn.export import About
    from armtune_policies.learn.reward.card import card_files
    from armtune_policies.learn.reward.export import export_judge

    config = judging.config
    name = name or f"{config.task.name.replace('_', '-')}-success"
    facts = {"config": config_hash(config), **settings_of(judging), **facts}
    about = About(name, config.policy.action, config.policy.observation, known, facts, fitted.metrics)
    card = card_files(fitted, {"name": name, "sentences": list(fitted.held.questions), **facts})
    return export_judge(folder, fitted.served, fitted.limits, about, {**card, **(more or {})})


def settings_of(judging: Judging) -> dict[str, dict[str, Any]]:
    """Return how a judge is made, as its manifest says it."""
    settings = {"fit": judging.fit_params, "label": judging.label, "calibration": judging.calibration}
    return {what: asdict(one) for what, one in settings.items()}
