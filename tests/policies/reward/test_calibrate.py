from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Verdict
from armtune_policies.reward.calibrate import (
    LEAST_THRESHOLD,
    CalibrationParams,
    Limits,
    calibration_error,
    fit_limits,
    precision_recall,
    probabilities,
    reliability,
    temperature,
    threshold_for,
    verdict,
    verdicts,
)

answers = st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 1)), min_size=1, max_size=60)


@given(answers, st.floats(0.0, 0.2))
def test_the_threshold_keeps_the_stated_false_positives_in_the_worst_direction(
    rows: list[tuple[float, bool, int]], rate: float
) -> None:
    p, labels, question = (np.array(column) for column in zip(*rows))
    threshold = threshold_for(p, labels, question, rate)
    assert LEAST_THRESHOLD - 1e-9 <= threshold <= 0.98 + 1e-9
    for q in np.unique(question):
        negatives = p[(question == q) & ~labels]
        if len(negatives) and threshold < 0.97:
            assert (negatives > threshold).mean() <= rate


def test_the_threshold_goes_as_low_as_the_false_positives_let_it() -> None:
    p = np.array([*np.linspace(0.0, 0.08, 100), 0.9, *np.linspace(0.1, 0.99, 20)])
    labels = np.arange(121) > 100
    threshold = threshold_for(p, labels, np.zeros(121, np.int64), 0.01)
    assert 0.08 < threshold < 0.1 and (p[labels] > threshold).all()


@given(answers)
def test_limits_fit_together_and_the_band_is_as_small_as_asked(rows: list[tuple[float, bool, int]]) -> None:
    p, labels, question = (np.array(column) for column in zip(*rows))
    params = CalibrationParams(abstained=0.1)
    limits = fit_limits(p, labels, question, p + 1.0, params)
    assert limits.unsure_above is not None and limits.unsure_above <= limits.threshold
    assert ((p > limits.unsure_above) & (p <= limits.threshold)).mean() <= 0.1
    assert limits.distance_bound is not None and (p + 1.0 <= limits.distance_bound).all()


def test_verdicts_are_unknown_in_the_band_far_away_and_where_nothing_was_said() -> None:
    limits = Limits(0.8, 0.5, 2.0)
    p = np.array([0.9, 0.8, 0.5, 0.1, np.nan, 0.9, 0.1, 1.5])
    distance = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 2.1, np.nan, 1.0])
    said = [Verdict(int(v)) for v in verdicts(p, distance, limits)]
    yes, no, unknown = Verdict.YES, Verdict.NO, Verdict.UNKNOWN
    assert said == [yes, unknown, no, no, unknown, unknown, unknown, unknown]


def test_a_classifier_that_is_too_sure_is_cooled_down() -> None:
    labels = np.array([True] * 10 + [False] * 10)
    logits = np.where(labels, 8.0, -8.0)
    logits[::5] *= -1
    assert temperature(logits, labels) > 3.0
    assert temperature(np.where(labels, 8.0, -8.0), labels) == 1.0


def test_reliability_of_answers_as_often_true_as_they_say_is_good() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    labels = rng.uniform(size=20_000) < p
    assert calibration_error(p, labels) < 0.02 and len(reliability(p, labels)) == 10
    assert calibration_error(np.full(100, 0.9), np.zeros(100, bool)) == pytest.approx(0.9)
    assert precision_recall(p, labels)[0][2] > 0.99


def test_probabilities_of_huge_logits_do_not_overflow() -> None:
    assert probabilities(np.array([-1e6, 0.0, 1e6]), 1.0).tolist() == [0.0, 0.5, 1.0]


@given(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), st.floats(0.01, 0.99))
def test_a_probability_that_is_none_is_unknown_and_never_no(probability: float | None, threshold: float) -> None:
    got = verdict(probability, Limits(threshold))
    if probability is None or math.isnan(probability) or not 0 <= probability <= 1:
        assert got is Verdict.UNKNOWN
    else:
        assert got is (Verdict.YES if probability > threshold else Verdict.NO)


@given(st.floats(0.0, 1.0), st.floats(0.02, 0.98), st.floats(0.0, 1.0))
def test_one_probability_is_read_as_many_are(probability: float, threshold: float, part: float) -> None:
    limits = Limits(threshold, part * threshold, 1.0)
    assert verdict(probability, limits) == verdicts(np.array([probability]), np.array([0.5]), limits)[0]
    assert verdicts(np.array([probability] * 2), np.array([1.5, np.nan]), limits).tolist() == [Verdict.UNKNOWN] * 2
