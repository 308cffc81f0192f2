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


@pytest.mark.parametrize(
    ("off_m", "shuts"), [((0.011, 0, 0.01), True), ((0, 0.01, -0.014), True), ((0.02, 0, 0), False)]
)
def test_hand_that_hovers_where_it_stands_is_told_to_shut(off_m: tuple[float, ...], shuts: bool) -> None:
    one = tried(GOALS[0], shuts=False)
    state = one.state.copy()
    state[:, :3] = np.array([0.28, 0.03, TABLE_M]) + off_m
    expert = Tutor(SHOWN, SCALE).taught(replace(one, state=state), (0.28, 0.03)).expert
    assert expert is not None and ((expert[:, -1] < 0) == shuts).all()


BIN_M, HIGH_M = np.array([0.3, 0.1, 0.04]), 0.15


def carried(start: np.ndarray, held: float = 0.6, put_m: np.ndarray = BIN_M, **more: object) -> Trajectory:
    """A hand that shuts at a place, lifts, goes over another, the bin's, comes down and opens there."""
    stops = [start, np.array([*start[:2], HIGH_M]), np.array([*put_m[:2], HIGH_M]), put_m]
    places = [start]
    for stop in stops[1:]:
        while np.linalg.norm(stop - places[-1]) > 1e-6:
            gap = stop - places[-1]
            places.append(places[-1] + gap * min(0.03 / np.linalg.norm(gap), 1.0))
    at_m = np.array([start + np.array([0.0, 0.0, 0.03]), start, *places, put_m, put_m])
    told = np.array([1.0, 1.0, *[0.0] * len(places), 1.0, 1.0])
    rows = len(at_m)
    action = SCALE.to_unit(np.column_stack([np.diff(at_m, axis=0, append=at_m[-1:]), np.zeros((rows, 3)), told]))
    opening = np.where(np.concatenate([[1.0, 1.0], told[:-2]]) > 0.5, 1.0, held)
    state = np.column_stack([at_m, np.zeros((rows, 3)), opening]).astype(np.float32)
    flags = np.arange(rows) == rows - 1
    given: dict[str, object] = {
        "source": str(start), "features": np.zeros((rows, 0), np.float32), "state": state, "action": action,
        "reward": np.full(rows, -1.0, np.float32), "terminated": flags, "follows": ~flags,
        "is_step": np.ones(rows, bool), "imitate": True,
    }  # fmt: skip
    return Trajectory(**{**given, **more})  # type: ignore[arg-type]


CARRIED = [carried(np.array([x, y, TABLE_M])) for x in (0.2, 0.26) for y in (-0.1, -0.05)]


def low(held: float = 0.6) -> Trajectory:
    """A hand that shut, and went straight for the bin, too low to pass its wall, and let go on the way."""
    one = carried(np.array([0.23, -0.07, TABLE_M]), held)
    state = one.state.copy()
    state[4:, 2] = 0.06
    return replace(one, state=state, imitate=False, terminated=np.zeros(len(one), bool))


def test_what_a_hand_holds_is_carried_as_demonstrations_did_and_let_go_of_there() -> None:
    failed = low()
    expert = Tutor(CARRIED, SCALE).taught(failed, ()).expert
    assert expert is not None and np.isnan(expert[:4]).all(), "nobody knows where it stood"
    half = int(np.argmin(np.abs(failed.state[:, 1])))
    move = SCALE.to_physical(expert[half])
    assert move[2] > 0.01 and move[-1] < 0.5, "up, and it is not let go of here"
    over = replace(failed, state=np.where(np.arange(7) < 3, np.append(BIN_M, [0] * 4), failed.state).astype(np.float32))
    there = Tutor(CARRIED, SCALE).taught(over, ()).expert
    assert there is not None and SCALE.to_physical(there[half])[-1] > 0.5


