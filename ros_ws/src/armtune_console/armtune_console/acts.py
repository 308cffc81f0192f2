"""What a person may ask for, each answered by the node that does it: one table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from armtune_policies.contract import topics

from .access import Role

Said = Mapping[str, Any]
MAX_TEXT, MAX_COUNT = 200, 2**32 - 1


class Unasked(ValueError):
    """A request that is none: expected against got."""


@dataclass(frozen=True)
class Act:
    """One request: which service of which node, what it is told, who may ask."""

    node: str
    service: str
    kind: str
    """Of the service, as ``console_node`` maps it to a message type."""
    told: Callable[[Said], dict[str, Any]] = lambda said: {}
    role: Role = Role.OPERATOR


def _boot_id(said: Said) -> dict[str, Any]:
    """The gate that the page showed: text, as its 64 bits do not fit a number of a browser."""
    text = said.get("boot_id")
    if not (isinstance(text, str) and text.isascii() and text.isdecimal() and int(text) < 2**64):
        raise Unasked(f"boot_id: expected the digits that the page shows, got {str(text)[:40]!r}")
    return {"boot_id": int(text)}


def _latch(said: Said) -> dict[str, Any]:
    name = said.get("name")
    if not (isinstance(name, str) and 0 < len(name) <= MAX_TEXT):
        raise Unasked(f"name: expected the name of a latch, got {str(name)[:40]!r}")
    return {"name": name}


def _limits(said: Said) -> dict[str, Any]:
    """How long to practise; 0 is no limit."""
    found = {}
    for name in ("episodes", "steps"):
        number = said.get(name, 0)
        if not (isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MAX_COUNT):
            raise Unasked(f"{name}: expected a whole number from 0, got {str(number)[:40]!r}")
        found[name] = number
    return found


GATE, EPISODE = "gate_node", "episode_node"
ACTS: dict[str, Act] = {
    # Stopping is always safe, so whoever may look may stop.
    "stop": Act(GATE, topics.STOP, "trigger", role=Role.VIEWER),
    "arm": Act(GATE, topics.ARM, "arm", _boot_id),
    "hold": Act(GATE, topics.HOLD, "switch", lambda _: {"data": True}),
    "unhold": Act(GATE, topics.HOLD, "switch", lambda _: {"data": False}),
    "clear": Act(GATE, topics.CLEAR, "clear", _latch),
    "practise": Act(EPISODE, f"{topics.PRACTICE}/_action/send_goal", "practise", _limits),
    "finish": Act(EPISODE, f"{topics.PRACTICE}/_action/cancel_goal", "cancel"),
    "pause": Act(EPISODE, topics.PRACTICE_PAUSE, "trigger"),
    "reset": Act(EPISODE, topics.PRACTICE_RESET, "trigger"),
    "resume": Act(EPISODE, topics.PRACTICE_RESUME, "trigger"),
    **{f"mark_{key}": Act(EPISODE, topics.operator(key), "trigger") for key in topics.KEYS},
}
STOP = ACTS["stop"]


def asked(name: str, said: Any, role: Role) -> tuple[Act, dict[str, Any]]:
    """Return an act and what its service is told.

    Raises:
        Unasked: for an unknown act, or one with parts that will not do.
        PermissionError: when the role does not allow it.
    """
    act = ACTS.get(name)
    if act is None:
        raise Unasked(f"expected one of {', '.join(ACTS)}; got {name[:40]!r}")
    if role < act.role:
        raise PermissionError(f"{name}: only an operator may ask for this; you came in as a {role.name.lower()}")
    if not isinstance(said, Mapping):
        raise Unasked(f"expected an object, got {type(said).__name__}")
    return act, act.told(said)
