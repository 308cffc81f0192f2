"""What happened in a run beside its episodes: one line an event, kept in ``console/events.csv``. Pure but for the file.

Offers, swaps, reverts, stops, questions and takeovers are states of nodes; where one changes, that is an event.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from armtune_policies.store.series import Series

COLUMNS = ("stamp_ns", "kind", "what")
KINDS = ("offered", "accepted", "reverted", "refused", "stopped", "question", "answered", "takeover", "act")
"""``reverted``: the policy went back to a version that had acted before."""
Facts = dict[str, Any]


def events_path(run_folder: Path) -> Path:
    return Path(run_folder) / "console" / "events.csv"


class Journal:
    """Give it the facts as they come; it appends what they mean.

    Raises:
        ValueError, OSError: as ``Series``, when it is opened.
    """

    def __init__(self, run_folder: Path) -> None:
        self._series = Series(events_path(run_folder), COLUMNS)
        self._seen: dict[str, Facts] = {}
        self._versions: list[str] = []
        self.trouble = ""
        """Why the newest event was not kept; blank when it was."""

    def put(self, kind: str, facts: Facts, stamp_ns: int) -> None:
        """Note the facts of one kind, as ``facts.WIRES`` names it; the first ones are how things stood, no event."""
        before, self._seen[kind] = self._seen.get(kind), facts
        for event, what in self._events(kind, before, facts) if before is not None else ():
            self.note(event, what, stamp_ns)
        if kind == "policy" and facts["version"] not in self._versions:
            self._versions.append(facts["version"])

    def note(self, event: str, what: str, stamp_ns: int) -> None:
        """Append one event of ``KINDS``; one that a full disk does not take is lost, and ``trouble`` says so."""
        row = (stamp_ns, event, what.replace(",", ";").replace("\n", " ").replace('"', "'"))
        try:
            self._series.append(row)
            self.trouble = ""
        except OSError as why:
            self.trouble = str(why)

    def close(self) -> None:
        self._series.close()

    def _events(self, kind: str, before: Facts, now: Facts) -> Iterator[tuple[str, str]]:
        if kind == "offer" and now["version"] != before["version"]:
            yield "offered", now["version"]
        if kind == "policy" and now["version"] != before["version"]:
            yield ("reverted" if now["version"] in self._versions else "accepted"), now["version"]
        if kind == "policy" and now["refused"] and now["refused"] != before["refused"]:
            yield "refused", f"{now['refused']}: {now['refused_reason']}"
        if kind == "gate" and now["mode"] == "STOP" != before["mode"]:
            yield "stopped", "; ".join(now["reasons"])
        if kind == "gate" and now["holder"] == "teleop" != before["holder"]:
            yield "takeover", "a person took the arm"
        if kind == "episode" and now["asks"] != before["asks"]:
            yield ("question", now["reason"]) if now["asks"] else ("answered", now["phase"])


def counts(run_folder: Path) -> Counter[str]:
    """Return how often each kind of event happened in a run; none where no console was on."""
    path = events_path(run_folder)
    if not path.is_file():
        return Counter()
    with open(path, encoding="utf-8", newline="") as file:
        return Counter(row["kind"] for row in csv.DictReader(file) if row.get("kind") in KINDS)
