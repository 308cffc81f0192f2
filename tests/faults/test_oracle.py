"""After all rows: what the arm's own log says of every graph that they ran."""

from __future__ import annotations

import pytest
from casebook import Case
from stage import Stage

pytestmark = pytest.mark.slow


@pytest.mark.fault("O1")
def test_no_limit_was_broken_in_any_run(stage: Stage, case: Case) -> None:
    case.by("all rows above")
    stage.close()
    if not stage.stops:
        pytest.skip("no row was run before")
    case.nothing("a setpoint outside position, speed or acceleration limits", stage.violations)


@pytest.mark.fault("O2")
def test_nothing_moved_unless_armed_in_any_run(stage: Stage, case: Case) -> None:
    case.by("all rows above")
    stage.close()
    if not stage.stops:
        pytest.skip("no row was run before")
    found = [v for v in stage.violations if "stop" in v or "arming" in v]
    case.nothing("motion before arming or after a STOP", found)
