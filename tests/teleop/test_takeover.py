"""A person takes the arm from a policy that practises, and gives it back; the arm's own log says how."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from faults.models import circling_models
from faults.witness import Witness
from rclpy.action import ActionClient
from std_srvs.srv import SetBool

from armtune_bringup.compose import compose
from armtune_interfaces import action
from armtune_policies.contract import OPERATOR_LOST, topics
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_sim.oracle import Event
from fixtures.teleop import LIGHT, TRIES, JoyHand, TeleopStack

OVERRIDES = (
    "teleop=joy",
    "sim.arm_log=true",
    "reward.threshold=0.999",
    "task.episode_steps=400",
    "learner.refit_every=1000",
    *LIGHT,
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeleopStack]:
    folder = tmp_path_factory.mktemp("takeover")
    circling_models(folder / "models", compose(list(OVERRIDES)))
    with TeleopStack(folder, *OVERRIDES) as running:
        yield running


@contextmanager
def practising(graph: TeleopStack, hand: JoyHand) -> Iterator[None]:
    """One episode of practice, which ends with the block, for the next test, or the next try, to begin anew."""
    client = ActionClient(graph.stack.node, action.Practice, graph.full(topics.PRACTICE))
    assert client.wait_for_server(timeout_sec=20.0)
    goal = graph.stack.ask(client.send_goal_async, action.Practice.Goal(episodes=1))
    graph.until(goal.done, "practice is answered")
    assert goal.result().accepted
    try:
        yield
    finally:
        hand.engage(False)
        graph.stack.ask(goal.result().cancel_goal_async)
        graph.nursed(lambda: graph.phase == "finished", "practice ends")
        client.destroy()


@pytest.mark.fault("F51")
def test_takeover_and_hand_back_are_marked_leave_a_hole_and_move_the_arm_within_its_limits(
    graph: TeleopStack, hand: JoyHand
) -> None:
    asked_ns, heard = time.monotonic_ns(), len(graph.decisions)
    hand.move(np.array([0.0, 0.06, 0.02]))
    graph.recover()

    def acted_by(source: str, count: int) -> bool:
        mine = [d.source for d in graph.decisions[heard:] if d.episode_id]
        return mine.count(source) >= count

    with practising(graph, hand):
        graph.nursed(lambda: acted_by("policy", 6), "the policy acts")
        name = graph.eyes.episode.episode_id
        for holds, source in ((True, "teleop"), (False, "policy")) * 2:
            heard = len(graph.decisions)
            hand.engage(holds)
            graph.until(lambda: acted_by(source, 5), f"{source} acts")  # noqa: B023
        hand.press("failure")
        graph.until(lambda: bool(graph.eyes.episode.outcome), "the operator ends it")
        assert graph.eyes.episode.episode_id == name, "one episode all along"
        graph.until(lambda: name in [file.stem for file in list_episodes(graph.up.run)], "the file")

    episode = read_episode(next(file for file in list_episodes(graph.up.run) if file.stem == name))
    assert (episode.outcome, episode.about.reason) == ("timeout", "failure, says the operator")
    assert 10 <= int(episode.intervention.sum()) < episode.steps and "policy" in episode.sources
    hands = [(a, b) for a, b in zip(episode.sources, episode.sources[1:]) if a != b and a and b]
    assert not hands, "a change of hands leaves a hole: nothing is learnt across it"
    assert np.isfinite(episode.state[episode.complete]).all() and episode.complete[episode.intervention].mean() > 0.8

    witness = Witness(graph.up.run / "logs/arm.csv", graph.config)
    assert witness.violations(asked_ns, (Event(asked_ns, "armed"),)) == []


@pytest.mark.fault("F51")
def test_arm_whose_person_is_lost_is_held_until_told_otherwise_and_the_episode_goes_on(
    graph: TeleopStack, hand: JoyHand
) -> None:
    corrections = ("collect", "task=drawer", "n=1", "source=policy", "--no-film")
    session = graph.armtune(*corrections, "--arm")
    session.until_said("the policy acts; take over where it goes wrong", 90.0)
    tries = (_lost_and_found(graph, hand) for _ in range(TRIES))
    assert any(tries), f"stopped {TRIES} times over\n{graph.up.said[-1500:]}"
    session.kill()
    graph.until(lambda: graph.phase == "finished", "nobody is there any more", 60.0)
    assert graph.eyes.episode.reason == "whoever asked for it is gone"
    again = graph.armtune(*corrections)
    graph.nursed(lambda: graph.phase != "finished", "the same command goes on")
    again.kill()


def _lost_and_found(graph: TeleopStack, hand: JoyHand) -> bool:
    """Unplug the device in the person's hand, wait, and hand the arm on; False when a busy machine stopped the arm."""
    is_stopped = lambda: bool(graph.eyes.gate.latches)  # noqa: E731
    heard = 0

    def until(condition: Callable[[], bool], what: str) -> bool:
        graph.until(lambda: condition() or is_stopped(), what, 60.0)
        return not is_stopped()

    def by(source: str) -> bool:
        return any(d.source == source for d in graph.decisions[heard:])

    def stays_held() -> bool:
        """More of it than any other hold may last."""
        assert not by("policy"), "it does not take the arm back unasked"
        return len(graph.decisions) > heard + 15

    off = lambda: graph.stack.call(SetBool, graph.full(topics.HOLD), SetBool.Request(data=False))  # noqa: E731
    hand.engage(False)
    hand.plugged_in = True
    off()
    if is_stopped():
        graph.recover()
    if graph.phase == "paused":
        hand.press("start")
    heard = len(graph.decisions)
    if not until(lambda: by("policy"), "the policy acts"):
        return False
    hand.engage(True)
    if not until(lambda: by("teleop"), "the person acts"):
        return False
    episode, hand.plugged_in = graph.eyes.episode.episode_id, False
    if not until(lambda: OPERATOR_LOST in graph.eyes.gate.reasons, "held"):
        return False
    heard = len(graph.decisions)
    if not until(stays_held, "time goes by"):
        return False
    assert graph.phase == "acting", "the episode waits"
    assert "`armtune hold --off` lets others have it" in graph.said["said"], "the person is told"
    off()
    if not until(lambda: by("policy"), "the policy goes on"):
        return False
    assert (graph.eyes.episode.episode_id, graph.phase) == (episode, "acting"), "in the very same episode"
    return True
