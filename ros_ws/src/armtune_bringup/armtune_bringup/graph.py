"""The one table of nodes; launch files and the runner only read it.

Pure: a config in, rows out, in the order in which the supervisor activates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from armtune_drivers.settings import CameraNodeParams
from armtune_policies.contract import Checked, ConfigError, flatten, topics
from armtune_policies.contract.paths import config_root
from armtune_runtime.practice_settings import EpisodeNodeParams, RecorderNodeParams
from armtune_runtime.settings import (
    LearnerNodeParams,
    PolicyNodeParams,
    RewardNodeParams,
)
from armtune_safety.settings import GateParams, SupervisorParams
from armtune_sim.settings import FaultNodeParams, SimNodeParams

from .environment import LEARNER_MALLOC
from .settings import Config
from .spec import NodeSpec, RunFacts

World = Literal["sim", "robot"]
LOCKSTEP_ANSWER_S = 4.0
"""Longest wait for a reward in lockstep; the gate stops the arm after 5 s without a barrier."""
LOCKSTEP_HELD_S = 10.0
"""The wall says little about how long an arm was held in simulated time."""
POLICY_SAYS = (topics.proposal("policy"),)


def graph(config: Config, world: World, run: RunFacts) -> tuple[NodeSpec, ...]:
    """Return the rows of the table, in activation order, the supervisor last.

    Raises:
        ConfigError: when config and world do not go together.
    """
    _check_world(config, world)
    facts = _facts(config, run)
    faults = world == "sim" and config.sim.faults
    rows = _sim(facts, faults) if world == "sim" else []
    if config.camera.source != "sim":
        rows += [_camera(facts, name) for name in config.camera.names]
    rows += [
        _row("armtune_safety", "gate_node", GateParams, facts, shares_memory=False),
        _row("armtune_runtime", "reward_node", RewardNodeParams, facts),
        _row("armtune_runtime", "policy_node", PolicyNodeParams, facts, remaps=_faulty(POLICY_SAYS) if faults else ()),
        _row("armtune_runtime", "recorder_node", RecorderNodeParams, facts),
        _row("armtune_runtime", "episode_node", EpisodeNodeParams, facts),
        _row("armtune_runtime", "learner_node", LearnerNodeParams, facts, environment=tuple(LEARNER_MALLOC.items())),
    ]
    managed = {"nodes": tuple(row.name for row in rows)}
    # Without its supervisor a graph must not go on: no respawn, the runner ends it and says why.
    told = {**facts, **managed}
    return (
        *rows,
        _row("armtune_safety", "supervisor_node", SupervisorParams, told, respawns=0, shares_memory=False),
    )


def _check_world(config: Config, world: World) -> None:
    if world not in ("sim", "robot"):
        raise ConfigError(f"world: expected sim or robot, got {world!r}")
    if world == "robot" and config.experiment.time == "lockstep":
        raise ConfigError("experiment.time: lockstep needs the simulated arm; use experiment.time=real on a robot")
    if world == "robot" and config.camera.source == "sim":
        raise ConfigError("camera: expected real cameras on a robot, got sim; as in camera=uvc")
    if world == "robot" and config.sim.faults:
        raise ConfigError("sim.faults: faults are injected into a simulated arm only; on a robot leave it false")
    if missing := [name for name in config.policy.cameras if name not in config.camera.names]:
        raise ConfigError(f"policy.cameras: {missing[0]!r} is not in camera.names ({', '.join(config.camera.names)})")


def _facts(config: Config, run: RunFacts) -> dict[str, Any]:
    """Everything a node may be told, by the name of the field that asks for it."""
    groups = {field.name: getattr(config, field.name) for field in fields(config)}
    if config.experiment.time == "lockstep":  # the barrier waits, so an answer may take the wall's time
        groups["reward"] = replace(config.reward, deadline_s=LOCKSTEP_ANSWER_S)
        episode = replace(config.episode, answer_deadline_s=LOCKSTEP_ANSWER_S, held_s=LOCKSTEP_HELD_S)
        groups["episode"] = episode
    return {
        **groups,
        "run_id": run.run_id,
        "run_folder": run.run_folder,
        "config_hash": run.config_hash,
        "time": config.experiment.time,
        "seed": config.experiment.seed,
        "episodes": config.experiment.episodes,
        "steps": config.experiment.steps,
        "rest_s": config.experiment.rest_s,
        "demos_folder": config.experiment.demos_folder,
        "rate_hz": config.policy.rate_hz,
        "mjcf": str(config_root().resolve() / "robot" / config.robot.mjcf),
        "camera_names": config.camera.names,
        "camera_rate_hz": config.camera.rate_hz,
        "camera_height_px": config.camera.height_px,
        "camera_width_px": config.camera.width_px,
        "arm_log": str(Path(run.run_folder) / "logs" / "arm.csv") if config.sim.arm_log else "",
    }


def _row(
    package: str,
    executable: str,
    kind: type[Checked],
    facts: Mapping[str, Any],
    *,
    name: str = "",
    respawns: int | None = None,
    remaps: tuple[tuple[str, str], ...] = (),
    environment: tuple[tuple[str, str], ...] = (),
    shares_memory: bool = True,
) -> NodeSpec:
    """One row; the node is told those facts that its settings have a field for."""
    told = kind.from_mapping({field.name: facts[field.name] for field in fields(kind) if field.name in facts})
    return NodeSpec(
        package=package,
        executable=executable,
        name=name or executable,
        namespace=facts["robot"].name,
        parameters=flatten(told),
        remaps=remaps,
        max_respawns=facts["safety"].restarts if respawns is None else respawns,
        respawn_window_s=facts["safety"].restart_window_s,
        environment=environment,
        shares_memory=shares_memory,
    )


def _sim(facts: Mapping[str, Any], faults: bool) -> list[NodeSpec]:
    """The simulated arm; with faults, what may damage all it says comes between it and the others."""
    says = [topics.JOINT_STATES, topics.CLOCK, topics.INJECT_FAULT]
    says += [name(camera) for camera in facts["camera_names"] for name in (topics.image, topics.camera_info)]
    rows = [_row("armtune_sim", "sim_node", SimNodeParams, facts, remaps=_faulty(says) if faults else ())]
    return [*rows, _row("armtune_sim", "fault_node", FaultNodeParams, facts)] if faults else rows


def _faulty(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, topics.faulty(name)) for name in names)


def _camera(facts: Mapping[str, Any], camera: str) -> NodeSpec:
    named = {**facts, "name": camera}
    return _row("armtune_drivers", "camera_node", CameraNodeParams, named, name=f"{camera}_camera_node")
