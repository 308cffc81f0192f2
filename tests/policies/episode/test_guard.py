"""The guard keeps its odds, sees a policy that got worse, and survives being written down."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.episode.guard import ALPHA, WINDOW, Guard, Reference


def fresh() -> Guard:
    return Guard(Reference("first", "/models/first"))


def lived(guard: Guard, rng: np.random.Generator, rate: float, limited: float, episodes: int) -> int | None:
    """Act; return after how many episodes it went back."""
    for number in range(episodes):
        share = float(np.clip(rng.normal(limited, 0.05), 0, 1))
        version = guard.reference.version if guard.is_reverted else f"v{number}"
        if guard.note(version, f"/models/{version}", bool(rng.random() < rate), share):
            return number + 1
    return None


@pytest.mark.fault("F28")
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_policy_that_is_no_worse_is_seldom_gone_back_from_however_often_one_looks(rate: float) -> None:
    rng = np.random.default_rng(0)
    alarms = sum(lived(fresh(), rng, rate, 0.2, 200) is not None for _ in range(100))
    assert alarms <= 100 * 2 * ALPHA + 3  # a reference's bound may claim too much, once in forty


@pytest.mark.fault("F28")
@pytest.mark.parametrize(("before", "after"), [(0.9, 0.2), (0.6, 0.0)])
def test_policy_that_fails_is_gone_back_from_soon(before: float, after: float) -> None:
    found = []
    for seed in range(20):
        guard, rng = fresh(), np.random.default_rng(seed)
        assert lived(guard, rng, before, 0.2, WINDOW) is None
        found.append(lived(guard, rng, after, 0.2, 100))
        assert guard.reverts == 1 and guard.is_reverted
    assert all(at is not None and at <= 60 for at in found), found


@pytest.mark.fault("F28")
def test_policy_that_fails_is_gone_back_from_soon_however_long_all_was_well() -> None:
    found = []
    for seed in range(20):
        guard, rng = fresh(), np.random.default_rng(seed)
        assert lived(guard, rng, 0.9, 0.2, WINDOW + 150) is None
        found.append(lived(guard, rng, 0.0, 0.2, 100))
    assert all(at is not None and at <= 15 for at in found), found  # a person is asked after 15 failures in a row


@pytest.mark.fault("F28")
def test_policy_that_runs_into_the_limits_is_gone_back_from() -> None:
    guard, rng = fresh(), np.random.default_rng(0)
    assert lived(guard, rng, 0.5, 0.1, WINDOW) is None
    assert lived(guard, rng, 0.5, 0.9, 60) is not None


@pytest.mark.fault("L8")
def test_reference_is_the_first_policy_until_the_arm_has_done_better() -> None:
    guard, rng = fresh(), np.random.default_rng(0)
    lived(guard, rng, 0.2, 0.2, WINDOW)
    assert guard.reference.version == "first"
    lived(guard, rng, 1.0, 0.2, WINDOW)
    assert guard.reference.version != "first" and guard.reference.success > 0.5
    assert lived(guard, rng, 0.0, 0.2, 60) is not None


def test_what_is_learnt_is_offered_again_after_a_rest() -> None:
    guard, rng = fresh(), np.random.default_rng(0)
    lived(guard, rng, 0.9, 0.2, WINDOW)
    lived(guard, rng, 0.0, 0.2, 100)
    assert guard.is_reverted
    lived(guard, rng, 0.9, 0.2, WINDOW)
    assert not guard.is_reverted


@pytest.mark.fault("L8")
def test_rest_is_the_references_own_however_long_it_takes_until_it_acts() -> None:
    guard, rng = fresh(), np.random.default_rng(0)
    lived(guard, rng, 0.9, 0.2, WINDOW)
    lived(guard, rng, 0.0, 0.2, 100)
    assert not guard.is_back
    for _ in range(2 * WINDOW):
        assert not guard.note("worse", "/models/worse", False, 0.2)
    assert guard.rest == WINDOW and not guard.recent and not guard.is_back
    guard.note(guard.reference.version, guard.reference.folder, True, 0.2)
    assert guard.rest == WINDOW - 1 and guard.is_back
    guard.note("worse", "/models/worse", False, 0.2)
    assert guard.rest == WINDOW - 1 and not guard.is_back, "it is to be offered again"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=120), st.integers(0, 119))
def test_guard_goes_on_from_what_was_kept_and_its_stakes_stay_sound(episodes: list, cut: int) -> None:
    one, two = fresh(), fresh()
    for number, (is_success, limited) in enumerate(episodes):
        told = (f"v{number}", f"/models/v{number}", is_success, limited)
        assert one.note(*told) == two.note(*told)
        assert all(0.0 <= stake < float("inf") for stake in one.stakes) and len(one.recent) <= WINDOW
        if number == cut:
            kept = asdict(two)
            two = Guard(**{**kept, "reference": Reference(**kept["reference"])})
    assert asdict(one) == {**asdict(two), "recent": [tuple(pair) for pair in two.recent]}


@pytest.mark.parametrize("limited", [float("nan"), -0.1, 1.1])
def test_share_that_is_none_is_refused(limited: float) -> None:
    with pytest.raises(ValueError, match="limited: expected a share"):
        fresh().note("v", "/v", True, limited)
