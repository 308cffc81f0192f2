"""The rows we answer for, what the runs of this generation showed, and the page made of both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

SLACK_MS = 150.0
"""What a noisy shared machine may add to a bound before a test fails; measured values are printed as they are."""
PASSED, FAILED, SKIPPED, KNOWN, MISSING = "passed", "FAILED", "skipped", "fails as known", "missing"


@dataclass(frozen=True)
class Row:
    """One row of the fault table: what is promised."""

    fault: str
    detected: str
    reaction: str
    bound: str
    later: str = ""
    """What a later part of the work owes, blank for nothing."""


ROWS: Mapping[str, Row] = {
    "F01": Row(
        "camera stalls",
        "age of the frame by arrival",
        "HOLD, no action on the old frame",
        "frame 300 ms + proposal 300 ms",
    ),
    "F02": Row(
        "camera frozen: frames arrive, always the same",
        "5 equal frames while the arm moves",
        "as F01",
        "5 frames + 50 mrad + proposal 300 ms",
    ),
    "F03": Row(
        "frame corrupt, of another size or encoding, black",
        "size, encoding, spread",
        "dropped and counted; 3 in a row as F01",
        "as F01",
    ),
    "F04": Row(
        "camera swapped or moved",
        "serial number, marker",
        "refuse to arm",
        "-",
        "part 8: calibration, serial numbers and the marker check",
    ),
    "F05": Row("joint states stale, or never seen", "age by arrival", "STOP, latched", "110 ms"),
    "F06": Row(
        "joint missing, extra, twice; another order",
        "names as a set",
        "refused whole, 3 in a row: STOP; another order works",
        "3 messages",
    ),
    "F07": Row(
        "joint value not a number or out of range", "finite, in range", "refused whole; then as F05 or F06", "110 ms"
    ),
    "F07b": Row(
        "joint states frozen while commands move", "moved command against measured", "STOP, hold at measured", "200 ms"
    ),
    "F08": Row("tracking failed, collision", "following error", "HOLD at measured, STOP if it stays 500 ms", "500 ms"),
    "F09": Row(
        "old or stored command reaches a new gate", "lease of this boot, volatile topics", "refused", "same tick"
    ),
    "F10": Row(
        "NaN or inf in a proposal", "finite, before anything else", "refused whole; HOLD if it persists", "310 ms"
    ),
    "F11": Row(
        "outside the workspace",
        "forward kinematics in the box",
        "clamped to the face, marked; 10 in a row: HOLD",
        "same tick",
    ),
    "F12": Row("outside the orientation bounds", "angle to the reference", "limited as a rotation", "same tick"),
    "F13": Row("speed, acceleration, jerk too high", "against the setpoint", "limited, marked", "same tick"),
    "F14": Row(
        "joint limit, singularity", "margin, condition number", "SLOW, HOLD; moving away is allowed", "same tick"
    ),
    "F15": Row(
        "first command far from the arm",
        "distance to the measured pose",
        "the way is limited, never a jump",
        "same tick",
    ),
    "F16": Row("proposals stale: policy slow", "age by arrival", "HOLD, resumes when close", "310 ms"),
    "F17": Row(
        "proposals repeated, out of order, from the future",
        "sequence, step, stamp window",
        "refused, counted",
        "same tick",
    ),
    "F18": Row("two publishers, two gates", "count of publishers", "HOLD until one remains", "look every 100 ms"),
    "F19": Row("proposal for another spec", "digest", "refused", "same tick"),
    "F20": Row("homing, reset or recovery motion", "same gate", "same limits", "same tick"),
    "F21": Row("parameter changed while moving", "read-only parameters", "refused", "-"),
    "F38": Row(
        "simulated clock stops or goes back",
        "steady clock; lockstep: barrier",
        "none in real time; lockstep: STOP",
        "5 s",
    ),
    "F41": Row("kill -9 of each node", "heartbeat, process", "per layer: HOLD or STOP; the learner: nothing", "310 ms"),
    "F42": Row("each node hangs (SIGSTOP)", "evidence in the heartbeat", "as dead", "310 ms"),
    "F43": Row(
        "the gate itself dies", "controller's silence", "controller holds; new gate starts in STOP", "100 ms + braking"
    ),
    "F44": Row("crash loop", "restart budget", "STOP, stays down, reason", "budget"),
    "O1": Row("the whole run", "the arm's own log", "no command outside position, speed, acceleration limits", "-"),
    "O2": Row("the whole run", "the arm's own log", "not armed: no command but braking and holding", "-"),
}


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

    @property
    def outcome(self) -> str:
        """The worst of its tests."""
        return next((o for o in (FAILED, KNOWN, SKIPPED, PASSED) if o in self.outcomes.values()), MISSING)

    def by(self, how: str) -> None:
        """Note how the fault is injected."""
        if how not in self.injected:
            self.injected.append(how)

    def within(self, what: str, took_ns: int, bound_ms: float) -> None:
        """Note a time, and demand it within its bound and the slack."""
        took_ms = took_ns / 1e6
        self.measured.setdefault(what, Measured(bound_ms)).values_ms.append(took_ms)
        assert took_ms <= bound_ms + SLACK_MS, f"{what}: {took_ms:.0f} ms, promised {bound_ms:.0f} ms"

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
    """One line per outcome, with the rows."""
    return [f"{outcome}: {len(names)} ({' '.join(names)})" for outcome, names in tally(cases).items()]


def page(cases: Mapping[str, Case], facts: Mapping[str, str]) -> str:
    """Return the safety case as Markdown."""
    found = tally(cases)
    counts = ", ".join(f"{len(names)} {outcome}" for outcome, names in found.items())
    lines = [
        "# The safety case",
        "",
        "What is promised for each fault, and what the real graph did, in real time, when it was injected.",
        "Generated from the test run by `make safety-case`; do not edit it.",
        "",
        f"**{len(ROWS)} rows: {counts}.** Times are milliseconds from the injection: median / worst / bound, n runs.",
        f"A test fails above its bound + {SLACK_MS:.0f} ms, the slack for a shared machine. *At rest* is from the",
        "simulated arm's own log: no joint faster than 30 mrad/s from then on. *Never*: looked for, not found.",
        "",
        "| | Fault | Injected by | Detected by | Promised | Bound | Measured | Never | Outcome |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(name, row, cases.get(name, Case())) for name, row in ROWS.items()),
        "",
        "## What is still owed",
        "",
        *_owed(cases),
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
        case.outcome if case.outcomes or not row.later else f"not yet: {row.later}",
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _times(what: str, m: Measured) -> str:
    return f"{what}: {median(m.values_ms):.0f} / {max(m.values_ms):.0f} / {m.bound_ms:.0f}, n = {len(m.values_ms)}"


def _owed(cases: Mapping[str, Case]) -> list[str]:
    owed = [f"* {name}: {row.later}." for name, row in ROWS.items() if row.later]
    owed += [f"* {name}: {note}." for name in ROWS if name in cases for note in cases[name].notes]
    return owed or ["Nothing."]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), "|".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" if "---" not in line else f"|{line}|" for line in lines]
