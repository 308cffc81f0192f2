"""What practice through the ROS graph is worth, seed by seed, on held-out scenes, by true success.

    armtune bench practice task=bin_sort 'seeds=[25,26,27]' steps=10000
    armtune bench practice task=bin_sort 'seeds=[0]' steps=2000 reward=truth
    armtune bench practice task=bin_sort 'seeds=[0]' steps=10000 noise=pot_pick_place
    armtune bench practice task=bin_sort 'seeds=[0,1]' steps=10000 shift=camera

With ``shift`` (camera, object, friction or light) the agent is trained on one table, and practises and is measured on
another: ``offline`` and ``bc`` then show the drop, ``practice`` what is recovered. Of judges so is one that is trained
here; one that comes along has seen many tables.

The judge is the one that comes along for the task, or ``reward.folder`` (docs/reward.md says how to train one) with its
``reward.threshold`` and ``episode.vote_*``; where neither is there, one is trained on the seed's demonstrations alone.
Cells: ``bc`` (cloning), ``offline`` (what practice begins with), ``matched`` (as many updates more as practice makes)
and ``practice``: in lockstep, through every node, judged by the learned reward from images. Nobody helps but to lay
the scene anew when practice says that it is stuck, counted as ``resets``, and to lift the arm home where it does not
come there or the gate stopped it as it pressed against something, counted as ``lifts``. What was counted is read off
the episode files, over all ``sessions``; where the guard has gone back (``is_reverted``) the policy it went back to is
what is measured. Each cell is kept in ``folder`` and as JSON in ``results``; the same command goes on where it was
killed. Other words are overrides as of ``armtune study``; ``experiment.demos=5
offline.updates=200`` makes it small.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.progress import Progress

from armtune_bringup.agents import Learning, read_overrides
from armtune_bringup.study.cells import SeedStudy, Sizes, seeded
from armtune_bringup.study.practised import CELL, PractisedStudy
from armtune_policies.contract import DIRECTIONS, ConfigError, digest
from armtune_policies.episode.course import Counts
from armtune_policies.episode.rate import wilson
from armtune_policies.store.files import write_json
from benchmarks._truth_judge import truth_judge
from benchmarks._words import read_words

ROOT = Path(__file__).resolve().parents[1]
EPISODES = 50
"""Held-out scenes, each in both directions."""
CELLS = {"bc": "bc", "offline": "offline", "matched": "control", CELL: CELL}
"""What a cell is called here, and in a study."""
NAMES = {
    "bc": "behaviour cloning",
    "offline": "offline",
    "matched": "offline, as many updates more",
    CELL: "after practice",
}
COMMON = (
    "sim.table=0", "sim.variation=1.0", "sim.looks=0.0", "experiment.demos=10", "experiment.failures=10",
    "experiment.demo_looks=0.0", "agent=calql", "agent.critics=2", "agent.hidden=[128,128]", "agent.batch=128",
    "agent.gamma=0.97", "agent.bf16=true", "agent.resets_optimiser=false", "offline.updates=10000",
    "policy.aim_m=0.005", "recorder.evidence=false",
)  # fmt: skip
JUDGES = ROOT / "policies" / "shipped"
BY_TASK = {
    "bin_sort": (
        "experiment.recoveries=5", "agent.temperature=0.01", "agent.temperature_lr=1e-3", "agent.utd=2",
        "agent.failures=4", "camera=sim_wrist", "policy.cameras=[front,wrist]",
    ),
    "drawer": ("experiment.recoveries=0", "agent.utd=4"),
}  # fmt: skip
"""Settings that an override may change: those of docs/results.md."""
JUDGE_OF = {
    "bin_sort": ("reward=bin_sort", "episode=bin_sort", f"reward.folder={JUDGES}/bin_sort/reward"),
    "drawer": ("episode.vote_opening=0.5", f"reward.folder={JUDGES}/drawer/reward"),
}
"""The judge that comes along for a task, and the votes that it takes."""


@dataclass(frozen=True)
class Asked:
    """What the command line says beside the overrides."""

    seeds: tuple[int, ...]
    steps: int
    cells: tuple[str, ...]
    folder: Path
    results: Path
    episodes: int
    is_true: bool
    noise: str
    said: tuple[str, ...]
    """Overrides beside the settings that a task has here."""
    task: str
    """What the task that they choose is called."""
    shift: str = ""

    @property
    def overrides(self) -> tuple[str, ...]:
        """All overrides, ours first."""
        is_other = self.is_true or any(word.startswith("reward.folder=") for word in self.said)
        judge = () if is_other else JUDGE_OF.get(self.task, ())
        return (*COMMON, *BY_TASK.get(self.task, ()), *judge, *self.said)

    @property
    def variant(self) -> str:
        """What sets these cells apart from the plain ones, in their files' names."""
        return ("-truth" if self.is_true else "") + (f"-{self.noise}" if self.noise else "")

    @property
    def rest(self) -> str:
        """All other settings in their names, ours too: a cell of other settings is another cell."""
        named = ("task=", "sim.shift=", "reward.noise=")  # by words of their own
        settings = dict(as_shown(word).split("=", 1) for word in self.overrides if not word.startswith(named))
        return (f"-of-{self.episodes}" if self.episodes != EPISODES else "") + f"-{digest(settings)[:8]}"


