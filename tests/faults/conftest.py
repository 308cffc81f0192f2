"""The graphs that the fault rows share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import SHORT, FaultStack
from stage import Stage

from fixtures.teleop import LIGHT

HAS_PASSED = pytest.StashKey[bool]()
CONSOLE_PORT = 8799
"""Not the default one: somebody may look at another graph meanwhile."""
STAGE = pytest.StashKey[Stage]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.when == "call":
        item.stash[HAS_PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Stage]:
    """Starts graphs, one at a time: two cores do not carry two in real time."""
    with Stage(tmp_path_factory.mktemp("faults")) as one_at_a_time:
        pytestconfig.stash[STAGE] = one_at_a_time
        yield one_at_a_time


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The graph ends with the last fault row: what is tested after wants the machine."""
    if STAGE in item.config.stash and (nextitem is None or Path(__file__).parent not in nextitem.path.parents):
        item.config.stash[STAGE].close()


@pytest.fixture
def graph(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultStack]:
    """A shared graph with its arm moving in an episode; afterwards it must go on practising."""
    shared = stage.graph("task.episode_steps=60")
    shared.moving()
    yield shared
    _recovers(stage, shared, request.node)


@pytest.fixture
def cycling(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultStack]:
    """A shared graph with short episodes."""
    short = stage.graph(*SHORT)
    short.recover()
    yield short
    _recovers(stage, short, request.node)


@pytest.fixture
def attended(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultStack]:
    """As ``cycling``, with a gamepad and a console."""
    graph = stage.graph(*SHORT, "teleop=joy", "console=local", f"console.port={CONSOLE_PORT}", *LIGHT)
    graph.recover()
    yield graph
    _recovers(stage, graph, request.node)


def _recovers(stage: Stage, graph: FaultStack, item: pytest.Item) -> None:
    """An operator gets the graph to practise again; after a test that failed the next one gets a new graph."""
    if not item.stash.get(HAS_PASSED, False):
        stage.close(judged=False)
        return
    try:
        graph.recover()
    except BaseException:
        stage.close(judged=False)
        raise
