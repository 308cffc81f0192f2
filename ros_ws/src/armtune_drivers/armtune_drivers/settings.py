"""Settings of cameras and arms: one group describes all cameras of a robot, one what moves it."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, choice, num, text
from armtune_safety.settings import RobotParams

LIVE = ("uvc", "gstreamer", "realsense", "topic")
"""Sources that are cameras: pictures of now, not to be paced."""
SOURCES = ("sim", "files", "video", *LIVE)


@dataclass(frozen=True, kw_only=True)
class CameraParams(Checked):
    """The cameras of one robot: names, full size, rate, and where frames come from.

    ``sim`` means that ``sim_node`` publishes them; otherwise one ``camera_node`` runs per
    name and reads the path of the same place in ``paths``.
    """

    names: tuple[str, ...] = text(("front",), doc="names as in topics and datasets")
    width_px: int = num(640, low=16, high=4096, doc="width of a frame as published")
    height_px: int = num(480, low=16, high=4096, doc="height of a frame as published")
    rate_hz: float = num(30.0, low=1.0, high=120.0, doc="frames per second")
    source: str = choice("sim", of=SOURCES, doc="who makes the frames")
    paths: tuple[str, ...] = text(
        (), doc="folder, video, /dev/video*, serial number, pipeline or topic per name; none for sim"
    )
    loop: bool = text(True, doc="files and video: start again at the end")
    depth: bool = text(False, doc="realsense: depth in the colour camera's view, too")
    exposure_us: int = num(0, low=0, high=200_000, doc="realsense: fixed exposure; 0: automatic [us]")
    lock_exposure: bool = text(True, doc="realsense: keep what automatic exposure found in the first second")
    stall_s: float = num(0.5, low=0.1, high=5.0, doc="live, not uvc: stalled after so long without a frame [s]")
    frozen_frames: int = num(10, low=3, high=100, doc="realsense, topic: frozen after so many equal frames")
    calibration: str = text("", doc="robot's id, or a calibration file; blank: none, and nobody sees a moved camera")
    moved_px: float = num(3.0, low=0.2, high=20.0, doc="with a camera moved by more nothing is armed [px]")
    moved_mm: float = num(5.0, low=0.2, high=50.0, doc="nor by more than this at the table, where that is known [mm]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.names or len(set(self.names)) != len(self.names):
            raise ConfigError(f"names: expected distinct camera names, got {self.names}")
        if self.source != "sim" and len(self.paths) != len(self.names):
            raise ConfigError(
                f"paths: expected one per camera ({len(self.names)}) for source {self.source}, got {len(self.paths)}"
            )

    def path_of(self, name: str) -> str:
        """Return the path of one camera.

        Raises:
            ConfigError: when there is no such camera, naming those there are.
        """
        if name not in self.names:
            raise ConfigError(f"camera {name!r} is not in this robot's list; known: {', '.join(self.names)}")
        return self.paths[self.names.index(name)] if self.paths else ""


@dataclass(frozen=True, kw_only=True)
class CameraNodeParams(Checked):
    """What one ``camera_node`` is told: the cameras, and which of them it is."""

    camera: CameraParams
    name: str = text("front", doc="the one this node reads")


TAKES = ("joint_trajectory", "commands")
"""JointTrajectoryController, and the forward and joint group position controllers."""
ADAPTERS = ("dynamixel", "feetech", "trossen", "franka", "ros2_control")
_WITHOUT = {
    "trossen": {
        "watchdog_s": "its controller has no watchdog that can be set",
        "lost_share": "its answers are borne by arm.lost_in_a_row alone",
    },
    "franka": {
        "watchdog_s": "the robot stops by itself after 20 ms, which cannot be set",
        "lost_share": "the robot counts what it loses itself",
    },
}
"""Bounds that an adapter cannot keep, and why: a tighter one than the default would be an empty promise."""


@dataclass(frozen=True, kw_only=True)
class ArmParams(Checked):
    """What moves the real arm: which adapter, where it is plugged in, which servo moves which joint.

    Limits are the robot's own (``RobotParams``); the adapter writes them to the motors and reads them back.
    """

    adapter: str = choice(of=ADAPTERS, doc="what speaks to the arm")
    source: str = text(doc="where the numbers come from")
    joints: tuple[str, ...] = text(doc="the robot's joints and its finger, in the order of the lists below")
    port: str = text("/dev/ttyDXL", doc="serial device, or the controller's address")
    baud: int = num(1_000_000, low=9_600, high=4_000_000, doc="bits per second of the bus")
    ids: tuple[int, ...] = num((), low=0, high=252, doc="servo of each joint")
    shadow_ids: tuple[int, ...] = num((), low=-1, high=252, doc="second servo on the same joint, -1 for none")
    models: tuple[int, ...] = num((), low=0, high=65_535, doc="model number each servo must have")
    reverse: tuple[bool, ...] = text((), doc="servos that turn against their joint; a shadow against its servo")
    zero_ticks: tuple[int, ...] = num((), low=0, high=4095, doc="servo position at 0 rad, of the finger at its zero")
    horn_m: float = num(0.0, low=0.0, high=0.2, doc="gripper's horn; 0: the jaw sits on the servo's shaft [m]")
    link_m: float = num(0.0, low=0.0, high=0.2, doc="gripper's link from the horn to the finger, or its jaw [m]")
    grip_effort: float = num(0.5, low=0.05, high=1.0, doc="part of the gripper servo's drive that may be used")
    rate_hz: float = num(100.0, low=100.0, high=250.0, doc="setpoints written and joints read per second")
    watchdog_s: float = num(0.1, low=0.02, high=0.1, doc="the motors hold when they hear nothing for longer [s]")
    reply_s: float = num(0.004, low=0.001, high=0.05, doc="how long the last answer may take beyond its time on wire")
    lost_in_a_row: int = num(5, low=1, high=8, doc="unanswered reads of one servo in a row that are borne")
    lost_share: float = num(0.2, low=0.01, high=0.2, doc="part of the last hundred answers that may be lost")
    controller: str = text("arm_controller", doc="ros2_control: name of the controller that has all joints")
    takes: str = choice("joint_trajectory", of=TAKES, doc="ros2_control: the kind of commands it takes")
    may_go_limp: bool = text(
        False, doc="somebody holds the arm: at the start torque may go, once, to change limits or reboot a servo"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ids", "shadow_ids", "models", "reverse", "zero_ticks"):
            given = getattr(self, name)
            if given and len(given) != len(self.joints):
                raise ConfigError(f"{name}: expected {len(self.joints)} entries, one a joint, got {len(given)}")
        for name, why in _WITHOUT.get(self.adapter, {}).items():
            if (given := getattr(self, name)) != (default := self.__dataclass_fields__[name].default):
                raise ConfigError(f"{name}: expected {default:g}, got {given:g}; {self.adapter}: {why}, leave it out")
        numbers = [n for n in (*self.ids, *self.shadow_ids) if n >= 0]
        if len(set(numbers)) != len(numbers):
            raise ConfigError(f"ids: expected each servo once, got {numbers}")


@dataclass(frozen=True, kw_only=True)
class ArmNodeParams(Checked):
    """Everything ``arm_node`` is told."""

    robot: RobotParams
    arm: ArmParams

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = (*self.robot.joints, self.robot.finger_joint)
        if self.arm.joints != wanted:
            raise ConfigError(
                f"arm.joints: expected those of {self.robot.name} ({', '.join(wanted)}), "
                f"got {', '.join(self.arm.joints)}; choose its own, as in arm={self.robot.name}"
            )


@dataclass(frozen=True, kw_only=True)
class CameraCheckParams(Checked):
    """What ``camera_check_node`` is told; the graph fills it in."""

    camera: CameraParams
    checked_cameras: tuple[str, ...] = text(doc="those with a reference picture")
    time: str = choice("real", of=("real", "lockstep"), doc="how pictures are sent")