def as_shown(override: str) -> str:
    """Return an override as another machine can read it: of a folder's path, where it is in a checkout, or its name."""
    key, _, value = override.partition("=")
    if not key.endswith("folder"):
        return override
    path = Path(value)
    return f"{key}={path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}"


def read(arguments: Sequence[str]) -> Asked:
    """Take our own words out of the arguments.

    Raises:
        ConfigError: one sentence that names what is wrong.
    """
    known: dict[str, Any] = {
        "seeds": [0], "steps": 10_000, "cells": list(CELLS), "folder": "runs/bench-practice", "episodes": EPISODES,
        "results": str(ROOT / "benchmarks" / "results" / "practice"), "reward": "learned", "noise": "", "shift": "",
    }  # fmt: skip
    ours, rest = read_words("practice", arguments, known)
    if ours["reward"] not in ("learned", "truth"):
        raise ConfigError(f"reward: expected learned or truth, got {ours['reward']!r}; a folder is reward.folder=...")
    for name, kind in (("seeds", int), ("cells", str)):
        if not all(isinstance(one, kind) for one in ours[name]) or not ours[name]:
            raise ConfigError(f"{name}: expected a list, as in '{name}=[...]', got {ours[name]!r}")
    if unknown := [cell for cell in ours["cells"] if cell not in CELLS]:
        raise ConfigError(f"cells: expected some of {', '.join(CELLS)}; got {unknown[0]!r}")
    if taken := [word for word in rest if word.startswith(("reward.noise=", "sim.shift="))]:
        raise ConfigError(f"{taken[0]}: say it by the word of its own, as in noise=pot_pick_place or shift=camera")
    noisy = (f"reward.noise={ours['noise']}",) if ours["noise"] else ()
    shifted = (f"sim.shift={ours['shift']}",) if ours["shift"] else ()
    return Asked(
        tuple(ours["seeds"]), ours["steps"], tuple(ours["cells"]), Path(ours["folder"]), Path(ours["results"]),
        ours["episodes"], ours["reward"] == "truth", ours["noise"], (*rest, *noisy, *shifted),
        read_overrides(rest).config.task.name, ours["shift"],
    )  # fmt: skip


