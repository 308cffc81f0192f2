"""Practice on a graph this process has just started: wait for it, arm it, let it practise."""

from __future__ import annotations

import os
from collections.abc import Callable

from . import environment
from .progress import PracticeProgress
from .runner import GraphStopped, Runner
from .settings import Config

START_S = 90.0
"""How long all nodes together may take until the gate can be armed (models warm up)."""


def practise_on(
    runner: Runner, config: Config, asked: Callable[[], bool] = lambda: False, say: Callable[[str], None] = print
) -> str:
    """Practise as many episodes and steps as the config says; return why the graph gave up, or blank.

    Args:
        runner: The running graph; its log lines are shown meanwhile.
        config: Whose ``experiment.episodes`` and ``experiment.steps`` are the limits.
        asked: Says whether to end early, at once.
        say: Where progress without a terminal and the summary go.
    """
    os.environ.update(environment.ros_environment(environment.domain()))
    from .client_node import Client

    def watch() -> None:
        if reason := runner.poll():
            raise GraphStopped(reason)
        if asked():
            raise GraphStopped("")  # leaving stops the nodes, and they leave whole files

    episodes, steps = config.experiment.episodes, config.experiment.steps
    try:
        with Client(config.robot.name, START_S, watch) as client:
            client.arm_when_ready(START_S)
            with PracticeProgress(episodes, steps, say) as bar:
                result = client.practice(episodes, steps, bar.show, lambda: False)
            say(bar.summary(result))
    except GraphStopped as why:
        return str(why)
    return ""
