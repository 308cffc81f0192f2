"""The page says of every row what its tests came to, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from casebook import (
    FAILED,
    MISSING,
    PASSED,
    ROWS,
    SKIPPED,
    UNJUDGED,
    Case,
    changed,
    page,
    promised,
    record,
    summary,
    tally,
)

pytestmark = pytest.mark.unhurried

ROOT = Path(__file__).parents[2]
FACTS = {"date": "today", "commit": "c0ffee"}


def cases() -> dict[str, Case]:
    one = Case(
        outcomes={"tests/a.py::test_x[1]": PASSED, "tests/a.py::test_x[2]": PASSED, "tests/b.py::test_y": PASSED}
    )
    one.by("a hammer")
    one.within("HOLD", 42_000_000, 110.0)
    return {"F05": one, "F22": Case(outcomes={"t": PASSED, "u": FAILED}), "F27": Case(outcomes={"t": SKIPPED})}


def test_every_row_has_a_line_and_a_state() -> None:
    text, found = page(cases(), FACTS), tally(cases())
    assert all(sum(line.startswith(f"| {name} |") for line in text.splitlines()) == 1 for name in ROWS)
    assert (found[PASSED], found[FAILED], found[SKIPPED]) == (["F05"], ["F22"], ["F27"])
    assert len(found[MISSING]) == len(ROWS) - 3
    assert "* `tests/a.py::test_x`: passed, n = 2" in text and "HOLD: 42 / 42 / 110, n = 1" in text
    assert text.count("\n### ") == len(ROWS), "each has a section with all that was measured"


def test_line_shows_the_time_nearest_to_its_bound_and_how_many_were_beyond_it() -> None:
    one = Case(outcomes={"t": PASSED})
    one.within("HOLD", 300_000_000, 310.0)
    one.within("at rest", 120_000_000, 110.0)
    one.within("at rest", 90_000_000, 110.0)
    (line,) = [line for line in page({"F05": one}, FACTS).splitlines() if line.startswith("| F05 |")]
    assert "at rest: 120 of 110 ms; 1 beyond" in line and line.endswith("| 1 | passed |")


def test_test_that_passed_when_it_was_tried_anew_says_so() -> None:
    one = Case(outcomes={"t[1]": PASSED, "t[2]": PASSED}, anew={"t[2]": 2})
    text = page({"F05": one}, FACTS)
    assert "| 2 | passed; tried anew: 2 |" in text and "* `t`: passed, n = 2; failed and tried anew: 2" in text
    assert "failed and tried anew: F05 2" in summary({"F05": one})
    assert record({"F05": one}, FACTS)["rows"]["F05"]["anew"] == {"t[2]": 2}


def test_row_that_is_not_as_on_the_page_is_found_and_one_that_was_run_in_part_is_not() -> None:
    kept = json.loads(json.dumps(record(cases(), FACTS)))["rows"]
    part = {"F05": Case(outcomes={"tests/b.py::test_y": PASSED}), "F22": Case(outcomes={"t": PASSED}), "F27": Case()}
    assert changed(kept, part) == {}
    part["F05"].outcomes["tests/b.py::test_y"] = UNJUDGED
    assert changed(kept, part) == {} and part["F05"].outcome == UNJUDGED
    part["F05"].outcomes["tests/b.py::test_y"] = SKIPPED
    part["F22"].outcomes["u"] = PASSED
    part["F30"] = Case(outcomes={"v": PASSED})
    assert changed(kept, part) == {"F05": "passed -> skipped", "F22": "FAILED -> passed", "F30": "missing -> passed"}


def test_record_is_json_with_every_value_and_test() -> None:
    said = json.loads(json.dumps(record(cases(), FACTS)))
    assert said["run"] == FACTS and set(said["rows"]) == set(ROWS)
    row = said["rows"]["F05"]
    assert row["state"] == PASSED and row["measured"] == {"HOLD": {"bound_ms": 110.0, "values_ms": [42.0]}}
    assert row["outcomes"]["tests/b.py::test_y"] == PASSED and row["injected"] == ["a hammer"]


def test_row_of_a_table_needs_all_its_cells() -> None:
    with pytest.raises(TypeError):
        promised("| F01 | camera stalls | age |")


def test_time_beyond_its_bound_and_what_never_happens_fail() -> None:
    with pytest.raises(AssertionError, match="promised 110 ms"):
        Case().within("HOLD", 261_000_000, 110.0)
    with pytest.raises(AssertionError, match="promised 10 ms"):
        Case().within("HOLD", 21_000_000, 10.0)
    Case().within("HOLD", 19_000_000, 10.0)


def test_times_of_two_bounds_stay_apart() -> None:
    case = Case()
    for took_ms, bound_ms in ((300, 310.0), (900, 1150.0), (290, 310.0)):
        case.within("HOLD", took_ms * 1_000_000, bound_ms)
    assert {what: (m.bound_ms, m.values_ms) for what, m in case.measured.items()} == {
        "HOLD": (310.0, [300.0, 290.0]), "HOLD within 1150 ms": (1150.0, [900.0])
    }  # fmt: skip
    assert case.late == 0
    with pytest.raises(AssertionError, match="never: moves"):
        Case().nothing("moves", True)


def test_what_is_late_is_tried_anew_and_what_never_happens_is_not(tmp_path: Path) -> None:
    rows = tmp_path / "test_rows.py"
    rows.write_text(
        "from casebook import Case\n"
        "def test_late(): Case().within('HOLD', 261_000_000, 110.0)\n"
        "def test_never(): Case().nothing('moves', ['joint 3'])\n"
        "def test_needless(): Case().needless('stopped by a clock', ['joint states stale'])\n"
    )
    options = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", "--reruns", "2", "-rR")
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", "pytest", *options, str(rows)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    told = [line.partition("::")[2] for line in done.stdout.splitlines() if line.startswith("RERUN ")]
    assert told == ["test_late"] * 2 + ["test_needless"] * 2 and "3 failed, 4 rerun in" in done.stdout, done.stdout
