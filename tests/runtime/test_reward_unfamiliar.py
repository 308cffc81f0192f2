"""A judge in the real node, shown what its training never showed: a black picture, a dark one, a moved camera."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from armtune_interfaces.msg import EpisodeState, Observation, RewardAnswer
from armtune_policies.contract import ActionSpec, ObservationSpec, TaskPair, Verdict, topics
from armtune_policies.learn.augment import random_light, random_shift
from armtune_policies.learn.export import About
from armtune_policies.learn.networks import seed_everything
from armtune_policies.learn.reward.export import export_judge
from armtune_policies.learn.reward.judge import Familiarity, Served
from armtune_policies.learn.reward.student import Student
from armtune_policies.reward.calibrate import Limits, distance_bound
from armtune_policies.store import nouns, records
from armtune_runtime.settings import PolicyParams, RewardNodeParams, RewardParams
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS
from fixtures.tiny_models import SENTENCES_KNOWN
from harness import Stack

ACTION, SPEC = ActionSpec(), ObservationSpec(height_px=32, width_px=32)
TASK = TaskPair(name="drawer", forward=SENTENCES_KNOWN[0], backward=SENTENCES_KNOWN[1])
NAME, EPISODE = "reward", "run-00000"
MOVED_PX = 8
"""A quarter of the picture: a camera that was knocked."""


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """One scene in patches, uint8 (500, 32, 32, 3), in the light and the jitter of ordinary days."""
    rng = np.random.default_rng(0)
    table = np.kron(rng.integers(30, 226, (10, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)[2:34, 2:34]
    return random_light(random_shift(np.repeat(table[None], 500, axis=0), 1, rng), 0.2, rng)


@pytest.fixture(scope="module")
def judge(scene: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that was never trained, but knows the scene: its bound refuses one in 500 of those held out."""
    seed_everything(0)
    student = Student(SPEC).eval()
    with torch.no_grad():
        known, held = (student.look([torch.from_numpy(part)]) for part in (scene[:400], scene[400:]))
        familiarity = Familiarity.fitted(known.numpy())
        bound = distance_bound(familiarity(held).numpy(), 0.002)
    folder = tmp_path_factory.mktemp("models") / "judge"
    embeddings = dict(zip(SENTENCES_KNOWN, np.eye(2, 384, dtype=np.float32)))
    about = About("scene", ACTION, SPEC, embeddings)
    export_judge(folder, Served(student, familiarity, 1.0).eval(), Limits(0.5, None, bound), about)
    return folder


@pytest.mark.fault("F48")
def test_black_dark_and_moved_pictures_are_unknown_with_the_reason_and_the_scene_is_judged(
    stack: Stack, judge: Path, scene: np.ndarray
) -> None:
    stack.listen(topics.REWARD_ANSWER, RewardAnswer, EVENT_QOS)
    stack.listen(topics.DIAGNOSTICS, DiagnosticArray)
    policy = PolicyParams(height_px=SPEC.height_px, width_px=SPEC.width_px)
    params = RewardNodeParams(reward=RewardParams(folder=str(judge)), policy=policy, task=TASK)
    stack.bring_up("armtune_runtime.reward_node", NAME, params)
    observations = stack.publisher(topics.OBSERVATION, Observation, EVENT_QOS)
    acting = EpisodeState(episode_id=EPISODE, phase=EpisodeState.ACTING, sentence=TASK.forward)
    stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS).publish(acting)
    plain = scene[450]
    shown = [plain, plain * 0, plain // 4, np.roll(plain, MOVED_PX, axis=1), plain]
    for step, image in enumerate(shown):
        seen = nouns.Observation(EPISODE, step, 1, {"front": image}, np.zeros(7), observation_digest=SPEC.digest)
        heard = len(stack.listen(topics.DIAGNOSTICS, DiagnosticArray))
        observations.publish(records.encode(seen)[1])
        told = stack.wait_for(topics.REWARD_ANSWER, RewardAnswer, lambda answer, step=step: answer.step == step)
        if image is plain:
            assert told.verdict != Verdict.UNKNOWN and 0.0 <= told.probability <= 1.0
            continue
        assert told.verdict == Verdict.UNKNOWN and math.isnan(told.probability)
        message = stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, _warns, newer_than=heard)
        why = message.status[0].message
        assert "the picture is unlike those the reward model was trained on" in why
        assert "see whether the camera was moved, covered or is dark" in why


def _warns(message: DiagnosticArray) -> bool:
    return bool(message.status[0].level == DiagnosticStatus.WARN)
