"""What the gate and the supervisor are told: one robot, its limits, and how it is paced.

Ranges are part of safety: a bound can be tightened by a robot or a task, never loosened
beyond the range, and none can be switched off.
"""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, choice, num, text
from armtune_policies.contract.spec import MIN_RATE_HZ

HEARTBEAT_PERIOD_S = 0.25
"""Between the heartbeats of a node, by its steady clock."""

SPARE = ("learner_node", "transfer_node", "console_node")
"""Who only learns or shows: the arm does not notice that one is lost."""


@dataclass(frozen=True, kw_only=True)
class RobotParams(Checked):
    """One kind of arm: its joints in order, their public limits, and where home is."""

    name: str = text(doc="short name, as in `robot=wx250s`")
    mjcf: str = text(doc="MJCF description, a file beside this config")
    source: str = text(doc="where the numbers come from")
    joints: tuple[str, ...] = text(doc="arm joints from base to tool, as joint_states names them")
    finger_joint: str = text(doc="the joint_states name of the gripper")
    gripper_closed_m: float = num(low=-0.2, high=0.2, doc="finger position at opening 0 [m]")
    gripper_open_m: float = num(low=-0.2, high=0.2, doc="finger position at opening 1 [m]")
    joint_lower_rad: tuple[float, ...] = num(low=-6.3, high=6.3, doc="lower position limits [rad]")
    joint_upper_rad: tuple[float, ...] = num(low=-6.3, high=6.3, doc="upper position limits [rad]")
    joint_velocity_rad_s: tuple[float, ...] = num(low=0.01, high=10.0, doc="speed limits [rad/s]")
    joint_acceleration_rad_s2: tuple[float, ...] = num(low=0.1, high=100.0, doc="acceleration limits [rad/s2]")
    joint_jerk_rad_s3: tuple[float, ...] = num(low=1.0, high=20000.0, doc="jerk limits [rad/s3]")
    gripper_velocity_1_s: float = num(low=0.05, high=20.0, doc="fastest opening per second [1/s]")
    home_rad: tuple[float, ...] = num(low=-6.3, high=6.3, doc="where the arm waits between episodes [rad]")
    home_gripper: float = num(1.0, low=0.0, high=1.0, doc="gripper opening at home, 0 closed to 1 open")
    base_frame: str = text("base_link", doc="frame all proposals are in; the MJCF body of the base")
    tool_frame: str = text("tool0", doc="frame that is moved; the MJCF site at the tool")

    def __post_init__(self) -> None:
        super().__post_init__()
        n = len(self.joints)
        if n < 1 or len(set(self.joints)) != n or self.finger_joint in self.joints:
            raise ConfigError(f"joints: expected distinct names besides {self.finger_joint!r}, got {self.joints}")
        for name in (*_PER_JOINT, "home_rad"):
            if len(getattr(self, name)) != n:
                raise ConfigError(f"{name}: expected {n} entries, one a joint, got {len(getattr(self, name))}")
        for joint, low, home, high in zip(self.joints, self.joint_lower_rad, self.home_rad, self.joint_upper_rad):
            if not low < home < high:
                raise ConfigError(f"home_rad: expected {joint} within ({low}, {high}), got {home}")
        if self.gripper_closed_m == self.gripper_open_m:
            raise ConfigError(f"gripper_open_m: expected it apart from closed, got both {self.gripper_open_m}")

    @property
    def dof(self) -> int:
        return len(self.joints)

    def opening(self, finger_m: float) -> float:
        """Gripper opening 0..1 of a finger position [m]; not clamped."""
        return (finger_m - self.gripper_closed_m) / (self.gripper_open_m - self.gripper_closed_m)

    def finger_m(self, opening: float) -> float:
        """Finger position [m] of a gripper opening 0..1."""
        return self.gripper_closed_m + opening * (self.gripper_open_m - self.gripper_closed_m)


_PER_JOINT = (
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_rad_s",
    "joint_acceleration_rad_s2",
    "joint_jerk_rad_s3",
)


