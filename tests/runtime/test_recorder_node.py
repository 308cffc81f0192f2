"""The recorder on real DDS; this test is every other node."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState

from armtune_interfaces.msg import Decision, EpisodeState, GateState, Observation, RewardAnswer, Step
from armtune_policies.contract import Verdict, topics
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.settings import RecorderParams
from armtune_runtime.practice_settings import RecorderNodeParams
from armtune_safety.managed_node import CAMERA_QOS, EVENT_QOS, LATCHED_QOS
from harness import Stack

EPISODE = "run-00000"


class Peer:
    """Camera, arm, policy, gate, reward and episode node, played by hand."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.episode = stack, EPISODE
        self.steps = stack.listen(topics.STEP, Step, EVENT_QOS)
        self._state = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
        self._observation = stack.publisher(topics.OBSERVATION, Observation, EVENT_QOS)
        self._decision = stack.publisher(topics.DECISION, Decision, EVENT_QOS)
        self._answer = stack.publisher(topics.REWARD_ANSWER, RewardAnswer, EVENT_QOS)
        self._joints = stack.publisher(topics.JOINT_STATES, JointState, EVENT_QOS)
        self._frame = stack.publisher(topics.image("front"), Image, CAMERA_QOS)

    def state(self, phase: str = "acting", **fields: Any) -> None:
        fields = {"episode_id": self.episode, "end_step": -1, "judged_step": -1, **fields}
        self._state.publish(EpisodeState(run_id="run", direction="forward", sentence="open it", phase=phase, **fields))

    def frame(self) -> None:
        data = np.full((48, 64, 3), 200, np.uint8).tobytes()
        self._frame.publish(Image(height=48, width=64, encoding="rgb8", step=192, data=data))

    def joints(self) -> None:
        # Position only: serialised again by rclpy, this message would grow by garbage bytes.
        self._joints.publish(JointState(name=["a"], position=[0.5]))

    def observation(self, step: int, size_px: int = 16) -> None:
        data = np.full(size_px * size_px * 3, step, np.uint8).tobytes()
        image = Image(height=size_px, width=size_px, encoding="rgb8", step=size_px * 3, data=data)
        message = Observation(
            episode_id=self.episode, step=step, cameras=["front"], images=[image], features=[1.0, 2.0]
        )
        message.state = np.full(7, step, np.float32)
        self._observation.publish(message)

    def step(self, step: int, verdict: int | None = RewardAnswer.NO, size_px: int = 16) -> None:
        self.observation(step, size_px)
        values = [0.01] * 7
        decision = Decision(episode_id=self.episode, step=step, source="policy", policy_version="v1")
        decision.proposed, decision.allowed, decision.limited_by = values, values, ["speed"]
        self._decision.publish(decision)
        if verdict is not None:
            self._answer.publish(RewardAnswer(episode_id=self.episode, step=step, verdict=verdict, probability=0.5))

    def begin(self, size_px: int = 16) -> None:
        """Announce the episode and send step 0 until it is told: every wire is then known to work."""
        self.state()

        def is_told() -> bool:
            self.step(0, size_px=size_px)
            return bool(self.steps)

        self.stack.until(is_told, what="step 0 told")

    def told(self, count: int) -> list[Step]:
        self.stack.until(lambda: len(self.steps) >= count, what=f"{count} steps told, got {len(self.steps)}")
        return self.steps

    def end(self, outcome: str, end_step: int) -> None:
        self.state("homing", outcome=outcome, end_step=end_step, judged_step=end_step)


def settings(folder: Path) -> RecorderNodeParams:
    return RecorderNodeParams(recorder=RecorderParams(disk_floor_mb=10), run_folder=str(folder))


def start(stack: Stack, folder: Path) -> Peer:
    stack.bring_up("armtune_runtime.recorder_node", "recorder_node", settings(folder))
    return Peer(stack)


def file(stack: Stack, folder: Path) -> Path:
    stack.until(lambda: bool(list_episodes(folder)), what="a finished episode file")
    return list_episodes(folder)[0]


