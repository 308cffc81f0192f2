"""The model card beside a judge: what it is, what it learned from, how it errs, in words, numbers and pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from armtune_policies.contract import Verdict
from armtune_policies.reward.calibrate import calibration_error, precision_recall, reliability
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.reward.sheet import jpeg

from .fit import Fitted

CARD, FACTS, CURVES, CONFUSED = "card.md", "card.json", "curves.png", "confused.jpg"
SHOWN, TILE_PX = 24, 96


def card_files(fitted: Fitted, about: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the card's files by name.

    Args:
        fitted: The judge, and what it said of held-out frames.
        about: Name, sentences, data and settings, as JSON can say them.
    """
    held, p = fitted.held, fitted.p
    facts = {
        **about,
        "threshold": fitted.limits.threshold,
        "unsure_above": fitted.limits.unsure_above,
        "distance_bound": fitted.limits.distance_bound,
        "calibration_error": round(calibration_error(p, held.is_success), 4),
        "reliability": reliability(p, held.is_success),
        "precision_recall": [row for i, row in enumerate(precision_recall(p, held.is_success)) if i % 5 == 0],
        "metrics": dict(fitted.metrics),
    }
    return {
        CARD: _words(facts).encode(),
        FACTS: json.dumps(facts, indent=2, sort_keys=True).encode(),
        CURVES: _curves(p, held.is_success, fitted.limits.threshold),
        CONFUSED: _confused(held, p, fitted.verdicts),
    }


def _words(facts: Mapping[str, Any]) -> str:
    numbers = {name.removeprefix("held_out_"): value for name, value in facts["metrics"].items()}
    unsure = facts["threshold"] if facts["unsure_above"] is None else facts["unsure_above"]
    lines = [
        f"# {facts['name']}",
        "",
        "Says whether a sentence is fulfilled in a picture: " + "; ".join(f"*{s}*" for s in facts["sentences"]) + ".",
        "",
        f"Yes above {facts['threshold']:.2f}, unknown from {unsure:.3f} to there and for pictures further than "
        f"{facts['distance_bound']:.2f} from those it was trained on, else no. Temperature "
        f"{facts['metrics']['temperature']:.2f}, expected calibration error {facts['calibration_error']:.3f}.",
        "",
        'Held-out episodes, the worst sentence; an abstention counts as a miss; "upper" and "lower" are ends of 95 % '
        "intervals. The threshold was chosen on these very episodes: `armtune reward evaluate` measures on fresh ones.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in sorted(numbers.items())),
        "",
        f"Learned from: {facts['data']}.",
        "",
        f"![reliability and precision against recall]({CURVES})",
        "",
        f"![frames it got wrong or would not say]({CONFUSED})",
        "",
        "Not for deciding whether an arm may move: the gate never asks it.",
        "",
    ]
    return "\n".join(lines)


def _curves(p: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_], threshold: float) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = reliability(p, labels)
    left.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    left.plot([said for said, _, _ in rows], [true for _, true, _ in rows], "o-", color="#0b6e99")
    left.axvline(threshold, color="#d9730d", linewidth=1)
    left.set(xlabel="probability said", ylabel="part that is success", xlim=(0, 1), ylim=(0, 1), title="reliability")
    curve = precision_recall(p, labels)
    right.plot([recall for *_, recall in curve], [precision for _, precision, _ in curve], color="#0b6e99")
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02), title="over thresholds")
    kept = io.BytesIO()
    figure.savefig(kept, format="png")
    return kept.getvalue()


def _confused(held: FrameSet, p: npt.NDArray[np.float64], said: npt.NDArray[np.uint8]) -> bytes:
    """Return a sheet: a row of false yes, a row of missed successes, a row of "unknown", the surest first."""
    rows = [
        _pick((said == Verdict.YES) & ~held.is_success, -p),
        _pick((said == Verdict.NO) & held.is_success, p),
        _pick(said == Verdict.UNKNOWN, -p),
    ]
    camera = next(iter(held.images))
    sheet = np.full((3 * (TILE_PX + 16), max(max(map(len, rows), default=1), 4) * TILE_PX, 3), 255, np.uint8)
    for line, (title, found) in enumerate(zip(("said yes, is no", "said no, is yes", "would not say"), rows)):
        top = line * (TILE_PX + 16)
        cv2.putText(sheet, title, (2, top + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        for column, row in enumerate(found):
            tile = cv2.resize(held.images[camera][held.frame[row]], (TILE_PX, TILE_PX))
            sheet[top + 16 : top + 16 + TILE_PX, column * TILE_PX : (column + 1) * TILE_PX] = tile
    return jpeg(sheet)


def _pick(which: npt.NDArray[np.bool_], order: npt.NDArray[np.float64]) -> Sequence[int]:
    rows = np.flatnonzero(which)
    return [int(row) for row in rows[np.argsort(order[rows], kind="stable")][: SHOWN // 3]]
