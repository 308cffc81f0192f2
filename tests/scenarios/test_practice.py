"""The whole graph by ``armtune up``: practice leaves whole files; Ctrl-C, kill -9 and crash loops end well."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mcap_ros2.reader import read_ros2_messages
from rosbags.highlevel import AnyReader

from armtune_bringup.compose import compose
from armtune_policies.contract import Mode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from fixtures.tiny_models import tiny_models
from fixtures.up import UP_S, Up, gone
from harness import own_domain

END_S = 5.0
NODES = {"sim_node", "gate_node", "reward_node", "policy_node", "recorder_node", "episode_node", "learner_node"}
NODES |= {"supervisor_node"}

pytestmark = pytest.mark.slow


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start ``armtune up sim`` with tiny models on a domain of its own; whatever is left ends with the test."""
    tiny_models(tmp_path / "models", compose())
    started: list[Up] = []
    with own_domain() as domain:

        def start(*arguments: str) -> Up:
            started.append(Up(tmp_path, domain, *arguments))
            return started[-1]

        yield start
        for one in started:
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGINT)
            one.ends(timeout_s=15.0)


def whole_files(run: Path) -> list[Path]:
    """The run's episode files; nothing half-written lies beside them."""
    files = list_episodes(run)
    assert sorted(files) == sorted((run / "episodes").iterdir())
    return files


@pytest.mark.parametrize("pace", ["lockstep", "real"])
def test_two_episodes_are_practised_and_every_reader_opens_their_files(up, pace: str) -> None:
    never = "reward.threshold=0.999"  # else the tiny judge takes both directions for solved
    one = up("--practice", f"experiment.time={pace}", "experiment.episodes=2", "task.episode_steps=6", never)
    assert one.ends(UP_S) == 0, one.said
    assert "practised 2 episodes" in one.said
    files = whole_files(one.run)
    episodes = [read_episode(file) for file in files]
    assert [(episode.sentence, episode.outcome) for episode in episodes] == [("open the drawer", "timeout")] * 2
    for file, episode in zip(files, episodes):
        steps = len(episode.modes)
        assert 1 <= steps <= 6 and episode.modes[-1] < Mode.HOLD
        with AnyReader([file]) as reader:
            counts = {connection.topic: connection.msgcount for connection in reader.connections}
            for connection, _, raw in reader.messages():
                reader.deserialize(raw, connection.msgtype)
        assert counts["observation"] == counts["decision"] == steps
        decoded = [m.ros_msg for m in read_ros2_messages(str(file)) if m.channel.topic == "observation"]
        assert [m.step for m in decoded] == list(range(steps))


def test_ctrl_c_amid_an_episode_ends_every_process_within_5_s_and_leaves_it_whole(up) -> None:
    one = up("--practice", "experiment.time=lockstep", "task.episode_steps=1000", "reward.threshold=0.999")
    one.until(lambda: any((one.run / "episodes").glob("*.part")), "an episode begun")
    pids = one.nodes()
    assert set(pids) == NODES
    one.process.send_signal(signal.SIGINT)
    assert one.ends(END_S) == 0, one.said
    assert all(gone(pid) for pid in pids.values()) and "killed" not in one.said
    for file in whole_files(one.run):
        assert read_episode(file).outcome == "aborted"


def test_policy_node_comes_back_and_all_nodes_go_when_policy_then_runner_are_killed(up) -> None:
    one = up("experiment.time=lockstep")
    one.until_said("learner_node: active")
    before = one.node("policy_node")
    os.kill(before, signal.SIGKILL)
    one.until_said("policy_node: ended by SIGKILL; respawn 1 of 3")
    one.until_said("policy_node: active", times=2)
    assert one.node("policy_node", other_than=before) != before
    pids = one.nodes()
    assert set(pids) == NODES
    one.process.kill()
    one.until(lambda: all(gone(pid) for pid in pids.values()), "every node ended", timeout_s=2 * END_S)


def test_graph_ends_with_its_reason_when_a_node_crashes_again_and_again(up) -> None:
    one = up("experiment.time=lockstep", "safety.restarts=1")
    first = one.node("policy_node")
    os.kill(first, signal.SIGKILL)
    os.kill(one.node("policy_node", other_than=first), signal.SIGKILL)
    assert one.ends(END_S + UP_S) != 0
    assert "policy_node ended by SIGKILL, its respawns are spent (1 of 1 within 60 s)" in one.said
    assert "Traceback" not in one.said
