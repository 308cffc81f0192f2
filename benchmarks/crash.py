"""Kill the recorder at random instants: what is lost? Beside it, LeRobot's own writer.

``recorder_node`` runs as a process over DDS while this process publishes episodes of 8 steps, ten
steps a second (twice the pace of practice). It is killed at a random moment; every second
time the power fails, too: of its files only bytes survive that it had forced to the disk, and
only names of folders that it had forced there; every second of these files keeps its length, the rest
of it zeros. Then what is left is salvaged, as the recorder does
when it starts. A step is *lost* when the recorder had told it on its topic and it is in no file; an
episode, when it had told one of its steps and there is no file. *Behind* are steps that had been
published 10 ms before the kill or earlier, not yet told, and are in no file: how far a recorder that
waits for its turn on a busy machine is late.

``lerobot``'s writer (0.4.4, its own environment: ``--make-peers``) records episodes as long without
pause, is killed likewise, and its dataset is opened by ``lerobot``; an episode is lost when
``save_episode`` had returned and it cannot be read.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from sensor_msgs.msg import Image

from armtune_interfaces.msg import Decision, EpisodeState, Observation, Step
from armtune_policies.contract import topics
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.salvage import salvage_folder
from armtune_policies.store.settings import RecorderParams
from armtune_runtime.practice_settings import RecorderNodeParams
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS
from benchmarks._crash_disk import cut_power
from benchmarks._peers import make_peer, python_of
from benchmarks._stack import Stack
from benchmarks._words import only_ours, read_words

STEPS, PERIOD_S, GRACE_S, LONGEST_S = 8, 0.1, 0.01, 1.5
BATCH = 20
"""Kills on one ROS domain: what the killed leave behind slows those after them."""
TELL_S = 0.05
"""So long after a kill what had been told may still arrive."""
SIZE_PX = 96
LOAD_S = 90.0
OURS = {"n": 200}
PEER, SCRIPT = "lerobot", "_lerobot_peer.py"


@dataclass
class Tally:
    """What a number of kills cost."""

    kills: int = 0
    finished: int = 0
    episodes_lost: int = 0
    steps_lost: list[int] = field(default_factory=list)
    steps_behind: list[int] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    """Why a recorder was not killed: the machine was too busy to start it."""
    unsaid: int = 0
    """Salvaged episodes that do not say so."""

    @property
    def steps_lost_max(self) -> int:
        return max(self.steps_lost, default=0)

    @property
    def steps_behind_max(self) -> int:
        return max(self.steps_behind, default=0)


class Feeder:
    """Publishes episodes, as episode, policy and gate node do, and knows what it sent by when."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.told = stack.listen(topics.STEP, Step, EVENT_QOS)
        self._state = stack.publisher(topics.EPISODE_STATE, EpisodeState, LATCHED_QOS)
        self._seen = stack.publisher(topics.OBSERVATION, Observation, EVENT_QOS)
        self._decided = stack.publisher(topics.DECISION, Decision, EVENT_QOS)
        image = np.random.default_rng(0).integers(0, 255, SIZE_PX * SIZE_PX * 3).astype(np.uint8)
        self._image = Image(height=SIZE_PX, width=SIZE_PX, encoding="rgb8", step=3 * SIZE_PX, data=image.tobytes())

    def state(self, episode: str, outcome: str = "", end_step: int = -1) -> None:
        phase = EpisodeState.RESTING if outcome else EpisodeState.ACTING
        message = EpisodeState(run_id="crash", episode_id=episode, phase=phase, outcome=outcome, direction="forward")
        message.end_step, message.judged_step = end_step, 10**6  # no step waits for an answer
        self._state.publish(message)

    def step(self, episode: str, step: int) -> None:
        seen = Observation(episode_id=episode, step=step, cameras=["front"], images=[self._image])
        seen.header.stamp.sec, seen.header.stamp.nanosec = divmod(step * 20_000_000, 1_000_000_000)
        self._seen.publish(seen)
        values = [0.01] * 7
        self._decided.publish(Decision(episode_id=episode, step=step, source="policy", proposed=values, allowed=values))

    def begin(self, episode: str) -> None:
        """Announce an episode and send its first step until the recorder tells it: every wire works then."""
        self.state(episode)
        self.told.clear()

        def is_told() -> bool:
            self.step(episode, 0)
            return any(step.episode_id == episode for step in list(self.told))

        self.stack.until(is_told, what=f"step 0 of {episode} told")


