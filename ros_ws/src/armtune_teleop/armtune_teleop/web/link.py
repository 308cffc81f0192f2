"""What the page and the node share: readings one way, how things stand the other. Pure, thread-safe."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

from armtune_teleop.devices import Inbox
from armtune_teleop.table import ACTIONS, MOTIONS

INPUTS = (*MOTIONS, *ACTIONS)
MAX_CHARS = 4096
"""A longer message is none of ours."""


class Link:
    """One operator at a time: the first page that sends has the controls until it leaves or falls silent."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox, self._lock = inbox, threading.Lock()
        self._said: dict[str, Any] = {}
        self._operator: object | None = None

    def take(self, page: object, text: str) -> str:
        """Take a page's message; return blank, or why it is refused."""
        reading, why = read(text)
        with self._lock:
            if self._operator is None:
                self._operator = page
            if self._operator is not page:
                return "another page has the controls; close it first"
        if why:
            return why
        self._inbox.put(reading)
        return ""

    def leave(self, page: object) -> None:
        """A page is gone, which is no release; the next page may have the controls."""
        with self._lock:
            if self._operator is not page:
                return
            self._operator = None
        self._inbox.lose("the operator's page is gone")

    def say(self, said: dict[str, Any]) -> None:
        """Set how things stand, for every page to show."""
        with self._lock:
            self._said = said

    def said(self, page: object) -> dict[str, Any]:
        """Return how things stand, and whether this page has the controls."""
        with self._lock:
            return {**self._said, "is_operator": self._operator in (None, page)}


def read(text: str) -> tuple[dict[str, float], str]:
    """Return (reading, "") of a message ``{"x": 0.5, "engage": 1}``, or ({}, why not)."""
    if len(text) > MAX_CHARS:
        return {}, f"expected at most {MAX_CHARS} characters, got {len(text)}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}, 'expected JSON, as in {"x": 0.5, "engage": 1}'
    if not isinstance(value, dict):
        return {}, f"expected an object of inputs, got {type(value).__name__}"
    for name, number in value.items():
        if name not in INPUTS:
            return {}, f"unknown input {name[:40]!r}; known: {', '.join(INPUTS)}"
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not (is_number and math.isfinite(number) and -1.0 <= number <= 1.0):
            return {}, f"{name}: expected a number in [-1, 1], got {str(number)[:40]}"
    return {name: float(number) for name, number in value.items()}, ""
