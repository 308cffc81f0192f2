"""Both paces against hand-set clocks: what is published, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gate_rig import BOOT, gate_params, watched

from armtune_policies.contract import Decision, Kind, ManualClock, Mode, Proposal, StepTick
from armtune_safety.gate import Gate
from armtune_safety.kinematics import Kinematics
from armtune_safety.pace import LockstepPace, RealPace

STEP_NS = 200_000_000
FORWARD = (0.02, 0, 0, 0, 0, 0, 1.0)


class Bench:
    """A gate, its pace, a perfect arm and everything that was published."""

    def __init__(self, time: str, kinematics: Kinematics) -> None:
        params = gate_params(time)
        self.control, self.wall = ManualClock(-(10**9)), ManualClock(-(10**9) if time == "real" else 0)
        control = self.control if time == "lockstep" else self.wall
        self.gate = watched(Gate(params, kinematics, BOOT, control, self.wall), params)
        robot = params.robot
        self.names, self.robot = (*robot.joints, robot.finger_joint), robot
        self.q = np.array([*robot.home_rad, 1.0])
        self.ticks: list[StepTick] = []
        self.decisions: list[Decision] = []
        self.sent: list[tuple[int, int]] = []
        self.lease = self.seq = 0
        while control.t_ns < 0:
            control.advance(0.05)
            self.gate.on_joints(self.names, [*self.q[:-1], self.robot.finger_m(self.q[-1])], control.t_ns)
        self.pace = (
            LockstepPace(self.gate, self.control, self.wall, self, 0.01)
            if time == "lockstep"
            else RealPace(self.gate, self.wall, self, 0.01, 0.1)
        )

    def tick(self, tick: StepTick) -> None:
        self.ticks.append(tick)

    def decision(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def setpoints(self, points: list, dt_s: float, stamp_ns: int) -> None:
        self.sent.append((stamp_ns, len(points)))
        self.q = points[-1]

    def joints(self, stamp_ns: int) -> bool:
        return self.pace.on_joints(self.names, [*self.q[:-1], self.robot.finger_m(self.q[-1])], stamp_ns)

    def take_arm(self, episode_id: str = "e") -> None:
        self.gate.on_supervisor()
        assert self.gate.arm(BOOT) == ""
        self.lease, why = self.gate.acquire("policy", episode_id, 5.0)
        assert self.lease, why

    def propose(self, values: tuple = FORWARD, **changes: object) -> None:
        tick, self.seq = self.ticks[-1], self.seq + 1
        proposal = Proposal(
            tick.episode_id,
            tick.step,
            "policy",
            self.seq,
            tick.lease,
            tick.stamp_ns,
            self.gate.spec.digest,
            "v1",
            Kind.TOOL_DELTA,
            values,
        )
        self.pace.on_proposal(replace(proposal, **changes))

    def idle_barrier(self, stamp_ns: int) -> None:
        self.joints(stamp_ns)
        self.wall.advance(0.2)
        self.pace.on_timer()


@pytest.fixture
def lockstep(kinematics: Kinematics) -> Bench:
    bench = Bench("lockstep", kinematics)
    bench.idle_barrier(STEP_NS)
    return bench


@pytest.fixture
def real(kinematics: Kinematics) -> Bench:
    bench = Bench("real", kinematics)
    bench.joints(0)
    return bench


# -- lockstep ----------------------------------------------------------------------------------


def test_idle_barrier_closes_after_one_period_of_wall_time(lockstep: Bench) -> None:
    sent = len(lockstep.sent)
    lockstep.joints(2 * STEP_NS)
    lockstep.wall.advance(0.19)
    lockstep.pace.on_timer()
    assert len(lockstep.sent) == sent and not lockstep.ticks
    lockstep.wall.advance(0.02)
    lockstep.pace.on_timer()
    assert lockstep.sent[-1] == (2 * STEP_NS, 20) and not lockstep.decisions


def test_barrier_waits_for_the_proposal_however_long_it_takes_within_the_bound(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    sent = len(lockstep.sent)
    lockstep.wall.advance(4.0)
    lockstep.pace.on_timer()
    assert len(lockstep.sent) == sent and len(lockstep.ticks) == 1
    lockstep.propose()
    assert lockstep.sent[-1] == (2 * STEP_NS, 20)
    assert lockstep.decisions[-1].allowed == FORWARD and lockstep.decisions[-1].mode is Mode.RUN


def test_silent_source_stops_the_gate_and_frees_the_simulator(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    lockstep.wall.advance(5.1)
    lockstep.pace.on_timer()
    assert lockstep.gate.state().latches == ("lockstep barrier",)
    assert lockstep.sent[-1][0] == 2 * STEP_NS and lockstep.decisions[-1].mode is Mode.STOP


def test_repeated_joint_states_do_not_step_twice(lockstep: Bench) -> None:
    lockstep.take_arm()
    for _ in range(3):
        lockstep.joints(2 * STEP_NS)
    assert len(lockstep.ticks) == 1 and lockstep.sent[-1][0] == STEP_NS


def test_lost_answer_is_given_again_unchanged(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    lockstep.propose()
    told = lockstep.q.copy()
    lockstep.joints(2 * STEP_NS)
    assert lockstep.sent[-2:] == [(2 * STEP_NS, 20)] * 2 and np.array_equal(lockstep.q, told)
    assert len(lockstep.ticks) == len(lockstep.decisions) == 1


def test_joint_states_are_ignored_when_simulated_time_goes_back_while_armed(lockstep: Bench) -> None:
    lockstep.take_arm()
    assert not lockstep.joints(STEP_NS // 2)
    assert lockstep.control.t_ns == STEP_NS


def test_time_starts_anew_when_the_simulator_does_after_a_stop(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.gate.stop("the simulator was lost")
    lockstep.idle_barrier(STEP_NS // 2)
    assert lockstep.control.t_ns == STEP_NS // 2 and lockstep.sent[-1] == (STEP_NS // 2, 20)
    assert lockstep.gate.clear("stop requested") == "" and "not steady yet" in lockstep.gate.arm(BOOT)
    for step in range(1, 6):
        lockstep.idle_barrier(STEP_NS // 2 + step * STEP_NS)
    assert lockstep.gate.arm(BOOT) == ""


def test_refused_proposal_closes_the_barrier_with_a_hold(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    lockstep.propose((float("nan"), *FORWARD[1:]))
    assert lockstep.sent[-1][0] == 2 * STEP_NS and "finite" in lockstep.decisions[-1].refused


def test_stray_proposal_leaves_the_barrier_open(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    lockstep.propose(lease=1)
    assert lockstep.sent[-1][0] == STEP_NS
    lockstep.propose()
    assert lockstep.sent[-1][0] == 2 * STEP_NS


def test_acting_episode_goes_on_only_when_its_step_was_judged(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.pace.on_episode("e", acting=True, ended=False, judged_step=-1)
    lockstep.joints(2 * STEP_NS)
    lockstep.propose()
    assert lockstep.sent[-1][0] == STEP_NS
    lockstep.pace.on_episode("e", acting=True, ended=False, judged_step=0)
    assert lockstep.sent[-1][0] == 2 * STEP_NS


def test_ended_episode_gets_no_further_tick(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.pace.on_episode("e", acting=True, ended=False, judged_step=-1)
    lockstep.joints(2 * STEP_NS)
    lockstep.propose()
    lockstep.pace.on_episode("e", acting=False, ended=True, judged_step=0)
    lockstep.pace.on_episode("next", acting=False, ended=False, judged_step=-1)
    lockstep.idle_barrier(3 * STEP_NS)
    assert [tick.step for tick in lockstep.ticks] == [0]
    assert lockstep.sent[-1][0] == 2 * STEP_NS


def test_time_stands_still_without_a_stop_while_an_armed_arm_is_nobodys(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.gate.release(lockstep.lease)
    sent = len(lockstep.sent)
    lockstep.joints(2 * STEP_NS)
    for _ in range(100):
        lockstep.wall.advance(0.2)
        lockstep.gate.on_supervisor()
        lockstep.pace.on_timer()
    assert len(lockstep.sent) == sent and not lockstep.ticks and lockstep.gate.armed
    lockstep.lease, _ = lockstep.gate.acquire("motion", "", 5.0)
    lockstep.pace.on_timer()
    assert [tick.stamp_ns for tick in lockstep.ticks] == [2 * STEP_NS]


def test_barrier_closes_when_the_holder_gives_the_arm_back(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.joints(2 * STEP_NS)
    lockstep.gate.release(lockstep.lease)
    lockstep.pace.on_timer()
    assert lockstep.sent[-1][0] == 2 * STEP_NS


def test_what_was_accepted_is_made_whole_whether_the_end_or_the_release_is_heard_first(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.pace.on_episode("e", acting=True, ended=False, judged_step=-1)
    lockstep.joints(2 * STEP_NS)
    lockstep.propose()
    assert lockstep.pace.release(lockstep.lease) == (lockstep.lease, "")
    lockstep.pace.on_episode("e", acting=False, ended=True, judged_step=0)
    assert lockstep.sent[-1][0] == 2 * STEP_NS
    assert lockstep.decisions[-1].allowed == FORWARD and not lockstep.decisions[-1].limited_by
    assert lockstep.gate.holder() is None


def test_someone_elses_lease_closes_nothing(lockstep: Bench) -> None:
    lockstep.take_arm()
    lockstep.pace.on_episode("e", acting=True, ended=False, judged_step=-1)
    lockstep.joints(2 * STEP_NS)
    lockstep.propose()
    assert lockstep.pace.release(lockstep.lease + 1)[0] == 0
    assert lockstep.sent[-1][0] == STEP_NS and lockstep.gate.holder() is not None


# -- real time ---------------------------------------------------------------------------------


def run_for(bench: Bench, seconds: float) -> None:
    for _ in range(round(seconds * 100)):
        bench.wall.advance(0.01)
        bench.joints(bench.wall.t_ns)
        bench.pace.on_timer()


def test_ticks_come_once_a_period_and_setpoints_a_hundred_a_second(real: Bench) -> None:
    run_for(real, 1.0)
    assert len(real.ticks) == 5 or len(real.ticks) == 6
    assert len(real.sent) == 100 and all(count == 1 for _, count in real.sent)


def test_first_setpoint_goes_out_at_once_when_a_proposal_is_accepted(real: Bench) -> None:
    run_for(real, 0.2)
    real.take_arm()
    run_for(real, 0.2)
    real.wall.advance(0.004)
    sent = len(real.sent)
    real.propose(observation_stamp_ns=real.wall.t_ns)
    assert len(real.sent) == sent + 1
    run_for(real, 0.4)
    assert FORWARD in [decision.allowed for decision in real.decisions]


def test_one_long_gap_is_not_made_up_for_in_one_jump(real: Bench) -> None:
    run_for(real, 0.2)
    real.take_arm()
    run_for(real, 0.2)
    real.propose(observation_stamp_ns=real.wall.t_ns)
    before = real.q.copy()
    real.wall.advance(0.09)
    real.joints(real.wall.t_ns)
    real.pace.on_timer()
    assert np.max(np.abs(real.q - before)[:6]) < max(real.robot.joint_velocity_rad_s) * 0.02


def test_setpoints_start_anew_at_the_arm_when_the_gate_slept_longer_than_the_controller_waits(real: Bench) -> None:
    run_for(real, 1.2)
    real.take_arm()
    run_for(real, 0.2)
    real.propose(observation_stamp_ns=real.wall.t_ns)
    run_for(real, 0.08)
    sent, at = len(real.sent), real.q.copy() - np.array([0.1, 0, 0, 0, 0, 0, 0])
    real.wall.advance(0.15)
    real.pace.on_timer()
    assert len(real.sent) == sent, "nothing goes out before the arm was seen again"
    real.q = at
    real.joints(real.wall.t_ns)
    real.wall.advance(0.01)
    real.pace.on_timer()
    assert real.q == pytest.approx(at, abs=1e-9)
