"""The gate as a whole, stepped by hand: what passes, what is refused, what never happens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gate_rig import BOOT, TICK_S, Rig, gate_params
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.contract import Kind, ManualClock, Mode
from armtune_safety import limits, rotations
from armtune_safety.controller import Controller
from armtune_safety.gate import Gate
from armtune_safety.kinematics import Kinematics

FORWARD = (0.02, 0.01, -0.01, 0.05, 0.0, 0.1, 0.5)
STILL = (0.0,) * 6 + (1.0,)


def moved(rig: Rig) -> float:
    """The largest change of any joint or the gripper over the setpoints so far."""
    return float(np.max(np.ptp(np.array(rig.setpoints), axis=0)))


# -- arming ------------------------------------------------------------------------------


def test_nothing_moves_when_the_gate_is_not_armed(rig: Rig) -> None:
    assert rig.gate.acquire("policy", "e", 1.0)[0] == 0
    decision = rig.period(FORWARD)
    assert moved(rig) == 0.0 and "STOP" in decision.refused and decision.mode is Mode.STOP


def test_arming_is_refused_when_the_boot_id_is_of_another_life(rig: Rig) -> None:
    assert "restarted" in rig.gate.arm(BOOT + 1) and not rig.gate.state().armed


def test_arming_is_refused_when_joint_states_are_stale(rig: Rig) -> None:
    rig.clock.advance(0.2)
    assert "joint states stale" in rig.gate.arm(BOOT)


def test_setpoint_starts_at_the_arm_when_it_was_moved_by_hand(rig: Rig) -> None:
    rig.q = rig.q + np.array([0.3, 0, 0, 0, 0, 0, 0])
    rig.sense()
    assert rig.gate.setpoint(TICK_S) == pytest.approx(rig.q)


# -- what passes ---------------------------------------------------------------------------


def test_proposal_passes_unchanged_when_it_is_inside_all_limits(rig: Rig) -> None:
    rig.armed()
    before = rig.tool()
    decision = rig.period(FORWARD)
    assert decision.allowed == decision.proposed == FORWARD
    assert (decision.limited_by, decision.refused, decision.mode) == ((), "", Mode.RUN)
    p, r = rig.tool()
    assert p - before[0] == pytest.approx(FORWARD[:3], abs=1e-3)
    assert rotations.log(r @ before[1].T) == pytest.approx(FORWARD[3:6], abs=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 6, st.floats(0, 1)), min_size=1, max_size=6))
def test_small_clean_steps_near_home_pass_unchanged(kinematics: Kinematics, units: list[tuple[float, ...]]) -> None:
    rig = Rig(gate_params(), kinematics).armed()
    for unit in units:
        values = (*(0.008 * u for u in unit[:3]), *(0.03 * u for u in unit[3:6]), unit[6])
        decision = rig.period(values)
        assert decision.allowed == values and not decision.limited_by


@pytest.mark.parametrize("axis", range(6))
def test_full_step_along_one_axis_passes_unchanged(rig: Rig, axis: int) -> None:
    rig.armed()
    values = [0.0] * 6 + [1.0]
    values[axis] = rig.gate.spec.high[axis]
    assert rig.period(values).allowed == tuple(values)


@pytest.mark.fault("L3")
def test_proposal_is_shrunk_and_says_why_when_it_is_too_large(rig: Rig) -> None:
    rig.armed()
    decision = rig.period((0.5, 0, 0, 0, 0, 0, 2.0))
    assert decision.limited_by == ("action bounds", "gripper range")
    assert decision.allowed == pytest.approx((0.05, 0, 0, 0, 0, 0, 1.0), abs=1e-9)


def test_tool_slides_along_the_wall_of_the_workspace(rig: Rig) -> None:
    rig.armed()
    for _ in range(6):
        decision = rig.period((-0.04, 0.02, 0, 0, 0, 0, 1))
    assert "workspace" in decision.limited_by
    assert decision.allowed[:2] == pytest.approx((0.0, 0.02), abs=1e-9)
    assert rig.period((0.04, 0, 0, 0, 0, 0, 1)).limited_by == ()


def test_delta_starts_at_the_last_target_while_the_arm_follows(rig: Rig) -> None:
    rig.armed()
    start = rig.tool()[0]
    for _ in range(3):
        rig.period((0.02, 0, 0, 0, 0, 0, 1))
        rig.q[0] += 0.005  # a small droop, well within tracking
        rig.sense()
    rig.q[0] -= 0.005
    assert rig.tool()[0] - start == pytest.approx([0.06, 0, 0], abs=1e-3)


def test_delta_starts_at_the_measured_pose_when_tracking_is_poor(rig: Rig) -> None:
    rig.armed()
    rig.period((0.02, 0, 0, 0, 0, 0, 1))
    rig.q[0] += 0.1
    rig.sense()
    measured = rig.tool()[0]
    rig.period(STILL)
    assert rig.tool()[0] == pytest.approx(measured, abs=1e-3)


def test_joint_target_goes_home_under_the_same_limits(rig: Rig) -> None:
    rig.armed("policy")
    for _ in range(4):
        rig.period((0.03, 0.05, 0.01, 0, 0, 0.2, 0))
    rig.gate.release(rig.lease)
    rig.lease, _ = rig.gate.acquire("motion", "", 5.0)
    home = (*rig.params.robot.home_rad, 1.0)
    for _ in range(20):
        decision = rig.period(home, source="motion", kind=Kind.JOINT_TARGET, episode_id="", observation_stamp_ns=0)
        assert decision.source == "motion" and len(decision.allowed) == 7
        assert np.linalg.norm(decision.allowed[:3]) <= rig.params.safety.max_linear_m_s * 0.2 + 1e-6
    assert rig.q == pytest.approx(home, abs=1e-4)


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_frame_is_refused_whole_when_one_number_is_none(rig: Rig, bad: float, place: int) -> None:
    rig.armed()
    values = list(FORWARD)
    values[place] = bad
    decision = rig.period(values)
    assert moved(rig) == 0.0 and decision.proposed == () and "finite" in decision.refused
    assert decision.allowed == pytest.approx(STILL)
    assert rig.gate.state().refusals == {"policy:unreadable": 1}


WRONG = [
    ({"values": (0.0,) * 6}, "unreadable"),
    ({"kind": Kind.JOINT_TARGET, "values": (0.0,) * 6}, "unreadable"),
    ({"spec_digest": "0" * 16}, "other spec"),
    ({"lease": 12345}, "not now"),
    ({"source": "teleop"}, "not now"),
    ({"episode_id": "run-00009"}, "not now"),
    ({"step": 7}, "not now"),
    ({"seq": -1}, "sequence"),
    ({"observation_stamp_ns": 10**9 + 60_000_000}, "stamp"),
    ({"observation_stamp_ns": 10**9 - 600_000_000}, "stamp"),
    ({"observation_stamp_ns": 0}, "stamp"),
]


@pytest.mark.parametrize(("changes", "name"), WRONG, ids=[f"{n}-{next(iter(c))}" for c, n in WRONG])
def test_proposal_is_refused_and_counted_when_part_of_it_is_wrong(rig: Rig, changes: dict, name: str) -> None:
    rig.armed()
    changes = dict(changes)
    decision = rig.period(changes.pop("values", FORWARD), **changes)
    assert moved(rig) == 0.0 and decision.source == "" and decision.refused
    assert [key.split(":")[1] for key in rig.gate.state().refusals] == [name]


def test_second_proposal_of_a_step_is_refused(rig: Rig) -> None:
    rig.armed()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    assert rig.gate.judge(rig.proposal(FORWARD, tick.step))
    assert not rig.gate.judge(rig.proposal(STILL, tick.step))
    assert rig.gate.end_period().allowed == FORWARD


def test_replayed_proposal_is_refused_in_a_later_step(rig: Rig) -> None:
    rig.armed()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    old = rig.proposal(FORWARD, tick.step)
    assert rig.gate.judge(old)
    rig.gate.end_period()
    rig.gate.begin_period(rig.clock.t_ns)
    assert not rig.gate.judge(old)


# -- holding and stopping --------------------------------------------------------------------


def test_arm_holds_when_no_proposal_comes(rig: Rig) -> None:
    rig.armed()
    rig.period(FORWARD)
    held = rig.q.copy()
    rig.period()
    decision = rig.period()
    assert decision.mode is Mode.HOLD and decision.allowed == pytest.approx((*STILL[:6], 0.5))
    assert rig.q[:6] == pytest.approx(held[:6], abs=1e-6)


def test_arm_goes_on_slowly_when_a_fresh_proposal_follows_a_stale_one(rig: Rig) -> None:
    rig.armed()
    rig.period(FORWARD)
    rig.period()
    decision = rig.period(FORWARD)
    assert not decision.refused and decision.mode is Mode.SLOW
    for _ in range(10):
        rig.period(STILL)
    assert rig.period(FORWARD).allowed == FORWARD


@pytest.mark.fault("F49")
def test_arm_slows_while_its_controller_says_a_strain_and_a_second_longer(rig: Rig) -> None:
    rig.armed()
    well = Controller.enforcing(rig.params.robot, 0.1)
    fast = (0.05, *FORWARD[1:])
    whole_m = rig.period(fast).allowed[0]
    rig.gate.on_controller(replace(well, warning="left_finger (id 9): 60 C"))
    warm = rig.period(fast)
    assert warm.mode is Mode.SLOW and not warm.refused and 0.0 < warm.allowed[0] < 0.5 * whole_m
    rig.gate.on_controller(well)
    assert rig.period(STILL).mode is Mode.SLOW, "not yet"
    for _ in range(6):
        rig.period(STILL)
    assert rig.gate.state().mode is Mode.RUN and rig.period(FORWARD).allowed == FORWARD


def test_stop_brakes_within_limits_and_says_what_was_really_commanded(rig: Rig) -> None:
    rig.armed()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    rig.gate.judge(rig.proposal((0.05, 0, 0, 0, 0, 0, 1), tick.step))
    path = [rig.gate.setpoint(TICK_S) for _ in range(6)]
    rig.gate.stop("test")
    path += [rig.gate.setpoint(TICK_S) for _ in range(20)]
    decision = rig.gate.end_period()
    rig.q = path[-1]
    assert 0.0 < decision.allowed[0] < 0.03 and "stop requested" in decision.limited_by
    acceleration = np.diff(path, 2, axis=0)[:, :6] / TICK_S**2
    assert np.all(np.abs(acceleration) <= np.array(rig.params.robot.joint_acceleration_rad_s2) + 1e-6)
    assert np.array_equal(path[-1], path[-2])


def test_stop_is_latched_ends_leases_and_needs_clear_and_arm(rig: Rig) -> None:
    rig.armed()
    rig.gate.stop("test")
    state = rig.gate.state()
    assert (state.armed, state.holder, state.latches, state.stop_reason) == (False, "", ("stop requested",), "test")
    assert rig.gate.arm(BOOT) == "cannot arm: stop requested; mend it, clear each latch by its name, then arm"
    assert rig.gate.clear("e-stop pressed").startswith("no latch")
    assert rig.gate.clear("stop requested") == "" and rig.gate.state().mode is Mode.STOP
    assert rig.gate.arm(BOOT) == ""


@pytest.mark.fault("F50")
def test_estop_cannot_be_cleared_while_it_is_pressed(rig: Rig) -> None:
    rig.armed()
    rig.gate.estop(True)
    assert rig.gate.clear("e-stop pressed") == "e-stop pressed: still so"
    rig.gate.estop(False)
    assert not rig.gate.state().armed and rig.gate.clear("e-stop pressed") == ""


def test_gate_stops_when_joint_states_fall_silent(rig: Rig) -> None:
    rig.armed()
    rig.clock.advance(0.11)
    assert rig.gate.state().latches == ("joint states stale",)
    rig.sense()
    assert rig.gate.state().mode is Mode.STOP


def silent_ticks(rig: Rig, most: int = 20) -> int:
    """How many ticks of 10 ms without joint states the gate lets pass before STOP."""
    for tick in range(most):
        if rig.gate.state().mode is Mode.STOP:
            return tick
        rig.clock.advance(TICK_S)
    return most


def test_own_sleep_is_not_held_against_the_joints_once(kinematics: Kinematics) -> None:
    rig = Rig(gate_params("real"), kinematics).armed()
    assert silent_ticks(rig) == 11
    rig = Rig(gate_params("real"), kinematics).armed()
    rig.clock.advance(0.35)
    assert silent_ticks(rig) == 11
    rig = Rig(gate_params("real"), kinematics).armed()
    rig.clock.advance(0.35)
    assert rig.gate.state().mode is not Mode.STOP
    rig.clock.advance(0.35)
    assert rig.gate.state().latches == ("joint states stale",)


def test_gate_stops_when_three_joint_states_are_unusable(rig: Rig) -> None:
    rig.armed()
    for _ in range(3):
        assert not rig.gate.on_joints(rig.names, [math.nan] * 7, rig.clock.t_ns)
    assert "joint states unusable" in rig.gate.state().latches


def test_arm_gives_way_then_stops_when_it_is_blocked(rig: Rig) -> None:
    rig.armed()
    rig.period(FORWARD)
    rig.q[0] += 0.5
    for _ in range(8):
        rig.clock.advance(0.08)
        rig.sense()
        told = rig.gate.setpoint(TICK_S)
    assert rig.gate.state().mode in (Mode.HOLD, Mode.STOP)
    assert abs(told[0] - rig.q[0]) < 0.5


def test_gate_stops_when_a_barrier_stays_open_on_the_wall(rig: Rig) -> None:
    rig.armed()
    rig.gate.begin_period(rig.clock.t_ns)
    rig.wall.advance(4.9)
    assert rig.gate.state().latches == ()
    rig.wall.advance(0.2)
    assert rig.gate.state().latches == ("lockstep barrier",)


def test_gate_holds_while_two_publish_on_one_topic(rig: Rig) -> None:
    rig.armed()
    rig.gate.doubled(1)
    assert "two publishers" in rig.period(FORWARD).refused and moved(rig) == 0.0
    rig.gate.doubled(0)
    assert rig.period(FORWARD).allowed == FORWARD


# -- anything at all ---------------------------------------------------------------------------

anything = st.one_of(
    st.floats(-0.1, 0.1), st.floats(-4, 4), st.floats(allow_nan=True, allow_infinity=True), st.just(5e-324)
)
frames = st.one_of(
    st.tuples(*[anything] * 7),
    st.tuples(*[st.sampled_from([-0.05, 0.05])] * 3, *[st.sampled_from([-0.25, 0.0, 0.25])] * 3, st.floats(0, 1)),
    st.none(),
)
acts = st.sampled_from(["", "", "", "", "stop", "hold", "free", "takeover", "jam", "joints"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(acts, frames), min_size=1, max_size=25), st.integers(0, 2**32))
def test_no_bound_is_exceeded_whatever_comes(kinematics: Kinematics, story: list, seed: int) -> None:
    rig = Rig(gate_params(), kinematics).armed()
    rng = np.random.default_rng(seed)
    for act, frame in story:
        play(rig, act, rng)
        decision = rig.period(frame)
        assert len(decision.allowed) == 7 and all(math.isfinite(v) for v in decision.allowed)
    check(rig)


def play(rig: Rig, act: str, rng: np.random.Generator) -> None:
    """One adversary's move between two periods."""
    if act == "stop":
        rig.gate.stop("story")
        if rng.random() < 0.7:
            rig.gate.clear("stop requested")
            rig.alive()
            rig.armed()
    elif act == "takeover":
        lease, _ = rig.gate.acquire("teleop", "", 0.5)
        rig.gate.release(lease)
        rig.lease, _ = rig.gate.acquire("policy", "run-00000", 5.0)
    elif act == "jam":
        rig.q = rig.q + rng.uniform(-0.05, 0.05, 7)
        rig.sense()
    elif act == "joints":
        rig.gate.on_joints(rig.names, [math.nan] * 7, rig.clock.t_ns)
    elif act:
        rig.gate.hold(act == "hold")


