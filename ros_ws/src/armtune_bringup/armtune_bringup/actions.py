"""The table of nodes as ``launch`` actions: what both launch files are made of.

Imported by launch files only; ``launch`` and ``launch_ros`` come with a ROS install.
Stopping rules are the runner's: exit code 78 is final, a spent budget ends the graph, but for a spare node.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from launch import LaunchDescription  # type: ignore[attr-defined,unused-ignore]
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from armtune_policies.contract.paths import config_root
from armtune_sim.opengl import backend

from . import environment
from .compose import compose
from .graph import graph
from .leftovers import sweep
from .parameters import again_path, parameter_path, write_parameters
from .runner import EXIT_CONFIG, RESPAWN_AFTER_S, STAYS_DOWN, GraphStopped, goes_on
from .runs import check_disk, check_models, plan, record
from .spec import NodeSpec, RespawnBudget, World


def describe(world: World) -> LaunchDescription:
    """Return the launch description of one world: an argument per config group, then the nodes."""
    groups = sorted(path.name for path in config_root().iterdir() if path.is_dir())
    arguments = [
        DeclareLaunchArgument(name, default_value="", description=f"choice in configs/{name}/") for name in groups
    ]
    arguments.append(
        DeclareLaunchArgument(
            "overrides", default_value="", description="more, as in 'experiment.seed=3 sim.camera=wrist'"
        )
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_start, args=[world, groups])])


def _start(context: Any, world: World, groups: list[str]) -> list[Any]:
    chosen = {name: LaunchConfiguration(name).perform(context) for name in groups}
    overrides = [f"{name}={value}" for name, value in chosen.items() if value]
    config = compose([*overrides, *shlex.split(LaunchConfiguration("overrides").perform(context))])
    run = plan(config)
    specs, folder = graph(config, world, run), Path(run.run_folder)
    check_models(config, world)
    check_disk(config, run)
    if world == "sim":
        backend()
    environment.claim(environment.domain())  # held while this launch process lives
    record(config, run)
    write_parameters(specs, folder)
    return [action for spec in specs for action in _process(spec, folder, RespawnBudget(spec))]


def _process(spec: NodeSpec, folder: Path, budget: RespawnBudget, starts: int = 1) -> list[Any]:
    """One process and what is done when it ends: start it again, or end the graph and say why.

    launch answers an error in a handler by logging it, ending every process, and exiting with 1.
    """
    sweep()
    overlay = environment.ros_environment(environment.domain(), folder / "logs" / "ros")
    again = again_path(folder, spec) if starts > 1 else None
    node = Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[str(parameter_path(folder, spec))],
        remappings=list(spec.remaps),
        ros_arguments=["--enclave", spec.enclave] if environment.is_secured() else [],
        additional_env=environment.node_environment(spec, overlay, again),
        output="both",
        emulate_tty=True,
    )

    def ended(event: Any, context: Any) -> list[Any]:
        if context.is_shutdown:
            return []
        if event.returncode == EXIT_CONFIG:
            return leave(event.returncode, f"{spec.name}: starting it again cannot help; its log says why")
        if not budget.spend(time.monotonic()):
            return leave(event.returncode, f"{spec.name}: its respawns are spent ({budget}); its log says why")
        return [TimerAction(period=RESPAWN_AFTER_S, actions=_process(spec, folder, budget, starts + 1))]

    def leave(code: int, reason: str) -> list[Any]:
        if not goes_on(spec, code, starts):
            raise GraphStopped(reason)
        return [LogInfo(msg=f"{reason}; {STAYS_DOWN}")]

    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended)), node]
