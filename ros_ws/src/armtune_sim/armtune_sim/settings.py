"""What the simulated world and its node are told."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, TaskPair, choice, num, text
from armtune_policies.contract.spec import MIN_RATE_HZ
from armtune_safety.settings import RobotParams

SHIFTS = ("none", "camera", "object", "friction", "light")
ANY_TABLE = -1
"""``table``: each scene is of another one."""


@dataclass(frozen=True, kw_only=True)
class SimParams(Checked):
    """How much the world varies from seed to seed, and how it is drawn."""

    variation: float = num(
        1.0, low=0.0, high=1.0, doc="poses, masses and friction; 0: always the same, 1: the whole range"
    )
    looks: float = num(0.5, low=0.0, high=1.0, doc="colours, light, clutter and camera jitter; 0: always the same")
    table: int = num(
        ANY_TABLE, low=ANY_TABLE, high=2**31 - 1,
        doc="one table: how its furniture stands, feels and looks is drawn from this alone; -1: anew in each scene",
    )  # fmt: skip
    shift: str = choice("none", of=SHIFTS, doc="one thing of the table changed: camera moved, object, friction, light")
    distractors: int = num(2, low=0, high=4, doc="things beside the workspace that do not matter")
    shadows: bool = text(False, doc="soft shadows: for pictures for people, several times slower")
    arm_log: bool = text(False, doc="keep the arm's own log, logs/arm.csv: every tick, 30 MB a quarter of an hour")
    faults: bool = text(False, doc="start the fault injector: `armtune fault` may damage what the nodes hear")


@dataclass(frozen=True, kw_only=True)
class SimNodeParams(Checked):
    """Everything ``sim_node`` is told; the graph fills it in."""

    robot: RobotParams
    task: TaskPair
    sim: SimParams
    mjcf: str = text(doc="absolute path of the robot's MJCF description")
    time: str = choice("real", of=("real", "lockstep"), doc="real: the wall's pace; lockstep: waits for setpoints")
    seed: int = num(0, low=0, high=2**31 - 1, doc="of the first scene")
    rate_hz: float = num(MIN_RATE_HZ, low=MIN_RATE_HZ, high=50.0, doc="control steps per second (lockstep: frames too)")
    camera_names: tuple[str, ...] = text(("front",), doc="cameras to publish: front, wrist")
    camera_rate_hz: float = num(30.0, low=1.0, high=120.0, doc="frames per second (real time)")
    camera_width_px: int = num(640, low=16, high=4096, doc="width of a frame as published")
    camera_height_px: int = num(480, low=16, high=4096, doc="height of a frame as published")
    arm_log: str = text("", doc="the arm's own log, a CSV file; blank for none")


@dataclass(frozen=True, kw_only=True)
class FaultNodeParams(Checked):
    """Everything ``fault_node`` is told; the graph fills it in."""

    time: str = choice("real", of=("real", "lockstep"), doc="as the simulator's: how its topics are wired")
    camera_names: tuple[str, ...] = text(("front",), doc="cameras to relay")
