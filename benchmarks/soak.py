"""Practice under random faults for so many minutes: what stops the arm, what comes back by itself, what is lost.

    armtune bench soak minutes=3
    armtune bench soak minutes=60 seed=7 policy.folder=models/bc reward.folder=models/reward learner.recipe=bc

The whole graph in real time. One after another, drawn by the seed: cameras stall, freeze or send nonsense, proposals
come late, the reward node hangs, the learner is killed. Where the gate stops the arm, an operator clears and arms it
again. From the arm's own log the oracle of the fault tests says whether any limit was broken; from the episode files,
whether a step that was acted is missing. Other words are overrides of the config; without models of one's own the arm
circles. Fails (exit code 1) where a limit was broken or a step lost.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from armtune_policies.store.episode_reader import list_episodes, read_episode
from benchmarks._words import read_words

if TYPE_CHECKING:
    from rig import FaultStack

ROOT = Path(__file__).resolve().parents[1]
LASTS_S, PAUSE_S = (0.3, 2.5), (0.5, 4.0)
LATE_S = 0.5
HANG, KILL = "reward hangs", "learner is killed"
INJECTED = {
    "camera.stall": 0.0,
    "camera.freeze": 0.0,
    "camera.corrupt": 0.0,
    "policy.slow": LATE_S,
}
"""Faults by ``sim/fault``, each with its value."""
KINDS = (*INJECTED, HANG, KILL)
ROBUST = ("learner.restarts=100", "learner.refit_every=2", "safety.restarts=100")


@dataclass(frozen=True)
class Upset:
    """One fault: what, for how long, and how long nothing happens after it."""

    kind: str
    lasts_s: float
    pause_s: float


def upsets(seed: int) -> Iterator[Upset]:
    """Draw faults without end, every kind once in each round."""
    rng = np.random.default_rng(seed)
    while True:
        for index in rng.permutation(len(KINDS)):
            yield Upset(KINDS[index], float(rng.uniform(*LASTS_S)), float(rng.uniform(*PAUSE_S)))


def soak(graph: FaultStack, drawn: Iterator[Upset], seconds: float, say: Callable[[str], None]) -> dict[str, int]:
    """Upset a graph for so long; return how often it was, by kind, and who made it go on."""
    counts, end_s = Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end_s:
        one = next(drawn)
        with _upset(graph, one.kind):
            _rest(graph, one.lasts_s)
        _rest(graph, one.pause_s)
        is_down = not graph.gate.last.armed
        graph.moving()  # clears and arms where the gate has stopped
        counts[one.kind] += 1
        counts["an operator armed it again" if is_down else "it went on by itself"] += 1
        say(f"{one.kind} for {one.lasts_s:.1f} s: {'stopped, armed again' if is_down else 'went on'}")
    return dict(counts)


@contextmanager
def _upset(graph: FaultStack, kind: str) -> Iterator[None]:
    if kind in INJECTED:
        with graph.fault(kind, INJECTED[kind]):
            yield
    elif kind == HANG:
        node = graph.up.nodes().get("reward_node", 0)
        if node:
            os.kill(node, signal.SIGSTOP)
        try:
            yield
        finally:  # one that stays stopped could not even be ended
            if node and node == graph.up.nodes().get("reward_node"):
                os.kill(node, signal.SIGCONT)
    else:
        for pid in _children(graph.up.nodes().get("learner_node", 0)):
            os.kill(pid, signal.SIGKILL)
        yield


def _rest(graph: FaultStack, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    graph.wait(lambda: time.monotonic() > end_s, "a while", seconds + 5.0)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lost(run: Path, acted: Sequence[tuple[str, int]], ended: Collection[str]) -> tuple[int, list[str]]:
    """Return how many steps of finished episodes the policy acted in, and those that their files lack.

    An episode's end is what ``episode_node`` said. Where it said nothing the file ends where its bytes do: then more
    than the step in flight beyond it was lost.

    Args:
        run: Folder of the run.
        acted: Episode and step of every decision heard on a proposal of the policy.
        ended: Episodes that were heard to end.
    """
    steps, missing = 0, list[str]()
    files = {path.stem: path for path in list_episodes(run)}
    newest = max((name for name, _ in acted), default="")
    for name in sorted({name for name, _ in acted}):
        heard = sorted({step for episode, step in acted if episode == name})
        if name not in files:  # the newest may be on; an episode of one step in flight leaves no file
            missing += [] if name == newest or len(heard) < 2 else [f"{name}: no file, {len(heard)} steps"]
            continue
        episode = read_episode(files[name])
        judged = [step for step in heard if step <= episode.end_step]
        steps += len(judged)
        beyond = heard[-1] - episode.end_step
        if beyond > 1 and name not in ended and name != newest:
            missing.append(f"{name}: cut short, {beyond} steps were acted after its end")
        missing += [f"{name}: step {step}" for step in judged if not episode.complete[step]]
    return steps, missing


def main(argv: list[str]) -> dict[str, Any]:
    """Soak, print what happened, return the numbers."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        raise SystemExit(0)
    ours, rest = read_words("soak", argv, {"minutes": 3.0, "seed": 0})
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]
    from rig import FaultStack

    with tempfile.TemporaryDirectory(prefix="armtune-soak-") as folder:
        with FaultStack(Path(folder), *ROBUST, *rest) as graph:
            graph.moving()
            counts = soak(graph, upsets(ours["seed"]), 60.0 * ours["minutes"], print)
        found = judged(graph, {"bench": "soak", **ours, **counts})
    if found["violations"] or found["lost"]:
        print(json.dumps(found))
        raise SystemExit(1)
    return found


def judged(graph: FaultStack, counts: dict[str, Any]) -> dict[str, Any]:
    """Return what the arm's log and the files say of a graph that has ended, or goes on."""
    events = graph.events()
    acted = [(d.episode_id, d.step) for _, d in graph.decisions.since(0) if d.source == "policy" and d.episode_id]
    ended = {state.episode_id for _, state in graph.episodes.since(0) if state.outcome}
    steps, missing = lost(graph.up.run, acted, ended)
    stops = sum(event.kind != "armed" for event in events)
    return {**counts, "episodes": len(list_episodes(graph.up.run)), "steps": steps, "stops": stops,
            "lost": missing, "violations": graph.witness.violations(0, events)}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
