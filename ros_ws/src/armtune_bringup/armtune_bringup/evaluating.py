"""Policies compared on a running graph, trial by trial: the plan, what is kept of it, and who judges. No ROS.

What is kept says of each trial whether it was done, and not by whom: that follows from the seed, and comes at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from armtune_policies.contract import ConfigError, Direction, file_digest
from armtune_policies.episode.trials import Trial, plan, summary
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import MANIFEST, load_manifest

from .compose import config_hash
from .settings import Config
from .stages import EVALUATION_SEED

VOID_IN_A_ROW = 3
"""So many attempts that say nothing, and something is wrong."""
NAMES = ("new", "old")


@dataclass(frozen=True)
class Contender:
    """A policy to be evaluated; ``digest`` is its manifest's."""

    name: str
    folder: Path
    version: str
    digest: str


@dataclass(frozen=True)
class Tried:
    """What came of one attempt; ``is_done`` is None where nobody said, ``why`` blank unless it is void."""

    episode_id: str
    is_done: bool | None
    why: str = ""


class Attempts(Protocol):
    """What is asked of the graph; see ``EvaluatingClient``."""

    def invite(self, one: Contender) -> None: ...

    def reset_world(self, seed: int, direction: str) -> None: ...

    def attempt(
        self, one: Contender, direction: Direction, by_truth: bool, stop: Callable[[], bool], say: Callable[[str], None]
    ) -> Tried: ...


class Operator(Protocol):
    """Who lays scenes and judges where no simulator does."""

    def lay(self, trial: Trial) -> None:
        """Return once the scene is laid in which the trial's direction is to be done."""

    def is_done(self, trial: Trial) -> bool:
        """Return whether it was done."""


def contenders(config: Config, folders: Sequence[Path]) -> list[Contender]:
    """Return policies by their folders, the newer one first.

    Raises:
        ModelError: in one sentence, for a folder that will not do.
        ConfigError: when both are the same.
    """
    found = []
    for name, folder in zip(NAMES, folders):
        manifest = load_manifest(folder, kinds=("head", "policy"))
        found.append(Contender(name, folder.resolve(), manifest.version, file_digest(folder / MANIFEST)))
    if len({one.version for one in found}) < len(found):
        raise ConfigError(f"--against: expected another policy than {found[0].version}, got the same")
    return found


class Ledger:
    """What was tried so far, in one JSON file that is whole at any time.

    Args:
        path: The file.
        who: The policies.
        config: What they are tried with: task, seed and number of scenes are of the plan, and so is all the rest.
        by_truth: Whether the simulator judges, not a person.

    Raises:
        ConfigError: when the file is of another plan.
    """

    def __init__(self, path: Path, who: Sequence[Contender], config: Config, by_truth: bool) -> None:
        self._path, self._who, e = Path(path), who, config.experiment
        self.trials = plan(e.evaluations, len(who), e.seed)
        judge = "truth" if by_truth else "operator"
        self._plan = {
            "policies": [c.version for c in who], "scenes": e.evaluations, "seed": e.seed, "judge": judge,
            "task": config.task.name, "episode_steps": config.task.episode_steps, "config": config_hash(config),
        }  # fmt: skip
        value: dict[str, Any] = {"plan": self._plan, "trials": []}
        if self._path.is_file():
            value = read_json(self._path)
        if value.get("plan") != self._plan:
            raise ConfigError(f"{path}: holds an evaluation of {value.get('plan')}; name another file by --result")
        self.rows: list[dict[str, Any]] = list(value["trials"])
        self.voids: list[dict[str, Any]] = list(value.get("voids", []))

    @property
    def left(self) -> tuple[Trial, ...]:
        """The trials still to be made, in order."""
        done = {row["number"] for row in self.rows}
        return tuple(trial for trial in self.trials if trial.number not in done)

    def note(self, trial: Trial, episode_id: str, is_done: bool) -> None:
        """Keep a trial, its policy unsaid."""
        shown = {name: value for name, value in asdict(trial).items() if name != "policy"}
        self.rows.append({**shown, "episode": episode_id, "success": is_done})
        self._write()

    def note_void(self, trial: Trial, why: str) -> None:
        """Keep that an attempt at a trial said nothing: a policy that is stopped more often than another shows here."""
        self.voids.append({"number": trial.number, "why": why})
        self._write()

    def _write(self, **result: Any) -> None:
        write_json(self._path, {"plan": self._plan, "trials": self.rows, "voids": self.voids, **result})

    def summary(self) -> dict[str, Any]:
        """Return what it says by now; once all is tried the file says it too, names included."""
        outcomes = {int(row["number"]): bool(row["success"]) for row in self.rows}
        found = summary(self.trials, outcomes, [one.name for one in self._who])
        named = {one.name: one.version for one in self._who}
        void = Counter(self.trials[row["number"]].policy for row in self.voids)
        voids = {one.name: void[at] for at, one in enumerate(self._who)}
        found = {"evaluation": "on the stack", **self._plan, **found, "versions": named, "voids": voids}
        if not self.left:
            self._write(result=found)
        return found


