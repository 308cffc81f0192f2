"""A whole study: cell by cell over seeds, with the table, the plot and the JSON kept as they grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from armtune_bringup.agents import Learning, OnStep
from armtune_policies.store.files import write_json, write_whole

from .cells import SeedStudy, Sizes, seeded
from .table import markdown, plot, summary

NAMES = {
    "bc": "behaviour cloning",
    "offline": "offline",
    "control": "offline, as many updates more",
    "online": "after practice",
}


def run_study(
    learning: Learning,
    folder: Path,
    seeds: Sequence[int],
    cells: Sequence[str],
    sees: str,
    sizes: Sizes,
    prior: Path | None = None,
    on_step: Callable[[int], OnStep] = lambda seed: lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Make every cell that is not there, seed by seed; return the summary.

    Args:
        learning: Config and settings; its seed is replaced.
        folder: Where everything is kept; the same call goes on where it was killed.
        seeds: Of demonstrations, encoder, agent and practice alike.
        cells: Some of ``cells.CELLS``.
        sees: One of ``cells.SIGHTS``.
        sizes: How much is measured.
        prior: Episodes of other tasks; None for none.
        on_step: Gives who is told of a seed's progress.
        say: Gets a line per finished cell.

    Raises:
        ValueError: when data, settings or checkpoints will not do.
    """
    task = learning.config.task.name
    done: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in cells}
    name = f"{task}-{sees}" + ("-prior" if prior else "")
    for seed in seeds:
        told = on_step(seed)
        study = SeedStudy(seeded(learning, seed), folder, sees, sizes, prior, told)
        for cell in cells:
            done[cell][seed] = found = study.cell(cell)
            say(f"{task} seed {seed} {cell}: {_words(found)}")
            result = _result(learning, name, done, study, sizes)
            write_json(folder / f"{name}.json", result)
            write_whole(folder / f"{name}.png", plot(done, f"{task}, seeing {sees}"))
    say(markdown(result, NAMES))
    return result


def _result(
    learning: Learning, name: str, done: dict[str, dict[int, dict[str, Any]]], study: SeedStudy, sizes: Sizes
) -> dict[str, Any]:
    e = learning.config.experiment
    given = {"demos": e.demos, "failures": e.failures, "demo_noise": e.demo_noise, "copies": study.offline.copies}
    curves = {seed: one["curve"] for seed, one in done.get("online", {}).items()}
    return {
        "study": name, **summary({cell: found for cell, found in done.items() if found}), "curves": curves,
        "agent": asdict(study.params), "offline_updates": study.offline.updates, "practice": asdict(study.practice),
        "data": given, "sizes": asdict(sizes),
    }  # fmt: skip


def _words(found: dict[str, Any]) -> str:
    ways = ", ".join(f"{way} {won}/{count}" for way, (won, count) in found["success"].items())
    return f"{ways} ({found['cpu_s']:.0f} s of CPU)"
