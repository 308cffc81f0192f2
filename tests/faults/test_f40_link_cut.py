"""F40: the robot's link to the workstation is cut, where policy and reward run, and healed.

Two machines with a network, a disk and shared memory each; discovery by a server on the robot, as docs/deploy.md says.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from arm_log import ArmLog
from casebook import Case
from layers import LOOK_MS, LOST_MS
from models import circling_models
from promises import BRAKING_MS, PROPOSAL_MS, STALE, TICK_MS
from rig import MOVING_RAD_S
from stage import Stage

from armtune_bringup.compose import compose
from armtune_bringup.environment import PROFILES_FILE
from armtune_policies.contract import Mode
from fixtures import gate_watcher
from fixtures.netns import Machine, Wire, missing, two_machines
from fixtures.up import Up
from harness import own_domain

WHY_NOT = missing()
pytestmark = [pytest.mark.slow, pytest.mark.fault("F40"), pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
Said = dict[str, Any]
WATCH_NS = 2_000_000_000
CUT_NS = 6_000_000_000
"""Longer than the lease after which machines that do not hear each other forget each other (5 s)."""
SETTINGS = (
    "experiment.name=one",
    "experiment.workstation=[reward_node,policy_node]",
    "sim.arm_log=true",
    "episode.home_s=600",
    "episode.stuck=0",
    "episode.max_aborts=100",
    "reward.threshold=0.999",
    "learner.refit_every=1000",
    "task.episode_steps=150",
)
CLI = [sys.executable, "-m", "armtune_bringup.cli"]


class Watcher:
    """What gate and episode say on one machine, each line with the steady time of its arrival."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[Said] = []
        self._process = process
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(json.loads(line))

    def first(
        self, fits: Callable[[dict[str, Any]], bool], since_ns: int = 0, timeout_s: float = 20.0
    ) -> dict[str, Any]:
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if found := next((line for line in self.lines.copy() if line["t_ns"] >= since_ns and fits(line)), None):
                return found
            time.sleep(0.005)
        raise AssertionError(f"nothing fitting within {timeout_s} s; last: {self.lines[-1:]}")


class Pair:
    """A robot that practises by a workstation, and what a person at the robot sees and does."""

    def __init__(self, folder: Path, domain: int, robot: Machine, workstation: Machine, wire: Wire) -> None:
        self.robot, self.wire, self._folder = robot, wire, folder
        self._env = {"ROS_DOMAIN_ID": str(domain), PROFILES_FILE: str(folder / "robot/link/fastdds_linked.xml")}
        self._made = ExitStack()
        config = compose(list(SETTINGS))
        for machine in (robot, workstation):
            circling_models(folder / machine.name / "models", config)
            machine.run([*CLI, "link", "write", machine.address, robot.address], cwd=folder / machine.name)
        self._start([*CLI, "link", "serve"], stdout=subprocess.DEVNULL)
        self.workstation_up = Up(folder / "workstation", domain, *SETTINGS, world="workstation", machine=workstation)
        self.robot_up = Up(folder / "robot", domain, *SETTINGS, "--practice", machine=robot)
        watch = [sys.executable, gate_watcher.__file__, config.robot.name]
        self.seen = Watcher(self._start(watch, stdout=subprocess.PIPE, text=True))
        self.log = ArmLog(self.robot_up.run / "logs/arm.csv")

    def _start(self, command: list[str], **options: Any) -> subprocess.Popen[Any]:
        process = self.robot.start(command, cwd=self._folder / "robot", env=self._env, **options)
        self._made.callback(process.wait, 5.0)
        self._made.callback(process.kill)  # neither watcher nor discovery has anything to lose
        return process

    def close(self) -> None:
        for up in (self.robot_up, self.workstation_up):
            up.process.send_signal(signal.SIGINT)
        try:
            for up in (self.robot_up, self.workstation_up):
                up.ends(timeout_s=15.0)
        finally:
            for up in (self.robot_up, self.workstation_up):
                up.process.kill()
            self._made.close()

    def ask(self, *words: str) -> bool:
        """Run an ``armtune`` command on the robot; whether it was done."""
        try:
            self.robot.run([*CLI, *words], cwd=self._folder / "robot", env=self._env)
        except subprocess.CalledProcessError as why:
            self.refused = why.output
            return False
        return True

    def moving(self, timeout_s: float = 60.0) -> None:
        """Wait until the arm moves in an episode."""

        def moves() -> bool:
            last = self.seen.lines[-1] if self.seen.lines else {}
            return last.get("phase") == "acting" and last["mode"] < Mode.HOLD and self.log.speed() > MOVING_RAD_S

        self.robot_up.until(moves, f"the arm moves; {self.workstation_up.said[-1500:]}", timeout_s)


@pytest.fixture(scope="module")
def pair(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    stage.close()  # two cores do not carry two graphs in real time
    folder = tmp_path_factory.mktemp("pair")
    with own_domain() as domain, two_machines(folder) as (robot, workstation, wire):
        made = Pair(folder, domain, robot, workstation, wire)
        try:
            made.moving()
            yield made
        finally:
            made.close()


def test_practice_goes_on_by_itself_after_a_cut_of_a_tenth_of_a_second(pair: Pair, case: Case) -> None:
    case.by("a switch between two network namespaces drops everything")
    pair.moving()
    since_ns = time.monotonic_ns()
    pair.wire.cut()
    time.sleep(0.1)  # the fault, not a wait
    pair.wire.heal()
    pair.robot_up.until(lambda: time.monotonic_ns() > since_ns + WATCH_NS, "a while")
    case.needless("a STOP by a short cut", [m for m in pair.seen.lines if m["t_ns"] > since_ns and m["latches"]])
    pair.moving(timeout_s=10.0)


def test_arm_holds_and_waits_for_its_operator_when_the_link_is_cut(pair: Pair, case: Case) -> None:
    pair.moving()
    since_ns = time.monotonic_ns()
    pair.wire.cut()
    held = pair.seen.first(lambda line: line["mode"] >= Mode.HOLD and STALE in line["reasons"], since_ns)
    case.within("HOLD", held["t_ns"] - since_ns, PROPOSAL_MS + TICK_MS)
    stopped = pair.seen.first(lambda line: line["mode"] == Mode.STOP and line["latches"], since_ns)
    case.within("STOP, by the heartbeats", stopped["t_ns"] - since_ns, LOST_MS + LOOK_MS)
    rested_ns = pair.log.rest_ns(since_ns)
    assert rested_ns is not None, "the arm still moves"
    case.within("at rest", rested_ns - since_ns, PROPOSAL_MS + TICK_MS + BRAKING_MS)
    ended = pair.seen.first(lambda line: line["phase"] == "paused", since_ns)
    case.within("the episode ended", ended["t_ns"] - since_ns, 10_000.0)
    pair.robot_up.until(lambda: time.monotonic_ns() > since_ns + CUT_NS, "the link stays cut")
    case.nothing("moves while the link is cut", pair.log.moved_rad(rested_ns, time.monotonic_ns()) > 0.02)

    healed_ns = time.monotonic_ns()
    pair.wire.heal()
    # The supervisor stops the arm anew until what it lost works again; until a person clears and arms, nothing moves.
    pair.robot_up.until(lambda: pair.ask("clear", *stopped["latches"]) and pair.ask("arm"), "cleared and armed")
    armed = pair.seen.first(lambda line: line["armed"], healed_ns)
    case.nothing("resumes by itself", pair.log.moved_rad(healed_ns, armed["t_ns"]) > 0.01)
    pair.moving()
