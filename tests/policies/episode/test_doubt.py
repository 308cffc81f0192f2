"""Successes that nobody should believe unseen."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.episode.doubt import Doubt
from armtune_policies.episode.memory import Memory


@pytest.mark.fault("F48")
def test_successes_without_motion_are_asked_about_and_a_single_one_is_not() -> None:
    doubt = Doubt(3, by_rate=False)
    for has_moved in (False, False, True, False, False):
        doubt.ended(True, has_moved)
        assert doubt.take() == ""
    doubt.ended(False, False)  # a failure without motion is no success without
    doubt.ended(True, False)
    assert "3 successes in a row without motion" in doubt.take()
    assert doubt.take() == ""  # once


@pytest.mark.fault("F48")
def test_success_rate_that_jumps_is_asked_about_within_twenty_five_episodes_where_it_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    usual = list(rng.random(60) < 0.2)
    watching, blind = Doubt(0, by_rate=True), Doubt(0, by_rate=False)
    for outcome in usual:
        watching.ended(outcome, True)
        assert watching.take() == ""
    asked = []
    for _ in range(25):  # the policy has found the pose that fools the reward
        watching.ended(True, True)
        blind.ended(True, False)
        asked.append(watching.take())
    assert any("the success rate jumped" in why for why in asked) and blind.take() == ""


def test_episode_has_moved_by_its_tool_or_its_gripper_or_when_nothing_was_seen() -> None:
    memory = Memory()
    assert memory.has_moved
    for step in range(5):
        memory.saw(step, np.array([0.2, 0.001 * step, 0.1, 0, 0, 0, 1.0]))
    assert not memory.has_moved
    memory.saw(5, np.array([0.2, 0.004, 0.1, 0, 0, 0, 0.5]))
    assert memory.has_moved
    memory.begin()
    for step in range(30):  # to and fro is motion, too
        memory.saw(step, np.array([0.2, 0.001 * (step % 2), 0.1, 0, 0, 0, 1.0]))
    assert memory.has_moved
