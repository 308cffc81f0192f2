from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition

from armtune_interfaces.msg import EpisodeState, Observation, PolicyOffer, RewardAnswer
from armtune_policies.contract import TaskPair, Verdict, file_digest, topics
from armtune_policies.reward.noise import PRESETS, NoiseChannel
from armtune_policies.store import nouns, records
from armtune_runtime.settings import PolicyParams, RewardNodeParams, RewardParams
from armtune_safety.managed_node import EVENT_QOS, EXIT_CONFIG, EXIT_FAILED, LATCHED_QOS
from fixtures.tiny_models import OBSERVATION, tiny_reward
from fixtures.wires import SENTENCE
from harness import Stack

NODE, NAME = "armtune_runtime.reward_node", "reward"
TASK = TaskPair(name="drawer", forward=SENTENCE, backward="close the drawer")


def settings(folder: Path, **reward: float | str) -> RewardNodeParams:
    return RewardNodeParams(reward=RewardParams(folder=str(folder), **reward), policy=PolicyParams(), task=TASK)


def seen(step: int, grey: int, episode_id: str = "run-00000", spec: str = OBSERVATION.digest, size: int = 96) -> bytes:
    """An observation message of one grey."""
    images = {"front": np.full((size, size, 3), grey, np.uint8)}
    return records.encode(nouns.Observation(episode_id, step, 1, images, np.zeros(7), observation_digest=spec))[1]


class Scene:
    """The node, active, an episode under way."""

    def __init__(self, stack: Stack, folder: Path, **reward: float | str) -> None:
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

    def says(self, key: str, fits: Callable[[str], bool], since: int = 0) -> str:
        """Wait until diagnostics say something fitting under a key; return it."""

        def value(message: DiagnosticArray) -> str:
            return next((v.value for status in message.status for v in status.values if v.key == key), "")

        message = self.stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, lambda m: fits(value(m)), newer_than=since)
        return value(message)

    def offer(self, folder: Path) -> None:
        manifest = folder / "manifest.json"
        offers = self.stack.publisher(topics.REWARD_OFFER, PolicyOffer, LATCHED_QOS)
        digest = file_digest(manifest) if manifest.exists() else ""
        offers.publish(PolicyOffer(policy_version=folder.name, manifest_path=str(folder), manifest_digest=digest))


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
    histogram = scene.says("latency_histogram_ms", bool)
    assert sum(int(part.rpartition(":")[2]) for part in histogram.split()) == 2


@pytest.mark.fault("L9")
def test_a_retrained_model_judges_from_the_next_episode_on(stack: Stack, tmp_path: Path) -> None:
    first, second = (tiny_reward(tmp_path / name, name=name) for name in ("first", "second"))
    scene = Scene(stack, first)
    scene.act("run-00000")
    scene.offer(second)
    assert scene.says("waiting", lambda version: version.startswith("second-"))
    scene.observations.publish(seen(0, 220))
    assert scene.answer(0).model_digest == file_digest(first / "manifest.json")
    scene.act("run-00001")
    assert scene.says("model", lambda version: version.startswith("second-"))
    scene.observations.publish(seen(1, 220, "run-00001"))
    assert scene.answer(1).model_digest == file_digest(second / "manifest.json")


def test_a_model_that_will_not_do_is_refused_and_the_old_one_stays(stack: Stack, tmp_path: Path) -> None:
    first, empty, strange = (tiny_reward(tmp_path / name, name=name) for name in ("first", "empty", "strange"))
    (empty / "reward.onnx").write_bytes(b"")
    tiny_reward(strange, sentences=("open the drawer", "lift the lid"), name="strange")
    scene = Scene(stack, first)
    scene.act("run-00000")
    scene.offer(empty)
    assert "cut short: expected" in scene.says("refused", lambda why: why.startswith("empty: "))
    scene.offer(strange)
    assert "does not know the sentence 'close the drawer'" in scene.says("refused", lambda why: "strange" in why)
    scene.act("run-00001")
    scene.observations.publish(seen(0, 220, "run-00001"))
    assert scene.answer(0).model_digest == file_digest(first / "manifest.json")


def test_answers_are_spoilt_as_the_noise_says_and_do_not_pass_for_the_models(stack: Stack, tmp_path: Path) -> None:
    folder = tiny_reward(tmp_path / "reward")
    scene = Scene(stack, folder, noise="cloth_folding", noise_correlation=0.5)
    scene.act()
    turned = NoiseChannel(PRESETS["cloth_folding"], 0.5, seed=0).errors("run-00000", 12)[:, 1]
    assert 0 < turned.sum() < 12
    for step in range(12):
        scene.observations.publish(seen(step, 220))
        answer = scene.answer(step)
        assert answer.verdict == (Verdict.NO if turned[step] else Verdict.YES)
        assert (answer.probability > 0.5) == (answer.verdict == Verdict.YES)
    assert answer.model_digest == file_digest(folder / "manifest.json") + "+noise.cloth_folding"


def test_verdict_follows_the_config_when_it_names_a_threshold(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward"), threshold=0.99)
    scene.act()
    scene.observations.publish(seen(0, 200))
    answer = scene.answer(0)
    assert answer.verdict == Verdict.NO and answer.probability > 0.8


def test_answer_is_unknown_by_the_deadline_when_the_model_is_slow(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward", loops=1_500_000), deadline_s=0.05)
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


def test_answer_is_unknown_with_a_reason_when_the_model_cannot_say(stack: Stack, tmp_path: Path) -> None:
    scene = Scene(stack, tiny_reward(tmp_path / "reward", nan_below=0.2))
    scene.act()
    cases = (
        (10, 96, SENTENCE, "holds NaN or infinity"),
        (220, 48, SENTENCE, "refused its inputs"),
        (220, 96, "", "does not know the sentence ''"),
    )
    for step, (grey, size, sentence, why) in enumerate(cases):
        scene.act(f"run-0000{step}", sentence)
        scene.observations.publish(seen(step, grey, f"run-0000{step}", size=size))
        assert math.isnan(scene.answer(step, known=False).probability)
        heard = len(stack.listen(topics.DIAGNOSTICS, DiagnosticArray))
        stack.wait_for(
            topics.DIAGNOSTICS, DiagnosticArray, lambda m, why=why: why in m.status[0].message, newer_than=heard
        )


def test_process_ends_when_the_model_hangs(stack: Stack, tmp_path: Path) -> None:
    folder = tiny_reward(tmp_path / "reward", loops=30_000_000, slow_above=0.8)
    scene = Scene(stack, folder, deadline_s=0.2, hang_s=1.0)
    scene.act()
    scene.observations.publish(seen(0, 100))
    assert scene.answer(0).verdict == Verdict.NO
    process = stack.processes[NAME]
    scene.observations.publish(seen(1, 220))
    assert math.isnan(scene.answer(1, known=False).probability)
    assert process.wait(timeout=10) == EXIT_FAILED
    assert stack.log(NAME).count("the reward model did not come back within 1 s") == 1


def test_node_refuses_to_configure_when_the_model_is_missing(stack: Stack, tmp_path: Path) -> None:
    process = stack.start(NODE, NAME, settings(tmp_path / "absent"))
    stack.transition(NAME, Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert "no such file" in stack.log(NAME)
