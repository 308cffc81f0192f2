"""Pictures of success, drawn by matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from .facts import Practised, Rate, over_time

matplotlib.use("agg")
COLOURS = {"forward": "#0b6e99", "backward": "#d9730d"}


def success_over_time(episodes: Sequence[Practised], period_s: float, window: int = 15) -> bytes:
    """Return a PNG: what the *learned reward* called success in practice, by direction."""
    figure = Figure(figsize=(7.2, 3.6), dpi=120)
    axes = figure.add_subplot()
    for direction, colour in COLOURS.items():
        points = over_time([e for e in episodes if e.direction == direction], period_s, window)
        if not points:
            continue
        minutes = [t for t, _ in points]
        axes.plot(minutes, [rate.share for _, rate in points], color=colour, label=direction, lw=2)
        bounds = [rate.interval for _, rate in points]
        axes.fill_between(minutes, [b[0] for b in bounds], [b[1] for b in bounds], color=colour, alpha=0.15, lw=0)
    axes.set(
        xlabel="minutes of motion in this direction", ylabel=f"success, last {window} episodes", ylim=(-0.02, 1.02)
    )
    axes.set_title("Practice, as the learned reward saw it (band: 95 % Wilson interval)", fontsize=10)
    axes.grid(alpha=0.3)
    if episodes:
        axes.legend(loc="lower right", frameon=False)
    return png(figure)


def before_after(rates: Mapping[str, Mapping[str, Rate]]) -> bytes:
    """Return a PNG of bars: ``rates[direction][label]`` with intervals, ground truth on held-out seeds."""
    figure = Figure(figsize=(7.2, 3.2), dpi=120)
    axes = figure.add_subplot()
    labels = list(next(iter(rates.values()), {}))
    for i, label in enumerate(labels):
        for j, (direction, by_label) in enumerate(rates.items()):
            rate, x = by_label[label], j + (i - (len(labels) - 1) / 2) * 0.26
            low, high = rate.interval
            error = [[rate.share - low], [high - rate.share]]
            shade = 0.35 + 0.65 * (i + 1) / len(labels)
            axes.bar(x, rate.share, 0.24, yerr=error, capsize=4, color=COLOURS.get(direction, "#555"), alpha=shade)
            axes.text(x, min(high + 0.03, 1.04), label, ha="center", fontsize=8)
    axes.set_xticks(range(len(rates)), list(rates))
    axes.set(ylabel="success", ylim=(0, 1.12))
    axes.set_title("Held-out seeds, ground truth (bars: 95 % Wilson interval)", fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    return png(figure)


def curves(rows: Sequence[tuple[int, Mapping[str, float]]], steps: str) -> bytes:
    """Return a PNG: a training's scalars, one small plot each, over ``steps``."""
    names = sorted({name for _, row in rows for name in row})
    tall = max((len(names) + 2) // 3, 1)
    figure = Figure(figsize=(9.0, 2.2 * tall), dpi=110)
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(tall, 3, place)
        points = [(step, row[name]) for step, row in rows if name in row]
        axes.plot([x for x, _ in points], [y for _, y in points], color=COLOURS["forward"], lw=1.2)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(steps, fontsize=8)
        axes.grid(alpha=0.3)
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
