"""The rows of the fault table, what the runs of this generation showed, and the page made of both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

SLACK_MS = 150.0
"""What a noisy shared machine may add to a bound before a test fails, and no more than the bound itself: one of 10 ms
means something, too. Measured values are printed as they are."""
PASSED, FAILED, SKIPPED, KNOWN, MISSING = "passed", "FAILED", "skipped", "fails as known", "missing"


@dataclass(frozen=True)
class Row:
    """One row of the fault table: what is promised, and what of it no test on one machine can show."""

    fault: str
    detected: str
    reaction: str
    bound: str
    not_here: str


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
    reasons: list[str] = field(default_factory=list)
    """Why tests were skipped."""

    @property
    def outcome(self) -> str:
        """The worst of its tests."""
        return next((o for o in (FAILED, KNOWN, SKIPPED, PASSED) if o in self.outcomes.values()), MISSING)

    def by(self, how: str) -> None:
        """Note how the fault is injected."""
        if how not in self.injected:
            self.injected.append(how)

    def within(self, what: str, took_ns: int, bound_ms: float, slack_ms: float | None = None) -> None:
        """Note a time, and demand it within its bound and the slack: no more than the bound where a row names none."""
        took_ms, slack_ms = took_ns / 1e6, min(SLACK_MS, bound_ms) if slack_ms is None else slack_ms
        self.measured.setdefault(what, Measured(bound_ms)).values_ms.append(took_ms)
        assert took_ms <= bound_ms + slack_ms, f"{what}: {took_ms:.0f} ms, promised {bound_ms:.0f} ms"

    def nothing(self, what: str, happened: object) -> None:
        """Demand that something of the 'never' column did not happen, and note that it was looked for."""
        assert not happened, f"never: {what}; but {happened}"
        if what not in self.never:
            self.never.append(what)

    def owes(self, note: str) -> None:
        """Note what a row does not do yet."""
        if note not in self.notes:
            self.notes.append(note)


def tally(cases: Mapping[str, Case]) -> dict[str, list[str]]:
    """Return the rows by outcome."""
    found: dict[str, list[str]] = {}
    for name in ROWS:
        found.setdefault(cases[name].outcome if name in cases else MISSING, []).append(name)
    return found


def summary(cases: Mapping[str, Case]) -> list[str]:
    """One line per outcome, with the rows that were run."""
    found = tally(cases).items()
    return [f"{outcome}: {len(names)} ({' '.join(names)})" for outcome, names in found if outcome != MISSING]


def record(cases: Mapping[str, Case], facts: Mapping[str, str]) -> dict[str, object]:
    """Return the run as JSON may hold it: what the page says, with every value and every test."""
    shown = {name: cases.get(name, Case()) for name in ROWS}
    return {"run": dict(facts), "rows": {name: {"state": c.outcome, **asdict(c)} for name, c in shown.items()}}


def page(cases: Mapping[str, Case], facts: Mapping[str, str]) -> str:
    """Return the safety case as Markdown."""
    counts = ", ".join(f"{len(names)} {outcome}" for outcome, names in tally(cases).items())
    lines = [
        "# The safety case",
        "",
        "What is promised for each fault, and what was seen when it was injected, into the real graph in real time",
        "where the row is about that. Generated from the test run by `make safety-case`, which also writes the run",
        "itself, `safety-case.json`; do not edit it.",
        "",
        f"**{len(ROWS)} rows: {counts}.** Times are milliseconds from the injection: median / worst / bound, n runs.",
        f"A test fails above its bound and a slack for a shared machine: {SLACK_MS:.0f} ms, at most the bound.",
        "*At rest* is from the simulated arm's own log: no joint faster than 30 mrad/s from then on. *Never*: looked",
        "for, not found.",
        "",
        "| | Fault | Injected by | Detected by | Promised | Bound | Measured | Never | Outcome |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(name, row, cases.get(name, Case())) for name, row in ROWS.items()),
        "",
        "## What is still owed",
        "",
        *_owed(cases),
        "",
        "## Which tests answer for a row",
        "",
        "With what each came to, and n where one test is run with n sets of values.",
        "",
        *(line for name in ROWS for line in _tests(name, cases.get(name, Case()))),
        "",
        "## This run",
        "",
        *_table(("", ""), facts.items()),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, row: Row, case: Case) -> str:
    times = [_times(what, m) for what, m in case.measured.items()]
    cells = (
        name,
        row.fault,
        "; ".join(case.injected) or "-",
        row.detected,
        row.reaction,
        row.bound,
        "<br>".join(times) or "-",
        "; ".join(case.never) or "-",
        f"{case.outcome}; skipped: {row.not_here}" if row.not_here else case.outcome,
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _times(what: str, m: Measured) -> str:
    return f"{what}: {median(m.values_ms):.0f} / {max(m.values_ms):.0f} / {m.bound_ms:.0f}, n = {len(m.values_ms)}"


def _owed(cases: Mapping[str, Case]) -> list[str]:
    owed = [f"* {name}: not tested here: {row.not_here}." for name, row in ROWS.items() if row.not_here]
    owed += [f"* {name}: {note}." for name in ROWS if name in cases for note in cases[name].notes]
    owed += [f"* {name}: {why}." for name in ROWS if name in cases for why in dict.fromkeys(cases[name].reasons)]
    return owed or ["Nothing."]


def _tests(name: str, case: Case) -> list[str]:
    """One line per test of a row, its parameters counted."""
    found: dict[str, list[str]] = {}
    for test, outcome in case.outcomes.items():
        found.setdefault(test.partition("[")[0], []).append(outcome)
    lines = [f"* `{test}`: {_alike(outcomes)}" for test, outcomes in found.items()]
    return [f"**{name}**", "", *lines, ""] if lines else []


def _alike(outcomes: Sequence[str]) -> str:
    counts = {outcome: outcomes.count(outcome) for outcome in outcomes}
    return ", ".join(outcome if n == 1 else f"{outcome}, n = {n}" for outcome, n in counts.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), "|".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" if "---" not in line else f"|{line}|" for line in lines]
