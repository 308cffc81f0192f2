"""What the addresses use, and how an act is asked for, by whichever way it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from armtune_console.access import Role
from armtune_console.acts import asked
from armtune_console.archive.clerk import Clerk
from armtune_console.board import Board
from armtune_console.desk import ANSWER_S, Desk
from armtune_console.film import Film
from armtune_console.settings import ConsoleParams

from .door import Door

NO_TEXT = 1003


@dataclass
class Counter:
    """How many live pages there are."""

    viewers: int = 0


@dataclass(frozen=True)
class Parts:
    """What the addresses use."""

    params: ConsoleParams
    door: Door
    board: Board
    film: Film
    desk: Desk
    clerk: Clerk
    counter: Counter
    note: Callable[[str, str, bool, str], None]
    """Takes who asked for what, whether it was done, why not."""
    teleop_host: str = "127.0.0.1"
    """Where, besides on this machine itself, ``teleop_node`` may say that it serves."""

    async def act(self, who: str, name: str, said: Any, role: Role) -> dict[str, Any]:
        """Ask a node for an act; return what the page is told.

        Raises:
            Unasked, PermissionError: as ``asked``.
        """
        chosen, told = asked(name, said, role)
        try:
            waiting = asyncio.shield(asyncio.wrap_future(self.desk.ask(chosen, told)))
            done, why = await asyncio.wait_for(waiting, timeout=ANSWER_S + 1.0)
        except asyncio.TimeoutError:
            done, why = False, "the console's node does not answer; use the stop button on the robot"
        self.note(who, name, done, why)
        return {"act": name, "by": chosen.node, "done": done, "why": why}


async def text_of(socket: WebSocket, silent_s: float) -> str:
    """Return what a page says next.

    Raises:
        WebSocketDisconnect: when it left, or what it said is no text.
        TimeoutError: when it is silent for so long.
    """
    try:
        return await asyncio.wait_for(socket.receive_text(), timeout=silent_s)
    except KeyError:
        await socket.close(NO_TEXT)
        raise WebSocketDisconnect(NO_TEXT) from None
