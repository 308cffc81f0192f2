"""What the main job found, drawn and written into one folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from armtune_bringup.compose import config_hash
from armtune_bringup.report import page, plots
from armtune_bringup.report.facts import Practised, Rate
from armtune_bringup.settings import Config
from armtune_bringup.study.lockstep import helped
from armtune_policies.contract import DIRECTIONS
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import read_json, write_whole
from armtune_policies.store.manifest import load_manifest

from .films import film
from .folder import Folder

VERSIONS = ("mujoco", "torch", "onnxruntime", "numpy")


def rates(folder: Folder, labels: tuple[str, ...]) -> dict[str, dict[str, Rate]]:
    """Return ``[direction][label]`` of the evaluations on file."""
    results = {label: read_json(folder.measured(label)) for label in labels}
    return {
        direction: {
            label: Rate(found[direction]["successes"], found[direction]["n"]) for label, found in results.items()
        }
        for direction in DIRECTIONS
    }


def practised(folder: Folder) -> list[Practised]:
    """Return the episodes of practice, oldest first."""
    episodes = map(read_episode, list_episodes(folder.root))
    return [Practised(e.about.index, e.direction, e.outcome, e.steps, e.policy_version) for e in episodes]


def write_report(config: Config, folder: Folder, policies: Mapping[str, Policy], scenes: int) -> None:
    """Write plots, videos and ``report.html``; the page comes last.

    Args:
        config: Of the run.
        folder: Of the run.
        policies: By label, in the order they are shown.
        scenes: Held-out scenes in each video.
    """
    labels, period_s = tuple(policies), config.policy.action.period_s
    found, episodes = rates(folder, labels), practised(folder)
    write_whole(folder.root / "before_after.png", plots.before_after(found))
    write_whole(folder.root / "success_over_time.png", plots.success_over_time(episodes, period_s))
    videos = []
    for direction in DIRECTIONS:
        for label, policy in policies.items():
            name = f"videos/{direction}-{label}.mp4"
            write_whole(folder.root / name, film(config, policy, direction, label, scenes))
            videos.append((name, f"{direction}, {label} practice"))
    steps, by_hand = sum(e.steps for e in episodes), helped(folder.root)
    facts: dict[str, Any] = {
        "task": config.task,
        "run_id": config.experiment.name,
        "config_hash": config_hash(config),
        "config": (folder.root / "config.yaml").read_text(),
        "episodes": episodes,
        "steps": steps,
        "minutes": steps * period_s / 60.0,
        "by_hand": by_hand,
        "labels": labels,
        "rates": found,
        "versions": list(dict.fromkeys(e.policy_version for e in episodes)),
        "videos": videos,
        "models": [_model(folder, "policy"), _model(folder, "reward")],
        "machine": _machine(),
    }
    write_whole(folder.report, page.render(**facts))


def _model(folder: Folder, name: str) -> dict[str, Any]:
    manifest = load_manifest(folder.root / "models" / name)
    metrics = ", ".join(f"{key} {value:.3g}" for key, value in manifest.metrics.items() if key != "parity_max_error")
    return {
        "name": name,
        "digest": manifest.contract,
        "parity": manifest.metrics["parity_max_error"],
        "metrics": metrics,
    }


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}"
