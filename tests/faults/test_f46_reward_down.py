"""F46: the reward model hangs, crashes, or cannot say. The real node, by itself; the arm's part is F41's and F42's."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from casebook import Case

from armtune_interfaces.msg import EpisodeState, Observation, RewardAnswer
from armtune_policies.contract import TaskPair, Verdict, topics
from armtune_policies.episode.judge import Judge
from armtune_policies.store import nouns, records
from armtune_runtime.settings import PolicyParams, RewardNodeParams, RewardParams
from armtune_safety.managed_node import EVENT_QOS, EXIT_FAILED, LATCHED_QOS
from fixtures.tiny_models import OBSERVATION, SENTENCES_KNOWN, tiny_reward
from harness import Stack

pytestmark = [pytest.mark.fault("F46")]
NAME, EPISODE = "reward", "run-00000"
DEADLINE_S, HANG_S = 0.2, 1.0


def test_unknown_comes_by_the_deadline_and_the_process_ends_when_the_model_hangs(
    stack: Stack, tmp_path: Path, case: Case
) -> None:
    case.by("a model that answers dark pictures and never comes back from bright ones")
    folder = tiny_reward(tmp_path / "reward", loops=30_000_000, slow_above=0.8)
    reward = RewardParams(folder=str(folder), deadline_s=DEADLINE_S, hang_s=HANG_S)
    task = TaskPair(name="drawer", forward=SENTENCES_KNOWN[0], backward=SENTENCES_KNOWN[1])
    answers = stack.listen(topics.REWARD_ANSWER, RewardAnswer, EVENT_QOS)
    stack.bring_up(
        "armtune_runtime.reward_node", NAME, RewardNodeParams(reward=reward, policy=PolicyParams(), task=task)
    )
    seen = stack.publisher(topics.OBSERVATION, Observation, EVENT_QOS)
    state = EpisodeState(episode_id=EPISODE, phase=EpisodeState.ACTING, sentence=task.forward)
    stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS).publish(state)
    process = stack.processes[NAME]
    for step, grey in enumerate((100, 220)):
        images = {"front": np.full((96, 96, 3), grey, np.uint8)}
        shown = nouns.Observation(EPISODE, step, 1, images, np.zeros(7), observation_digest=OBSERVATION.digest)
        since_ns = time.monotonic_ns()
        seen.publish(records.encode(shown)[1])
        told = stack.wait_for(topics.REWARD_ANSWER, RewardAnswer, lambda a, step=step: a.step == step)
    case.within("unknown", time.monotonic_ns() - since_ns, 1e3 * DEADLINE_S)
    assert told.verdict == Verdict.UNKNOWN and math.isnan(told.probability)
    assert process.wait(timeout=20) == EXIT_FAILED
    case.within("process ended", time.monotonic_ns() - since_ns, 1e3 * (HANG_S + 2.0))
    case.nothing("unknown told as no or as success", [a for a in answers if a.step == 1 and a.verdict])


def test_a_step_without_an_answer_is_unknown_when_nobody_is_there_to_give_it(case: Case) -> None:
    case.by("no answers at all")
    judge, ms = Judge(deadline_s=1.0), 1_000_000
    for step in range(5):
        judge.ticked(step, step * 200 * ms)
    judged = judge.due(10_000 * ms)
    assert judged == [(step, Verdict.UNKNOWN) for step in range(5)]
    case.nothing("unknown stored as 0 or as success", [v for _, v in judged if v is not Verdict.UNKNOWN])
