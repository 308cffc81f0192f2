"""The keyboard of a terminal: bytes to keys, and an episode shown through a pseudo-terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_bringup.compose import compose
from armtune_policies.contract import ActionSpec
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_teleop.keys import AGAIN_S, HELD_S, NAMES, Keyboard, Parser
from armtune_teleop.pilot import Pilot
from armtune_teleop.readings import of_joy
from fixtures.teleop import ALONE, KeyHand, Program, TeleopStack, show

MS = 1_000_000


CSI = st.from_regex(r"\x1b\[[0-?]{0,6}[ -/]{0,2}[@-Z\\-~]", fullmatch=True)
OTHERS = st.from_regex(r"\x1bO[0-9;]{0,3}[@-~]|\x1b\[\[[A-E]|\x1b[A-NP-Za-z0-9]|\x1b\x1b\[[A-Z]", fullmatch=True)
PASTE = st.text("yesnw1 \r\x1b[", max_size=20).map(lambda text: f"\x1b[200~{text}\x1b[201~")
MOVES = {"up", "down", "left", "right", "delete", "escape"}


def told(*reads: str, every_ms: int = 30) -> list[str]:
    parser = Parser()
    return [key for place, text in enumerate(reads) for key in parser.feed(text, place * every_ms * MS)]


def test_keys_are_told_from_what_a_raw_terminal_sends() -> None:
    assert told("wG \r\x7f\x1b[A\x1bOD\x1b[3~") == ["w", "g", "space", "enter", "backspace", "up", "left", "delete"]
    assert told("é\x00?") == []
    assert told("\x1b", "", "", every_ms=300) == ["escape"], "alone it is told once nothing follows"
    assert told("\x1b", "[", "A") == ["up"], "over three reads"


@pytest.mark.parametrize(
    "sequence",
    (
        "\x1b[F",
        "\x1b[H",
        "\x1b[15~",
        "\x1b[1;2D",
        "\x1b[1;5A",
        "\x1b[2~",
        "\x1bn",
        "\x1bOP",
        "\x1b[[A",
        "\x1b[200~yes\x1b[201~",
    ),
)
def test_special_key_that_is_none_of_ours_does_nothing(sequence: str) -> None:
    """End, Home, F5, Shift-Left, Ctrl-Up, Insert, Alt-n, F1, F1 of the console, a paste."""
    assert told(sequence + "w") == ["w"]


@given(st.lists(CSI | OTHERS | PASTE, min_size=1, max_size=6).map("".join), st.data())
def test_nothing_that_begins_with_escape_is_a_letter_or_a_digit_however_it_is_split(
    text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    reads = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
    assert set(told(*reads)) <= MOVES
    assert told(*reads) == told(text)


def test_key_counts_as_down_for_a_while_after_each_press() -> None:
    board, held_ms = Keyboard(), round(HELD_S * 1000)
    board.press("w", 0)
    w = NAMES.index("w")
    assert board.buttons((held_ms - 1) * MS)[w] == 1 and board.buttons(held_ms * MS)[w] == 0
    board.press("w", 30 * MS)
    assert board.buttons((held_ms + 20) * MS)[w] == 1, "repeats keep it down"
    assert sum(board.buttons(10**12)) == 0


def long_press(key: str, first_repeat_ms: int, lasting_ms: int = 2000) -> list[tuple[Any, ...]]:
    """What changes, by the shipped table, while a key is held down, engaged before."""
    pilot = Pilot(compose(["teleop=keyboard"]).teleop, ActionSpec())
    board, seen, said = Keyboard(), [], []
    presses = {"space": [200], key: [2000, *range(2000 + first_repeat_ms, 2000 + lasting_ms, 30)]}
    for now in range(0, 5000, 10):
        for name, times in presses.items():
            if any(now - 10 < at <= now for at in times):
                board.press(name, now * MS)
        said += pilot.hear(of_joy("keyboard", (), board.buttons(now * MS)), now * MS, lambda: 1.0)
        seen.append((pilot.engaged, pilot.opening, pilot.speed, tuple(said)))
    return [seen[k] for k in range(1, len(seen)) if seen[k] != seen[k - 1]]


@pytest.mark.parametrize("first_repeat_ms", (30, 250, 500, 600))
@pytest.mark.parametrize("key", ("g", "2", "n"))
def test_long_press_of_a_button_counts_once(key: str, first_repeat_ms: int) -> None:
    changes = long_press(key, first_repeat_ms)
    assert len(changes) == 2, "engaged, then once what the key does"


@pytest.mark.parametrize("first_repeat_ms", (250, 500))
def test_space_lets_go_at_once_however_soon_it_is_pressed_again(first_repeat_ms: int) -> None:
    pilot, board = Pilot(compose(["teleop=keyboard"]).teleop, ActionSpec()), Keyboard()
    engaged = []
    for now in range(0, 3000, 10):
        if now in (200, 200 + first_repeat_ms):
            board.press("space", now * MS)
        pilot.hear(of_joy("keyboard", (), board.buttons(now * MS)), now * MS, lambda: 1.0)
        engaged.append(pilot.engaged)
    assert engaged[21] and not engaged[(200 + first_repeat_ms) // 10] and not any(engaged[100:])


class TerminalHand(KeyHand):
    """Types into ``armtune teleop``."""

    def __init__(self, graph: TeleopStack, program: Program) -> None:
        super().__init__()
        self._graph, self._program = graph, program

    def hold(self, axis: int, key: str) -> None:
        if key:
            self._program.type(key)  # at every look: a key that is held down repeats

    def tap(self, key: str) -> None:
        self._program.type("\x7f" if key == "Backspace" else key)
        time.sleep(HELD_S)  # a terminal has no releases: two presses at once would be one

    def press(self, action: str) -> None:
        super().press(action)
        time.sleep(AGAIN_S)  # sooner it would be the same press

    def engage(self, on: bool) -> None:
        if on != (self._graph.said["engaged"] == "True"):
            self.tap(" ")
            time.sleep(AGAIN_S)  # until the terminal shows what that did, and a second one would count


@pytest.mark.slow
def test_episode_is_shown_by_the_keyboard_of_a_pseudo_terminal_and_saved(tmp_path: Path) -> None:
    with TeleopStack(tmp_path, "teleop=keyboard", "episode.countdown=0", *ALONE) as graph:
        terminal = graph.armtune("teleop")
        terminal.until_said("released")
        session = graph.session("--no-film")
        hand = TerminalHand(graph, terminal)
        hand.press("slower")
        try:
            show(graph, hand)
            session.until_said(r"one-\d+ forward: success, \d+ steps")
            terminal.type("\x03")
            assert terminal.process.wait(timeout=20.0) == 0
            assert "ENGAGED" in terminal.said
            assert "success, says the operator\a" in terminal.said, "it is told, and the bell rings"
        finally:
            terminal.kill()
            session.kill()
        episode = read_episode(list_episodes(graph.up.run)[-1])
        assert episode.outcome == "success" and "teleop" in episode.sources
