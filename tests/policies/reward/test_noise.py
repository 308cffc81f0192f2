from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.contract import Verdict
from armtune_policies.reward.noise import CORRELATION, PRESETS, ErrorRates, NoiseChannel, channel

PUBLISHED = {
    "cloth_covering": (0.894, 0.153, 0.058),
    "cloth_folding": (0.841, 0.920, 0.251),
    "pot_pick_place": (0.869, 0.243, 0.093),
}
"""Accuracy and precision of the paper's table II, and the share of success frames they imply."""
rates = st.floats(0.02, 0.98)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_reproduce_the_published_precision_and_accuracy(preset: str) -> None:
    accuracy, precision, base_rate = PUBLISHED[preset]
    rates = PRESETS[preset]
    hits, right = base_rate * (1 - rates.false_negative), (1 - base_rate) * (1 - rates.false_positive)
    assert hits + right == pytest.approx(accuracy, abs=0.001)
    assert hits / (hits + (1 - base_rate) * rates.false_positive) == pytest.approx(precision, abs=0.005)


@settings(max_examples=20, deadline=None)
@given(rates, rates, st.floats(0.0, 0.8), st.integers(0, 1000))
def test_rates_and_autocorrelation_are_those_asked_for(fp: float, fn: float, correlation: float, seed: int) -> None:
    wrong = NoiseChannel(ErrorRates(fp, fn), correlation, seed).errors("run-00000", 20_000)
    # Neighbouring steps repeat each other: n steps are worth n (1 - c) / (1 + c) free ones.
    worth = 20_000 * (1 - correlation) / (1 + correlation)
    for column, rate in zip(wrong.T.astype(float), (fp, fn)):
        sigma = math.sqrt(rate * (1 - rate) / worth)
        assert abs(column.mean() - rate) < 5 * sigma
        centred = column - rate
        for lag in (1, 3):
            found = float((centred[:-lag] * centred[lag:]).mean()) / (rate * (1 - rate))
            assert abs(found - correlation**lag) < 8 / math.sqrt(worth * min(rate, 1 - rate))


def test_the_rate_holds_at_each_step_of_many_episodes_at_the_default_correlation() -> None:
    made = NoiseChannel(PRESETS["cloth_covering"], CORRELATION)
    wrong = np.stack([made.errors(f"run-{i:05d}", 40) for i in range(1500)])
    assert np.abs(wrong[:, [0, 20, 39]].mean(axis=0) - [0.063, 0.809]).max() < 0.05
    assert 0.05 < wrong[:, :, 0].any(axis=1).mean() < 0.16  # as the constant's comment says: one episode in ten


@given(st.integers(0, 99), st.integers(1, 60), st.integers(1, 60))
def test_the_same_seed_episode_and_step_err_alike_in_any_order(seed: int, some: int, more: int) -> None:
    made = NoiseChannel(ErrorRates(0.3, 0.4), 0.7, seed)
    long, short = made.errors("a-00001", some + more), made.errors("a-00001", some)
    assert np.array_equal(long[:some], short)
    assert np.array_equal(NoiseChannel(ErrorRates(0.3, 0.4), 0.7, seed).errors("a-00001", some), short)


def test_a_step_more_of_an_episode_costs_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    made, whole = NoiseChannel(ErrorRates(0.3, 0.4), 0.7), NoiseChannel(ErrorRates(0.3, 0.4), 0.7)
    begun, real = list[object](), np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: begun.append(seed) or real(seed))
    said = [made.verdict("a-00001", step, Verdict.NO) for step in range(50)]
    assert len(begun) == 1
    assert [v is Verdict.YES for v in said] == whole.errors("a-00001", 50)[:, 0].tolist()


def test_episodes_and_seeds_differ() -> None:
    made, other = NoiseChannel(ErrorRates(0.5, 0.5), 0.0, 1), NoiseChannel(ErrorRates(0.5, 0.5), 0.0, 2)
    assert not np.array_equal(made.errors("a-00001", 100), made.errors("a-00002", 100))
    assert not np.array_equal(made.errors("a-00001", 100), other.errors("a-00001", 100))


@given(st.floats(0.0, 1.0), st.floats(0.05, 0.95), st.integers(0, 30))
def test_a_turned_answer_is_on_the_other_side_of_the_threshold(p: float, threshold: float, step: int) -> None:
    always, never = NoiseChannel(ErrorRates(1.0, 1.0)), NoiseChannel(ErrorRates(0.0, 0.0))
    turned = always.probability("a-00001", step, p, threshold)
    assert 0.0 <= turned <= 1.0 and (turned > threshold) != (p > threshold)
    assert never.probability("a-00001", step, p, threshold) == p


def test_unknown_stays_unknown() -> None:
    always = NoiseChannel(ErrorRates(1.0, 1.0))
    assert always.verdict("a-00001", 3, Verdict.UNKNOWN) is Verdict.UNKNOWN
    assert math.isnan(always.probability("a-00001", 3, math.nan, 0.5))


def test_names_and_numbers_that_will_not_do_are_refused() -> None:
    assert channel("none") is None and channel("cloth_folding") is not None
    with pytest.raises(ValueError, match="expected one of none, cloth_covering"):
        channel("cloth")
    with pytest.raises(ValueError, match="expected a correlation"):
        NoiseChannel(ErrorRates(0.1, 0.1), 1.0)
    with pytest.raises(ValueError, match="expected error rates"):
        ErrorRates(math.nan, 0.1)
