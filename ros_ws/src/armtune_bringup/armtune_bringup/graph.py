"""The one table of nodes; launch files and the runner only read it.

Pure: a config in, rows out, in the order in which the supervisor activates them.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from armtune_console.settings import ANY, LOOPBACK, ConsoleNodeParams
from armtune_drivers.settings import ArmNodeParams, CameraCheckParams, CameraNodeParams
from armtune_policies.contract import Checked, ConfigError, flatten, topics
from armtune_policies.contract.paths import config_root
from armtune_policies.reward.noise import NONE
from armtune_runtime.practice_settings import EpisodeNodeParams, RecorderNodeParams
from armtune_runtime.settings import (
    ONLINE,
    REMOTE,
    LearnerNodeParams,
    PolicyNodeParams,
    RewardNodeParams,
    TransferNodeParams,
)
from armtune_safety.settings import SPARE, GateParams, SupervisorParams
from armtune_sim.settings import FaultNodeParams, SimNodeParams
from armtune_teleop.settings import TeleopNodeParams

from .calibrated import calibrated, checked_cameras
from .environment import LEARNER_MALLOC
from .settings import Config
from .spec import NodeSpec, RunFacts, World

THINKS = ("console_node", "reward_node", "policy_node")
"""What may run on the workstation by DDS: what moves, stops and records stays; learning elsewhere is learner=remote."""
LOCKSTEP_ANSWER_S = 4.0
"""Longest wait for a reward in lockstep; the gate stops the arm after 5 s without a barrier."""
NEAR_THE_MEAN = 0.1
"""Most that a real arm may explore."""
LOCKSTEP_HELD_S = 10.0
"""The wall says little about how long an arm was held in simulated time."""
WORKS_S = {"arm_node": 1.0, "camera_node": 12.0}
"""What works on a thread of its own, and how long a piece may take: OpenCV waits up to 10 s for a frame."""
POLICY_SAYS = (topics.proposal("policy"),)
_SENSES = ("sim_node", "fault_node", "camera_node", "camera_check_node")
SEES = frozenset((*_SENSES, "policy_node", "reward_node", "recorder_node"))
"""What gives or takes pictures to look at, a camera's or an observation's, and so shares memory; nothing else does, see
``NodeSpec``. The console makes do with those that UDP keeps, for it is killed more lightly."""


def graph(config: Config, world: World, run: RunFacts) -> tuple[NodeSpec, ...]:
    """Return the rows of the table that run here, in activation order, the supervisor last.

    A robot's supervisor looks after the nodes on the workstation, too.

    Raises:
        ConfigError: when config and world do not go together.
    """
    _check_world(config, world)
    config, measured = calibrated(config)
    facts = _facts(config, run)
    facts["calibration_hash"] = measured.hash if measured else ""
    facts["checked_cameras"] = checked_cameras(config, measured)
    faults = world != "robot" and config.sim.faults
    rows = [_arm(facts)] if world == "robot" else _sim(facts, faults)
    if config.camera.source != "sim":
        rows += [_camera(facts, name) for name in config.camera.names]
    if facts["checked_cameras"]:
        rows.append(_row("armtune_drivers", "camera_check_node", CameraCheckParams, facts))
    rows += [
        _row("armtune_safety", "gate_node", GateParams, facts),
        *([_row("armtune_runtime", "reward_node", RewardNodeParams, facts)] if config.reward.folder else []),
        _row("armtune_runtime", "policy_node", PolicyNodeParams, facts, remaps=_faulty(POLICY_SAYS) if faults else ()),
        _row("armtune_runtime", "recorder_node", RecorderNodeParams, facts),
        _row("armtune_runtime", "episode_node", EpisodeNodeParams, facts),
        *([_row("armtune_teleop", "teleop_node", TeleopNodeParams, facts)] if config.teleop.is_on else []),
        *([_learner(facts)] if config.policy.folder else []),
    ]
    if config.console.is_on:  # the first, so that a page says what the others wait for
        rows = [_row("armtune_console", "console_node", ConsoleNodeParams, facts), *rows]
    managed: dict[str, Any] = {"nodes": tuple(row.name for row in rows)}
    workers = [row for row in rows if row.executable in WORKS_S]
    managed["workers"] = tuple(row.name for row in workers)
    managed["works_s"] = tuple(WORKS_S[row.executable] for row in workers)
    # Without its supervisor a graph must not go on: no respawn, the runner ends it and says why.
    told = {**facts, **managed}
    away = config.experiment.workstation
    if world == "workstation":
        return tuple(row for row in rows if row.name in away)
    return (
        *(row for row in rows if row.name not in away),
        _row("armtune_safety", "supervisor_node", SupervisorParams, told, respawns=0),
    )


def _check_world(config: Config, world: World) -> None:
    if world not in typing.get_args(World):
        raise ConfigError(f"world: expected one of {', '.join(typing.get_args(World))}, got {world!r}")
    _check_parting(config, world)
    if world == "robot" and config.experiment.time == "lockstep":
        raise ConfigError("experiment.time: lockstep needs the simulated arm; use experiment.time=real on a robot")
    if config.teleop.is_on and config.experiment.time == "lockstep":
        raise ConfigError("teleop: a person acts in real time; use experiment.time=real, or teleop=none")
    if not config.policy.folder and not config.teleop.is_on:
        raise ConfigError("policy.folder: without a policy nobody would act; name one, or a device: teleop=keyboard")
    if world == "robot" and config.camera.source == "sim":
        raise ConfigError("camera: expected real cameras on a robot, got sim; as in camera=uvc")
    if world == "robot" and max(config.policy.explore, config.policy.explore_last) > NEAR_THE_MEAN:
        raise ConfigError(f"policy.explore: a real arm acts near the mean, expected at most {NEAR_THE_MEAN}")
    if world == "robot" and config.sim.faults:
        raise ConfigError("sim.faults: faults are injected into a simulated arm only; on a robot leave it false")
    if world == "robot" and config.reward.noise != NONE:
        raise ConfigError(f"reward.noise: answers are spoilt in simulation only; on a robot leave it {NONE}")
    if missing := [name for name in config.policy.cameras if name not in config.camera.names]:
        raise ConfigError(f"policy.cameras: {missing[0]!r} is not in camera.names ({', '.join(config.camera.names)})")


def _check_parting(config: Config, world: World) -> None:
    """Refuse what two machines cannot agree on."""
    away = config.experiment.workstation
    if world == "workstation" and not away:
        raise ConfigError("experiment.workstation: name what runs here, as in experiment.workstation=[policy_node]")
    if unfit := [name for name in away if name not in THINKS]:
        known = ", ".join(THINKS)
        raise ConfigError(
            f"experiment.workstation: expected some of {known}, got {unfit[0]!r}; to learn elsewhere: learner=remote"
        )
    if away and not config.experiment.name:
        raise ConfigError("experiment.name: name the run, that both machines mean the same one")
    if "console_node" in away and config.teleop.kind == "web" and config.teleop.host in (*ANY, *LOOPBACK):
        raise ConfigError(
            f"teleop.host: expected the robot's address, at which a console on the workstation finds teleop_node, got "
            f"{config.teleop.host}; leave console_node on the robot, or name it, and anybody on that network may move "
            "the arm"
        )


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
        "disk_floor_mb": config.recorder.disk_floor_mb,
        "seed": config.experiment.seed,
        "episodes": config.experiment.episodes,
        "steps": config.experiment.steps,
        "rest_s": config.experiment.rest_s,
        "demos_folder": config.experiment.demos_folder,
        "carries": config.task.carries,
        "learns": config.experiment.time == "lockstep" and config.learner.recipe == ONLINE,
        "rate_hz": config.policy.rate_hz,
        "mjcf": str(config_root().resolve() / "robot" / config.robot.mjcf),
        "camera_names": config.camera.names,
        "reward_folder": config.reward.folder,
        "policy_folder": config.policy.folder,
        "threshold": config.reward.threshold,
        "teleop_host": config.teleop.host,
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
        shares_memory=executable in SEES,
        # in lockstep practice waits for a learner that learns online
        is_spare=executable in SPARE and not (facts["learns"] and executable == "learner_node"),
    )


def _sim(facts: Mapping[str, Any], faults: bool) -> list[NodeSpec]:
    """The simulated arm; with faults, what may damage all it says comes between it and the others."""
    says = [topics.JOINT_STATES, topics.CLOCK, topics.INJECT_FAULT]
    says += [name(camera) for camera in facts["camera_names"] for name in (topics.image, topics.camera_info)]
    rows = [_row("armtune_sim", "sim_node", SimNodeParams, facts, remaps=_faulty(says) if faults else ())]
    return [*rows, _row("armtune_sim", "fault_node", FaultNodeParams, facts)] if faults else rows


def _faulty(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, topics.faulty(name)) for name in names)


def _learner(facts: Mapping[str, Any]) -> NodeSpec:
    if facts["learner"].recipe == REMOTE:
        return _row("armtune_runtime", "transfer_node", TransferNodeParams, facts)
    return _row("armtune_runtime", "learner_node", LearnerNodeParams, facts, environment=tuple(LEARNER_MALLOC.items()))


def _arm(facts: Mapping[str, Any]) -> NodeSpec:
    """Who holds the arm for ``may_go_limp`` does so at the start: one that died does not come back with that leave."""
    respawns = 0 if facts["arm"].may_go_limp else None
    if facts["arm"].adapter == "ros2_control":
        return _row("armtune_drivers", "ros2_control_node", ArmNodeParams, facts, respawns=respawns)
    return _row("armtune_drivers", "arm_node", ArmNodeParams, facts, respawns=respawns)


def _camera(facts: Mapping[str, Any], camera: str) -> NodeSpec:
    named = {**facts, "name": camera}
    return _row("armtune_drivers", "camera_node", CameraNodeParams, named, name=f"{camera}_camera_node")
