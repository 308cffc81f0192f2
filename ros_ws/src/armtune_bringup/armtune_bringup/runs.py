"""A run's folder: made once, continued only by the very same config."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError, contract_digest
from armtune_policies.store.manifest import load_manifest

from .compose import BESIDE, config_hash, read, write
from .settings import Config
from .spec import RunFacts, World


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


def as_started(folder: Path, mine: Config, overrides: Sequence[str]) -> Config:
    """Return the config that a run's graph was started with; where a command names ``flaws``, with the command's.

    Args:
        folder: Of the run.
        mine: The config of a command beside the graph.
        overrides: Those of that command; what they say of the graph must be so. Of a group: its name, or all of it
            where it has none.

    Raises:
        ConfigError: naming the override that the graph was not started with.
        OSError: when the run's ``config.yaml`` cannot be read.
    """
    started = read(folder / "config.yaml")
    for override in overrides:
        group, _, key = override.partition("=")[0].partition(".")
        said, is_so = (_named(getattr(one, group), key) for one in (mine, started))
        if group not in (*BESIDE, "experiment") and said != is_so:
            raise ConfigError(f"{override}: not what the graph does by {folder}/config.yaml; give it to `armtune up`")
    return replace(started, flaws=mine.flaws) if any(name.startswith("flaws") for name in overrides) else started


def _named(group: Any, key: str) -> Any:
    """What an override decides: one key, or a group, which goes by its name where it has one."""
    return getattr(group, key) if key else getattr(group, "name", group)


def check_models(config: Config, world: World) -> None:
    """Refuse before anything is written what a start would end with: a model that is missing, damaged or another's.

    Args:
        config: Which names them.
        world: Which of the two machines this is; what the other one loads is not looked for here.

    Raises:
        ValueError: naming the folder or file and how to mend it.
    """
    wanted = contract_digest(config.policy.action, config.policy.observation)
    away, is_there = config.experiment.workstation, world == "workstation"
    for group, folder in (("policy", config.policy.folder), ("reward", config.reward.folder)):
        if (f"{group}_node" in away) != is_there:
            continue
        if not folder and config.teleop.is_on:
            continue  # a person shows before anything can be trained
        if not (Path(folder) / "manifest.json").is_file():
            where = "" if Path(folder).is_absolute() else f"; {folder} is looked for in {Path.cwd()}"
            raise ConfigError(
                f"{group}.folder: no manifest.json in {folder}; train one (armtune demo), name a model: "
                f"{group}.folder=..., take what comes along: {group}=shipped, or with teleop= go without: {group}=none"
                f"{where}"
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
