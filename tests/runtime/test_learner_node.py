from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from armtune_interfaces.msg import EpisodeState, PolicyOffer
from armtune_policies.contract import file_digest, topics
from armtune_policies.runtime.policy import Policy
from armtune_policies.store import nouns
from armtune_runtime.settings import LearnerNodeParams, LearnerParams, PolicyParams
from armtune_safety.managed_node import LATCHED_QOS
from fixtures.untrained import ACTION, SPEC, untrained_policy, write_episode
from harness import Stack

NODE, NAME = "armtune_runtime.learner_node", "learner"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_policy(tmp_path_factory.mktemp("models") / "policy")


def settings(policy: Path, run: Path, **learner: int) -> LearnerNodeParams:
    seen = PolicyParams(folder=str(policy), height_px=32, width_px=32)
    return LearnerNodeParams(
        learner=LearnerParams(updates=20, refit_every=1, **learner), policy=seen, run_folder=str(run), seed=3
    )


def value(array: DiagnosticArray, key: str) -> str:
    return {v.key: v.value for v in array.status[0].values}.get(key, "")


def wait_for_value(stack: Stack, key: str, wanted: str, newer_than: int = 0) -> DiagnosticArray:
    fits = lambda array: value(array, key) == wanted  # noqa: E731
    return stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, fits, 60.0, newer_than=newer_than)


@pytest.mark.fault("F29")
@pytest.mark.slow
def test_head_is_offered_when_an_episode_succeeded_and_again_after_the_learner_was_killed(
    stack: Stack, policy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    stack.listen(topics.POLICY_OFFER, PolicyOffer, LATCHED_QOS)
    stack.bring_up(NODE, NAME, settings(policy, run))
    episodes = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
    write_episode(run, "run-00000")
    for outcome in ("", "success", "success"):
        episodes.publish(EpisodeState(episode_id="run-00000", phase=EpisodeState.ACTING, outcome=outcome))
    first = stack.wait_for(topics.POLICY_OFFER, PolicyOffer, timeout_s=60.0)
    assert first.manifest_digest == file_digest(Path(first.manifest_path) / "manifest.json")
    swapped = Policy.load(policy, ACTION, SPEC).with_head(Path(first.manifest_path))
    assert swapped.version == first.policy_version

    heard = stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    os.kill(int(value(heard[-1], "pid")), signal.SIGKILL)
    wait_for_value(stack, "restarts_left", "2")
    write_episode(run, "run-00001")
    episodes.publish(EpisodeState(episode_id="run-00001", phase=EpisodeState.RESTING, outcome="success"))
    newer = lambda offer: offer.policy_version != first.policy_version  # noqa: E731
    second = stack.wait_for(topics.POLICY_OFFER, PolicyOffer, newer, timeout_s=60.0)
    assert Path(second.manifest_path).name == "head-0002"

    pid = int(value(heard[-1], "pid"))
    assert stack.stop(NAME) == 0
    stack.until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the learner process")


@pytest.mark.fault("F46")
@pytest.mark.slow
def test_learning_pauses_while_the_reward_model_cannot_say_and_goes_on_when_it_can(
    stack: Stack, policy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    offers = stack.listen(topics.POLICY_OFFER, PolicyOffer, LATCHED_QOS)
    write_episode(run, "run-00000")
    stack.bring_up(NODE, NAME, settings(policy, run))
    episodes = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)

    def ended(episode_id: str, unknown: int) -> None:
        write_episode(run, episode_id, nouns.TIMEOUT, unknown)
        episodes.publish(EpisodeState(episode_id=episode_id, phase=EpisodeState.RESTING, outcome=nouns.TIMEOUT))

    ended("run-00001", 3)
    paused = "learning pauses: the last 3 steps have no known reward"
    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, lambda said: paused in said.status[0].message, 60.0)
    assert not offers and value(wait_for_value(stack, "state", "waiting"), "pid")
    ended("run-00002", 2)
    assert stack.wait_for(topics.POLICY_OFFER, PolicyOffer, timeout_s=60.0).policy_version


@pytest.mark.slow
def test_learner_ends_when_its_node_is_killed(stack: Stack, policy: Path, tmp_path: Path) -> None:
    stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    stack.bring_up(NODE, NAME, settings(policy, tmp_path / "run"))
    pid = int(value(wait_for_value(stack, "state", "waiting"), "pid"))
    stack.stop(NAME, signal.SIGKILL)
    stack.until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the learner process")


def test_node_stays_up_and_says_why_when_the_learner_cannot_start(stack: Stack, tmp_path: Path) -> None:
    stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    stack.bring_up(NODE, NAME, settings(tmp_path / "absent", tmp_path / "run", restarts=0))
    array = wait_for_value(stack, "state", "given up")
    assert "refused its job" in array.status[0].message
    stack.until(lambda: "no such file" in stack.log(NAME), what="the learner's own words")
    assert stack.stop(NAME) == 0
