"""Episodes nobody judged have rewards from their outcome; what is practised comes first in the table of sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dots import ACTION, BACK, GO, SPEC, episode

from armtune_policies.contract import Verdict
from armtune_policies.learn.episodes import as_trajectory
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.offline import Offline, OfflineParams, gather, make_agent, training_digest
from armtune_policies.learn.settings import AgentParams
from armtune_policies.reward.frames import POSITIVE
from armtune_policies.store.labels import LIVE, shown_labels

PARAMS = AgentParams(hidden=(8,), critics=2)


def data() -> Offline:
    made = []
    for seed, fails in ((1, False), (2, True), (3, False)):
        one = episode(seed, GO if seed < 3 else BACK, fails)
        seen = np.random.default_rng(seed).normal(size=(one.steps, 4)).astype(np.float32)
        made.append(as_trajectory(one, ACTION, (GO, BACK), "", seen, shown_labels(one)))
    return Offline(tuple(made), (GO, BACK), 4, "d", episodes=3, successes=2)


def test_a_demonstration_is_done_where_its_last_frames_begin() -> None:
    one = episode(1, GO)
    labels = shown_labels(one)
    assert labels.success_step == one.steps - 1 - POSITIVE and labels.name == "shown"
    rows = as_trajectory(one, ACTION, (GO, BACK), "", np.zeros((one.steps, 1), np.float32), labels)
    assert len(rows) == labels.success_step + 1 and rows.terminated[-1] and rows.reward.tolist()[-2:] == [-1.0, 0.0]


def test_a_failure_is_never_done_and_a_judged_episode_keeps_its_vote() -> None:
    assert shown_labels(episode(1, GO, fails=True)).success_step is None
    judged = episode(1, GO)
    judged = replace(judged, verdicts=np.full(judged.steps, Verdict.NO, np.uint8))
    assert shown_labels(judged).name == LIVE and shown_labels(judged).success_step == judged.end_step


def test_an_agent_is_made_to_the_datas_measure(embeddings: dict[str, np.ndarray]) -> None:
    made = data()
    agent, replay = make_agent(made, PARAMS, embeddings, seed=0)
    assert len(replay) == sum(len(one) for one in made.trajectories) - 1
    assert agent.layout.vector_size == 11 and agent.nets.projection.table.shape == (2, 384)
    np.testing.assert_allclose(agent.nets.projection.mean, replay.spread()[0], atol=1e-6)


def test_practice_may_change_only_what_training_does_not_read() -> None:
    named = training_digest(data(), PARAMS, 0)
    assert training_digest(data(), replace(PARAMS, utd=4, offline_share=0.1, device="cuda"), 0) == named
    assert training_digest(data(), replace(PARAMS, gamma=0.9), 0) != named
    assert training_digest(data(), PARAMS, 1) != named


def test_a_folder_without_episodes_is_refused(policy_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episodes to learn from; collect some: armtune collect"):
        gather([tmp_path], (GO, BACK), ACTION, FrozenEncoder(policy_folder, ACTION, SPEC), OfflineParams())
