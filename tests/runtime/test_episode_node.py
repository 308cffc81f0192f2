"""The episode node on real DDS; this test is the gate, the arm and the reward at the other end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from armtune_interfaces.action import Practice
from armtune_interfaces.msg import EpisodeState, GateState, Proposal, RewardAnswer, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import ActionSpec, TaskPair, topics
from armtune_policies.episode.settings import EpisodeParams
from armtune_runtime.practice_settings import EpisodeNodeParams
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, LATCHED_QOS
from fixtures.two_joints import ROBOT
from harness import Stack

HOME, AWAY = [0.1, -0.2, 0.04], [1.0, 1.0, 0.0]
NO, YES = RewardAnswer.NO, RewardAnswer.YES


class Peer:
    """Gate, arm and reward node, played by hand."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.leases: list[Lease.Request] = []
        self.lease = 0
        stack.node.create_service(Lease, topics.LEASE, self._on_lease)
        self.states = stack.listen(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
        self.proposals = stack.listen(topics.proposal("motion"), Proposal, COMMAND_QOS)
        self._gate = stack.publisher(topics.GATE_STATE, GateState, LATCHED_QOS)
        self._tick = stack.publisher(topics.STEP_TICK, StepTick, COMMAND_QOS)
        self._joints = stack.publisher(topics.JOINT_STATES, JointState, EVENT_QOS)
        self._answer = stack.publisher(topics.REWARD_ANSWER, RewardAnswer, EVENT_QOS)
        self._client = ActionClient(stack.node, Practice, topics.PRACTICE)
        assert self._client.wait_for_server(timeout_sec=20)

    def _on_lease(self, request: Lease.Request, response: Lease.Response) -> Lease.Response:
        self.leases.append(request)
        if request.op == Lease.Request.ACQUIRE:
            self.lease += 1
            response.granted, response.lease = True, self.lease
        return response

    def gate(self, mode: int = GateState.RUN, holder: str = "", armed: bool = True, **more: Any) -> None:
        self._gate.publish(GateState(mode=mode, armed=armed, holder=holder, lease=self.lease, **more))

    def joints(self, position: list[float]) -> None:
        self._joints.publish(JointState(name=["a", "b", "finger"], position=position))

    def tick(self, episode_id: str, step: int, holder: str = "policy") -> None:
        self._tick.publish(StepTick(episode_id=episode_id, step=step, holder=holder, lease=self.lease))

    def answer(self, episode_id: str, step: int, verdict: int) -> None:
        self._answer.publish(RewardAnswer(episode_id=episode_id, step=step, verdict=verdict, probability=0.5))

    def practise(self, **limits: int) -> Any:
        sent = self.stack.ask(self._client.send_goal_async, Practice.Goal(**limits))
        self.stack.until(sent.done, what="goal answered")
        return sent.result()

    def result(self, handle: Any) -> Any:
        asked = self.stack.ask(handle.get_result_async)
        self.stack.until(asked.done, what="practice ended")
        return asked.result().result

    def wait(self, phase: str, **fields: Any) -> EpisodeState:
        """Wait until the newest state is in ``phase`` with these fields; keeps nothing of the past."""
        found: list[EpisodeState] = []

        def look() -> bool:
            found[:] = self.states[-1:]
            now = found[0] if found else EpisodeState()
            return now.phase == phase and all(getattr(now, name) == value for name, value in fields.items())

        self.stack.until(look, what=f"{phase} {fields}, newest {self.states[-1:]}")
        return found[0]

    def at_home(self, phase: str = "acting", **fields: Any) -> EpisodeState:
        self.wait("homing")
        self.joints(HOME)
        return self.wait(phase, **fields)

    def step(self, episode_id: str, step: int, verdict: int | None) -> None:
        self.tick(episode_id, step)
        if verdict is not None:
            self.answer(episode_id, step, verdict)


def params(folder: Path, **changes: Any) -> EpisodeNodeParams:
    episode = {"nudge": 0, **changes}
    return EpisodeNodeParams(
        robot=ROBOT,
        task=TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=3),
        episode=EpisodeParams(vote_need=2, vote_window=2, answer_deadline_s=0.3, ready_s=0.05, **episode),
        run_id="run",
        run_folder=str(folder),
        config_hash="c0ffee",
        rest_s=0.0,
    )


@pytest.fixture
def peer(stack: Stack, tmp_path: Path) -> Iterator[Peer]:
    stack.bring_up("armtune_runtime.episode_node", "episode_node", params(tmp_path))
    yield Peer(stack)


