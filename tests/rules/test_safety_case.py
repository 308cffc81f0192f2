"""Every row of the fault table has a state: a test answers for it, or it says why none can."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest
from casebook import MISSING, PASSED, ROWS, SKIPPED
from rules.house import ROOT, dotted, report

FAULTS = {*(f"F{n:02d}" for n in range(1, 61)), "F07b", *(f"L{n}" for n in range(1, 12))}
FAULTS |= {f"O{n}" for n in range(1, 11) if n != 4}
AT_MOST_SKIPPED = 6
OWED: set[str] = set()
"""Rows that may be without a test as yet."""
PAGE = ROOT / "docs/safety-case.md"


def answers() -> Iterator[tuple[str, str]]:
    """Each row that a test names by ``pytest.mark.fault``, with where."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and dotted(node.func) == "pytest.mark.fault":
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield from ((ast.literal_eval(argument), where) for argument in node.args)


def test_every_fault_is_a_row_of_the_table() -> None:
    assert set(ROWS) == FAULTS
    found = [name for name, row in ROWS.items() if not (row.fault and row.detected and row.reaction and row.bound)]
    assert not found, report(found, "A row says the fault, how it is noticed, what is promised, and within what bound.")


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    said = list(answers())
    found = [f"{where}: no row {row} in tests/faults/rows.md" for row, where in said if row not in ROWS]
    found += [f"{name}: no test" for name in ROWS if name not in {row for row, _ in said} | OWED]
    assert not found, report(found, 'Mark the tests that answer for a row: @pytest.mark.fault("F22").')


def test_few_rows_are_skipped_in_part() -> None:
    skipped = [name for name, row in ROWS.items() if row.not_here]
    assert len(skipped) <= AT_MOST_SKIPPED, f"{', '.join(skipped)}: only what needs a physical thing may be skipped"


def defined() -> set[str]:
    """Each test there is, as pytest names it."""
    return {
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.fixture
def rows() -> dict[str, Any]:
    """The rows of the run that the page was made of."""
    kept = PAGE.with_suffix(".json")
    if not kept.exists():
        pytest.skip(f"{kept.relative_to(ROOT)} is missing: `make safety-case` writes it")
    return dict(json.loads(kept.read_text(encoding="utf-8"))["rows"])


def test_page_lists_every_row_with_its_state(rows: dict[str, Any]) -> None:
    """Whether a run of now shows the same states says ``pytest --same-states``, as CI does."""
    lines = {cells[1]: cells[-2] for line in PAGE.read_text(encoding="utf-8").splitlines()
             if line.startswith("| ") and (cells := [cell.strip() for cell in line.split("|")])}  # fmt: skip
    found = [f"{name}: not on the page" for name in ROWS if name not in lines]
    found += [f"{name}: the page says {lines[name]}, its run {row['state']}" for name, row in rows.items()
              if name in lines and lines[name].partition(";")[0] != row["state"]]  # fmt: skip
    found += [f"{name}: {row['state']}" for name, row in rows.items() if row["state"] not in (PASSED, SKIPPED)
              and not (row["state"] == MISSING and name in OWED)]  # fmt: skip
    assert not found and set(rows) == set(ROWS), report(found, "Regenerate the page: `make safety-case`.")


def test_every_row_of_the_page_names_tests_that_there_are(rows: dict[str, Any]) -> None:
    there = defined()
    gone = {f"{name}: {test.partition('[')[0]}" for name, row in rows.items() for test in row["outcomes"]
            if test.partition("[")[0] not in there}  # fmt: skip
    assert not gone, report(sorted(gone), "Tests of the page that are no more. Regenerate it: `make safety-case`.")
