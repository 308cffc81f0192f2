"""What the gate concludes from what it has seen: each story by hand, on a gate with a perfect arm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from derivatives import assert_kept
from gate_rig import BOOT, TICK_S, Rig, gate_params

from armtune_policies.contract import Kind, ManualClock, Mode
from armtune_safety import limits
from armtune_safety.controller import Controller
from armtune_safety.failsafe import FROZEN, LOST, MOVED, SINGULAR, UNSTEADY, WALL
from armtune_safety.gate import Gate
from armtune_safety.kinematics import Kinematics

STILL = (0.0,) * 6 + (1.0,)
FORWARD = (0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
NAN = (float("nan"),) * 7
OUT = (0.0, 0.0, -0.05, 0.0, 0.0, 0.0, 1.0)
UP = (0.0, 0.0, 0.03, 0.0, 0.0, 0.0, 1.0)


def reasons(rig: Rig) -> tuple[str, ...]:
    return rig.gate.state().reasons


# -- before arming -----------------------------------------------------------------------


def test_arming_is_refused_until_joint_states_came_for_a_second_without_a_gap(kinematics: Kinematics) -> None:
    rig = Rig(gate_params("real"), kinematics)
    rig.clock.advance(0.101)
    rig.sense()
    rig.alive(0.95)
    refused = rig.gate.arm(BOOT)
    assert refused == (
        "cannot arm: joint states not steady yet (expected 1 s of them without a gap); try again in a moment"
    ), "what only holds the arm is no reason"
    rig.alive(0.05)
    assert rig.gate.arm(BOOT) == ""


def test_arming_waits_again_when_a_joint_state_had_to_be_refused(rig: Rig) -> None:
    assert not rig.gate.on_joints(rig.names[1:], [0.0] * 6, rig.clock.t_ns)
    rig.alive(0.5)
    assert "not steady yet" in rig.gate.arm(BOOT)


@pytest.mark.parametrize("silence_s", [0.0, 0.5])
def test_arming_is_refused_when_the_controller_has_no_fit_watchdog(rig: Rig, silence_s: float) -> None:
    rig.gate.on_controller(Controller.enforcing(rig.params.robot, silence_s))
    assert "controller not read back (sim holds after" in rig.gate.arm(BOOT)


def test_arming_is_refused_when_nothing_was_read_back(kinematics: Kinematics) -> None:
    params, clock = gate_params(), ManualClock(0)
    gate = Gate(params, kinematics, BOOT, clock, clock)
    assert "no controller has said" in gate.arm(BOOT)


def test_arming_is_refused_when_the_supervisor_is_silent(rig: Rig) -> None:
    rig.wall.advance(5.1)
    rig.gate.on_barrier()
    assert "supervisor not heard" in rig.gate.arm(BOOT)


def test_arming_waits_no_longer_than_before_when_simulated_time_begins_anew(rig: Rig) -> None:
    rig.clock.advance(100.0)
    rig.alive()
    rig.gate.begin_period(rig.clock.t_ns)
    rig.clock.set_ns(0)
    rig.alive(0.5)
    assert "not steady yet" in rig.gate.arm(BOOT)
    rig.alive(0.5)
    assert rig.gate.arm(BOOT) == ""


@pytest.mark.parametrize("worked_ago_s", [-1.0, 1.1, float("nan"), float("inf")])
def test_beat_of_a_supervisor_that_does_not_work_counts_for_nothing(rig: Rig, worked_ago_s: float) -> None:
    rig.wall.advance(5.1)
    rig.gate.on_barrier()
    rig.gate.on_supervisor(worked_ago_s)
    assert "supervisor not heard" in rig.gate.arm(BOOT)


@pytest.mark.parametrize("mended", [False, True])
def test_latch_is_cleared_only_when_its_cause_is_gone(rig: Rig, mended: bool) -> None:
    rig.armed()
    rig.clock.advance(0.11)
    assert rig.gate.state().latches == ("joint states stale",)
    if mended:
        rig.sense()
    assert rig.gate.clear("joint states stale") == ("" if mended else "joint states stale: still so")


# -- while armed -------------------------------------------------------------------------


def test_another_controller_stops_the_arm_until_it_is_armed_again(rig: Rig) -> None:
    rig.armed()
    rig.gate.on_controller(replace(Controller.enforcing(rig.params.robot, 0.1), boot_id=2))
    assert rig.gate.state().latches == ("controller not read back",)
    assert rig.gate.clear("controller not read back") == "" and rig.gate.arm(BOOT) == ""


def test_arm_holds_while_the_supervisor_is_silent_and_goes_on_when_it_is_heard(rig: Rig) -> None:
    rig.armed()
    rig.wall.advance(5.1)
    rig.gate.on_barrier()
    assert "supervisor silent" in rig.period(FORWARD).refused
    rig.gate.on_supervisor()
    assert rig.period(FORWARD).mode is Mode.RUN


def test_arm_stops_when_its_joints_seem_frozen_while_it_is_told_to_move(rig: Rig) -> None:
    rig.armed()
    rig.stuck_at = rig.q.copy()
    for _ in range(4):
        rig.period((0.045, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    assert "joint states frozen" in rig.gate.state().latches
    assert rig.gate.clear("joint states frozen") == "" and rig.gate.arm(BOOT) == "", "it rests, so it may try again"


def live_period(rig: Rig, values: tuple[float, ...], **changes: object) -> list[np.ndarray]:
    """A period with a joint state a tick; return its setpoints."""
    tick = rig.gate.begin_period(rig.clock.t_ns)
    rig.gate.judge(rig.proposal(values, tick.step, **changes))
    path = []
    for _ in range(20):
        path.append(rig.gate.setpoint(TICK_S))
        rig.clock.advance(TICK_S)
        rig.sense()
    rig.gate.end_period()
    return path


@pytest.mark.parametrize("far_m", [0.03, 0.045])
def test_setpoint_returns_smoothly_to_where_frozen_joints_were_and_never_leaps(
    kinematics: Kinematics, far_m: float
) -> None:
    rig = Rig(gate_params("real"), kinematics).armed()
    rig.stuck_at = rig.q.copy()
    path = [rig.q] * 4
    for _ in range(5):
        path += live_period(rig, (far_m, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    assert rig.gate.state().latches == (FROZEN,)
    assert np.max(np.abs(np.array(path) - rig.stuck_at)) > 0.05 and path[-1] == pytest.approx(rig.stuck_at)
    robot = rig.params.robot
    bounds = (robot.joint_velocity_rad_s, robot.joint_acceleration_rad_s2, robot.joint_jerk_rad_s3)
    assert_kept(TICK_S * np.arange(len(path)), np.array(path)[:, :6], tuple(np.array(b) for b in bounds))


def test_setpoint_does_not_leap_after_a_stop_while_the_arm_is_blocked(rig: Rig) -> None:
    rig.armed()
    rig.stuck_at = rig.q.copy()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    rig.gate.judge(rig.proposal((0.045, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), tick.step))
    path = [rig.gate.setpoint(TICK_S) for _ in range(18)]
    rig.gate.stop("by the test")
    for _ in range(30):
        rig.clock.advance(TICK_S)
        rig.sense()
        path.append(rig.gate.setpoint(TICK_S))
    assert np.max(np.abs(np.diff(path, axis=0))) < np.max(rig.params.robot.joint_velocity_rad_s) * TICK_S
    rig.gate.clear("stop requested")
    rig.sense()
    assert rig.gate.setpoint(TICK_S) == pytest.approx(rig.stuck_at)


def test_arm_that_rests_is_not_called_frozen(rig: Rig) -> None:
    rig.armed()
    for _ in range(10):
        rig.period(STILL)
    for _ in range(3):
        assert rig.period((0.045, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)).mode is Mode.RUN


def test_arm_that_stood_still_can_be_armed_again_once_nothing_blocks_it(rig: Rig) -> None:
    rig.armed()
    rig.stuck_at = rig.q.copy()
    for _ in range(4):
        rig.period((0.045, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    rig.alive()
    assert rig.gate.clear("joint states frozen") == "" and rig.gate.arm(BOOT) == ""


def test_arm_holds_where_it_is_when_it_is_told_on_and_on_but_blocked(rig: Rig) -> None:
    rig.armed()
    for _ in range(2):
        rig.period((0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    wall = rig.q.copy()
    creep = np.array([0.003, 0, 0, 0, 0, 0, 0])
    held = []
    for i in range(6):
        rig.stuck_at = wall + i * creep  # a blocked arm is never quite still, so its joints are not called frozen
        held += [rig.period((0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))]
    assert any("tracking lost" in d.limited_by or "tracking lost" in d.refused for d in held)
    rig.stuck_at = None
    rig.q = wall
    rig.sense()
    assert any(rig.period(STILL).mode is not Mode.HOLD for _ in range(6)), "it goes on by itself once it is free"


TWISTED_RAD = (-0.158, -0.092, 1.062, -2.338, 1.199, 0.377)
"""Joints from which the straight way home leaves the cone of orientations."""


def lifted_home(rig: Rig, told: tuple[float, ...] = STILL) -> np.ndarray:
    """Twist the arm, arm it, tell it something, and put it home by hand, until the gate stops; return home."""
    home = rig.q.copy()
    rig.q = np.array([*TWISTED_RAD, 1.0])
    rig.alive()
    rig.armed()
    for _ in range(3):
        rig.period(told)
    rig.stuck_at = home
    rig.alive()
    return home


def test_arm_lifted_home_from_where_the_setpoint_has_no_way_is_cleared_by_a_person(rig: Rig) -> None:
    home = lifted_home(rig)
    for _ in range(100):
        away = rig.gate.setpoint(TICK_S)
    assert rig.gate.state().latches == (LOST,) and np.abs(away - home).max() > 2.0, "by itself it never goes there"
    assert rig.gate.clear(LOST) == ""
    assert rig.gate.setpoint(TICK_S) == pytest.approx(home, abs=1e-9)
    rig.alive()
    rig.gate.on_supervisor()
    assert rig.gate.arm(BOOT) == ""


def test_hand_that_was_told_to_shut_goes_on_so_when_the_arm_was_lifted_home(rig: Rig) -> None:
    home = lifted_home(rig, (*STILL[:-1], 0.0))
    for _ in range(100):
        told = rig.gate.setpoint(TICK_S)
    assert told[-1] < 0.5 < home[-1], "a person opened it"
    assert rig.gate.clear(LOST) == ""
    assert rig.gate.setpoint(TICK_S) == pytest.approx([*home[:-1], told[-1]], abs=1e-9), "as the controller holds it"


def test_setpoint_meets_no_arm_that_is_not_heard(rig: Rig) -> None:
    home = lifted_home(rig)
    assert rig.gate.state().latches == (LOST,)
    rig.clock.advance(1.0)
    assert rig.gate.clear(LOST) == f"{LOST}: still so"
    assert np.abs(rig.gate.setpoint(TICK_S) - home).max() > 2.0


def test_setpoint_starts_at_the_arm_when_another_controller_has_it(rig: Rig) -> None:
    rig.armed()
    rig.period(FORWARD)
    rig.gate.on_controller(replace(Controller.enforcing(rig.params.robot, 0.1), boot_id=2))
    rig.q = rig.q + np.array([0.3, 0, 0, 0, 0, 0, 0])
    rig.sense()
    assert rig.gate.setpoint(TICK_S) == pytest.approx(rig.q, abs=1e-9)


def test_pushing_on_the_workspace_holds_until_a_proposal_leads_inside(rig: Rig) -> None:
    rig.armed()
    pushes = [rig.period(OUT) for _ in range(16)]
    assert any("workspace" in d.limited_by for d in pushes)
    assert pushes[-1].mode is Mode.HOLD and WALL in reasons(rig) and "left the workspace" in pushes[-1].refused
    inside = rig.period(UP)
    assert inside.mode is Mode.RUN and not inside.refused


def test_missed_proposals_slow_then_hold_then_let_go(rig: Rig) -> None:
    rig.armed()
    for _ in range(5):
        rig.period(STILL)
    rig.period(NAN)
    assert rig.period(FORWARD).mode is Mode.SLOW
    rig.period(NAN)
    held = rig.period(FORWARD)
    assert held.mode is Mode.HOLD and "sound proposal in every period" in held.refused and UNSTEADY in reasons(rig)
    for _ in range(12):
        last = rig.period(STILL)
    assert last.mode is Mode.RUN


def test_slow_leaves_a_quarter_of_the_speed(rig: Rig) -> None:
    rig.armed()
    rig.period(NAN)
    before = rig.tool()[0]
    decision = rig.period((0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    assert decision.mode is Mode.SLOW and "slow" in decision.limited_by
    farthest = 0.25 * rig.params.safety.max_linear_m_s * rig.gate.spec.period_s
    assert 0.5 * farthest < np.linalg.norm(rig.tool()[0] - before) <= farthest + 1e-4


# -- near the arm's own limits (F14) ---------------------------------------------------------


def narrow_wrist() -> Rig:
    """The shipped robot with a wrist that turns little, so that its limit lies inside the cone of orientations."""
    params = gate_params()
    high = (*params.robot.joint_upper_rad[:-1], 0.8)
    params = replace(params, robot=replace(params.robot, joint_upper_rad=high))
    return Rig(params, Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad))


def drive(rig: Rig, values: tuple[float, ...], periods: int) -> list:
    return [rig.period(values) for _ in range(periods)]


def test_arm_slows_and_is_never_trapped_when_it_is_driven_into_a_joint_limit() -> None:
    rig = narrow_wrist().armed()
    goal = [*rig.params.robot.home_rad[:-1], 3.5, 1.0]
    into = [rig.period(goal, kind=Kind.JOINT_TARGET) for _ in range(40)]
    assert into[0].mode is Mode.RUN and any(d.mode is Mode.SLOW for d in into)
    low = np.array(rig.params.robot.joint_lower_rad) + rig.params.safety.joint_margin_rad
    high = np.array(rig.params.robot.joint_upper_rad) - rig.params.safety.joint_margin_rad
    q = np.array(rig.setpoints)[:, :-1]
    assert np.all(q >= low - 1e-6) and np.all(q <= high + 1e-6)
    here = rig.q.copy()
    back = [rig.period([*rig.params.robot.home_rad, 1.0], kind=Kind.JOINT_TARGET) for _ in range(8)]
    assert not any(d.refused for d in back) and np.max(np.abs(rig.q - here)) > 0.1


def test_target_beyond_the_singular_bound_is_held_and_the_way_back_is_free(kinematics: Kinematics) -> None:
    rig = Rig(gate_params(condition_slow=2.5, condition_hold=3.0), kinematics).armed()
    start = kinematics.condition(rig.q[:-1])
    decisions = drive(rig, (0.03, 0.0, 0.03, 0.0, -0.1, 0.0, 1.0), 12)
    assert any(SINGULAR in d.refused or "condition number" in d.refused for d in decisions), start
    assert decisions[-1].mode >= Mode.HOLD
    back = drive(rig, (-0.03, 0.0, -0.03, 0.0, 0.1, 0.0, 1.0), 4)
    assert any(not d.refused for d in back)


def comes_home(rig: Rig, q_rad: tuple[float, ...], periods: int) -> bool:
    """Put the resting arm at a place by hand, and send it home as motion does."""
    home = np.array([*rig.params.robot.home_rad, 1.0])
    rig.q = np.array([*q_rad, 1.0])
    rig.alive()
    rig.armed("motion", "")
    for _ in range(periods):
        rig.period(home, source="motion", kind=Kind.JOINT_TARGET, episode_id="", observation_stamp_ns=0)
    return rig.q == pytest.approx(home, abs=1e-4)


@pytest.mark.parametrize(("wrist_rad", "elbow_rad"), [(-0.3, 0.5), (-0.3, 1.5), (-0.8, 1.5)])
def test_arm_beyond_a_singularity_comes_home(rig: Rig, wrist_rad: float, elbow_rad: float) -> None:
    assert comes_home(rig, (0.0, -0.385, elbow_rad, 0.0, wrist_rad, 0.0), 25)


EDGES = [
    (0.28, -0.33, 0.55, 2.5, 0.59, -1.96),
    (-0.56, 0.13, 1.24, -2.89, 1.55, 2.95),
    (0.85, 0.36, 0.97, 2.53, 1.27, -2.17),
    (-0.51, 0.62, -0.3, -2.93, 0.58, 2.33),
]
"""Where random walks ended: the straight way home in joints leaves the workspace at once."""


@pytest.mark.parametrize("q_rad", EDGES)
def test_arm_comes_home_when_the_straight_way_in_joints_leaves_the_workspace(rig: Rig, q_rad: tuple) -> None:
    assert comes_home(rig, q_rad, 15)
    out = [limits.outside(rig.kinematics.tool_pose(q[:-1])[0], *box(rig)) for q in rig.setpoints]
    assert max(out) <= rig.params.safety.workspace_slack_m + 1e-4


def box(rig: Rig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return rig.params.safety.workspace_low_m, rig.params.safety.workspace_high_m


def test_ticks_go_on_when_the_gate_holds(rig: Rig) -> None:
    assert np.isfinite(rig.gate.setpoint(TICK_S)).all()


def test_camera_that_must_be_in_its_place_is_waited_for_and_stops_the_arm_when_moved(kinematics: Kinematics) -> None:
    rig = Rig(replace(gate_params(), checked_cameras=("front",)), kinematics)
    assert f"{MOVED} (front: not looked at yet)" in rig.gate.arm(BOOT)
    rig.gate.on_cameras({"back": "moved"})
    assert MOVED in rig.gate.arm(BOOT)
    rig.gate.on_cameras({"front": ""})
    rig.armed()
    rig.gate.on_cameras({"front": "it was moved by 8 px"})
    assert rig.gate.state().mode is Mode.STOP and MOVED in rig.gate.state().latches
    assert rig.gate.clear(MOVED) == f"{MOVED}: still so"
    rig.gate.on_cameras({"front": ""})
    assert rig.gate.clear(MOVED) == "" and rig.gate.arm(BOOT) == ""
