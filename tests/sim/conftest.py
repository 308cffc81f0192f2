"""One compiled world a task for all tests of the simulator: they only ever reset it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from armtune_sim.gated import GatedWorld
from armtune_sim.settings import SimParams

MakeGated = Callable[[str], GatedWorld]


@pytest.fixture(scope="session")
def gated() -> Iterator[MakeGated]:
    made: list[GatedWorld] = []

    @cache
    def make(task: str) -> GatedWorld:
        made.append(GatedWorld(task, SimParams()))
        return made[-1]

    yield make
    for world in made:
        world.world.close()
