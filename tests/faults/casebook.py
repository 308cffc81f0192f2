"""The rows of the fault table, what the runs of this generation showed, and the page made of both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

SLACK_MS = 150.0
"""What a noisy shared machine may add to a bound before a test fails, and no more than the bound itself: one of 10 ms
means something, too. Measured values are printed as they are."""
PASSED, FAILED, SKIPPED, KNOWN, MISSING = "passed", "FAILED", "skipped", "fails as known", "missing"
UNJUDGED = "unjudged"
"""The machine did not keep time (`timekeeper.py`)."""


@dataclass(frozen=True)
class Row:
    """One row of the fault table: what is promised, what of it no test on one machine can show, and none does yet."""

    fault: str
    detected: str
    reaction: str
    bound: str
    not_here: str
    owed: str


def promised(table: str) -> dict[str, Row]:
    """Return the rows of a Markdown table by name; what is no row of a fault is passed over."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    return {name: Row(*rest) for name, *rest in cells if name != "Row"}


ROWS: Mapping[str, Row] = promised(Path(__file__).with_name("rows.md").read_text(encoding="utf-8"))


@dataclass
class Measured:
    """One quantity of one row: every value of this generation against its bound."""

    bound_ms: float
    values_ms: list[float] = field(default_factory=list)


@dataclass
class Case:
    """What the runs of one row showed."""

    injected: list[str] = field(default_factory=list)
    measured: dict[str, Measured] = field(default_factory=dict)
    never: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    """By test; where one was tried anew, the last one counts."""
    anew: dict[str, int] = field(default_factory=dict)
    """By test that failed and was tried anew: how often."""
    failures: list[str] = field(default_factory=list)
    """What each of those said."""
    reasons: list[str] = field(default_factory=list)
    """Why tests were skipped."""

    @property
    def outcome(self) -> str:
        """The worst of its tests."""
        return worst(self.outcomes.values())

    @property
    def late(self) -> int:
        """How many of its times are beyond their bound, within the slack."""
        return sum(value > m.bound_ms for m in self.measured.values() for value in m.values_ms)

    def by(self, how: str) -> None:
        """Note how the fault is injected."""
        if how not in self.injected:
            self.injected.append(how)

    def within(self, what: str, took_ns: int, bound_ms: float, slack_ms: float | None = None) -> None:
        """Note a time, and demand it within its bound and the slack: no more than the bound where a row names none."""
        took_ms, slack_ms = took_ns / 1e6, min(SLACK_MS, bound_ms) if slack_ms is None else slack_ms
        if self.measured.setdefault(what, Measured(bound_ms)).bound_ms != bound_ms:  # of another layer
            what = f"{what} within {bound_ms:.0f} ms"
        self.measured.setdefault(what, Measured(bound_ms)).values_ms.append(took_ms)
        assert took_ms <= bound_ms + slack_ms, f"{what}: {took_ms:.0f} ms, promised {bound_ms:.0f} ms"

    def nothing(self, what: str, happened: object) -> None:
        """Demand that something of the 'never' column did not happen, and note that it was looked for."""
        self._looked_for("never", what, happened)

    def needless(self, what: str, happened: object) -> None:
        """The same of what harms nobody, a stop or a loss without need: a busy machine's doing, so it is tried anew."""
        self._looked_for("needless", what, happened)

    def _looked_for(self, kind: str, what: str, happened: object) -> None:
        assert not happened, f"{kind}: {what}; but {happened}"
        if what not in self.never:
            self.never.append(what)

    def owes(self, note: str) -> None:
        """Note what a row does not do yet."""
        if note not in self.notes:
            self.notes.append(note)


def worst(outcomes: Iterable[str]) -> str:
    """Return the state of a row whose tests ended so."""
    found = set(outcomes)
    return next((o for o in (FAILED, KNOWN, UNJUDGED, SKIPPED, PASSED) if o in found), MISSING)


def changed(kept: Mapping[str, Any], cases: Mapping[str, Case]) -> dict[str, str]:
    """Return the rows whose state is not the one of the page, as ``then -> now``.

    A run need not have all tests of a row: those it has not, or could not judge, are taken as they were.

    Args:
        kept: The rows of a ``record`` read again.
        cases: What this run showed.
    """
    judged = {name: {test: how for test, how in c.outcomes.items() if how != UNJUDGED} for name, c in cases.items()}
    now = {name: worst({**kept[name]["outcomes"], **outcomes}.values())
           for name, outcomes in judged.items() if name in kept and outcomes}  # fmt: skip
    return {name: f"{kept[name]['state']} -> {state}" for name, state in now.items() if state != kept[name]["state"]}


def tally(cases: Mapping[str, Case]) -> dict[str, list[str]]:
    """Return the rows by outcome."""
    found: dict[str, list[str]] = {}
    for name in ROWS:
        found.setdefault(cases[name].outcome if name in cases else MISSING, []).append(name)
    return found


def summary(cases: Mapping[str, Case]) -> list[str]:
    """One line per outcome, with the rows that were run."""
    found = tally(cases).items()
    lines = [f"{outcome}: {len(names)} ({' '.join(names)})" for outcome, names in found if outcome != MISSING]
    if anew := [f"{name} {sum(case.anew.values())}" for name, case in cases.items() if case.anew]:
        lines.append(f"failed and tried anew: {', '.join(anew)}")
    return lines


