"""Who has the arm: taken over, given back, let run out, lost, the gate stepped by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gate_rig import BOOT, TICK_S, Rig

from armtune_policies.contract import Mode

FORWARD = (0.02, 0.01, -0.01, 0.05, 0.0, 0.1, 0.5)
STILL = (0.0,) * 6 + (1.0,)


@pytest.mark.fault("F51")
def test_takeover_is_bumpless_and_the_old_holder_is_out(rig: Rig) -> None:
    rig.armed()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    rig.gate.judge(rig.proposal((0.05, 0, 0, 0, 0, 0, 1), tick.step))
    path = [rig.gate.setpoint(TICK_S) for _ in range(8)]
    old = rig.lease
    rig.lease, _ = rig.gate.acquire("teleop", "", 1.0)
    path += [rig.gate.setpoint(TICK_S) for _ in range(12)]
    rig.gate.end_period()
    rig.q = path[-1]
    rig.clock.advance(0.2)
    rig.sense()
    before = rig.tool()[0]
    assert not rig.gate.judge(rig.proposal(FORWARD, 1, lease=old))
    decision = rig.period((0, 0.02, 0, 0, 0, 0, 1), source="teleop", episode_id="", observation_stamp_ns=0)
    path += rig.setpoints
    assert decision.source == "teleop" and rig.tool()[0] - before == pytest.approx([0, 0.02, 0], abs=1e-3)
    speed = np.abs(np.diff(path, axis=0))[:, :6] / TICK_S
    assert np.max(np.abs(np.diff(speed, axis=0))) / TICK_S <= max(rig.params.robot.joint_acceleration_rad_s2) + 1e-6


def test_steps_count_from_zero_when_an_episode_takes_the_arm(rig: Rig) -> None:
    rig.period()
    rig.period()
    rig.armed()
    assert [rig.period(STILL).step for _ in range(3)] == [0, 1, 2]


def test_steps_go_on_but_one_when_the_same_episode_is_taken_up_again(rig: Rig) -> None:
    """The hole says that nothing is to be learnt across a change of hands; a pause, however long, makes just one."""
    rig.armed()
    assert [rig.period(FORWARD).step for _ in range(2)] == [0, 1]
    rig.lease, _ = rig.gate.acquire("teleop", "", 1.0)
    rig.gate.release(rig.lease)
    assert [rig.period().step for _ in range(3)] == [0, 1, 2], "outside an episode they have a count of their own"
    rig.lease, _ = rig.gate.acquire("policy", "run-00000", 5.0)
    assert [rig.period(FORWARD).step for _ in range(2)] == [3, 4]
    rig.lease, _ = rig.gate.acquire("policy", "run-00001", 5.0)
    assert rig.period(FORWARD, episode_id="run-00001").step == 0
    rig.lease, _ = rig.gate.acquire("policy", "run-00000", 5.0)
    assert rig.period(FORWARD).step == 6


@pytest.mark.parametrize(("stands", "mode"), [("idle", Mode.RUN), ("held", Mode.HOLD), ("stopped", Mode.STOP)])
def test_decision_keeps_its_mode_when_the_arm_is_given_back_within_the_period(
    rig: Rig, stands: str, mode: Mode
) -> None:
    rig.armed()
    tick = rig.gate.begin_period(rig.clock.t_ns)
    assert rig.gate.judge(rig.proposal([0.02, 0, 0, 0, 0, 0, 1], tick.step))
    rig.gate.setpoint(TICK_S)
    rig.gate.release(rig.lease)
    if stands == "held":
        rig.gate.hold(True)
    if stands == "stopped":
        rig.gate.stop("by the test")
    rig.gate.setpoint(TICK_S)
    decision = rig.gate.end_period()
    assert decision.mode is mode and decision.limited_by and decision.source == "policy"
    assert decision.allowed[0] < 0.02


def test_holder_loses_the_arm_when_its_lease_runs_out(rig: Rig) -> None:
    rig.gate.arm(BOOT)
    rig.lease, _ = rig.gate.acquire("policy", "run-00000", 0.3)
    rig.period(STILL)
    rig.period()
    decision = rig.period(FORWARD)
    assert decision.source == "" and rig.gate.state().holder == ""


@pytest.mark.fault("F51")
@pytest.mark.parametrize("source", ("policy", "motion"))
@pytest.mark.parametrize("way_back", ("hold off", "a new lease"))
def test_arm_whose_operator_fell_silent_is_nobody_elses_until_a_person_says_so(
    rig: Rig, source: str, way_back: str
) -> None:
    rig.armed()
    rig.lease, _ = rig.gate.acquire("teleop", "run-00000", 0.3)
    assert rig.period(FORWARD, source="teleop").mode is Mode.RUN
    rig.period()
    rig.period()
    rig.lease, why = rig.gate.acquire(source, "run-00000", 5.0)
    before = rig.period(STILL, source=source).allowed
    still = [rig.period(FORWARD, source=source) for _ in range(10)]
    assert rig.lease and not why and before[:6] == pytest.approx([0.0] * 6)
    assert all(d.mode is Mode.HOLD and d.allowed[:6] == pytest.approx([0.0] * 6, abs=1e-9) for d in still)
    assert "operator lost" in rig.gate.state().reasons
    if way_back == "hold off":
        rig.gate.hold(False)
    else:
        theirs, _ = rig.gate.acquire("teleop", "run-00000", 1.0)
        assert "operator lost" not in rig.gate.state().reasons and rig.gate.release(theirs)[0]
        rig.lease, _ = rig.gate.acquire(source, "run-00000", 5.0)
    assert rig.period(FORWARD, source=source).mode is Mode.RUN


def test_arm_that_its_operator_gave_back_is_anybodys(rig: Rig) -> None:
    rig.armed()
    rig.lease, _ = rig.gate.acquire("teleop", "run-00000", 1.0)
    rig.gate.release(rig.lease)
    rig.lease, _ = rig.gate.acquire("policy", "run-00000", 5.0)
    assert rig.period(FORWARD).mode is Mode.RUN
