"""A run's folder: made once, continued only by the very same config."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from armtune_policies.contract import ConfigError, contract_digest
from armtune_policies.store.manifest import load_manifest

from .compose import config_hash, read, write
from .settings import Config
from .spec import RunFacts


def plan(config: Config) -> RunFacts:
    """Return what the nodes of the run will be told; writes nothing.

    Raises:
        ConfigError: when a run of this name has another config.
    """
    name = config.experiment.name or f"{config.task.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = Path(config.experiment.folder).resolve() / name
    facts = RunFacts(run_id=name, run_folder=str(folder), config_hash=config_hash(config))
    if (folder / "config.yaml").exists() and (before := config_hash(read(folder / "config.yaml"))) != facts.config_hash:
        raise ConfigError(
            f"run {name!r} exists with another config (hash {before}, now {facts.config_hash}); "
            "use its overrides to continue it, or another experiment.name"
        )
    return facts


def begin(config: Config) -> RunFacts:
    """Plan the run, and make its folder with its ``config.yaml`` when it is new.

    Raises:
        ConfigError: when a run of this name has another config.
        OSError: when the folder cannot be written.
    """
    return record(config, plan(config))


def record(config: Config, run: RunFacts) -> RunFacts:
    """Write a planned run's ``config.yaml``, unless the run is continued; return the run."""
    folder = Path(run.run_folder)
    if not (folder / "config.yaml").exists():
        write(config, folder)
    return run


def check_models(config: Config) -> None:
    """Refuse before anything is written what a start would end with: a model that is missing, damaged or another's.

    Raises:
        ValueError: naming the folder or file and how to mend it.
    """
    wanted = contract_digest(config.policy.action, config.policy.observation)
    for group, folder in (("policy", config.policy.folder), ("reward", config.reward.folder)):
        if not (Path(folder) / "manifest.json").is_file():
            raise ConfigError(
                f"{group}.folder: no manifest.json in {folder}; train one (armtune demo), "
                f"or name a model: {group}.folder=..."
            )
        load_manifest(Path(folder), wanted, kinds=(group,))


def check_disk(config: Config, run: RunFacts) -> None:
    """Refuse a run of which nothing would be recorded.

    Raises:
        ConfigError: with what is free and what is wanted.
    """
    folder = next(path for path in Path(run.run_folder).parents if path.is_dir())
    free_mb, floor_mb = shutil.disk_usage(folder).free // 1_000_000, config.recorder.disk_floor_mb
    if free_mb < floor_mb:
        raise ConfigError(
            f"{free_mb} MB free on the disk of {folder}, {floor_mb} wanted; free some space, or name another disk "
            "by experiment.folder=..."
        )
