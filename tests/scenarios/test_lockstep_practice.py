"""Practice in lockstep is the same again: same seed, no truth from the simulator, a learner that was killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from armtune_bringup.agents import pretrain_agent, read_overrides
from armtune_bringup.compose import compose
from armtune_bringup.spec import NodeSpec
from armtune_bringup.stages import collect_demos
from armtune_bringup.study.lockstep import helped, practised
from armtune_bringup.study.practised import caught_up
from armtune_interfaces.msg import EpisodeState
from armtune_interfaces.srv import InjectFault
from armtune_policies.contract import topics
from armtune_policies.episode.counted import counted, minutes
from armtune_policies.episode.course import Counts
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.nouns import ARM, HOMING, PAUSED
from armtune_runtime.practising import KeptCounts
from armtune_safety import managed_node as ros
from fixtures.tiny_models import tiny_models
from harness import own_domain

CONFIG = [
    "experiment.demos=1", "experiment.failures=0", "task.episode_steps=10", "policy.height_px=32", "policy.width_px=32",
]  # fmt: skip
SMALL = ["agent=calql", "agent.batch=16", "agent.hidden=[16]", "agent.critics=2", "agent.cql_actions=2"]
STEPS = 40

pytestmark = [pytest.mark.slow, pytest.mark.unhurried]


@pytest.fixture
def practise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Practise under a name on a domain of its own; returns the config of the run."""
    tiny_models(tmp_path / "models", compose(CONFIG))
    demos, policy = tmp_path / "demos", tmp_path / "models" / "calql"
    collect_demos(compose(CONFIG), demos, "demos")
    first = read_overrides([*CONFIG, *SMALL, "offline.updates=2", "agent.actor_lr=0.01", f"policy.folder={policy}"])
    pretrain_agent(first, demos, None, tmp_path / "models" / "policy")

    with own_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))

        def start(name: str, steps: int = STEPS, *words: str, **told: Any) -> Any:
            run = [f"experiment.folder={tmp_path}", f"experiment.name={name}", f"experiment.demos_folder={demos}"]
            models = [f"policy.folder={policy}", f"reward.folder={tmp_path / 'models' / 'reward'}"]
            config = compose([*CONFIG, *run, *models, "learner.recipe=online", "reward.threshold=0.999", *words])
            practised(config, steps, **told)
            return config

        yield start


def decisions(run: Path) -> list[list[Any]]:
    """What was decided in each episode of a run, and by which policy."""
    episodes = [read_episode(path) for path in list_episodes(run)]
    return [
        [one.episode_id, one.direction, one.outcome, one.about.reason, one.policy_versions, one.allowed, one.verdicts]
        for one in episodes
    ]


def goes_on_with_its_newest_head_and_its_counts(practise: Any, run: Path, before: list[list[Any]]) -> None:
    """Every process was ended; the same call begins with what the arm acted by last, and counts on."""
    practise(run.name, steps=STEPS + 10)
    after = decisions(run)[len(before) :]
    assert after and after[0][4][0] == before[-1][4][0] != before[0][4][0]
    steps = sum(len(episode[6]) for episode in (*before, *after))
    assert counted(run)["steps"] == KeptCounts(run).counts.steps == steps and minutes(run, 91.0)[1] == 2


def hides_truth(row: NodeSpec) -> NodeSpec:
    return replace(row, remaps=(*row.remaps, ("sim/truth", "hidden/truth"))) if row.name == "sim_node" else row


@contextmanager
def walled(domain_id: int) -> Iterator[None]:
    """Put a wall in the arm's way as it goes home after its second episode, until practice asks to free it."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("waller", namespace="wx250s", context=context)
    client, executor = node.create_client(InjectFault, topics.INJECT_FAULT), SingleThreadedExecutor(context=context)
    put: list[Any] = []

    def on_state(state: EpisodeState) -> None:
        on = {(HOMING, ""): True, (PAUSED, ARM): False}.get((state.phase, state.waits_for))
        if state.index == 1 and on is (not put):
            put.append(client.call_async(InjectFault.Request(name="arm.wall", on=on, value=0.0)))

    node.create_subscription(EpisodeState, topics.EPISODE_STATE, on_state, ros.LATCHED_QOS)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield
        assert len(put) == 2 and all(call.result().done for call in put)
    finally:
        executor.shutdown()
        spinning.join()
        rclpy.try_shutdown(context=context)


def kills_learner(run: Path) -> Callable[[Counts, int, float], None]:
    """Kill the run's learner process once, when its second episode ended."""

    def on_episode(counts: Counts, _: int, __: float) -> None:
        if counts.episodes != 2:
            return
        found = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if is_learner(path, run)]
        assert len(found) == 1
        os.kill(int(found[0].name), signal.SIGKILL)

    return on_episode


def is_learner(path: Path, run: Path) -> bool:
    try:
        words = path.read_bytes()
    except OSError:
        return False
    return b"armtune_policies.learn.process" in words and f'"{run}"'.encode() in words


@pytest.mark.fault("F52")
def test_arm_that_is_caught_on_its_way_home_is_lifted_there_and_practice_goes_on(practise: Any, tmp_path: Path) -> None:
    practise("walled", STEPS, "sim.faults=true", "episode.home_s=2.0", judge=walled)
    assert helped(tmp_path / "walled")["lifts"] == 1
    assert KeptCounts(tmp_path / "walled").counts.steps >= STEPS


@pytest.mark.fault("F29")
def test_same_decisions_and_counts_without_truth_and_with_a_killed_learner(practise: Any, tmp_path: Path) -> None:
    first = practise("one")
    second = practise("two", changed=hides_truth, on_episode=kills_learner(tmp_path / "two"))
    one, two = decisions(tmp_path / "one"), decisions(tmp_path / "two")
    assert len(one) == len(two) >= 4
    for ours, theirs in zip(one, two):
        assert [*ours[1:5]] == [*theirs[1:5]]
        np.testing.assert_array_equal(ours[5], theirs[5])
        np.testing.assert_array_equal(ours[6], theirs[6])
    acted = [episode[4][0] for episode in one]
    assert acted[0] == acted[1] and len(set(acted)) == len(acted) - 1, "learnt heads come two episodes later, each once"
    learners = [
        caught_up(config, tmp_path / name, lambda *_: None) for config, name in ((first, "one"), (second, "two"))
    ]
    for learner in learners:
        assert learner.paid.updates == learner.paid.steps == sum(len(episode[6]) for episode in one)
    for ours, theirs in zip(*(learner.agent.nets.parameters() for learner in learners)):
        assert (ours == theirs).all()
    goes_on_with_its_newest_head_and_its_counts(practise, tmp_path / "one", one)
