"""After all rows: what the arm's own log, the files and what was said tell of every graph that they ran."""

from __future__ import annotations

import pytest
from casebook import Case
from stage import Stage

pytestmark = pytest.mark.slow
SAID = {
    "O3": "a command based on something old",
    "O5": "two policies, configs or calibrations in one episode",
    "O6": "a step of two sources, of none that is known, or without a lease",
    "O7": "a file under a final name that is not whole",
    "O8": "a node that ended by an error",
    "O10": "a STOP without a name, or armed with a latch",
}


@pytest.fixture
def played(stage: Stage, case: Case) -> Stage:
    """The stage when its rows are over."""
    case.by("the rows of tests/faults in every simulated graph they ran; of one whose test failed, the limits alone")
    stage.close()
    if not stage.stops:
        pytest.skip("no row was run before")
    return stage


@pytest.mark.fault("O1")
def test_no_limit_was_broken_in_any_run(played: Stage, case: Case) -> None:
    case.nothing("a setpoint outside position, speed or acceleration limits", played.violations)


@pytest.mark.fault("O2")
def test_nothing_moved_unless_armed_in_any_run(played: Stage, case: Case) -> None:
    found = [v for v in played.violations if "stop" in v or "arming" in v]
    case.nothing("motion before arming or after a STOP", found)


@pytest.mark.parametrize(
    "rule",
    [  # written out: which row has a test is read off the files
        pytest.param("O3", marks=pytest.mark.fault("O3")),
        pytest.param("O5", marks=pytest.mark.fault("O5")),
        pytest.param("O6", marks=pytest.mark.fault("O6")),
        pytest.param("O7", marks=pytest.mark.fault("O7")),
        pytest.param("O8", marks=pytest.mark.fault("O8")),
        pytest.param("O10", marks=pytest.mark.fault("O10")),
    ],
)
def test_no_rule_of_a_run_was_broken_in_any(played: Stage, case: Case, rule: str) -> None:
    case.nothing(SAID[rule], [text for text in played.broken if text.startswith(f"{rule}:")])
