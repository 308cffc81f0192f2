"""The teleop page's socket: what an operator's hand says goes to ``teleop_node``'s own page server, and answers back.

The node keeps the rules of the hand: one operator at a time, and a page that goes or falls silent is a loss. Who it is
is asked here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from armtune_console.access import Role, is_own_origin
from armtune_console.settings import LOOPBACK
from armtune_teleop.web import SILENT_S

from .guard import POLICY_VIOLATION
from .parts import Parts, text_of

NODE = "teleop_node"
AWAY = 1001
OPEN_S = 2.0
NOT_OURS = "this did not come from the console's own page; reload it"


async def hand(parts: Parts, socket: WebSocket) -> None:
    """Serve a page until it leaves, falls silent, or its session ends; what it says first is its session's word."""
    own = is_own_origin(socket.headers.get("origin"), socket.headers.get("host", ""))
    if not own or parts.door.role(socket) is not Role.OPERATOR:
        await socket.close(POLICY_VIOLATION)
        return
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it is gone
        try:
            await _serve(parts, socket)
        except (OSError, asyncio.TimeoutError, WebSocketException):
            await socket.close(AWAY, f"{NODE} does not answer, or the page was silent")


async def _serve(parts: Parts, socket: WebSocket) -> None:
    if not parts.door.has_word(socket, _word(await _said(socket))):
        await socket.close(POLICY_VIOLATION, NOT_OURS)
        return
    if not (there := parts.board.page_of(NODE)):
        await socket.close(AWAY, "nobody reads a hand here; start the graph with teleop=web")
        return
    if not (at := socket_of(there, parts.teleop_host)):
        await socket.close(AWAY, f"expected {NODE} on this machine or at teleop.host, got another address")
        return
    async with connect(at, open_timeout=OPEN_S, compression=None, proxy=None) as node:
        await _pass_on(parts, socket, node)


def socket_of(page: str, host: str) -> str:
    """Return the socket of a page on this machine or a host, blank for one elsewhere: every node may name a page."""
    try:
        at = urlsplit(page)
        is_known = at.hostname in (*LOOPBACK, host.lower()) and at.username is None
        return f"ws://{at.netloc}/ws" if is_known else ""
    except ValueError:
        return ""


async def _pass_on(parts: Parts, socket: WebSocket, node: ClientConnection) -> None:
    """Hand on each message and its answer, in turn."""
    while True:
        text = await _said(socket)
        if parts.door.is_over(socket):
            await socket.close(POLICY_VIOLATION, NOT_OURS)
            return
        await node.send(text)
        await socket.send_text(str(await asyncio.wait_for(node.recv(), timeout=SILENT_S)))


async def _said(socket: WebSocket) -> str:
    return await text_of(socket, SILENT_S)


def _word(text: str) -> str:
    """Return the word of ``{"word": ...}``, blank where a page says something else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    word = said.get("word") if isinstance(said, dict) else None
    return word if isinstance(word, str) else ""