def check(rig: Rig) -> None:
    """The oracle: every setpoint finite and inside each bound, the slack included."""
    robot, safety, path = rig.params.robot, rig.params.safety, np.array(rig.setpoints)
    assert np.all(np.isfinite(path))
    assert np.all(path[:, :6] >= robot.joint_lower_rad) and np.all(path[:, :6] <= robot.joint_upper_rad)
    assert np.all((path[:, 6] >= -1e-9) & (path[:, 6] <= 1.0 + 1e-9))
    speed = np.diff(path, axis=0)[:, :6] / TICK_S
    assert np.all(np.abs(speed) <= np.array(robot.joint_velocity_rad_s) + 1e-6)
    assert np.all(np.abs(np.diff(speed, axis=0)) / TICK_S <= np.array(robot.joint_acceleration_rad_s2) + 1e-4)
    centre = rotations.exp(safety.tool_reference_rad)
    for q in path[:, :6]:
        p, r = rig.kinematics.tool_pose(q)
        assert limits.outside(p, safety.workspace_low_m, safety.workspace_high_m) <= safety.workspace_slack_m + 0.002
        assert rotations.angle_rad(centre, r) <= safety.tool_max_angle_rad + safety.workspace_slack_rad + 0.01


@pytest.mark.fault("F50")
def test_silence_of_an_estop_line_is_the_same_as_pressed(kinematics: Kinematics) -> None:
    rig = Rig(gate_params(estop_line=True), kinematics)
    assert "e-stop pressed" in rig.gate.arm(BOOT)  # a line that was never heard
    rig.gate.estop(False)
    rig.armed()
    rig.wall.advance(0.2)
    rig.gate.estop(False)
    rig.wall.advance(0.2)
    assert rig.gate.state().mode < Mode.STOP
    rig.wall.advance(0.06)
    assert "e-stop pressed" in rig.gate.state().latches and not rig.gate.state().armed
    assert rig.gate.clear("e-stop pressed") == "e-stop pressed: still so"
    rig.gate.estop(False)
    assert not rig.gate.state().armed and rig.gate.clear("e-stop pressed") == ""


