"""Practice under random faults, an hour unless told otherwise: what stops the arm, what comes back, what is lost.

    armtune bench soak
    armtune bench soak minutes=3 seed=7
    armtune bench soak policy.folder=models/bc reward.folder=models/reward learner.recipe=bc

The whole graph in real time, with a gamepad and a console. One after another, drawn by the seed, every kind once a
round: each fault that can be injected, a node killed or stopped, the learner killed, a person who takes over, stops
the arm or presses the e-stop. Where the gate stops the arm, an operator clears and arms it again. Judged every five
minutes, and whole at the end: by the arm's own log and the oracle of the fault tests, whether any limit was broken or
it moved unarmed; by what was said and by the files, the rest of the oracle (O3 to O10 of ``tests/faults/rows.md``),
whether a step that was acted is missing, and whether memory or open files of a process grow. It ends at the first
thing broken, with exit code 1. Other words are overrides of the config; without models of one's own the arm circles.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from armtune_policies.store.episode_reader import list_episodes, read_episode
from benchmarks._upsets import CHILD, HANG, KILL, SAMPLE_S, Growth, Upset, struck, upsets
from benchmarks._words import read_words

if TYPE_CHECKING:
    from rig import FaultStack

    from fixtures.teleop import JoyHand

ROOT = Path(__file__).resolve().parents[1]
LATE_S, LOOK_S = 0.5, 300.0
TAKEOVER, STOPPED, ESTOP = "a person takes over", "a person stops the arm", "the e-stop is pressed"
CAMERA = ("camera.stall", "camera.freeze", "camera.corrupt", "camera.black", "camera.future")
JOINTS = ("joints.stall", "joints.freeze", "joints.nan", "joints.drop_name", "joints.shuffle")
POLICY = ("policy.stall", "policy.nan", "policy.huge", "policy.slow", "policy.repeat", "policy.reorder",
          "policy.future", "policy.wrong_spec")  # fmt: skip
INJECTED = (*CAMERA, *JOINTS, *POLICY)
"""Faults by ``sim/fault``."""
DIE = ("policy_node", "reward_node", "recorder_node", "episode_node", "learner_node", "fault_node", "sim_node",
       "gate_node", "teleop_node", "console_node")  # fmt: skip
"""A supervisor that dies ends the graph (F41)."""
GENTLE = ("camera.stall", "camera.freeze", "camera.corrupt", "policy.slow", f"{HANG}reward_node", CHILD)
KINDS = (*INJECTED, *(f"{KILL}{node}" for node in DIE), *(f"{HANG}{node}" for node in (*DIE, "supervisor_node")), CHILD,
         TAKEOVER, STOPPED, ESTOP)  # fmt: skip
ROBUST = ("learner.restarts=100", "learner.refit_every=2", "safety.restarts=10")
ATTENDED = ("teleop=joy", "console=local", "console.port=8798", "camera.rate_hz=15", "camera.width_px=320",
            "camera.height_px=240")  # fmt: skip
KEEPS = ("recorder_node", "episode_node")
"""Who keeps steps, and who says how far an episode was judged: its file ends there where nobody announced its end."""


class Soaked(NamedTuple):
    """What a soak came to: how often it was upset, by kind, and who made it go on; what was broken; when nobody kept
    or judged steps, from and to, steady [ns].
    """

    counts: dict[str, int]
    broken: list[str]
    unheard: list[tuple[int, int]]


def soak(
    graph: FaultStack, drawn: Iterator[Upset], seconds: float, say: Callable[[str], None], hand: JoyHand | None = None
) -> Soaked:
    """Upset a graph for so long, or until something is broken.

    While a node that keeps steps is dead or hangs the arm acts on until it is stopped for that, and a step more.
    """
    from layers import LOOK_MS, LOST_MS

    step_s = 1.0 / graph.config.policy.rate_hz
    stopped_s = (LOST_MS + LOOK_MS) / 1e3
    counts, growth, broken, unheard = Counter[str](), Growth(), list[str](), list[tuple[int, int]]()
    start_s = looked_s = sampled_s = time.monotonic()
    seen_ns = time.monotonic_ns()
    while time.monotonic() - start_s < seconds and not broken:
        one = next(drawn)
        if one.kind.endswith(KEEPS):
            for_s = min(one.lasts_s, stopped_s) if one.kind.startswith(HANG) else stopped_s
            unheard.append((now_ns := time.monotonic_ns(), now_ns + round((for_s + step_s) * 1e9)))
        with _upset(graph, one, hand):
            _rest(graph, one.lasts_s)
        _rest(graph, one.pause_s)
        is_down = not graph.gate.last.armed
        graph.moving()  # clears and arms where the gate has stopped
        counts[one.kind] += 1
        counts["an operator armed it again" if is_down else "it went on by itself"] += 1
        say(f"{time.monotonic() - start_s:6.0f} s  {one.kind} for {one.lasts_s:.1f} s: "
            f"{'stopped, armed again' if is_down else 'went on'}")  # fmt: skip
        if time.monotonic() - sampled_s > SAMPLE_S:
            sampled_s = time.monotonic()
            broken += growth.look(graph.up.nodes())
        if time.monotonic() - looked_s > LOOK_S:
            looked_s, since_ns, seen_ns = time.monotonic(), seen_ns, time.monotonic_ns()
            broken += [*graph.witness.violations(since_ns, graph.events()), *graph.broken(ended=False)]
            say(f"{looked_s - start_s:6.0f} s  looked: {'; '.join(broken) or 'nothing is broken'}")
    return Soaked(dict(counts), broken, unheard)


@contextmanager
def _upset(graph: FaultStack, one: Upset, hand: JoyHand | None) -> Iterator[None]:
    kind = one.kind
    if kind in INJECTED:
        with graph.fault(kind, LATE_S if kind == "policy.slow" else 0.0):
            yield
    elif kind.startswith((HANG, CHILD)):
        with struck(kind, graph.up.nodes()):
            yield
    elif kind.startswith(KILL):
        if (name := kind.removeprefix(KILL)) in graph.up.nodes():  # a spare one may be on its way back
            graph.signal(name, signal.SIGKILL)
        yield
    else:
        with _person(graph, one, hand):
            yield


@contextmanager
def _person(graph: FaultStack, one: Upset, hand: JoyHand | None) -> Iterator[None]:
    """What a person does; whither they push follows from how long, so from the seed."""
    if one.kind == STOPPED:
        graph.stop()
        yield
    elif one.kind == ESTOP:
        graph.estop(True)
        yield
        graph.estop(False)
    elif hand is not None:
        turn = 1000.0 * one.lasts_s
        hand.move(np.array([np.sin(turn), np.cos(turn), np.sin(3.0 * turn)]))
        hand.engage(True)
        yield
        hand.engage(False)


def _rest(graph: FaultStack, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    graph.wait(lambda: time.monotonic() > end_s, "a while", seconds + 5.0)


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
    ours, rest = read_words("soak", argv, {"minutes": 60.0, "seed": 0})
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]
    from rig import FaultStack

    from fixtures.teleop import JoyHand

    print(f"seed {ours['seed']:.0f}, {ours['minutes']:g} minutes; a round has {len(KINDS)} kinds of faults")
    with tempfile.TemporaryDirectory(prefix="armtune-soak-") as folder:
        with FaultStack(Path(folder), *ROBUST, *ATTENDED, *rest) as graph:
            hand = JoyHand(graph)
            try:
                graph.moving()
                soaked = soak(graph, upsets(ours["seed"], KINDS), 60.0 * ours["minutes"], print, hand)
            finally:
                hand.close()
        found = {"bench": "soak", **ours, **judged(graph, soaked)}
    if found["violations"] or found["lost"] or found["broken"]:
        print(json.dumps(found))
        raise SystemExit(1)
    return found


def judged(graph: FaultStack, soaked: Soaked, ended: bool = True) -> dict[str, Any]:
    """Return what the arm's log, the files and what was said tell of a graph that has ended, or goes on.

    ``unrecorded`` are steps acted in the moment before the arm was stopped because its recorder, or who judges its
    episodes, was gone: not lost, for nobody could have kept or judged them.
    """
    events = graph.events()
    decided = [(at_ns, d) for at_ns, d in graph.decisions.since(0) if d.source == "policy" and d.episode_id]
    heard = [d for at_ns, d in decided if not any(first <= at_ns <= last for first, last in soaked.unheard)]
    over = {state.episode_id for _, state in graph.episodes.since(0) if state.outcome}
    steps, missing = lost(graph.up.run, [(d.episode_id, d.step) for d in heard], over)
    stops = sum(event.kind != "armed" for event in events)
    return {**soaked.counts, "episodes": len(list_episodes(graph.up.run)), "steps": steps, "stops": stops,
            "sources": sorted({d.source for _, d in graph.decisions.since(0)} - {""}),
            "unrecorded": len(decided) - len(heard), "lost": missing,
            "violations": graph.witness.violations(0, events),
            "broken": list(dict.fromkeys((*soaked.broken, *graph.broken(ended))))}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