@pytest.mark.fault("L3")
def test_episode_file_holds_what_was_sent_when_the_episode_ended(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.frame()
    peer.begin()
    for step in range(3):
        peer.step(step, RewardAnswer.YES if step == 2 else RewardAnswer.NO)
        peer.joints()
        told = peer.told(step + 1)[step]
        assert (told.step, told.complete, told.source, told.sentence) == (step, True, "policy", "open it")
        assert list(told.limited_by) == ["speed"] and told.state[0] == step
        peer.frame()
    peer.end("success", 2)
    path = file(stack, tmp_path)
    episode = read_episode(path)
    assert episode.complete.all() and (episode.outcome, episode.end_step) == ("success", 2)
    np.testing.assert_array_equal(episode.images["front"][:, 0, 0, 0], [0, 1, 2])
    assert list(episode.verdicts) == [Verdict.NO, Verdict.NO, Verdict.YES]
    assert episode.features.shape == (3, 2) and episode.policy_version == "v1"
    with AnyReader([path]) as reader:
        heard = [(c.topic, reader.deserialize(data, c.msgtype)) for c, _, data in reader.messages()]
    joints = [message for topic, message in heard if topic == topics.JOINT_STATES]
    assert joints and all(list(message.position) == [0.5] for message in joints)
    views = [message for topic, message in heard if topic == "front/image_raw/compressed"]
    assert 1 <= len(views) <= 3 and all(bytes(view.data[:2]) == b"\xff\xd8" for view in views)


def test_recorder_goes_on_when_a_message_makes_no_sense(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    peer._decision.publish(Decision(episode_id=EPISODE, step=1, kind=77))
    peer.step(1)
    assert peer.told(2)[1].complete
    assert "is not recorded" in stack.log("recorder_node")


def test_step_is_told_as_unknown_when_it_was_judged_without_an_answer(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    peer.step(1, None)
    peer.state(judged_step=1)
    assert peer.told(2)[1].verdict == RewardAnswer.UNKNOWN


@pytest.mark.fault("F35")
def test_at_most_the_step_in_flight_is_lost_when_the_recorder_is_killed(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    for step in (1, 2):
        peer.step(step)
    peer.told(3)
    peer.observation(3)
    stack.stop("recorder_node", signal.SIGKILL)
    assert list_episodes(tmp_path) == []
    stack.bring_up("armtune_runtime.recorder_node", "recorder_again", settings(tmp_path))
    episode = read_episode(file(stack, tmp_path))
    assert episode.complete.all() and (episode.outcome, episode.steps) == ("aborted", 3)
    assert "3 whole steps" in stack.log("recorder_again")


def test_episodes_are_kept_that_began_and_ended_while_the_recorder_stood_still(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    peer.end("timeout", 0)
    stack.until(lambda: len(list_episodes(tmp_path)) == 1, what="the first file")
    process = stack.processes["recorder_node"]
    process.send_signal(signal.SIGSTOP)
    try:
        for index in (1, 2):
            peer.episode = f"run-{index:05d}"
            peer.state()
            for step in range(16):
                peer.step(step, RewardAnswer.YES if step > 12 else RewardAnswer.NO)
                peer.state(judged_step=step)
            peer.end("success", 15)
        peer.episode = "run-00003"
        peer.state()
    finally:
        process.send_signal(signal.SIGCONT)
    stack.until(lambda: len(list_episodes(tmp_path)) == 3, what="the files of both")
    for path in list_episodes(tmp_path)[1:]:
        episode = read_episode(path)
        assert episode.complete.all() and (episode.outcome, episode.end_step, episode.steps) == ("success", 15, 16)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_file_is_whole_when_the_recorder_is_stopped_in_mid_episode(stack: Stack, tmp_path: Path, number: int) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    assert stack.stop("recorder_node", number) == 0
    assert read_episode(list_episodes(tmp_path)[0]).about.reason == "the recorder was stopped"


@pytest.mark.fault("F33")
def test_nothing_is_recorded_and_the_reason_is_told_when_the_disk_is_below_the_floor(
    stack: Stack, tmp_path: Path
) -> None:
    params = RecorderNodeParams(recorder=RecorderParams(disk_floor_mb=10_000_000), run_folder=str(tmp_path))
    stack.bring_up("armtune_runtime.recorder_node", "recorder_node", params)
    peer = Peer(stack)
    peer.state()
    stack.wait_for(
        topics.DIAGNOSTICS,
        DiagnosticArray,
        lambda said: any("free some space" in status.message for status in said.status),
    )
    peer.step(0)
    peer.end("timeout", 0)
    assert stack.stop("recorder_node") == 0
    assert list_episodes(tmp_path) == []


@pytest.mark.fault("F33")
def test_episode_ends_whole_with_a_reason_when_the_disk_takes_no_more(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    limit = (40_000, 40_000)
    resource.prlimit(stack.processes["recorder_node"].pid, resource.RLIMIT_FSIZE, limit)
    peer.begin(size_px=64)
    for step in range(1, 8):
        peer.step(step, size_px=64)
    episode = read_episode(file(stack, tmp_path))
    assert episode.complete.all() and 1 <= episode.steps < 8 and episode.outcome == "aborted"
    stack.wait_for(
        topics.DIAGNOSTICS, DiagnosticArray, lambda said: any("ended early" in status.message for status in said.status)
    )
    assert stack.processes["recorder_node"].poll() is None, "the node goes on"


def test_what_led_to_a_fault_is_saved_beside_the_episodes(stack: Stack, tmp_path: Path) -> None:
    peer = start(stack, tmp_path)
    peer.begin()
    gate = stack.publisher(topics.GATE_STATE, GateState, LATCHED_QOS)
    gate.publish(GateState(armed=True, mode=GateState.RUN))
    peer.joints()
    peer.step(1)
    peer.told(2)
    gate.publish(GateState(mode=GateState.STOP, latches=["tracking lost for too long"]))
    stack.until(lambda: bool(list(tmp_path.glob("faults/*.mcap"))), what="a fault saved")
    (path,) = tmp_path.glob("faults/*.mcap")
    assert path.name.endswith("-tracking-lost-for-too-long.mcap")
    with AnyReader([path]) as reader:
        heard = [connection.topic for connection, _, _ in reader.messages()]
    assert {topics.OBSERVATION, topics.DECISION, topics.EPISODE_STATE, topics.GATE_STATE} <= set(heard)
