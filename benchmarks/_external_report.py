"""Tables, checks and the figure of `armtune bench external`."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armtune_policies.episode.rate import wilson
from armtune_policies.store.files import write_whole
from benchmarks._external_plan import PLANS, agent_params

LEEWAY = 0.02
"""Of the range of returns: how far below the data's returns Cal-QL's mean Q may be and still count as calibrated."""
STUDENT = {2: 12.706, 3: 4.303}
"""97.5 % points of Student's t for the mean of so many seeds."""


@dataclass(frozen=True)
class Result:
    """One run; a point has updates, step (below 0 before practice), successes, trials, q, mc, cpu_s."""

    task: str
    recipe: str
    seed: int
    of: str
    points: list[dict[str, Any]]
    world_cpu_s: float
    wall_s: float
    """Of the last call that worked on it."""

    @property
    def switch(self) -> dict[str, Any]:
        """The last point before practice."""
        return next(p for p in reversed(self.points) if p["step"] <= 0)

    @property
    def practised(self) -> list[dict[str, Any]]:
        return [p for p in self.points if p["step"] > 0]

    @property
    def cpu_s(self) -> float:
        return self.points[-1]["cpu_s"] + self.world_cpu_s

    @property
    def early(self) -> list[dict[str, Any]]:
        """The points of the first steps of practice; the last may lie an episode later."""
        plan = PLANS[self.task]
        return [p for p in self.practised if p["step"] <= plan.first_steps + plan.limit]

    @property
    def dip(self) -> float:
        """How far success fell at worst in the first steps of practice."""
        return rate(self.switch) - min(rate(p) for p in self.early)

    @property
    def drop(self) -> float:
        """How far it fell on average there: less a matter of luck than the worst."""
        return rate(self.switch) - statistics.fmean(rate(p) for p in self.early)


def rate(point: dict[str, Any]) -> float:
    return point["successes"] / point["trials"]


def groups(results: list[Result]) -> Iterator[tuple[str, str, list[Result]]]:
    """Yield runs by task and recipe, in the plan's order."""
    for task, plan in PLANS.items():
        for recipe in plan.recipes:
            if runs := [r for r in results if (r.task, r.recipe) == (task, recipe)]:
                yield task, recipe, runs


