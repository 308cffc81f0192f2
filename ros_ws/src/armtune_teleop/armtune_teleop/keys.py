"""A terminal's keyboard as a device: bytes to keys, and how long a key counts as down. Pure.

A terminal tells presses and repeats, never releases: each counts as down for ``HELD_S``, longer than a repeat takes,
so that a tap moves the tool a little and a key held down moves it on. The first repeat of a key held down comes after
0.25 to 0.6 s on most systems: to a button, what comes within ``AGAIN_S`` is the same press.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HELD_S, AGAIN_S = 0.12, 0.7
NAMES = (
    *"abcdefghijklmnopqrstuvwxyz0123456789",
    "space", "enter", "tab", "backspace", "escape", "up", "down", "left", "right", "delete",
)  # fmt: skip
"""The keys that are told apart, in the order of the buttons of a Joy message."""
_SPECIAL = {"A": "up", "B": "down", "C": "right", "D": "left", "3~": "delete"}
"""Final characters of the sequences that are keys of ours, sent without modifiers: ESC [ A, ESC O A."""
_PLAIN = {" ": "space", "\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\b": "backspace"}
_WHOLE = re.compile(
    r"(?:\x1b\[|\x9b)[ -?]*(?:[^ -?\[\x1b]|(?=\x1b))"  # CSI (ECMA-48 5.4): anything up to one final character
    r"|\x1b\[\[[^\x1b]"  # F1 to F5 of the Linux console
    r"|\x1bO[ -?]*(?:[^ -?\x1b]|(?=\x1b))"  # SS3: function keys, the keypad
    r"|\x1b(?:[^\[O\x1b]|(?=\x1b))"  # Alt and a key, or Escape before another
)
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
PASTES_ON, PASTES_OFF = "\x1b[?2004h", "\x1b[?2004l"
"""What a terminal is told so that it brackets what is pasted."""
_ALONE_NS = 500_000_000
"""Escape that nothing follows for so long was pressed by itself."""


class Parser:
    """Tells keys in what a raw terminal sends; keeps an unfinished sequence for the next read.

    Whatever begins with Escape and is no key of ours is swallowed whole, and so is a paste in brackets: its letters
    are no keys.
    """

    def __init__(self) -> None:
        self._rest, self._is_pasting, self._read_ns = "", False, 0

    def feed(self, data: str, now_ns: int) -> Iterator[str]:
        """Yield the names of the keys read at ``now_ns``; what is none of ``NAMES`` is left out."""
        if self._rest == "\x1b" and now_ns - self._read_ns > _ALONE_NS:
            self._rest = ""
            yield "escape"
        self._read_ns = now_ns if data else self._read_ns
        text, self._rest = self._rest + data, ""
        while text:
            if self._is_pasting:
                _, end, text = text.partition(_PASTED) if _PASTED in text else ("", "", text)
                self._is_pasting = not end
                if not end:
                    self._rest = text[-len(_PASTED) + 1 :]
                    return
            elif text[0] not in "\x1b\x9b":
                yield from (name for name in (_PLAIN.get(text[0], text[0].lower()),) if name in NAMES)
                text = text[1:]
            elif found := _WHOLE.match(text):
                self._is_pasting = found[0] == _PASTE
                yield from (name for name in (_special(found[0]),) if name)
                text = text[found.end() :]
            else:
                self._rest = text
                return


def _special(sequence: str) -> str:
    if sequence == "\x1b":
        return "escape"
    return _SPECIAL.get(sequence[2:], "") if sequence[:2] in ("\x1b[", "\x1bO") else ""


class Keyboard:
    """Which keys count as down."""

    def __init__(self) -> None:
        self._until_ns: dict[str, int] = {}

    def press(self, name: str, now_ns: int) -> None:
        self._until_ns[name] = now_ns + round(HELD_S * 1e9)

    def buttons(self, now_ns: int) -> list[int]:
        """Return 0 or 1 for each of ``NAMES``, as a Joy message carries them."""
        return [int(now_ns < self._until_ns.get(name, 0)) for name in NAMES]
