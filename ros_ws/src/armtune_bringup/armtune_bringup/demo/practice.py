"""Practice through the ROS graph in rounds; between rounds the scene is laid anew, as a person would."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from armtune_bringup import environment
from armtune_bringup.graph import graph
from armtune_bringup.practise import START_S
from armtune_bringup.progress import PracticeProgress, interrupted
from armtune_bringup.runner import GraphStopped, Runner
from armtune_bringup.runs import begin
from armtune_bringup.settings import Config
from armtune_policies.contract import Direction, opposite
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.nouns import PAUSED, SOLVED, SUCCESS

from .folder import Folder

SCENE_SEED = 500_000
"""Scenes of practice; demonstrations and held-out scenes are drawn elsewhere."""


def finished(folder: Folder) -> int:
    """Return how many episodes of practice are whole."""
    return len(list_episodes(folder.root))


def practise(config: Config, folder: Folder, say: Callable[[str], None]) -> None:
    """Practise until ``experiment.episodes`` are done, going on from what is there.

    Raises:
        GraphStopped: when the graph gives up, or Ctrl-C came.
    """
    run = begin(config)
    os.environ.update(environment.ros_environment(environment.domain()))
    from armtune_bringup.client_node import Client

    quiet: list[str] = []
    total, round_length = config.experiment.episodes, config.experiment.scene_episodes
    with (
        interrupted() as asked,
        Runner(graph(config, "sim", run), Path(run.run_folder), environment.domain(), quiet.append) as runner,
    ):

        def watch() -> None:
            if reason := runner.poll():
                raise GraphStopped(f"{reason}; logs are in {folder.root}/logs")
            if asked():
                raise GraphStopped("interrupted; the same command goes on from here")

        with Client(config.robot.name, START_S, watch) as client:
            client.arm_when_ready(START_S)
            with PracticeProgress(total, 0, say) as bar:
                while (done := finished(folder)) < total:
                    client.reset_world(SCENE_SEED + config.experiment.seed * 1000 + done, next_direction(folder))
                    client.practice(min(round_length, total - done), 0, partial(_show, bar), lambda: False)
                    if reason := runner.run(lambda: finished(folder) > done, timeout_s=10.0):
                        raise GraphStopped(f"practice leaves no files: {reason}; logs are in {folder.root}/logs")


def _show(bar: PracticeProgress, feedback: Any) -> None:
    """Show progress; nobody is here to look after an arm that waits for a person."""
    bar.show(feedback)
    if feedback.state.phase == PAUSED:
        raise GraphStopped(f"practice paused: {feedback.state.reason}; the same command goes on from here")


def next_direction(folder: Folder) -> Direction:
    """Return what practice does next: the other direction after a success, also a standing one, else the same."""
    paths = list_episodes(folder.root)
    if not paths:
        return "forward"
    last = read_episode(paths[-1])
    direction: Direction = "forward" if last.direction == "forward" else "backward"
    return opposite(direction) if last.outcome == SUCCESS or last.about.mark == SOLVED else direction
