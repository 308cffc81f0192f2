"""Practice that nobody attends, for hours under random faults: what is broken, what is lost, does it still get better?

    armtune bench unattended
    armtune bench unattended minutes=3 seed=7
    armtune bench unattended task=bin_sort policy.folder=models/calql reward.folder=models/reward

The graph of ``armtune demo`` in lockstep, with the agent and the judge that are shipped for the task, or those named:
it learns online on one table, and helps itself but for another scene or an arm that pressed, as in ``bench practice``.
One after another, drawn by the seed, every kind once a round: what learns is killed, its node is killed, every other
node stands still for a moment; where time waits for all, that is what a camera that stalls, a judge that hangs and a
line that is cut come to. ``minutes=90`` is of control steps; the arm's time, ways home and nudges in it, was 2.0 to
2.4 times as much in shorter runs, so these are three hours or more. Between two faults nothing happens for
``pause_s=15`` in the mean, of the wall's time. The run is kept below ``folder`` (``logs/upsets.csv`` says what happened
when), where the same command goes on.

Judged at the end: by the arm's own log and the oracle of the fault tests, whether any limit was broken; by the files,
whether each step that was counted is there, each file whole, and no node fell over; whether a process grew; and the
share of successes, as judged, in each third. Exit code 1 where anything is broken or lost.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.progress import Progress

from armtune_bringup.compose import compose
from armtune_bringup.demo.folder import shipped
from armtune_bringup.demo.job import ALWAYS
from armtune_bringup.settings import Config
from armtune_bringup.study.lockstep import practised, so_far
from armtune_policies.contract import ConfigError
from armtune_policies.contract.paths import config_root
from armtune_policies.episode.counted import counted, minutes, spans
from armtune_policies.episode.course import Counts
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.store.nouns import ABORTED, SUCCESS
from armtune_policies.store.series import Series
from armtune_safety.kinematics import Kinematics
from armtune_sim.motion_log import read
from armtune_sim.oracle import FOLLOWS_RAD, UNEVEN, Event, Oracle
from benchmarks._upsets import CHILD, HANG, KILL, PAUSE_S, SAMPLE_S, Growth, Upset, struck, upsets
from benchmarks._words import read_words

ROOT = Path(__file__).resolve().parents[1]
OURS = {"minutes": 90.0, "pause_s": 15.0, "seed": 0, "folder": "runs/unattended"}
WAITS = ("sim_node", "gate_node", "policy_node", "reward_node", "recorder_node", "episode_node", "learner_node")
KINDS = (*(f"{HANG}{node}" for node in WAITS), f"{KILL}learner_node", CHILD)
ROBUST = ("sim.arm_log=true", "learner.restarts=100", "safety.restarts=10", "experiment.rest_s=0")
ROWS = 200_000
"""Of the arm's log that are judged at once; neighbouring pieces share one."""


