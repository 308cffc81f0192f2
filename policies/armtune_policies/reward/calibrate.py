"""From logits to answers one can trust: temperature, threshold of a stated false-positive rate, abstain band."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import Checked, Verdict, num

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class CalibrationParams(Checked):
    """What the answers must keep to on held-out episodes."""

    false_positives: float = num(
        0.003, low=0.0, high=0.5, doc="yes among frames that show no success, at most, in the worst direction"
    )
    abstained: float = num(0.01, low=0.0, high=0.5, doc="frames in the band below the threshold, at most")
    unfamiliar: float = num(0.002, low=0.0, high=0.5, doc="held-out frames that may look unlike the training's")


@dataclass(frozen=True)
class Limits:
    """How a probability is read: yes above ``threshold``, unknown above ``unsure_above``, else no.

    ``distance_bound`` is how unlike the training's a picture may be; None where the model does not say.
    """

    threshold: float = 0.5
    unsure_above: float | None = None
    distance_bound: float | None = None

    def is_familiar(self, distances: Floats) -> Bools:
        """Return which pictures (N,) are like enough; a distance that is not a number is not."""
        bound = np.inf if self.distance_bound is None else self.distance_bound
        return np.asarray(np.asarray(distances) <= bound)


def limits_of(own: Limits, threshold: float) -> Limits:
    """Return how a model's answers are read: as it says itself, or by another ``threshold`` (0: none), sure of each."""
    return replace(own, threshold=threshold, unsure_above=None) if threshold else own


def probabilities(logits: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """Return the logistic of logits (N,) over a temperature, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64) / temperature))


def temperature(logits: Floats, labels: Bools) -> float:
    """Return the temperature of least balanced log loss (Guo et al. 2017), out of 0.5 to 10.

    Held-out frames are few, so a classifier without errors is not made surer than it was.
    """
    weight = np.where(labels, 0.5 / max(labels.sum(), 1), 0.5 / max((~labels).sum(), 1))
    signed = np.where(labels, logits, -logits).astype(np.float64)
    grid = np.geomspace(0.5, 10.0, 60)
    losses = [float(np.sum(weight * np.logaddexp(0.0, -signed / t))) for t in grid]
    return max(float(grid[int(np.argmin(losses))]), 1.0)


LEAST_THRESHOLD = 0.02
"""Balanced batches make a frame of success look likelier than it is, so a fair threshold may lie far below a half."""


def threshold_for(p: Floats, labels: Bools, question: npt.NDArray[np.int64], rate: float) -> float:
    """Return the least threshold in 0.02..0.98 that keeps false positives to ``rate`` for every question.

    Below and above, few held-out frames would decide that all, or nothing, succeeds. The grid is even in logits.
    """
    least = math.log(LEAST_THRESHOLD / (1.0 - LEAST_THRESHOLD))
    grid = probabilities(np.linspace(least, -least, 79), 1.0)
    for threshold in grid:
        said = p > threshold
        rates = [
            said[(question == q) & ~labels].mean() for q in np.unique(question) if ((question == q) & ~labels).any()
        ]
        if max(rates, default=0.0) <= rate:
            return float(threshold)
    return float(grid[-1])


def band_below(p: Floats, threshold: float, share: float) -> float:
    """Return the probability above which, up to the threshold, at most ``share`` of the frames lie."""
    below = np.sort(p[p <= threshold])[::-1]
    inside = int(share * len(p))
    return (
        float(min(threshold, below[inside])) if inside < len(below) else float(below[-1] if len(below) else threshold)
    )


def distance_bound(distances: Floats, share: float) -> float:
    """Return the distance (its logarithm, as judges say it) beyond which at most ``share`` of held-out frames lie.

    A twentieth is added: held-out frames are few.
    """
    return float(np.quantile(distances, 1.0 - share)) + 0.05


def fit_limits(
    p: Floats, labels: Bools, question: npt.NDArray[np.int64], distances: Floats | None, params: CalibrationParams
) -> Limits:
    """Return the limits that held-out answers ask for.

    Args:
        p: Calibrated probabilities, (N,).
        labels: What is true, (N,).
        question: Which question each frame was asked, (N,).
        distances: How unlike the training's each frame is, (N,); None where the model does not say.
        params: What they must keep to.
    """
    threshold = threshold_for(p, labels, question, params.false_positives)
    bound = None if distances is None else distance_bound(distances, params.unfamiliar)
    return Limits(threshold, band_below(p, threshold, params.abstained), bound)


def verdicts(p: Floats, distances: Floats | None, limits: Limits) -> npt.NDArray[np.uint8]:
    """Read probabilities (N,) and distances (N,) as verdicts; what is not finite is unknown."""
    p = np.asarray(p, np.float64)
    unsure = limits.threshold if limits.unsure_above is None else limits.unsure_above
    said = np.where(p > limits.threshold, Verdict.YES, np.where(p > unsure, Verdict.UNKNOWN, Verdict.NO))
    known = np.isfinite(p) & (p >= 0.0) & (p <= 1.0)
    if distances is not None:
        known &= limits.is_familiar(distances)
    return np.where(known, said, Verdict.UNKNOWN).astype(np.uint8)


def verdict(p: float | None, limits: Limits) -> Verdict:
    """Read one probability of a picture that is familiar; None and NaN are unknown, never no."""
    return Verdict.UNKNOWN if p is None else Verdict(int(verdicts(np.array([p]), None, limits)[0]))


def reliability(p: Floats, labels: Bools, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return per tenth of the probabilities their mean, the part that is true, and how many there are."""
    place = np.minimum((np.asarray(p) * bins).astype(int), bins - 1)
    return [
        (float(p[place == b].mean()), float(labels[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]


def calibration_error(p: Floats, labels: Bools) -> float:
    """Return the expected calibration error over ten bins (Naeini et al. 2015)."""
    rows = reliability(p, labels)
    return sum(count * abs(said - true) for said, true, count in rows) / max(len(p), 1)


def precision_recall(p: Floats, labels: Bools, points: int = 101) -> list[tuple[float, float, float]]:
    """Return threshold, precision and recall at evenly spread thresholds where anything is called yes."""
    rows = []
    for threshold in np.linspace(0.0, 1.0, points):
        said = p > threshold
        if said.any() and labels.any():
            rows.append((float(threshold), float(labels[said].mean()), float(said[labels].mean())))
    return rows
