"""The page says of every row what its tests came to, and nothing else."""

from __future__ import annotations

import json

import pytest
from casebook import FAILED, MISSING, PASSED, ROWS, SKIPPED, Case, page, promised, record, tally

pytestmark = pytest.mark.unhurried

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
    with pytest.raises(AssertionError, match="never: moves"):
        Case().nothing("moves", True)