def test_arm_comes_home_by_a_lease_and_joint_targets_when_practice_begins(peer: Peer, stack: Stack) -> None:
    assert peer.wait("idle").config_hash == "c0ffee"
    peer.gate()
    peer.practise(episodes=1)
    peer.wait("homing")
    peer.joints(AWAY)
    stack.until(lambda: bool(peer.leases), what="a lease asked for")
    assert (peer.leases[0].source, peer.leases[0].episode_id) == ("motion", "")
    for step, finger_m in ((6, 0.0), (7, 0.04)):
        peer.joints([1.0, 1.0, finger_m])
        stack.call(Trigger, "practice/resume", Trigger.Request())  # once it answers, it has heard the joints
        peer.tick("", step, holder="motion")
        stack.until(lambda: bool(peer.proposals) and peer.proposals[-1].step == step, what="a proposal")  # noqa: B023
    proposal = peer.proposals[-1]
    assert list(peer.proposals[0].values) == [1.0, 1.0, 1.0], "the hand lets go where it is"
    assert (proposal.kind, list(proposal.values)) == (Proposal.JOINT_TARGET, [0.1, -0.2, 1.0])
    assert (proposal.step, proposal.lease, proposal.source) == (7, peer.lease, "motion")
    assert proposal.spec_digest == ActionSpec().digest
    peer.joints(HOME)
    ready = peer.wait("acting")
    assert (ready.episode_id, ready.direction, ready.sentence) == ("run-00000", "forward", "open the drawer")
    stack.until(lambda: peer.leases[-1].op == Lease.Request.RELEASE, what="the lease given back")


@pytest.mark.fault("L10")
def test_directions_alternate_and_results_count_when_episodes_succeed_and_time_out(peer: Peer) -> None:
    peer.gate()
    goal = peer.practise(episodes=2)
    peer.at_home(episode_id="run-00000")
    for step, verdict in enumerate((YES, NO)):
        peer.step("run-00000", step, verdict)
        assert peer.wait("acting", judged_step=step).outcome == ""
    peer.step("run-00000", 2, YES)
    peer.wait("homing", outcome="timeout", end_step=2, judged_step=2)
    assert peer.at_home(episode_id="run-00001").direction == "forward"
    for step, verdict in enumerate((NO, YES, YES)):
        peer.step("run-00001", step, verdict)
    peer.wait("homing", outcome="success", end_step=2, judged_step=2)
    peer.at_home("finished")
    result = peer.result(goal)
    assert (result.episodes, result.steps, result.forward_episodes, result.forward_successes) == (2, 6, 2, 1)
    goal = peer.practise(episodes=1)
    assert peer.at_home(episode_id="run-00002").direction == "backward"


def test_direction_that_is_solved_is_skipped_and_counts_outlive_a_kill(
    peer: Peer, stack: Stack, tmp_path: Path
) -> None:
    peer.gate()
    peer.practise(episodes=1)
    peer.at_home(episode_id="run-00000")
    for step in range(2):
        peer.step("run-00000", step, YES)
    assert peer.wait("homing", outcome="aborted", end_step=1).reason == "solved at the start"
    assert peer.at_home(episode_id="run-00001").direction == "backward"
    stack.stop("episode_node", signal.SIGKILL)
    kept = json.loads((tmp_path / "practice.json").read_text())
    assert (kept["solved_starts"], kept["episodes"], kept["direction"], kept["steps"]) == (1, 0, "backward", 2)
    heard = stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    stack.bring_up("armtune_runtime.episode_node", "episode_again", params(tmp_path))
    says = lambda m: {"solved_starts": "1"}.items() <= {v.key: v.value for v in m.status[0].values}.items()  # noqa: E731
    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, says, newer_than=len(heard))


def test_step_counts_as_unknown_when_no_answer_comes_within_the_deadline(peer: Peer) -> None:
    peer.gate()
    peer.practise(episodes=1)
    peer.at_home()
    for step in range(3):
        peer.step("run-00000", step, None)
    peer.wait("homing", outcome="timeout", end_step=2)


def test_episode_is_aborted_and_practice_waits_when_the_gate_stops(peer: Peer) -> None:
    peer.gate()
    peer.practise(episodes=1)
    peer.at_home()
    peer.step("run-00000", 0, NO)
    peer.wait("acting", judged_step=0)
    peer.gate(GateState.STOP, latches=["e-stop"])
    state = peer.wait("paused", outcome="aborted", end_step=0)
    assert "e-stop" in state.reason
    peer.gate()
    assert peer.at_home().episode_id == "run-00001"


def test_episode_is_aborted_when_the_policy_loses_the_arm(peer: Peer) -> None:
    peer.gate()
    peer.practise(episodes=1)
    peer.at_home()
    peer.step("run-00000", 0, NO)
    peer.wait("acting", judged_step=0)
    peer.gate(holder="motion")
    assert "motion" in peer.wait("homing", outcome="aborted").reason