def main(argv: list[str]) -> dict[str, Any]:
    """Kill, count, print a table, return its numbers."""
    chosen = _parser().parse_args(argv)
    told, rest = read_words("crash", chosen.setting, OURS)
    only_ours("crash", rest, OURS)
    n = told["n"]
    if chosen.make_peers:
        make_peer(PEER)
    if chosen.peer_kills:
        python_of(PEER)  # a missing one is an error now, not after ours were killed for ten minutes
    with Progress(transient=True) as bar:
        ours = kill_ours(n, chosen.seed, bar, chosen.sync)
        peer = kill_peer(chosen.peer_kills, chosen.seed, bar) if chosen.peer_kills else None
    print(f"{'':<24}{'kills':>7}{'finished':>10}{'episodes lost':>15}{'most steps lost':>17}{'behind':>8}{'unsaid':>8}")
    for name, tally in (*ours.items(), *((("lerobot 0.4.4", peer),) if peer else ())):
        steps, behind = (tally.steps_lost_max, tally.steps_behind_max) if name in ours else ("-", "-")
        print(
            f"{name:<24}{tally.kills:>7}{tally.finished:>10}{tally.episodes_lost:>15}{steps:>17}{behind:>8}{tally.unsaid:>8}"
        )
    found: dict[str, Any] = {"bench": "crash", "n": n, "seed": chosen.seed}
    found |= {"episodes_lost": sum(t.episodes_lost for t in ours.values())}
    found |= {"steps_lost_max": max(t.steps_lost_max for t in ours.values())}
    found |= {"finished": sum(t.finished for t in ours.values()), "unsaid": sum(t.unsaid for t in ours.values())}
    found |= {f"steps_lost_max_{name.split()[0]}": tally.steps_lost_max for name, tally in ours.items()}
    found |= {"steps_behind_max": max(t.steps_behind_max for t in ours.values())}
    found |= {"not_started": sum(len(t.not_started) for t in ours.values())}
    found |= {"load_1m": round(os.getloadavg()[0], 2)}
    if peer:
        found |= {"lerobot_kills": peer.kills, "lerobot_finished": peer.finished}
        found |= {"lerobot_episodes_lost": peer.episodes_lost}
    return found


def kill_ours(n: int, seed: int, bar: Progress, sync: str = "step") -> dict[str, Tally]:
    """Kill ``recorder_node`` ``n`` times, every second time with a power cut."""
    rng = np.random.default_rng(seed)
    tallies = {"killed": Tally(), "power cut": Tally()}
    task = bar.add_task("recorder_node", total=n)
    plan = [(kill, float(rng.uniform(0.0, LONGEST_S))) for kill in range(n)]
    for begin in range(0, n, BATCH):
        with tempfile.TemporaryDirectory() as scratch, Stack(Path(scratch)) as stack:
            for kill, after_s in plan[begin : begin + BATCH]:
                tally = tallies["power cut" if kill % 2 else "killed"]
                try:
                    _kill_once(stack, kill, after_s, bool(kill % 2), tally, sync)
                except AssertionError as why:  # what the harness says when a process does not come up in time
                    tally.not_started.append(str(why).splitlines()[0])
                    stack.stop(f"recorder_{kill}", signal.SIGKILL)
                bar.advance(task)
    return tallies


def _kill_once(stack: Stack, kill: int, after_s: float, is_cut: bool, tally: Tally, sync: str) -> None:
    run = stack.folder / f"run-{kill}"
    journal = stack.folder / f"journal-{kill}"
    os.environ["ARMTUNE_CRASH_JOURNAL"] = str(journal)
    name = f"recorder_{kill}"
    recorder = RecorderParams(disk_floor_mb=10, close_wait_s=0.2, sync=sync)
    params = RecorderNodeParams(recorder=recorder, run_folder=str(run))
    stack.bring_up("benchmarks._crash_disk", name, params)
    feeder = Feeder(stack)
    sent = _feed_until_killed(feeder, stack, name, f"k{kill:04d}", after_s)
    time.sleep(TELL_S)
    told: dict[str, int] = {}
    for row in list(feeder.told):
        told[row.episode_id] = max(told.get(row.episode_id, 0), row.step + 1)
    for publisher in (feeder._state, feeder._seen, feeder._decided):
        stack.node.destroy_publisher(publisher)
    if is_cut:
        cut_power(run / "episodes", journal, is_zeroed=kill % 4 == 3)
    finished = {path.stem for path in list_episodes(run)}
    salvaged = {done.path.stem for done in salvage_folder(run / "episodes") if done.path is not None}
    tally.kills += 1
    for episode, steps in sent.items():
        tally.finished += episode in finished
        path = run / "episodes" / f"{episode}.mcap"
        promised, kept = told.get(episode, 0), 0
        if path.exists():
            read = read_episode(path)
            kept = int(read.complete.sum())
            tally.unsaid += episode in salvaged and read.outcome == "aborted" and not read.about.reason
        tally.episodes_lost += promised > 0 and not path.exists()
        tally.steps_lost.append(max(promised - kept, 0))
        tally.steps_behind.append(max(steps - max(promised, kept), 0))
    shutil.rmtree(run)


