"""A study's table and plot: per seed, interquartile mean over seeds, intervals over seeds and episodes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import DIRECTIONS
from armtune_policies.episode.rate import wilson

DRAWS = 4000
Cells = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""By name of the cell and seed."""
Floats = npt.NDArray[np.float64]


def interquartile_mean(values: npt.ArrayLike, axis: int = -1) -> Floats:
    """Return the mean of the middle half (Agarwal et al. 2021), values at the quartiles counted in part."""
    ordered = np.sort(np.asarray(values, float), axis=axis)
    count = ordered.shape[axis]
    at = np.arange(count)
    weight = np.clip(np.minimum(at + 1, 0.75 * count) - np.maximum(at, 0.25 * count), 0, None)
    return np.tensordot(np.moveaxis(ordered, axis, -1), weight / weight.sum(), axes=1)


def resampled(won: npt.ArrayLike, episodes: npt.ArrayLike, draws: int = DRAWS, cell: int = 0) -> Floats:
    """Return success by draw and seed (D, S): seeds drawn with replacement, then episodes of each (bootstrap).

    Cells of as many seeds draw the same ones, so that they can be subtracted; each ``cell`` draws episodes of its own,
    for chance in one says nothing of chance in the other.
    """
    won, episodes = np.asarray(won), np.asarray(episodes)
    pick = np.random.default_rng(0).integers(len(won), size=(draws, len(won)))
    rng = np.random.default_rng([1, cell])
    return rng.binomial(episodes[pick], won[pick] / episodes[pick]) / episodes[pick]


def summary(cells: Cells) -> dict[str, Any]:
    """Return what a study found, as JSON can say it: each cell's rates, and practice against the others."""
    rows = {name: _row(by_seed) for name, by_seed in cells.items() if by_seed}
    against = {}
    for name in rows:
        shared = sorted(set(cells.get("online", {})) & set(cells[name]))
        if name != "online" and shared:
            against[name] = _difference([cells["online"][s] for s in shared], [cells[name][s] for s in shared])
    return {"cells": rows, "online_minus": against}


def _row(by_seed: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    won, episodes = _counts(list(by_seed.values()))
    rates = won / episodes
    pooled = wilson(int(won.sum()), int(episodes.sum()))
    return {
        "seeds": {str(seed): round(float(rate), 3) for seed, rate in zip(by_seed, rates)},
        **{way: [sum(one["success"][way][i] for one in by_seed.values()) for i in (0, 1)] for way in DIRECTIONS},
        "iqm": _rounded(interquartile_mean(rates)),
        "iqm_ci95": _interval(interquartile_mean(resampled(won, episodes))),
        "worst": _rounded(rates.min()),
        "pooled": _rounded(won.sum() / episodes.sum()),
        "pooled_ci95": [_rounded(bound) for bound in pooled],
    }


def _difference(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    (won, episodes), (other, of) = _counts(ours), _counts(theirs)
    gap = interquartile_mean(won / episodes) - interquartile_mean(other / of)
    drawn = interquartile_mean(resampled(won, episodes)) - interquartile_mean(resampled(other, of, cell=1))
    return {"iqm": _rounded(gap), "ci95": _interval(drawn), "seeds": len(won)}


def _counts(cells: Sequence[Mapping[str, Any]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    both = np.array([[sum(one["success"][way][i] for way in DIRECTIONS) for i in (0, 1)] for one in cells])
    return both[:, 0], both[:, 1]


def _interval(drawn: Floats) -> list[float]:
    return [_rounded(bound) for bound in np.percentile(drawn, [2.5, 97.5])]


def _rounded(value: Any) -> float:
    return round(float(value), 3)


def markdown(found: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the table of a summary; ``names`` say what each cell is."""
    lines = [
        "| | each seed | IQM (95 %) | worst seed | forward | backward |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found["cells"].items():
        seeds = " ".join(f"{100 * rate:.0f}" for rate in row["seeds"].values())
        low, high = row["iqm_ci95"]
        ways = " | ".join(f"{row[way][0]}/{row[way][1]}" for way in DIRECTIONS)
        lines.append(
            f"| {names.get(name, name)} | {seeds} | {100 * row['iqm']:.0f} ({100 * low:.0f} to {100 * high:.0f}) "
            f"| {100 * row['worst']:.0f} | {ways} |"
        )
    return "\n".join(lines)


def plot(cells: Cells, title: str) -> bytes:
    """Return a PNG: success over steps of practice by seed and in the middle, the other cells as levels."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("agg")
    figure = Figure(figsize=(7.2, 4.0), dpi=120)
    axes = figure.add_subplot()
    levels = {"bc": ("#999999", ":"), "offline": ("#0b6e99", "--"), "control": ("#6940a5", "-.")}
    online = cells.get("online", {})
    last = max((one["curve"][-1]["steps"] for one in online.values()), default=1)
    for name, (colour, style) in levels.items():
        if cells.get(name):
            row = _row(cells[name])
            axes.plot([0, last], [row["iqm"]] * 2, style, color=colour, label=name)
            low, high = row["iqm_ci95"]
            axes.fill_between([0, last], [low] * 2, [high] * 2, color=colour, alpha=0.10, lw=0)
    starts = cells.get("offline", {})
    curves = {seed: _curve(one, starts.get(seed)) for seed, one in online.items()}
    for steps, rates in curves.values():
        axes.plot(steps, rates, color="#d9730d", lw=0.8, alpha=0.6)
    if curves and len({len(steps) for steps, _ in curves.values()}) == 1:
        steps = np.mean([steps for steps, _ in curves.values()], axis=0)
        axes.plot(steps, interquartile_mean([r for _, r in curves.values()], axis=0), color="#d9730d", lw=2.5,
                  label="practice (thin: each seed)")  # fmt: skip
    axes.set(xlabel="robot steps of practice (5 a second)", ylabel="true success, held-out scenes", ylim=(-0.02, 1.02))
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _curve(one: Mapping[str, Any], start: Mapping[str, Any] | None) -> tuple[list[float], list[float]]:
    points = [*([{"steps": 0, "success": start["success"]}] if start else []), *one["curve"]]
    rates = [sum(p["success"][w][0] for w in DIRECTIONS) / sum(p["success"][w][1] for w in DIRECTIONS) for p in points]
    return [float(p["steps"]) for p in points], rates
