"""Practice through the ROS graph, in lockstep; what a person would do there, ``lockstep.Person`` does."""

from __future__ import annotations

from collections.abc import Callable

from armtune_bringup.progress import Bars
from armtune_bringup.settings import Config
from armtune_bringup.study.lockstep import practised, so_far
from armtune_policies.contract import DIRECTIONS
from armtune_policies.episode.course import Counts

from .folder import Folder

LINE_EPISODES = 10
"""Episodes between two lines about how it goes."""


def practise(config: Config, folder: Folder, say: Callable[[str], None]) -> None:
    """Practise until ``experiment.steps`` are made, going on from what is there.

    Raises:
        GraphStopped: when the graph gives up, practice wants more of a person than another scene, or Ctrl-C came.
    """
    total, before = config.experiment.steps, so_far(folder.root)
    with Bars() as bar:
        task = bar.add_task("practice", total=total, completed=before.steps)

        def told(now: Counts, steps: int, seconds: float) -> None:
            nonlocal before
            bar.update(task, completed=now.steps)
            if now.episodes >= before.episodes + LINE_EPISODES:
                left_s = max(total - now.steps, 0) * seconds / max(steps, 1)
                say(f"{now.steps:>6} steps, {_since(before, now)}; about {left_s / 60:.0f} minutes left")
                before = now

        practised(config, total, told)


def _since(before: Counts, now: Counts) -> str:
    """Return in words how many of the episodes since ``before`` the judge called a success."""
    found = []
    for way in DIRECTIONS:
        won, tried = (getattr(now, name) - getattr(before, name) for name in (f"successes_{way}", f"episodes_{way}"))
        found.append(f"{way} {won} of {tried}")
    return ", ".join(found)