@pytest.mark.fault("F50")
@pytest.mark.parametrize("pressed_first", [False, True])
def test_line_that_was_heard_once_must_go_on_being_heard(kinematics: Kinematics, pressed_first: bool) -> None:
    rig = Rig(gate_params(estop_line=False), kinematics).armed()
    rig.wall.advance(0.3)
    assert rig.gate.state().mode < Mode.STOP, "no line, no silence"
    if pressed_first:
        rig.gate.estop(True)
    rig.gate.estop(False)
    rig.gate.clear("e-stop pressed")
    assert rig.gate.arm(BOOT) == ""
    rig.wall.advance(0.25)
    assert rig.gate.state().armed
    rig.wall.advance(0.01)
    assert "e-stop pressed" in rig.gate.state().latches and not rig.gate.state().armed
    assert rig.gate.clear("e-stop pressed") == "e-stop pressed: still so"
    rig.wall.set_ns(0)
    assert rig.gate.clear("e-stop pressed") == "e-stop pressed: still so", "a clock that went back is no word"


@pytest.mark.fault("F39")
def test_gate_is_unfit_until_somebody_has_looked_at_the_machine(kinematics: Kinematics) -> None:
    gate = Gate(gate_params(), kinematics, BOOT, ManualClock(10**9), ManualClock(0))
    gate.on_supervisor()
    assert "machine not fit (machine: not looked at yet)" in gate.arm(BOOT)
    gate.on_health({})
    assert "machine not fit" not in gate.arm(BOOT)


@pytest.mark.fault("F39")
def test_arming_is_refused_and_motion_goes_on_while_the_machine_is_not_fit(kinematics: Kinematics) -> None:
    rig = Rig(gate_params(), kinematics).armed()
    rig.gate.on_health({"clock of policy_node": "+300 ms off ours"})
    assert rig.gate.state().armed and rig.gate.state().mode < Mode.STOP
    rig.gate.stop("by hand")
    assert rig.gate.clear("stop requested") == ""
    assert "machine not fit (clock of policy_node: +300 ms off ours)" in rig.gate.arm(BOOT)
    rig.gate.on_health({})
    assert rig.gate.arm(BOOT) == ""
