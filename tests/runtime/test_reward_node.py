from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from lifecycle_msgs.msg import Transition

from armtune_interfaces.msg import EpisodeState, Observation, RewardAnswer
from armtune_policies.contract import TaskPair, Verdict, file_digest, topics
from armtune_policies.store import nouns, records
from armtune_runtime.settings import PolicyParams, RewardNodeParams, RewardParams
from armtune_safety.managed_node import EVENT_QOS, EXIT_CONFIG, LATCHED_QOS
from fixtures.tiny_models import OBSERVATION, tiny_reward
from fixtures.wires import SENTENCE
from harness import Stack

NODE, NAME = "armtune_runtime.reward_node", "reward"
TASK = TaskPair(name="drawer", forward=SENTENCE, backward="close the drawer")


def settings(folder: Path, **reward: float) -> RewardNodeParams:
    return RewardNodeParams(reward=RewardParams(folder=str(folder), **reward), policy=PolicyParams(), task=TASK)


def seen(step: int, grey: int, episode_id: str = "run-00000", spec: str = OBSERVATION.digest) -> bytes:
    """An observation message of one grey."""
    images = {"front": np.full((96, 96, 3), grey, np.uint8)}
    return records.encode(nouns.Observation(episode_id, step, 1, images, np.zeros(7), observation_digest=spec))[1]


class Scene:
    """The node, active, an episode under way."""

    def __init__(self, stack: Stack, folder: Path, **reward: float) -> None:
        self.stack = stack
        stack.listen(topics.REWARD_ANSWER, RewardAnswer, EVENT_QOS)
        stack.bring_up(NODE, NAME, settings(folder, **reward))
        self.observations = stack.publisher(topics.OBSERVATION, Observation, EVENT_QOS)
        self.episodes = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)

    def act(self, episode_id: str = "run-00000", sentence: str = SENTENCE) -> None:
        self.episodes.publish(EpisodeState(episode_id=episode_id, phase=EpisodeState.ACTING, sentence=sentence))

    def answer(self, step: int, known: bool = True) -> RewardAnswer:
        def fits(answer: RewardAnswer) -> bool:
            return answer.step == step and (answer.verdict != Verdict.UNKNOWN) is known

        return self.stack.wait_for(topics.REWARD_ANSWER, RewardAnswer, fits)


def test_each_observation_is_answered_when_the_model_is_in_time(stack: Stack, tmp_path: Path) -> None:
    folder = tiny_reward(tmp_path / "reward")
    scene = Scene(stack, folder)
    scene.act()
    scene.observations.publish(seen(0, 30))
    no = scene.answer(0)
    scene.observations.publish(seen(1, 220))
    yes = scene.answer(1)
    assert (no.verdict, yes.verdict) == (Verdict.NO, Verdict.YES)
    assert no.probability < 0.1 < 0.9 < yes.probability
    assert no.model_digest == file_digest(folder / "manifest.json")
    assert 0 < no.latency_s < 0.5


def test_verdict_follows_the_config_when_it_names_a_threshold(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward"), threshold=0.99)
    scene.act()
    scene.observations.publish(seen(0, 200))
    answer = scene.answer(0)
    assert answer.verdict == Verdict.NO and answer.probability > 0.8


def test_answer_is_unknown_by_the_deadline_when_the_model_is_slow(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward", loops=400_000), deadline_s=0.05)
    scene.act()
    scene.observations.publish(seen(0, 220))
    unknown = scene.answer(0, known=False)
    assert math.isnan(unknown.probability) and unknown.latency_s < 0.4
    late = scene.answer(0)
    assert late.verdict == Verdict.YES and late.latency_s > 0.05


def test_observation_waits_when_the_episode_is_not_yet_known(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward"))
    scene.observations.publish(seen(0, 220, "run-00007"))
    scene.act("run-00007")
    assert scene.answer(0).episode_id == "run-00007"


def test_answer_is_unknown_when_the_observation_is_of_another_spec(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward"))
    scene.act()
    scene.observations.publish(seen(0, 220, spec="0" * 16))
    assert scene.answer(0, known=False)
    stack.until(lambda: "is of spec" in stack.log(NAME), what="the reason in the log")


def test_node_refuses_to_configure_when_the_model_is_missing(stack: Stack, tmp_path: Path) -> None:
    process = stack.start(NODE, NAME, settings(tmp_path / "absent"))
    stack.transition(NAME, Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert "no such file" in stack.log(NAME)
