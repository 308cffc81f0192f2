"""Fixtures every test may use, and the plugin that turns the runs of fault rows into the safety case.

``pytest -m fault --safety-case=docs/safety-case.md`` writes the page and the run as JSON beside it; any run prints how
many rows passed, were skipped, or have no test.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "faults"))

from casebook import FAILED, KNOWN, PASSED, SKIPPED, UNJUDGED, Case, changed, page, record, summary
from machine import facts
from timekeeper import Timekeeper, is_unjudged

from armtune_policies.store.files import write_whole
from harness import Stack

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a shell starts in its background would hear no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("shared machine", deadline=None)  # what takes long there is not wrong
settings.load_profile("shared machine")

TESTS = Path(__file__).parent
ALONE = {"benchmarks", "console", "drivers", "faults", "scenarios", "teleop"}
"""Rooms whose tests are bound by real time: whole graphs, devices, browsers."""
OUTCOMES = {"passed": PASSED, "failed": FAILED, "skipped": SKIPPED}
ANEW = "rerun"
"""How the plugin that tries failures anew calls one of them."""
KEPT = "docs/safety-case.json"
CASES = pytest.StashKey[dict[str, Case]]()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Real node processes on a domain of their own, ended with the test."""
    with Stack(tmp_path) as running:
        yield running


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The notes of the row that the test answers for; of the first, where there are several."""
    row = request.node.get_closest_marker("fault").args[0]
    return request.config.stash[CASES].setdefault(row, Case())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--safety-case", metavar="FILE", help="write the safety case from the fault rows that were run")
    parser.addoption("--same-states", action="store_true", help=f"fail where a row's state is not that in {KEPT}")
    parser.addoption(
        "--every-phase",
        action="store_true",
        help="kill and hang each node in each phase of practice, and all else that takes long",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(*rows): the rows of tests/faults/rows.md that a test answers for")
    config.addinivalue_line(
        "markers", "every_phase: one phase of practice, one part of thousands more; run with --every-phase"
    )
    config.stash.setdefault(CASES, {})
    config.pluginmanager.register(Clerk(config.stash[CASES]))
    config.pluginmanager.register(Timekeeper(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the machine to itself: those rooms, and every file that starts real nodes; but what has time."""
    starts_nodes = {path: "harness" in path.read_text() for path in {item.path for item in items}}
    for item in items:
        is_hurried = item.path.relative_to(TESTS).parts[0] in ALONE or starts_nodes[item.path]
        if is_hurried and not item.get_closest_marker("unhurried"):
            item.add_marker(pytest.mark.alone)
    left = [item for item in items if item.get_closest_marker("every_phase") and not config.getoption("every_phase")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    """What is told of a test names its rows: other processes run some of the tests."""
    report = yield
    if report.when == "call" or not report.passed:
        report.user_properties += [("fault", row) for marker in item.iter_markers("fault") for row in marker.args]
    return report


class Clerk:
    """Writes down how the tests of each row ended."""

    def __init__(self, cases: dict[str, Case]) -> None:
        self.cases = cases

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome not in (*OUTCOMES, ANEW):
            return
        known = hasattr(report, "wasxfail") and report.skipped
        for row in {row for name, row in report.user_properties if name == "fault"}:
            case = self.cases.setdefault(row, Case())
            if report.outcome == ANEW:
                case.anew[report.nodeid] = case.anew.get(report.nodeid, 0) + 1
                errors = [line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
                case.failures.append(f"`{report.nodeid}`: {(errors or [report.when])[0]}")
                continue
            ended = UNJUDGED if is_unjudged(report) else OUTCOMES[report.outcome]
            case.outcomes[report.nodeid] = KNOWN if known else ended
            if report.skipped and not known:
                case.reasons.append(f"skipped: {report.longrepr[-1].removeprefix('Skipped: ')}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``--same-states``, a row that is not as its page says is a failure."""
    if session.config.getoption("same_states") and session.exitstatus == 0 and _changed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    cases = config.stash[CASES]
    if not cases:
        return
    terminalreporter.section("rows of the fault table")
    for line in summary(cases):
        terminalreporter.write_line(line)
    if different := _changed(config):
        terminalreporter.write_line(f"not as on the page: {different}; mend them, or `make safety-case`")
    if target := config.getoption("safety_case"):
        run = facts()
        write_whole(Path(target), page(cases, run).encode())
        write_whole(Path(target).with_suffix(".json"), (json.dumps(record(cases, run), indent=1) + "\n").encode())
        terminalreporter.write_line(f"wrote {target}")


def _changed(config: pytest.Config) -> dict[str, str]:
    """Rows whose state on the page is not what this run showed."""
    path = config.rootpath / KEPT
    return changed(json.loads(path.read_text())["rows"], config.stash[CASES]) if path.exists() else {}
