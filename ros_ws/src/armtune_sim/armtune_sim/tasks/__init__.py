"""The task pairs by name."""

from __future__ import annotations

from collections.abc import Callable

from armtune_policies.contract import ConfigError

from .base import Scene, Task
from .bin_sort import BinSort
from .drawer import Drawer
from .lid import Lid

TASKS: dict[str, Callable[[], Task]] = {"drawer": Drawer, "bin_sort": BinSort, "lid": Lid}


def make_task(name: str) -> Task:
    """Return a task by its short name.

    Raises:
        ConfigError: for a name that is not in the table, listing those that are.
    """
    if name not in TASKS:
        raise ConfigError(f"task: expected one of {', '.join(TASKS)}; got {name!r}")
    return TASKS[name]()


__all__ = ["TASKS", "Scene", "Task", "make_task"]
