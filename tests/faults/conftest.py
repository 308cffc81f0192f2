"""Fixtures of the fault rows, and the plugin that turns their runs into the safety case.

``pytest tests/faults --safety-case docs/safety-case.md`` writes the page; any run prints how many
rows passed, were skipped, or have no test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from casebook import FAILED, KNOWN, PASSED, SKIPPED, Case, page, summary
from machine import facts
from rig import FaultStack
from stage import Stage

from armtune_policies.store.files import write_whole

CASES = pytest.StashKey[dict[str, Case]]()
HAS_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--safety-case", metavar="FILE", help="write the safety case from the fault rows that were run")
    parser.addoption("--every-phase", action="store_true", help="kill and hang each node in each phase of practice")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(row): the row of the fault table that a test answers for")
    config.addinivalue_line("markers", "every_phase: a death in one phase of practice more; run with --every-phase")
    config.stash.setdefault(CASES, {})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("every_phase", default=False):
        return
    left = [item for item in items if item.get_closest_marker("every_phase")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The notes of the row that the test answers for."""
    row = request.node.get_closest_marker("fault").args[0]
    return request.config.stash[CASES].setdefault(row, Case())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    marker = item.get_closest_marker("fault")
    if report.when == "call":
        item.stash[HAS_PASSED] = report.passed
    if marker and (report.when == "call" or report.outcome != "passed"):
        known = hasattr(report, "wasxfail") and report.skipped
        outcome = KNOWN if known else {"passed": PASSED, "failed": FAILED, "skipped": SKIPPED}[report.outcome]
        item.config.stash[CASES].setdefault(marker.args[0], Case()).outcomes[item.nodeid] = outcome
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    cases = config.stash.get(CASES, {})
    if not cases:
        return
    terminalreporter.section("rows of the fault table")
    for line in summary(cases):
        terminalreporter.write_line(line)
    if target := config.getoption("safety_case", default=None):
        write_whole(Path(target), page(cases, facts()).encode())
        terminalreporter.write_line(f"wrote {target}")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Starts graphs, one at a time: two cores do not carry two in real time."""
    with Stage(tmp_path_factory.mktemp("faults")) as one_at_a_time:
        yield one_at_a_time


@pytest.fixture
def graph(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultStack]:
    """A shared graph with its arm moving in an episode; afterwards it must go on practising."""
    shared = stage.graph("task.episode_steps=60")
    shared.moving()
    yield shared
    _recovers(stage, shared, request.node)


@pytest.fixture
def cycling(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultStack]:
    """A shared graph with short episodes: every phase of practice comes round in seconds."""
    short = stage.graph("task.episode_steps=12", "episode.ready_s=0.7")
    short.recover()
    yield short
    _recovers(stage, short, request.node)


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
