"""Practice through the ROS graph in lockstep; nobody helps but to lay the scene or free the arm when asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from armtune_bringup import environment
from armtune_bringup.graph import graph
from armtune_bringup.practise import START_S
from armtune_bringup.progress import interrupted
from armtune_bringup.runner import GraphStopped, Runner
from armtune_bringup.runs import begin
from armtune_bringup.settings import Config
from armtune_bringup.spec import NodeSpec
from armtune_policies.contract import topics
from armtune_policies.episode.course import Counts
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.nouns import ARM, GATE, PAUSED, SCENE
from armtune_runtime.practising import KeptCounts
from armtune_safety.failsafe import PRESSED

HELPED = "person.json"
"""How often the scene was laid and the arm freed: counted here, for no node knows that a person was there."""
MOST_IN_VAIN = 3
"""Times in a row that the arm is lifted without a step made since; then as often again, with another scene laid."""
FREED_S = 10.0
"""How long the gate may take to see that the arm is free."""
LIFTED = ""
"""The direction of a scene in which the arm alone is put home."""
Judge = Callable[[int], AbstractContextManager[None]]
"""Given the ROS domain, what runs beside the graph."""
OnEpisode = Callable[[Counts, int, float], None]
"""Told, after each episode, the counts, and the steps and the seconds since the first of this call began."""


def nobody(domain_id: int) -> AbstractContextManager[None]:
    """Nothing runs beside the graph."""
    return nullcontext()


class Person:
    """Lays the scene of the next seed when practice asks, and says so; lifts home an arm that is caught or pressed.

    Anything else that stops practice ends it, a stop that somebody asked for above all.
    """

    def __init__(
        self, seed: int, counts: Callable[[], Counts], on_help: Callable[[str], None] = lambda how: None
    ) -> None:
        self._seed, self._counts, self._on_help = seed, counts, on_help
        self._wanted: tuple[str, str] | None = None
        self._freed_at: list[int] = []

    def lay(self, client: Any) -> None:
        """Lay another scene, in which the direction that comes next is to be done."""
        counts = self._counts()
        seed = int(np.random.default_rng([self._seed, 2, counts.resets, counts.episodes]).integers(2**31))
        self._on_help("laid")
        client.reset_world(seed, counts.direction)

    def hear(self, state: Any) -> None:
        """Take an episode state."""
        self._wanted = (state.waits_for, state.reason) if state.phase == PAUSED else None

    def help(self, client: Any) -> bool:
        """Do what is wanted; never a reason to stop.

        Raises:
            GraphStopped: when practice waits for something else.
        """
        wanted, self._wanted = self._wanted, None
        if not wanted:
            return False
        can = {SCENE: self._laid, ARM: self._lifted, GATE: self._freed}.get(wanted[0])
        if can is None or not can(client):
            raise GraphStopped(f"practice paused: {wanted[1]}; the same command goes on from here")
        if wanted[0] != GATE:  # which lets practice go on by itself
            client.trigger(topics.PRACTICE_RESUME)
        return False

    def _laid(self, client: Any) -> bool:
        self.lay(client)
        return True

    def _lifted(self, client: Any) -> bool:
        """Lift the arm home by hand; return False where that was in vain too often."""
        steps = self._counts().steps
        in_vain = len(list(takewhile(lambda at: at == steps, reversed(self._freed_at))))
        if in_vain >= 2 * MOST_IN_VAIN:
            return False
        self._freed_at.append(steps)
        self._on_help("lifts")
        self.lay(client) if in_vain >= MOST_IN_VAIN else client.reset_world(0, LIFTED)
        return True

    def _freed(self, client: Any) -> bool:
        """Free an arm that stopped for nothing but pressing, and arm again; return whether that was so and was done."""
        latches = client.gate().latches
        if not latches or not set(latches) <= PRESSED or not self._lifted(client):
            return False
        try:
            end_s = time.monotonic() + FREED_S
            while left := client.gate().latches:
                if not set(left) <= PRESSED or time.monotonic() > end_s:  # somebody may have asked it to stop meanwhile
                    return False
                for latch in left:
                    client.clear(latch)
            return client.arm_when_ready(START_S) is None
        except TimeoutError:
            return False


def practised(
    config: Config,
    steps: int,
    on_episode: OnEpisode = lambda counts, steps, seconds: None,
    judge: Judge = nobody,
    changed: Callable[[NodeSpec], NodeSpec] = lambda row: row,
) -> Counts:
    """Practise until ``steps`` control steps are made; a run of the same name goes on where it was.

    Args:
        config: Of the run; ``experiment.time`` is lockstep whatever it says.
        steps: Of the whole run.
        on_episode: Told of the progress.
        judge: Who judges, where the graph has no reward node.
        changed: Makes another row of the table of nodes of each.

    Returns:
        What the whole run came to.

    Raises:
        GraphStopped: when the graph gives up, practice wants more of a person than that, or Ctrl-C came.
    """
    config = replace(config, experiment=replace(config.experiment, time="lockstep", rest_s=0.0))
    run = begin(config)
    folder, domain = Path(run.run_folder), environment.domain()
    os.environ.update(environment.ros_environment(domain))
    from armtune_bringup.client_node import Client

    counts = lambda: so_far(folder)  # noqa: E731
    noted = lambda how: write_json(folder / HELPED, {**(had := helped(folder)), how: had[how] + 1})  # noqa: E731
    person, quiet, told = Person(config.experiment.seed, counts, noted), list[str](), Told(counts, on_episode)
    rows = [changed(row) for row in graph(config, "sim", run)]
    with interrupted() as asked, Runner(rows, folder, domain, quiet.append) as runner, judge(domain):

        def watch() -> None:
            if reason := runner.poll():
                raise GraphStopped(f"{reason}; logs are in {folder}/logs")
            if asked():
                raise GraphStopped("interrupted; the same command goes on from here")

        def heard(feedback: Any) -> None:
            person.hear(feedback.state)
            told.hear(feedback.state)

        with Client(config.robot.name, START_S, watch) as client:
            client.arm_when_ready(START_S)
            person.lay(client)
            while (done := counts().steps) < steps:
                client.practice(0, steps - done, heard, lambda: person.help(client))
                if counts().steps == done:
                    raise GraphStopped(f"practice makes no steps; logs are in {folder}/logs")
    return counts()


def so_far(run: Path) -> Counts:
    """Return what the practice of a run folder came to, with how often its arm had to be freed."""
    return replace(KeptCounts(run).counts, lifts=helped(run)["lifts"])


def helped(run: Path) -> dict[str, int]:
    """Return how often a person ``laid`` the scene and ``lifts`` freed the arm, beginnings included."""
    found = read_json(run / HELPED) if (run / HELPED).is_file() else {}
    return {"laid": 0, "lifts": 0, **found}


class Told:
    """Passes each episode's end on once."""

    def __init__(self, counts: Callable[[], Counts], on_episode: OnEpisode) -> None:
        self._counts, self._on_episode, self._seen, self._began_s = counts, on_episode, "", 0.0
        self._before = 0

    def hear(self, state: Any) -> None:
        """Take an episode state."""
        if not self._began_s and state.episode_id:
            self._began_s, self._before = time.monotonic(), self._counts().steps
        is_new = bool(state.outcome) and state.episode_id != self._seen
        if is_new and (counts := self._counts()).steps > self._before:  # its file lags behind
            self._seen = state.episode_id
            self._on_episode(counts, counts.steps - self._before, time.monotonic() - self._began_s)


def as_row(counts: Counts) -> dict[str, Any]:
    """Return the counts as JSON can say them, without what practice itself is in the middle of."""
    passing = ("failures_in_a_row", "since_success", "since_reset", "solved_in_a_row", "direction", "updates")
    return {name: value for name, value in asdict(counts).items() if name not in passing}