@dataclass(frozen=True, kw_only=True)
class SafetyParams(Checked):
    """The bounds of one robot at one place. Each range ends at the loosest we allow."""

    workspace_low_m: tuple[float, float, float] = num(low=-2.0, high=2.0, doc="lower corner of the tool's box [m]")
    workspace_high_m: tuple[float, float, float] = num(low=-2.0, high=2.0, doc="upper corner of the tool's box [m]")
    workspace_slack_m: float = num(0.003, low=1e-4, high=0.01, doc="how far a path between two allowed poses may bulge")
    workspace_slack_rad: float = num(0.02, low=1e-3, high=0.05, doc="the same for orientation [rad]")
    tool_reference_rad: tuple[float, float, float] = num(
        (0.0, 1.0471976, 0.0), low=-3.1416, high=3.1416, doc="rotation vector the tool is kept near [rad]"
    )
    tool_max_angle_rad: float = num(1.4, low=0.05, high=1.5, doc="largest angle from that orientation [rad]")
    joint_margin_rad: float = num(0.03, low=0.005, high=0.5, doc="distance kept from each joint limit [rad]")
    max_linear_m_s: float = num(0.45, low=0.01, high=0.45, doc="fastest tool, mean of a period; its peak is more")
    max_angular_rad_s: float = num(2.2, low=0.05, high=2.2, doc="fastest turn, mean of a period, likewise")
    joint_speed_scale: float = num(1.0, low=0.05, high=1.0, doc="part of the joints' own speed limits in use")
    joint_state_age_s: float = num(0.1, low=0.02, high=0.1, doc="older joint states: STOP [s]")
    joint_refusals: int = num(3, low=1, high=10, doc="unusable joint states in a row before STOP")
    steady_s: float = num(1.0, low=1.0, high=10.0, doc="unbroken joint states wanted before arming [s]")
    frozen_command_rad: float = num(0.05, low=0.01, high=0.05, doc="a joint told to move further than this ...")
    frozen_rad: float = num(0.002, low=0.0002, high=0.002, doc="... while no joint moved more than this ...")
    frozen_s: float = num(0.2, low=0.05, high=0.2, doc="... for this long: STOP, the joint states are frozen [s]")
    controller_silence_s: float = num(0.1, low=0.02, high=0.1, doc="longest watchdog a controller may have [s]")
    proposal_age_periods: float = num(1.5, low=1.0, high=1.5, doc="older proposals: HOLD [control periods]")
    proposal_age_s: float = num(0.3, low=0.02, high=0.3, doc="older proposals: HOLD, whatever the period [s]")
    missed_slow: float = num(0.05, low=0.01, high=0.05, doc="more of the last second's proposals missed: SLOW")
    missed_hold: float = num(0.2, low=0.05, high=0.2, doc="more of the last second's proposals missed: HOLD")
    outside_in_a_row: int = num(10, low=2, high=10, doc="proposals that leave the workspace in a row: HOLD")
    joint_slow_rad: float = num(0.02, low=0.005, high=0.5, doc="nearer than this to a joint limit's margin: SLOW")
    condition_slow: float = num(17.0, low=2.0, high=17.0, doc="larger condition number of the Jacobian: SLOW")
    condition_hold: float = num(30.0, low=2.0, high=30.0, doc="a tool delta to more than this and than now: HOLD")
    slow_scale: float = num(0.25, low=0.05, high=0.5, doc="part of the speed that SLOW leaves the arm; not the grip")
    slow_s: float = num(1.0, low=0.5, high=10.0, doc="SLOW ends this long after its cause [s]")
    future_stamp_s: float = num(0.05, low=0.001, high=0.05, doc="observations stamped further ahead are refused [s]")
    observation_age_s: float = num(0.5, low=0.02, high=0.5, doc="observations measured longer ago are refused [s]")
    tracking_m: float = num(0.01, low=0.001, high=0.01, doc="larger error: the next target starts at the measured pose")
    tracking_rad: float = num(0.1, low=0.01, high=0.1, doc="the same for orientation [rad]")
    tracking_lost_m: float = num(0.06, low=0.01, high=0.06, doc="larger error: HOLD at the measured pose [m]")
    tracking_lost_rad: float = num(0.5, low=0.05, high=0.5, doc="the same for orientation [rad]")
    blocked_s: float = num(0.5, low=0.1, high=0.5, doc="told to go on but not following for longer: HOLD there [s]")
    tracking_lost_s: float = num(0.5, low=0.1, high=0.5, doc="lost for longer: STOP [s]")
    first_command_rad: float = num(0.05, low=0.005, high=0.05, doc="a setpoint further off restarts at the arm [rad]")
    gate_tick_hz: float = num(100.0, low=100.0, high=250.0, doc="setpoints per second")
    barrier_s: float = num(5.0, low=0.5, high=5.0, doc="lockstep barrier open longer than this on the wall: STOP [s]")
    max_lease_s: float = num(10.0, low=0.5, high=10.0, doc="longest lease without renewal [s]")
    heartbeat_lost_s: float = num(1.0, low=0.3, high=1.0, doc="a node silent for longer is lost [s]")
    estop_line: bool = text(False, doc="a hardware e-stop says its level on `estop`: not heard yet is pressed, too")
    estop_silence_s: float = num(0.25, low=0.05, high=0.25, doc="silence of a line once heard that is pressed [s]")
    clock_warn_s: float = num(0.05, low=0.001, high=0.05, doc="a node's clock further off ours: a warning [s]")
    clock_s: float = num(0.2, low=0.01, high=0.2, doc="further off still: not armed, no new episode [s]")
    memory_floor_mb: float = num(200.0, low=200.0, high=1e6, doc="less available memory: the same [MB]")
    heat_margin_c: float = num(5.0, low=0.0, high=60.0, doc="a zone less below its critical heat: the same [deg C]")
    restarts: int = num(3, low=0, high=10, doc="restarts of one node within restart_window_s before STOP")
    restart_window_s: float = num(60.0, low=60.0, high=3600.0, doc="over how long restarts are counted [s]")

    def __post_init__(self) -> None:
        super().__post_init__()
        for axis, low, high in zip("xyz", self.workspace_low_m, self.workspace_high_m):
            if not low < high:
                raise ConfigError(f"workspace_low_m: expected {axis} below workspace_high_m ({high}), got {low}")
        for slow, hold in (("condition_slow", "condition_hold"), ("missed_slow", "missed_hold")):
            if not getattr(self, slow) <= getattr(self, hold):
                raise ConfigError(f"{slow}: expected at most {hold} ({getattr(self, hold)}), got {getattr(self, slow)}")