def main(argv: list[str]) -> dict[str, Any]:
    """Practise under faults, judge, print, return the numbers."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        raise SystemExit(0)
    ours, rest = read_words("unattended", argv, OURS)
    config = configured(ours["seed"], Path(ours["folder"]), rest)
    run = Path(config.experiment.folder) / config.experiment.name
    steps = round(60.0 * ours["minutes"] * config.policy.rate_hz)
    told_of = Series(run / "logs" / "upsets.csv", ("unix_s", "kind", "lasts_s"))
    upsetter = Upsetter(upsets(ours["seed"], KINDS), 2.0 * ours["pause_s"] / sum(PAUSE_S), told_of)
    with Progress() as bar:
        task = bar.add_task("practice", total=steps, completed=so_far(run).steps)

        def told(now: Counts, _: int, __: float) -> None:
            upsetter.begin()
            bar.update(task, completed=now.steps)

        with upsetter:
            practised(config, steps, told)
    found = {"bench": "unattended", **ours, "task": config.task.name, **judged(config, run), **upsetter.counts}
    found["grew"] = upsetter.grew
    print("\n".join(f"{name:<28}{value}" for name, value in found.items()))
    if found["violations"] or found["lost"] or found["broken"] or found["grew"]:
        print(json.dumps(found))
        raise SystemExit(1)
    return found


def configured(seed: int, folder: Path, overrides: Sequence[str]) -> Config:
    """Return the config of a run below ``folder``.

    Raises:
        ConfigError: where no agent or judge is shipped for the task and none is named.
    """
    words = [*ALWAYS, *ROBUST, f"experiment.seed={seed}", f"experiment.folder={folder.resolve()}"]
    plain = compose([*words, *overrides])
    for what in ("policy", "reward"):
        if any(word.startswith(f"{what}.folder=") for word in overrides):
            continue
        model = shipped(plain, "agent" if what == "policy" else what)
        if model is None:
            raise ConfigError(
                f"{what}.folder: nothing is shipped for task {plain.task.name} and these cameras; name one"
            )
        words.append(f"{what}.folder={model}")
    named = f"experiment.name={plain.experiment.name or f'{plain.task.name}-{seed}'}"
    return compose([*words, *overrides, named])


class Upsetter:
    """Upsets the nodes that this process has started, in a thread of its own, from ``begin`` to the block's end.

    Pauses are ``slower`` times as long as they were drawn; each upset is noted.
    """

    def __init__(self, drawn: Iterator[Upset], slower: float, notes: Series) -> None:
        self.counts, self.grew = Counter[str](), list[str]()
        self._drawn, self._slower, self._notes, self._over = drawn, slower, notes, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Upsetter:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=30.0)

    def begin(self) -> None:
        """Begin, once."""
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        growth, passed_s = Growth(), 0.0
        for one in self._drawn:
            if self._over.wait(timeout=(pause_s := one.pause_s * self._slower)):
                return
            nodes = started()
            self._notes.append((f"{time.time():.2f}", one.kind, f"{one.lasts_s:.2f}"))
            with struck(one.kind, nodes) as was_done:
                self._over.wait(timeout=one.lasts_s)
            self.counts[one.kind] += was_done
            passed_s += pause_s + one.lasts_s
            if passed_s > SAMPLE_S:
                passed_s = 0.0
                self.grew += growth.look(nodes)


def started() -> dict[str, int]:
    """Return the nodes that this process runs now, by name their process ids."""
    found = {}
    for process in psutil.Process().children():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        found.update({word.removeprefix("__node:="): process.pid for word in words if word.startswith("__node:=")})
    return found


def judged(config: Config, run: Path) -> dict[str, Any]:
    """Return what the arm's log and the files tell of a run that has ended."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]
    import run_oracle

    e, counts, files = config.episode, so_far(run), counted(run)
    lost = [f"{name}: {getattr(counts, name)} counted, {has} in files" for name, has in files.items()
            if getattr(counts, name) != has]  # fmt: skip
    robot_minutes, sessions = minutes(run, e.home_s + e.nudge_s + config.experiment.rest_s)
    broken = run_oracle.broken([], [], [], run, config.safety.observation_age_s)
    told = {
        "steps": files["steps"],
        "episodes": files["episodes"],
        "robot_minutes": robot_minutes,
        "sessions": sessions,
    }
    told |= {"resets": counts.resets, "lifts": counts.lifts, "success_by_third": thirds(run)}
    return {**told, "violations": violations(config, run / "logs" / "arm.csv"), "lost": lost, "broken": broken}


def thirds(run: Path) -> list[str]:
    """Return successes of episodes, as judged, in each third of a run's episodes."""
    ends = [one.about.outcome for one in spans(list_episodes(run)) if one.about.outcome != ABORTED]
    parts = [part for part in np.array_split(np.array(ends), 3) if len(part)]
    return [f"{np.count_nonzero(part == SUCCESS)}/{len(part)}" for part in parts]


def violations(config: Config, log: Path) -> list[str]:
    """Return what the oracle finds in the arm's own log, by simulated time; each start of the simulator begins anew."""
    mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
    kinematics = Kinematics(config.robot, mjcf, config.safety.joint_margin_rad)
    period_s = 1.0 / config.policy.rate_hz
    oracle = Oracle(
        config.robot, config.safety, kinematics, period_s=period_s, unevenness=UNEVEN, follows_rad=FOLLOWS_RAD
    )
    found = []
    for piece in pieces(log):
        rows = read(piece, "sim")
        starts = [0, *(np.flatnonzero(np.diff(rows.t_ns) < 0) + 1).tolist(), len(rows.t_ns)]
        for first, last in pairwise(starts):
            part = rows.rows(slice(first, last))
            if len(part.t_ns) > 1:
                armed = [Event(int(part.t_ns[0]) - 1, "armed")]
                found += oracle.judge(part, armed)
    return [f"{v.rule}: {v.text} at {v.t_ns}" for v in found]


def pieces(log: Path) -> Iterator[Path]:
    """Yield a long log in parts that fit into memory, as files that are gone with the next."""
    with log.open() as file, tempfile.TemporaryDirectory() as scratch:
        head, shared = file.readline(), ""
        while lines := list(islice(file, ROWS)):
            part = Path(scratch) / "part.csv"
            part.write_text(head + shared + "".join(lines))
            shared = lines[-1] if lines[-1].endswith("\n") else ""
            yield part


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