def test_practice_waits_when_the_gate_is_not_armed(peer: Peer) -> None:
    peer.gate(GateState.STOP, armed=False)
    peer.practise(episodes=1)
    assert "not armed" in peer.wait("paused").reason
    peer.gate()
    peer.wait("homing")


def test_goal_is_refused_when_practice_goes_on_already_and_ends_when_cancelled(peer: Peer, stack: Stack) -> None:
    peer.gate()
    goal = peer.practise()
    assert not peer.practise().accepted
    peer.at_home()
    cancelled = stack.ask(goal.cancel_goal_async)
    stack.until(cancelled.done, what="cancel answered")
    peer.wait("homing", outcome="aborted")
    peer.at_home("finished")
    assert peer.result(goal).reason == "cancelled"


def test_session_ends_when_whoever_asked_for_it_is_gone(peer: Peer, stack: Stack) -> None:
    client = ActionClient(stack.node, Practice, topics.CORRECT)
    assert client.wait_for_server(timeout_sec=20)
    peer.gate()
    sent = stack.ask(client.send_goal_async, Practice.Goal())
    stack.until(sent.done, what="goal answered")
    assert sent.result().accepted
    seen = lambda: stack.node.count_publishers(f"{topics.CORRECT}/_action/feedback") > 0  # noqa: E731
    stack.until(seen, what="they know each other")
    peer.at_home()
    client.destroy()
    assert peer.wait("homing").reason == "whoever asked for it is gone"
    assert "whoever asked for it is gone" in peer.at_home("finished").reason
    assert peer.practise(episodes=1).accepted, "the next may come"


def test_session_of_corrections_is_taken_over_by_the_next_of_its_kind(peer: Peer, stack: Stack) -> None:
    clients = [ActionClient(stack.node, Practice, topics.CORRECT) for _ in range(2)]
    peer.gate()
    goals = []
    for client in clients:
        assert client.wait_for_server(timeout_sec=20)
        sent = stack.ask(client.send_goal_async, Practice.Goal())
        stack.until(sent.done, what="goal answered")
        goals.append(sent.result())
    assert all(goal.accepted for goal in goals)
    episode = peer.at_home()
    assert peer.result(goals[0]).reason == "taken over by another session"
    assert (episode.phase, episode.outcome) == ("acting", "") and not peer.practise().accepted


def test_next_to_no_processor_time_is_used_when_practice_waits(peer: Peer, stack: Stack) -> None:
    """A coroutine that awaits the end of practice would be polled without pause."""
    stat = Path(f"/proc/{stack.processes['episode_node'].pid}/stat")

    def used_s() -> float:
        return sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    peer.gate()
    peer.practise()
    peer.wait("homing")
    before_s, end_s = used_s(), time.monotonic() + 1.0
    stack.until(lambda: time.monotonic() >= end_s)
    assert used_s() - before_s < 0.15


def test_resume_is_refused_when_practice_waits_for_nothing(peer: Peer, stack: Stack) -> None:
    answer = stack.call(Trigger, "practice/resume", Trigger.Request())
    assert not answer.success and "idle" in answer.message


def test_episode_is_announced_as_aborted_when_the_node_is_stopped(peer: Peer, stack: Stack) -> None:
    peer.gate()
    peer.practise()
    peer.at_home()
    assert stack.stop("episode_node", signal.SIGINT) == 0
    assert "stopped" in peer.wait("homing", outcome="aborted").reason


def test_index_goes_on_when_the_run_has_episodes(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "run-00041.mcap").touch()
    stack.bring_up("armtune_runtime.episode_node", "episode_node", params(tmp_path))
    peer = Peer(stack)
    peer.gate()
    peer.practise()
    assert peer.at_home().episode_id == "run-00042"


def test_a_yes_counts_only_with_the_gripper_as_open_as_the_vote_asks(stack: Stack, tmp_path: Path) -> None:
    stack.bring_up("armtune_runtime.episode_node", "episode_node", params(tmp_path, vote_opening=0.7))
    peer = Peer(stack)
    peer.gate()
    peer.practise(episodes=1)
    peer.at_home()
    for step, finger_m in enumerate((0.01, 0.04)):  # closed on what it holds, then open
        peer.joints([0.1, -0.2, finger_m])
        stack.call(Trigger, "practice/resume", Trigger.Request())  # once it answers, it has heard the joints
        peer.step("run-00000", step, YES)
        peer.wait("acting", judged_step=step)
    peer.step("run-00000", 2, YES)
    assert peer.wait("homing").end_step == 2 and peer.states[-1].outcome == "success"
