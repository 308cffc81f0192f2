"""The oracle finds what was planted in a clean log, by name, and nothing in a clean one."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "safety"))

from gate_rig import TICK_S
from streams import Witness, tools

from armtune_sim.motion_log import HOLD, RESET, SETPOINT, MotionLog, read
from armtune_sim.oracle import Event, Oracle

KINEMATICS, ORACLE, PARAMS = tools()
TICK_NS = 10_000_000
Clean = tuple[MotionLog, tuple[Event, ...]]


@cache
def clean() -> Clean:
    """Armed, three periods of motion, a stop in the middle of a fourth, half a second of rest."""
    witness = Witness("lockstep", KINEMATICS)
    for _ in range(10):
        tick(witness)
    witness.armed()
    witness.note("armed")
    for values in ((0.03, 0.02, 0.01, 0.1, 0, 0.1, 0.2), (0.02, -0.04, 0.01, 0, 0.1, 0, 0.9), (0, 0.03, 0, 0, 0, 0, 1)):
        period(witness, values, 20)
    period(witness, (0.05, 0, 0, 0, 0, 0, 0), 9)
    witness.gate.stop("test")
    witness.note("stop")
    for _ in range(50):
        tick(witness)
    return witness.log(), tuple(witness.events)


def tick(witness: Witness) -> None:
    witness.clock.advance(TICK_S)
    witness.sense()
    witness.emit(TICK_S, witness.clock.t_ns)


def period(witness: Witness, values: tuple[float, ...], ticks: int) -> None:
    begun = witness.gate.begin_period(witness.clock.t_ns)
    assert witness.gate.judge(witness.proposal(values, begun.step))
    for _ in range(ticks):
        tick(witness)
    witness.gate.end_period()


def rules(log: MotionLog, events: tuple[Event, ...], oracle: Oracle = ORACLE) -> set[str]:
    return {violation.rule for violation in oracle.judge(log, events)}


def changed(log: MotionLog, row: int, joint: int, by: float, bump: np.ndarray | None = None) -> MotionLog:
    """Displace one joint from ``row`` on, by a step or by a bump that begins there; the arm follows perfectly."""
    q = log.setpoint.copy()
    if bump is None:
        q[row:, joint] += by
    else:
        end = min(row + len(bump), len(q))
        q[row:end, joint] += by * bump[: end - row]
    return replace(log, setpoint=q, measured=q.copy())


def smooth(ticks: int) -> np.ndarray:
    """Up to 1 and back to 0, without a jerk to speak of."""
    return np.sin(np.linspace(0, np.pi, ticks)) ** 4


def stretched(times: float) -> Clean:
    """The clean story without its stop, on a clock that runs ``times`` slower: the same way, less speed."""
    log, events = clean()[0], clean()[1][:1]
    first, last = int(log.t_ns[0]), int(log.t_ns[-1])
    t_ns = np.arange(first, first + round((last - first) * times), TICK_NS)
    at_ns = first + (t_ns - first) / times
    q = np.stack([np.interp(at_ns, log.t_ns, column) for column in log.setpoint.T], axis=1)
    return MotionLog.of(t_ns, q, q), tuple(replace(e, t_ns=first + round((e.t_ns - first) * times)) for e in events)


# -- nothing to find -------------------------------------------------------------------------


def test_nothing_is_found_when_the_log_is_clean() -> None:
    log, events = clean()
    assert ORACLE.judge(log, events) == [] and ORACLE.sound(log) == []
    assert np.max(np.ptp(log.setpoint, axis=0)) > 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_found_when_a_controller_samples_a_clean_motion_at_its_own_ticks(seed: int) -> None:
    log, events = clean()
    rng, jittery = np.random.default_rng(seed), Oracle(PARAMS.robot, PARAMS.safety, KINEMATICS, jitter_s=0.02)
    ticks = log.t_ns[0] + np.arange(1, len(log.t_ns)) * TICK_NS
    late = rng.uniform(0.0, 0.009, len(log.t_ns)) * 1e9  # on the way, and in the queue
    newest = np.searchsorted(log.t_ns + late, ticks, side="right") - 1
    seen = MotionLog.of(ticks, log.setpoint[newest], log.measured[newest])
    later = tuple(replace(e, t_ns=e.t_ns + 20_000_000) if e.kind == "stop" else e for e in events)
    assert jittery.judge(seen, later) == []


def caught_up(log: MotionLog, rng: np.random.Generator) -> MotionLog:
    """The same ticks done by a controller that oversleeps now and then: late ones at once, with the newest setpoint."""
    due = log.t_ns[0] + np.arange(1, len(log.t_ns)) * TICK_NS
    late = np.where(rng.random(len(due)) < 0.2, rng.uniform(0.01, 0.025, len(due)), 0.0) * 1e9
    done = np.maximum.accumulate(due + late.astype(np.int64)) + np.arange(len(due)) * 100_000
    newest = np.searchsorted(log.t_ns, done, side="right") - 1
    return MotionLog.of(done, log.setpoint[newest], log.measured[newest])


BLURRED = Oracle(PARAMS.robot, PARAMS.safety, KINEMATICS, jitter_s=0.03)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_found_when_a_controller_catches_up_on_late_ticks(seed: int) -> None:
    log, events = clean()
    seen = caught_up(log, np.random.default_rng(seed))
    assert BLURRED.judge(seen, events) == []


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.floats(3.0, 6.0))
def test_speeding_up_is_found_when_it_follows_a_stop_and_ticks_came_late(seed: int, times: float) -> None:
    log, events = clean()
    at = int(np.searchsorted(log.t_ns, events[-1].t_ns))
    q = log.setpoint.copy()
    q[at + 1 :, 0] = q[at, 0] + times * TICK_S * np.minimum(np.arange(1, len(q) - at), 20)
    seen = caught_up(replace(log, setpoint=q), np.random.default_rng(seed))
    assert "faster after a stop" in rules(seen, events, BLURRED)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_braking_alone_is_allowed_when_the_log_begins_with_the_stop(seed: int) -> None:
    log, events = clean()
    seen = caught_up(log, np.random.default_rng(seed))
    seen = seen.between(events[-1].t_ns, 2**63 - 1)
    stop = (Event(int(seen.t_ns[0]), "stop"),)
    assert BLURRED.judge(seen, stop) == []
    assert rules(seen, (), BLURRED) == {"moved before arming"}
    onward = seen.setpoint + np.linspace(0.0, 1.0, len(seen.t_ns))[:, None] * np.eye(7)[0]
    assert rules(replace(seen, setpoint=onward), stop, BLURRED) & {"moved after a stop", "faster after a stop"}


def test_nothing_is_found_when_a_resting_setpoint_is_put_where_the_arm_was_moved() -> None:
    log, _ = clean()
    q, m = np.repeat(log.setpoint[:1], 20, axis=0), np.repeat(log.measured[:1], 20, axis=0)
    q[10:, 0] += 0.2
    m[9:, 0] += 0.2
    assert rules(MotionLog.of(log.t_ns[:20], q, m), ()) == set()


def test_nothing_is_found_when_a_setpoint_is_put_where_a_disturbed_arm_was_a_moment_ago() -> None:
    log, _ = clean()
    q, m = np.repeat(log.setpoint[:1], 40, axis=0), np.repeat(log.measured[:1], 40, axis=0)
    m[10:30, :6] += np.linspace(0.02, 0.0, 20)[:, None]
    q[24:] = m[15]
    still = MotionLog.of(log.t_ns[:40], q, m)
    assert rules(still, (), BLURRED) == set()
    q[24:, 3] += 0.0005  # near it is not there
    assert rules(replace(still, setpoint=q), (), BLURRED) == {"moved before arming"}


def test_a_jump_to_where_the_arm_is_is_found_when_the_setpoint_was_moving() -> None:
    log, events = clean()
    at = int(np.argmax(np.max(np.abs(np.diff(log.setpoint, axis=0))[:, :6], axis=1)))
    assert "joint jerk" in rules(changed(log, at + 1, 0, 0.2), events)


@pytest.mark.parametrize("source", [HOLD, RESET])
def test_nothing_is_found_when_the_controller_itself_holds_or_the_scene_starts_anew(source: str) -> None:
    log, events = clean()
    moved = changed(log, 60, 0, 0.1)
    sources = log.source.copy().astype("<U8")
    sources[60:] = source
    assert rules(replace(moved, source=sources), events) == set()


# -- what was planted --------------------------------------------------------------------------

row = st.integers(25, 60)
joint = st.integers(0, 5)


@settings(max_examples=40, deadline=None)
@given(row, st.integers(0, 6), st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans())
def test_not_finite_is_found_when_any_number_is_none(at: int, column: int, bad: float, told: bool) -> None:
    log, events = clean()
    q = (log.setpoint if told else log.measured).copy()
    q[at, column] = bad
    assert rules(replace(log, **{"setpoint" if told else "measured": q}), events) == {"not finite"}


@settings(max_examples=20, deadline=None)
@given(row, st.integers(1, 10**9))
def test_time_is_found_when_it_goes_back(at: int, by_ns: int) -> None:
    log, events = clean()
    t_ns = log.t_ns.copy()
    t_ns[at] = t_ns[at - 1] - by_ns
    assert rules(replace(log, t_ns=t_ns), events) == {"time goes back"}


@settings(max_examples=40, deadline=None)
@given(row, st.integers(0, 6), st.sampled_from([-1, 1]), st.floats(0.03, 0.5))
def test_speed_and_acceleration_are_found_when_the_setpoint_jumps(at: int, column: int, sign: int, by: float) -> None:
    log, events = clean()
    found = rules(changed(log, at, column, sign * (0.05 + by)), events)
    assert "joint acceleration" in found
    assert "joint speed" in found or column < 6 or by < 0.1, "a gripper may close as fast as that, on its way"
    allowed = {
        "joint jerk",
        "joint speed",
        "joint acceleration",
        "joint limits",
        "tool speed",
        "turn speed",
        "workspace",
    }
    assert found <= allowed | {"tool orientation"}


@settings(max_examples=40, deadline=None)
@given(row, st.integers(0, 6), st.floats(1.05, 3.0))
def test_acceleration_alone_is_found_when_one_step_is_a_little_off(at: int, column: int, times: float) -> None:
    log, events = clean()
    limit = [*PARAMS.robot.joint_acceleration_rad_s2, 80.0][column]
    plain = np.diff(log.setpoint[at - 1 : at + 2, column], 2)[0] / TICK_S**2
    off = changed(log, at + 1, column, (math.copysign(times * limit, plain) - plain) * TICK_S**2)
    off = replace(off, setpoint=off.setpoint.copy())
    assert "joint acceleration" in rules(off, events)
    assert rules(off, events) <= {"joint acceleration", "joint limits", "joint speed", "joint jerk"}


@settings(max_examples=20, deadline=None)
@given(st.floats(1.02, 3.0))
def test_speed_alone_is_found_when_the_gripper_is_faster_than_its_limit(times: float) -> None:
    limit, log = PARAMS.robot.gripper_velocity_1_s, clean()[0]
    slow = replace(PARAMS.robot, gripper_velocity_1_s=limit / 4)
    u = times * limit / 4 * (1 - np.cos(np.minimum(np.arange(200) / 50, 1) * np.pi)) / 2
    q = np.repeat(log.setpoint[:1], 200, axis=0)
    q[:, 6] = np.minimum(np.cumsum(u) * TICK_S, 1.0)
    way = np.flatnonzero(q[:, 6] < 0.9)
    found = rules(
        MotionLog.of(np.arange(len(way)) * TICK_NS, q[way], q[way]),
        (Event(-1, "armed"),),
        Oracle(slow, PARAMS.safety, KINEMATICS),
    )
    assert found == {"joint speed"}


@settings(max_examples=30, deadline=None)
@given(joint, st.floats(0.1, 0.9))
def test_joint_limits_are_found_when_a_joint_is_beyond_its_margin(column: int, part: float) -> None:
    log, events = stretched(20.0)
    q, margin = log.setpoint[:, column], PARAMS.safety.joint_margin_rad
    up = bool(np.max(q) - q[0] > q[0] - np.min(q))
    name = "joint_upper_rad" if up else "joint_lower_rad"
    limits, home = list(getattr(PARAMS.robot, name)), list(PARAMS.robot.home_rad)
    limits[column] = float(q[0] + part * ((np.max(q) if up else np.min(q)) - q[0])) + (margin if up else -margin)
    home[column] = limits[column] + (-0.01 if up else 0.01)
    narrow = replace(PARAMS.robot, home_rad=tuple(home), **{name: tuple(limits)})
    assert rules(log, events, Oracle(narrow, PARAMS.safety, KINEMATICS)) == {"joint limits"}


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([-0.2, 1.2]))
def test_joint_limits_are_found_when_the_opening_is_beyond_its_range(end: float) -> None:
    log, _ = clean()
    q = np.repeat(log.setpoint[:1], 300, axis=0)
    q[:, 6] = np.linspace(0.5, end, 300)
    assert rules(MotionLog.of(np.arange(300) * TICK_NS, q, q), (Event(-1, "armed"),)) == {"joint limits"}


@pytest.mark.parametrize("axis", range(3))
def test_workspace_is_found_when_the_tool_leaves_its_box(axis: int) -> None:
    log, events = stretched(20.0)
    p = np.array([KINEMATICS.tool_pose(q[:-1])[0] for q in log.setpoint])
    high = list(PARAMS.safety.workspace_high_m)
    high[axis] = float(np.max(p[:, axis])) - 0.008
    tight = replace(PARAMS.safety, workspace_high_m=tuple(high))
    assert rules(log, events, Oracle(PARAMS.robot, tight, KINEMATICS)) == {"workspace"}


def test_orientation_is_found_when_the_tool_leaves_its_cone() -> None:
    log, events = stretched(20.0)
    tight = replace(PARAMS.safety, tool_max_angle_rad=0.53, workspace_slack_rad=0.001)
    assert rules(log, events, Oracle(PARAMS.robot, tight, KINEMATICS)) == {"tool orientation"}


@pytest.mark.parametrize(("name", "rule"), [("max_linear_m_s", "tool speed"), ("max_angular_rad_s", "turn speed")])
def test_tool_speed_is_found_when_the_bound_is_lower(name: str, rule: str) -> None:
    log, events = clean()
    assert rules(log, events, Oracle(PARAMS.robot, replace(PARAMS.safety, **{name: 0.1}), KINEMATICS)) == {rule}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.floats(0.001, 0.02))
def test_motion_is_found_when_nobody_armed(column: int, by: float) -> None:
    log, _ = clean()
    still = MotionLog.of(
        np.arange(100) * TICK_NS, np.repeat(log.setpoint[:1], 100, 0), np.repeat(log.setpoint[:1], 100, 0)
    )
    off = changed(still, 20, column, -by, smooth(60))
    assert rules(off, ()) == {"moved before arming"}
    assert rules(off, (Event(-1, "armed"),)) == set()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.floats(0.001, 0.02), st.booleans())
def test_motion_is_found_when_it_goes_on_after_a_stop(column: int, by: float, armed: bool) -> None:
    log, events = clean()
    stop = events[-1].t_ns
    at = int(np.searchsorted(log.t_ns, stop + 150_000_000))
    off = changed(log, at, column, by if column < 6 else -by, smooth(30))
    more = (Event(int(log.t_ns[at]) - 1, "armed"),) if armed else ()
    assert rules(off, (*events, *more)) == (set() if armed else {"moved after a stop"})


@settings(max_examples=20, deadline=None)
@given(st.floats(3.0, 6.0))
def test_speeding_up_is_found_when_it_follows_a_stop(times: float) -> None:
    log, events = clean()
    at = int(np.searchsorted(log.t_ns, events[-1].t_ns))
    q = log.setpoint.copy()
    q[at + 1 :, 0] = q[at, 0] + times * TICK_S * np.minimum(np.arange(1, len(q) - at), 4)
    assert "faster after a stop" in rules(replace(log, setpoint=q, measured=q), events)


# -- how long until rest --------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, TICK_NS - 1))
def test_nothing_is_found_when_the_stop_came_between_two_setpoints(late_ns: int) -> None:
    log, events = clean()
    assert rules(log, tuple(replace(e, t_ns=e.t_ns + late_ns) if e.kind == "stop" else e for e in events)) == set()


def test_rest_comes_within_the_brakes_way_when_the_arm_is_stopped() -> None:
    log, events = clean()
    assert 0.01 <= ORACLE.rest_after(log, events[-1].t_ns) <= 0.15


def test_rest_is_never_when_the_arm_moves_on() -> None:
    log, events = clean()
    q = log.setpoint + np.linspace(0, 1, len(log.t_ns))[:, None]
    assert ORACLE.rest_after(replace(log, setpoint=q), events[-1].t_ns) == math.inf
    drifts = log.measured + np.linspace(0, 1, len(log.t_ns))[:, None]
    assert ORACLE.rest_after(replace(log, measured=drifts), events[-1].t_ns) == math.inf


def test_measured_motion_is_found_when_the_arm_is_far_from_what_it_follows() -> None:
    log, _ = clean()
    m = log.measured.copy()
    m[40:, 1] += 0.3
    assert "measured apart from setpoint" in {v.rule for v in ORACLE.sound(replace(log, measured=m))}


# -- the file -----------------------------------------------------------------------------------------


def test_log_reads_as_written_when_its_last_line_is_cut_short(tmp_path: Path) -> None:
    head = "steady_ns,sim_ns,source," + ",".join([*(f"s{i}" for i in range(7)), *(f"m{i}" for i in range(7))])
    body = [f"{10 + i},{i},setpoint," + ",".join(str(0.1 * k + i) for k in range(14)) for i in range(3)]
    file = tmp_path / "arm.csv"
    file.write_text("\n".join([head, *body, "13,3,hol"]))
    log = read(file)
    assert log.t_ns.tolist() == [10, 11, 12] and set(log.source) == {SETPOINT}
    assert log.measured[2].tolist() == pytest.approx([0.1 * k + 2 for k in range(7, 14)])
    assert read(file, "sim").t_ns.tolist() == [0, 1, 2]
    file.write_text("\n".join(["a,b", *body]))
    with pytest.raises(ValueError, match="expected columns steady_ns"):
        read(file)


def test_way_back_is_allowed_when_the_arm_gave_way_and_nothing_after_it() -> None:
    log, events = clean()
    far = log.setpoint.copy()
    after = log.t_ns > events[-1].t_ns
    ramp = np.clip((log.t_ns - events[-1].t_ns) / 2e8, 0.0, 1.0)
    far[:, 0] += np.where(after, 0.05 * (1.0 - np.cos(np.pi * ramp)), 0.0)
    back = replace(log, setpoint=far)
    gave_way = (*events[:-1], replace(events[-1], kind="gave way"))
    assert any("stop" in rule for rule in rules(back, events)) and not any("stop" in r for r in rules(back, gave_way))