@pytest.mark.parametrize(
    ("spread_m", "off_m", "opens"),
    [
        (0.05, (0.025, 0.025, 0.01), True),  # between four places, where it may be put anywhere
        (0.05, (0.025, 0.025, 0.02), False),
        (0.05, (-0.04, -0.04, 0.0), False),
        (0.005, (0.012, 0.0, 0.0), True),
        (0.005, (0.025, 0.0, 0.0), False),
    ],
)
def test_what_may_be_put_anywhere_may_be_put_between_what_was_shown(
    spread_m: float, off_m: tuple[float, float, float], opens: bool
) -> None:
    puts = [BIN_M + np.array([x * spread_m, y * spread_m, 0.0]) for x in (0, 1) for y in (0, 1)]
    tutor = Tutor([carried(one.state[0, :3].astype(float), put_m=put) for one, put in zip(CARRIED, puts)], SCALE)
    failed = low()
    at_m = np.append(BIN_M + off_m, [0] * 4)
    hovers = replace(failed, state=np.where(np.arange(7) < 3, at_m, failed.state).astype(np.float32))
    expert = tutor.taught(hovers, ()).expert
    assert expert is not None
    labels = expert[np.isfinite(expert[:, 0])]
    assert len(labels) and ((labels[:, -1] > 0) == opens).all()


def joined(*parts: Trajectory) -> Trajectory:
    """One try after another."""
    columns = ("features", "state", "action", "reward", "terminated", "follows", "is_step")
    return replace(parts[-1], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


@pytest.mark.parametrize("held", [0.0, 0.6], ids=["missed first", "let go too early first"])
def test_of_a_demonstration_that_took_hold_twice_the_last_carriage_is_shown(held: float) -> None:
    """What was let go of first was not carried to where it is to be."""
    away = carried(np.array([0.2, -0.2, TABLE_M]), held)
    first = replace(away, state=np.where(np.arange(7) == 1, away.state - 0.3, away.state).astype(np.float32))
    shown = [joined(first, one) for one in CARRIED]
    again, plain = (Tutor(ones, SCALE).taught(low(), ()).expert for ones in (shown, CARRIED))
    assert again is not None and plain is not None
    np.testing.assert_array_equal(again, plain)


def test_what_a_hand_holds_is_labelled_until_it_opens_and_where_something_was_done() -> None:
    failed = low()
    labelled = np.isfinite(Tutor(CARRIED, SCALE).taught(failed, ()).expert[:, 0])  # type: ignore[index]
    is_open = failed.action[:, -1] > 0
    assert labelled[5:-1].all() and is_open[-2], "where it was told to open it still held, too"
    assert not labelled[:5].any() and not labelled[-1]
    gap = np.arange(len(failed)) == 6
    partly = Tutor(CARRIED, SCALE).taught(replace(failed, is_step=~gap), ()).expert
    assert partly is not None and (np.isfinite(partly[:, 0]) == (labelled & ~gap)).all()
    wide = replace(failed, state=np.where(np.arange(7) == 6, 0.95, failed.state).astype(np.float32))
    assert Tutor(CARRIED, SCALE).taught(wide, ()).expert is None, "a hand as wide as open holds nothing"


def test_hand_that_holds_nothing_carries_nothing() -> None:
    assert Tutor(CARRIED, SCALE).taught(low(held=0.05), ()).expert is None
    pushers = [carried(np.array([0.2, y, TABLE_M]), held=0.0) for y in (-0.1, -0.05)]
    assert Tutor(pushers, SCALE).taught(low(), ()).expert is None, "nobody showed how"


@pytest.mark.parametrize(
    ("told", "opening", "holds"),
    [(0.0, [0.02, 0.32, 0.62], False), (0.35, [0.35, 0.35, 0.35], False), (0.0, [0.4, 0.4, 0.4], True)],
    ids=["told to shut anew on its way to open", "as wide as it was told", "wider than it was told, at rest"],
)
def test_hand_holds_something_only_where_it_rests_wider_than_it_was_told(
    told: float, opening: list[float], holds: bool
) -> None:
    failed = low()
    action, state = failed.action.copy(), failed.state.copy()
    action[:, -1], state[:, -1] = 2.0 * told - 1.0, np.resize(opening, len(state))
    expert = Tutor(CARRIED, SCALE).taught(replace(failed, action=action, state=state), ()).expert
    assert (expert is not None) == holds


def test_success_and_a_thing_that_stood_nobody_knows_where_are_left_as_they_are() -> None:
    tutor = Tutor(SHOWN, SCALE)
    assert tutor.taught(way(GOALS[0]), (0.3, 0.0)).expert is None
    assert tutor.taught(tried(GOALS[0]), ()).expert is None