@dataclass(frozen=True, kw_only=True)
class GateParams(Checked):
    """Everything the gate is told."""

    robot: RobotParams
    safety: SafetyParams
    rate_hz: float = num(MIN_RATE_HZ, low=MIN_RATE_HZ, high=50.0, doc="control steps per second")
    time: str = choice("real", of=("real", "lockstep"), doc="real: steady clock; lockstep: the simulator's")
    mjcf: str = text(doc="absolute path of the robot's MJCF description")
    checked_cameras: tuple[str, ...] = text((), doc="cameras that must be where they were calibrated, to arm")


@dataclass(frozen=True, kw_only=True)
class SupervisorParams(Checked):
    """Everything the supervisor is told."""

    nodes: tuple[str, ...] = text(doc="lifecycle nodes in the order they are configured and activated")
    spare: tuple[str, ...] = text(SPARE, doc="nodes whose loss does not stop the arm")
    workers: tuple[str, ...] = text((), doc="those that work all the time, on a thread of their own")
    works_s: tuple[float, ...] = num((), low=0.3, high=60.0, doc="how long a piece of work of each may take [s]")
    safety: SafetyParams
    run_folder: str = text("", doc="of this run; how much disk is free there is looked at; blank: nowhere")
    disk_floor_mb: int = num(500, low=10, high=10_000_000, doc="less free disk: not armed, no new episode [MB]")
    time: str = choice("real", of=("real", "lockstep"), doc="lockstep: the one bound on the wall is the barrier's")
    start_s: float = num(60.0, low=1.0, high=600.0, doc="how long a node may take to configure (models warm up) [s]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [name for name in self.workers if name not in self.nodes]:
            raise ConfigError(f"workers: expected some of nodes, got {unknown[0]!r}")
        if len(self.works_s) != len(self.workers):
            raise ConfigError(f"works_s: expected {len(self.workers)} entries, one a worker, got {len(self.works_s)}")

    @property
    def lost_s(self) -> float:
        """How long a node may be silent [s]; where simulated time waits, nothing moves meanwhile."""
        return self.safety.barrier_s if self.time == "lockstep" else self.safety.heartbeat_lost_s