def _feed_until_killed(feeder: Feeder, stack: Stack, name: str, prefix: str, after_s: float) -> dict[str, int]:
    """Publish episodes until ``after_s`` have passed, kill the recorder, return the steps sent of each episode.

    What was published less than ``GRACE_S`` before the kill may still be under way and is not counted.
    """
    sent: list[tuple[float, str, int]] = []
    episode, index, step = f"{prefix}-00000", 0, 1
    feeder.begin(episode)
    sent.append((time.monotonic(), episode, 1))
    kill_s = time.monotonic() + after_s
    next_s = time.monotonic()
    while True:
        next_s += PERIOD_S
        time.sleep(max(min(next_s, kill_s) - time.monotonic(), 0.0))
        if time.monotonic() >= kill_s:
            break
        if step == STEPS:
            feeder.state(episode, "timeout", STEPS - 1)
            index, step = index + 1, 0
            episode = f"{prefix}-{index:05d}"
            continue  # a latched topic keeps one state: give it a moment of its own
        if step == 0:
            feeder.state(episode)
        feeder.step(episode, step)
        step += 1
        sent.append((time.monotonic(), episode, step))
    stack.processes[name].kill()
    killed_s = time.monotonic()
    stack.processes.pop(name).wait(timeout=10)
    counts: dict[str, int] = {}
    for at_s, which, count in sent:
        if at_s < killed_s - GRACE_S:
            counts[which] = count
    return counts


def kill_peer(n: int, seed: int, bar: Progress) -> Tally:
    """Kill LeRobot's writer ``n`` times and open what it left by LeRobot."""
    python, script = python_of(PEER), Path(__file__).with_name(SCRIPT)
    rng, tally, task = np.random.default_rng(seed), Tally(), bar.add_task("lerobot", total=n)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for _ in range(n):
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "data"
            saved = _kill_writer([str(python), str(script), "record", str(root), "0.02"], env, rng.uniform(1.0, 5.0))
            command = [str(python), str(script), "load", str(root)]
            found = _loaded(command, env)
        tally.kills, tally.finished = tally.kills + 1, tally.finished + saved
        tally.episodes_lost += max(saved - found, 0)
        bar.advance(task)
    return tally


def _loaded(command: list[str], env: dict[str, str]) -> int:
    """Return how many episodes LeRobot finds; a dataset it cannot open it looks for on the network, for good."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LOAD_S)
    except subprocess.TimeoutExpired:
        return 0
    return int(json.loads(done.stdout.splitlines()[-1])["episodes"]) if done.returncode == 0 else 0


def _kill_writer(command: list[str], env: dict[str, str], after_s: float) -> int:
    """Let a writer record for a while after its first step, kill it, return the episodes it said were saved."""
    saved, begun_s = 0, 0.0
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:
        for line in writer.stdout or ():
            if line.startswith("{"):
                begun_s = begun_s or time.monotonic()
                saved = json.loads(line).get("saved", saved)
            if begun_s and time.monotonic() > begun_s + after_s:
                break
        writer.kill()
        for line in writer.stdout or ():
            if line.startswith('{"saved"') and line.endswith("}\n"):
                saved = json.loads(line)["saved"]
    return saved


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="armtune bench crash", description=__doc__)
    parser.add_argument("setting", nargs="*", metavar="n=200", help="how many kills of ours")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sync", choices=("step", "episode"), default="step", help="the recorder's setting of it")
    parser.add_argument("--peer-kills", type=int, default=0, help="kills of lerobot's writer, 20 s each")
    parser.add_argument("--make-peers", action="store_true", help="make lerobot's environment first (1.5 GB)")
    return parser


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    print(json.dumps(main(sys.argv[1:])))