def table(results: list[Result]) -> list[str]:
    """Return the lines of a Markdown table, a row per task and recipe."""
    lines = [
        "| Task | Recipe | Seeds | At the switch | Lowest, first 2k steps | Mean, first 2k steps | At the end"
        " | Q - return, at the switch | CPU min |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for task, recipe, runs in groups(results):
        cells = [
            task,
            recipe,
            str(len(runs)),
            _pooled([run.switch for run in runs]),
            " ".join(f"{min(map(rate, run.early)):.0%}" for run in runs),
            f"{statistics.fmean(rate(p) for run in runs for p in run.early):.0%}",
            _pooled([run.points[-1] for run in runs]),
            " ".join(f"{run.switch['q'] - reference(results, task):+.1f}" for run in runs),
            f"{sum(run.cpu_s for run in runs) / 60:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def reference(results: list[Result], task: str) -> float:
    """Return the mean return of a task's data, which a run of ours has measured."""
    return next((run.points[0]["mc"] for run in results if run.task == task and "mc" in run.points[0]), float("nan"))


def _pooled(points: list[dict[str, Any]]) -> str:
    won, of = sum(p["successes"] for p in points), sum(p["trials"] for p in points)
    low, high = wilson(won, of)
    each = " ".join(f"{rate(p):.0%}" for p in points)
    return f"{won / of:.0%} [{low:.0%}, {high:.0%}] ({each})"


def _gap(point: dict[str, Any]) -> float:
    return point["q"] - point["mc"]


def summary(results: list[Result]) -> dict[str, Any]:
    """Return numbers by task and recipe, and the checks of mechanism."""
    found: dict[str, Any] = {}
    for task, recipe, runs in groups(results):
        found[f"{task}_{recipe}"] = {
            "seeds": [run.seed for run in runs],
            "switch": [rate(run.switch) for run in runs],
            "end": [rate(run.points[-1]) for run in runs],
            "dip": [round(run.dip, 3) for run in runs],
            "drop": [round(run.drop, 3) for run in runs],
            "q_minus_return": [round(_gap(run.switch), 2) for run in runs if "mc" in run.switch],
            "q_minus_return_lowest": [round(min(map(_gap, run.practised)), 2) for run in runs if "mc" in run.switch],
        }
    by = {recipe: runs for task, recipe, runs in groups(results) if task == "drawer-open"}
    if {"calql", "cql"} <= set(by):
        found["checks"] = checks(by["calql"], by["cql"])
    found["cpu_min"] = round(sum(run.cpu_s for run in results) / 60, 1)
    return found


def checks(calql: list[Result], cql: list[Result]) -> dict[str, Any]:
    """Return what Cal-QL's paper says must differ, seed by seed."""
    slack = LEEWAY / (1.0 - agent_params("calql").gamma)
    pairs = [(a, b) for a in calql for b in cql if a.seed == b.seed]
    return {
        "cql_dips_deeper_by": _difference(pairs, lambda run: run.dip),
        "cql_drops_more_by": _difference(pairs, lambda run: run.drop),
        "cql_dips_deeper": statistics.fmean(b.dip - a.dip for a, b in pairs) > 0,
        "calql_q_not_below_returns": all(_gap(p) >= -slack for run in calql for p in (run.switch, *run.practised)),
        "cql_q_below_returns": all(_gap(p) < -slack for run in cql for p in (run.switch, *run.practised)),
        "leeway": round(slack, 2),
    }


def _difference(pairs: list[tuple[Result, Result]], of: Callable[[Result], float]) -> dict[str, Any]:
    """Return the mean of CQL less Cal-QL over seeds, each, and a 95 % interval."""
    each = [of(b) - of(a) for a, b in pairs]
    found: dict[str, Any] = {"mean": round(statistics.fmean(each), 3), "each": [round(value, 3) for value in each]}
    if len(each) in STUDENT:
        half = STUDENT[len(each)] * statistics.stdev(each) / len(each) ** 0.5
        found |= {"low": round(found["mean"] - half, 3), "high": round(found["mean"] + half, 3)}
    return found


COLOURS = {"calql": "#0072b2", "cql": "#d55e00", "rlpd": "#009e73", "d3rlpy": "#000000", "iql": "#cc79a7"}
NAMES = {"calql": "Cal-QL", "cql": "CQL", "rlpd": "RLPD", "iql": "IQL", "d3rlpy": "d3rlpy's Cal-QL"}


def figure(results: list[Result], path: Path) -> None:
    """Write success over steps for each task, and Q for the first, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(task for task, _, _ in groups(results)))
    drawn, axes = pyplot.subplots(1, len(tasks) + 1, figsize=(4.2 * (len(tasks) + 1), 3.8), constrained_layout=True)
    for axis, task in zip(axes, [tasks[0], *tasks]):
        is_q = axis is axes[0]
        axis.set_title(f"{task}: {'Q of the policy, mean over data' if is_q else 'success'}", fontsize=9)
        axis.set_xlabel("updates before practice | steps of practice", fontsize=8)
        axis.axvline(0, color="0.7", lw=1)
        for of, recipe, runs in groups(results):
            if of == task and not (is_q and recipe == "rlpd"):
                _lines(axis, runs, recipe, (lambda p: p["q"]) if is_q else rate)
        if is_q:
            axis.axhline(reference(results, task), color="0.4", ls=":", lw=1.5, label="returns of the data")
        else:
            axis.set_ylim(-0.03, 1.03)
        axis.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    picture = io.BytesIO()
    drawn.savefig(picture, format="png", dpi=130)
    write_whole(path, picture.getvalue())
    pyplot.close(drawn)


def _lines(axis: Any, runs: list[Result], recipe: str, of: Callable[[dict[str, Any]], float]) -> None:
    """Draw each seed thinly and their mean, by evaluation, boldly."""
    for run in runs:
        axis.plot(
            [p["step"] for p in run.points], [of(p) for p in run.points], color=COLOURS[recipe], lw=0.7, alpha=0.4
        )
    together = list(zip(*(run.points for run in runs)))
    middle = [statistics.fmean(p["step"] for p in points) for points in together]
    means = [statistics.fmean(map(of, points)) for points in together]
    axis.plot(middle, means, color=COLOURS[recipe], lw=2, label=f"{NAMES[recipe]} ({len(runs)})")
