"""The few classes of ``launch`` and ``launch_ros`` our launch files use, recording what they are told.

PyPI has neither package. That the real ones take these calls was checked against
launch 3.4 and launch_ros 0.26 (Jazzy); docs/run.md says how.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str = ""
    description: str = ""


@dataclass
class OpaqueFunction:
    function: Callable[..., list[Any]]
    args: list[Any] = field(default_factory=list)

    def run(self, context: Context) -> list[Any]:
        return self.function(context, *self.args)


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context: Context) -> str:
        return context.values[self.name]


@dataclass
class Context:
    values: dict[str, str]
    is_shutdown: bool = False


@dataclass
class Node:
    package: str
    executable: str
    name: str
    namespace: str
    parameters: list[str]
    remappings: list[tuple[str, str]]
    ros_arguments: list[str]
    additional_env: dict[str, str]
    output: str
    emulate_tty: bool


@dataclass
class OnProcessExit:
    target_action: Node
    on_exit: Callable[[Any, Context], list[Any]]


@dataclass
class RegisterEventHandler:
    handler: OnProcessExit


@dataclass
class TimerAction:
    period: float
    actions: list[Any]


@dataclass
class LogInfo:
    msg: str


@dataclass
class Ended:
    """The event of a process that ended."""

    returncode: int


HOMES = {
    "launch": [LaunchDescription],
    "launch.actions": [DeclareLaunchArgument, LogInfo, OpaqueFunction, RegisterEventHandler, TimerAction],
    "launch.event_handlers": [OnProcessExit],
    "launch.substitutions": [LaunchConfiguration],
    "launch_ros": [],
    "launch_ros.actions": [Node],
}


def modules() -> dict[str, types.ModuleType]:
    """The stand-in modules by name, to put into ``sys.modules``."""
    made = {}
    for name, kinds in HOMES.items():
        made[name] = types.ModuleType(name)
        for kind in kinds:
            setattr(made[name], kind.__name__, kind)
    return made


__all__ = ["Context", "DeclareLaunchArgument", "Ended", "Node", "TimerAction", "modules"]