def record(cases: Mapping[str, Case], facts: Mapping[str, str]) -> dict[str, object]:
    """Return the run as JSON may hold it: what the page says, with every value and every test."""
    shown = {name: cases.get(name, Case()) for name in ROWS}
    return {"run": dict(facts), "rows": {name: {"state": c.outcome, **asdict(c)} for name, c in shown.items()}}


def page(cases: Mapping[str, Case], facts: Mapping[str, str]) -> str:
    """Return the safety case as Markdown."""
    counts = ", ".join(f"{len(names)} {outcome}" for outcome, names in tally(cases).items())
    in_part = sum(bool(row.not_here or row.owed) for row in ROWS.values())
    lines = [
        "# The safety case",
        "",
        "What is promised for each fault, and what was seen when it was injected, into the real graph in real time",
        "where the row is about that. Generated from the test run by `make safety-case`, which also writes the run",
        "itself with every value, [safety-case.json](safety-case.json); do not edit it.",
        "",
        f"**{len(ROWS)} rows: {counts}; {in_part} without a part that no test shows.** *Measured*: of what a row",
        "measures, the time that came nearest to its bound or furthest beyond it, from the injection. A test fails",
        f"above its bound and a slack for a shared machine: {SLACK_MS:.0f} ms, at most the bound unless the row says",
        "otherwise; what was beyond the bound is counted. That each bound is kept is rule O4. A row that failed and",
        "passed when tried anew says so. Below the table: [each row](#each-row), [what is owed](#what-is-still-owed),",
        "[this run](#this-run).",
        "",
        "| | Fault | Promised | Bound | Measured | Tests | Outcome |",
        "|---|---|---|---|---|---|---|",
        *(_line(name, row, cases.get(name, Case())) for name, row in ROWS.items()),
        "",
        "## What is still owed",
        "",
        *_owed(cases),
        "",
        "## Each row",
        "",
        "Times are milliseconds: median / worst / bound, n runs. *At rest* is from the simulated arm's own log: no",
        "joint faster than 30 mrad/s from then on. *Never*: looked for, not found. Of a test with n sets of values, n.",
        "",
        *(line for name, row in ROWS.items() for line in _section(name, row, cases.get(name, Case()))),
        "## This run",
        "",
        *_table(("", ""), facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, row: Row, case: Case) -> str:
    outcome = f"{case.outcome}; not shown: {row.not_here}" if row.not_here else case.outcome
    outcome += f"; tried anew: {sum(case.anew.values())}" if case.anew else ""
    cells = (name, row.fault, row.reaction, row.bound, _nearest(case), str(len(case.outcomes) or "-"), outcome)
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _nearest(case: Case) -> str:
    if not case.measured:
        return "-"
    what, m = max(case.measured.items(), key=lambda one: max(one[1].values_ms) / one[1].bound_ms)
    late = f"; {case.late} beyond" if case.late else ""
    return f"{what}: {max(m.values_ms):.0f} of {m.bound_ms:.0f} ms{late}"


def _section(name: str, row: Row, case: Case) -> list[str]:
    """What a row's cells have no room for."""
    told = {"Detected by": row.detected, "Injected by": "; ".join(case.injected), "Never": "; ".join(case.never)}
    lines = [f"### {name}", "", row.fault[:1].upper() + row.fault[1:] + ".", ""]
    lines += [f"* {what}: {text}." for what, text in told.items() if text]
    lines += [f"* {_times(what, m)}" for what, m in case.measured.items()]
    return [*lines, *_tests(case), ""]


def _times(what: str, m: Measured) -> str:
    return f"{what}: {median(m.values_ms):.0f} / {max(m.values_ms):.0f} / {m.bound_ms:.0f}, n = {len(m.values_ms)}"


def _owed(cases: Mapping[str, Case]) -> list[str]:
    owed = [f"* {name}: not shown: {row.not_here}." for name, row in ROWS.items() if row.not_here]
    owed += [f"* {name}: no test yet: {row.owed}." for name, row in ROWS.items() if row.owed]
    owed += [f"* {name}: {note}." for name in ROWS if name in cases for note in cases[name].notes]
    owed += [f"* {name}: {why}." for name in ROWS if name in cases for why in dict.fromkeys(cases[name].reasons)]
    owed += [f"* {name}: tried anew: {said}." for name in ROWS if name in cases for said in cases[name].failures]
    return owed or ["Nothing."]


def _tests(case: Case) -> list[str]:
    """One line per test of a row, its parameters counted."""
    found: dict[str, list[str]] = {}
    anew: dict[str, int] = {}
    for test, outcome in case.outcomes.items():
        found.setdefault(test.partition("[")[0], []).append(outcome)
    for test, times in case.anew.items():
        anew[test.partition("[")[0]] = anew.get(test.partition("[")[0], 0) + times
    again = {test: f"; failed and tried anew: {times}" for test, times in anew.items()}
    return [f"* `{test}`: {_alike(outcomes)}{again.get(test, '')}" for test, outcomes in found.items()]


def _alike(outcomes: Sequence[str]) -> str:
    counts = {outcome: outcomes.count(outcome) for outcome in outcomes}
    return ", ".join(outcome if n == 1 else f"{outcome}, n = {n}" for outcome, n in counts.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), "|".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" if "---" not in line else f"|{line}|" for line in lines]
