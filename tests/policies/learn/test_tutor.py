"""Labels by hindsight lead a hand from where it was to where the thing stood, as demonstrations would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from armtune_policies.contract import ActionSpec
from armtune_policies.learn.scaling import ActionScale
from armtune_policies.learn.trajectory import Trajectory
from armtune_policies.learn.tutor import Tutor

SCALE = ActionScale(ActionSpec())
HOME, TABLE_M = np.array([0.2, 0.0, 0.2]), 0.03


def way(goal: np.ndarray, shuts: bool = True, **more: object) -> Trajectory:
    """A hand that goes from home to a goal in straight steps of 4 cm at most, shuts there and lifts."""
    at, places, openings = HOME.copy(), [], []
    while np.linalg.norm(goal - at) > 1e-6:
        places.append(at)
        openings.append(1.0)
        at = at + (goal - at) * min(0.04 / np.linalg.norm(goal - at), 1.0)
    places += [at, at, at + np.array([0.0, 0.0, 0.05])]
    openings += [0.0 if shuts else 1.0] * 3
    rows, at_m = len(places), np.array(places)
    moves = np.diff(at_m, axis=0, append=at_m[-1:])
    action = SCALE.to_unit(np.column_stack([moves, np.zeros((rows, 3)), openings]))
    state = np.column_stack([at_m, np.zeros((rows, 3)), openings]).astype(np.float32)
    terminated = np.arange(rows) == rows - 1
    given: dict[str, object] = {
        "source": str(goal),
        "features": np.zeros((rows, 0), np.float32),
        "state": state,
        "action": action,
        "reward": np.full(rows, -1.0, np.float32),
        "terminated": terminated,
        "follows": ~terminated,
        "is_step": np.ones(rows, bool),
        "imitate": True,
    }
    return Trajectory(**{**given, **more})  # type: ignore[arg-type]


GOALS = [np.array([x, y, TABLE_M]) for x in (0.2, 0.26, 0.32) for y in (-0.08, 0.0, 0.08)]
SHOWN = [way(goal) for goal in GOALS]


def tried(goal: np.ndarray, shuts: bool = True) -> Trajectory:
    return way(goal, shuts, imitate=False, terminated=np.zeros(len(way(goal)), bool))


def test_labels_lead_to_where_it_stood_and_shut_the_hand_there() -> None:
    tutor, stands = Tutor(SHOWN, SCALE), np.array([0.28, 0.03, TABLE_M])
    at, hand = HOME.copy(), 1.0
    for _ in range(20):
        state = np.array([[*at, 0, 0, 0, hand]] * 2, np.float32)
        one = replace(tried(GOALS[0]), state=np.repeat(state[:1], len(tried(GOALS[0])), axis=0))
        expert = tutor.taught(one, stands[:2]).expert
        assert expert is not None
        move = SCALE.to_physical(expert[0])
        at, hand = at + move[:3], float(move[-1])
        if hand < 0.5:
            break
    assert hand < 0.5 and np.linalg.norm(at - stands) < 0.012


def test_only_what_comes_before_the_hand_had_shut_is_labelled() -> None:
    failed = tried(GOALS[2])
    expert = Tutor(SHOWN, SCALE).taught(failed, (0.3, 0.0)).expert
    shut = int(np.flatnonzero(failed.action[:, -1] < 0)[0])
    assert expert is not None and np.isfinite(expert[: shut + 1]).all() and np.isnan(expert[shut + 1 :]).all()
    never = Tutor(SHOWN, SCALE).taught(tried(GOALS[2], shuts=False), (0.3, 0.0)).expert
    assert never is not None and np.isfinite(never).all()


@pytest.mark.parametrize("shown", [[], [way(goal, sentence=1) for goal in GOALS], [way(GOALS[0], group="prior")]])
def test_nobody_knows_without_demonstrations_of_the_direction(shown: list[Trajectory]) -> None:
    assert Tutor(shown, SCALE).taught(tried(GOALS[0]), (0.3, 0.0)).expert is None


def test_success_and_a_thing_that_stood_nobody_knows_where_are_left_as_they_are() -> None:
    tutor = Tutor(SHOWN, SCALE)
    assert tutor.taught(way(GOALS[0]), (0.3, 0.0)).expert is None
    assert tutor.taught(tried(GOALS[0]), ()).expert is None