def main(argv: list[str]) -> dict[str, Any]:
    """Make the cells that are not there, print a table, return its numbers."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        raise SystemExit(0)
    asked = read(argv)
    learning = read_overrides([*asked.overrides, f"practice.steps={asked.steps}"])
    found: dict[str, dict[int, dict[str, Any]]] = {cell: {} for cell in asked.cells}
    with Progress() as bar:
        for number, seed in enumerate(asked.seeds):
            study = _study(learning, asked, seed, bar, len(asked.seeds) - number)
            for cell in asked.cells:
                found[cell][seed] = made = study.cell(CELLS[cell])
                _keep(asked, learning, cell, seed, made)
                bar.console.print(
                    f"seed {seed} {NAMES[cell]}: {_words(made['success'])} ({made['cpu_s']:.0f} s of CPU)"
                )
    print(_table(found))
    return {"bench": "practice", "task": learning.config.task.name, "seeds": list(asked.seeds), **summary(found)}


def summary(found: dict[str, dict[int, dict[str, Any]]]) -> dict[str, Any]:
    """Return what the issue asks for; None where its cell was not made."""
    before, after, matched = (list(found.get(cell, {}).values()) for cell in ("offline", CELL, "matched"))
    mean = lambda name: round(sum(one[name] for one in after) / len(after), 2) if after else None  # noqa: E731
    return {
        "before": _rate(before), "after": _rate(after), "matched_after": _rate(matched),
        "before_min_direction": min((_rate(before, [way]) for way in DIRECTIONS), default=None) if before else None,
        "after_min_direction": min((_rate(after, [way]) for way in DIRECTIONS), default=None) if after else None,
        "after_worst_seed": min((_rate([one]) for one in after), default=None),
        "n": sum(one["success"][way][1] for one in after or before for way in DIRECTIONS),
        "steps": mean("steps"), "robot_minutes": mean("robot_minutes"),
        "resets": sum(one["resets"] for one in after) if after else None,
        "lifts": sum(one["lifts"] for one in after) if after else None,
    }  # fmt: skip


def _study(learning: Learning, asked: Asked, seed: int, bar: Progress, seeds_left: int) -> SeedStudy:
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, total: int) -> None:
        name = f"seed {seed} {what}"
        if name not in tasks:
            tasks[name] = bar.add_task(name)
        bar.update(tasks[name], completed=done, total=total)

    told: list[int] = []

    def on_episode(counts: Counts, steps: int, seconds: float) -> None:
        show("practice", min(counts.steps, asked.steps), asked.steps)
        told.append(counts.episodes)
        if len(told) in (1, 5) and seconds > 0:
            speed = steps / seconds
            left = max(asked.steps - counts.steps, 0) / max(speed, 1e-3) / 60
            bar.console.print(
                f"seed {seed}: practice makes {speed:.1f} steps/s; {left:.0f} minutes left of it, "
                f"and {(seeds_left - 1) * asked.steps / max(speed, 1e-3) / 60:.0f} for other seeds, training apart"
            )

    sizes = Sizes(episodes=asked.episodes)
    study = PractisedStudy(seeded(learning, seed), asked.folder, "images", sizes, None, show)
    study.on_episode = on_episode  # type: ignore[method-assign]
    if asked.is_true:
        study.judge = partial(truth_judge, learning.config.robot.name)
    return study


def _keep(asked: Asked, learning: Learning, cell: str, seed: int, made: dict[str, Any]) -> None:
    """Write a cell as JSON that can be committed: what it found, how, and with which versions."""
    versions = {name: version(name) for name in ("mujoco", "onnxruntime", "numpy", "torch")}
    about = {"date": date.today().isoformat(), "python": platform.python_version(), "versions": versions}
    settings = {"steps": asked.steps, "overrides": [as_shown(word) for word in asked.overrides]}
    task = learning.config.task.name
    table = f"{task}-shifted-{asked.shift}" if asked.shift else task
    name = (
        f"{table}-{cell}-{seed}" + (f"-{asked.steps}{asked.variant}" if cell in (CELL, "matched") else "") + asked.rest
    )
    write_json(asked.results / f"{name}.json", {"task": task, **made, "cell": cell, **settings, **about})


def _rate(cells: Sequence[dict[str, Any]], ways: Sequence[str] = DIRECTIONS) -> float | None:
    won, count = (sum(one["success"][way][i] for one in cells for way in ways) for i in (0, 1))
    return round(won / count, 3) if count else None


def _words(success: dict[str, list[int]]) -> str:
    return ", ".join(f"{way} {won}/{count}" for way, (won, count) in success.items())


def _table(found: dict[str, dict[int, dict[str, Any]]]) -> str:
    """Return the table, seeds pooled, with 95 % Wilson intervals."""
    lines = ["| | each seed | all (95 %) | forward | backward |", "|---|---|---|---|---|"]
    for cell, by_seed in found.items():
        rows = list(by_seed.values())
        each = " ".join(f"{100 * (_rate([one]) or 0):.0f}" for one in rows)
        won, count = (sum(one["success"][way][i] for one in rows for way in DIRECTIONS) for i in (0, 1))
        low, high = wilson(won, count)
        ways = [[sum(one["success"][way][i] for one in rows) for i in (0, 1)] for way in DIRECTIONS]
        lines.append(
            f"| {NAMES[cell]} | {each} | {100 * won / count:.0f} ({100 * low:.0f} to {100 * high:.0f}) "
            f"| {ways[0][0]}/{ways[0][1]} | {ways[1][0]}/{ways[1][1]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