def evaluate_on(
    graph: Attempts,
    ledger: Ledger,
    who: Sequence[Contender],
    operator: Operator | None,
    stop: Callable[[], bool] = lambda: False,
    on_trial: Callable[[int, int], None] = lambda done, of: None,
    say: Callable[[str], None] = print,
) -> None:
    """Make the trials that are left, until ``stop``.

    Args:
        graph: Who is asked; it must be armed, or a person arm it when told that it waits.
        ledger: Plan and memory.
        who: The policies, in the plan's order.
        operator: Lays scenes and judges; None where the simulator does both.
        stop: Says whether to end early; the trial that is on is then void.
        on_trial: Told after each how many are done, of how many.
        say: Gets a line for a person.

    Raises:
        ConfigError: when the graph refuses, or attempt after attempt is void.
        TimeoutError: when it does not answer.
    """
    void = 0
    while (left := ledger.left) and not stop():
        trial, one = left[0], who[left[0].policy]
        graph.invite(one)
        if operator is None:
            graph.reset_world(EVALUATION_SEED + trial.scene, trial.direction)
        else:
            operator.lay(trial)
        tried = graph.attempt(one, trial.direction, operator is None, stop, say)
        if tried.why and stop():
            return
        if tried.why:
            ledger.note_void(trial, tried.why)
            void += 1
            say(f"trial {trial.number + 1} is made again: {tried.why}")
            if void >= VOID_IN_A_ROW:
                raise ConfigError(f"{void} attempts in a row said nothing: {tried.why}; the same command goes on")
            continue
        void = 0
        is_done = operator.is_done(trial) if tried.is_done is None and operator is not None else bool(tried.is_done)
        ledger.note(trial, tried.episode_id, is_done)
        on_trial(len(ledger.rows), len(ledger.trials))


def table(found: dict[str, Any]) -> str:
    """Return the result as a table in Markdown; while trials are left only how many: who judges is not to know more."""
    if found["n"] < found["of"]:
        return f"{found['n']} of {found['of']} trials"
    lines = ["| | forward | backward | both (95 %) | void |", "|---|---|---|---|---|"]
    for name, rows in found["policies"].items():
        low, high = rows["both"]["ci95"]
        cells = [f"{rows[way]['successes']}/{rows[way]['n']}" for way in ("forward", "backward", "both")]
        shown = f"({100 * low:.0f} to {100 * high:.0f} %) | {found['voids'][name]}"
        lines.append(f"| {name} ({found['versions'][name]}) | {' | '.join(cells)} {shown} |")
    if gaps := found.get("difference"):
        cells = [f"{gap['points']:+.0f} ({gap['ci95'][0]:+.0f} to {gap['ci95'][1]:+.0f})" for gap in gaps.values()]
        lines.append(f"| new less old, points | {' | '.join(cells)} | |")
        lines.append(f"\nof {found['pairs']} pairs only new did it in {found['first_only']}, only old in "
                     f"{found['second_only']}: p = {found['p']:.3f}")  # fmt: skip
    return "\n".join(lines)
