"""A live page's socket: it asks how things stand, and says STOP, which waits for no picture and no other request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from armtune_console.access import Role, is_own_origin

from .guard import POLICY_VIOLATION, TRY_LATER
from .parts import Parts, text_of

FORGET_S = 3600.0
"""A live page that asks for nothing is let go after so long; until then it costs nothing."""
MAX_TEXT = 1024
Newest = asyncio.Queue[Any]
"""Of one; what comes takes the place of what was not yet seen to."""


async def live(parts: Parts, socket: WebSocket) -> None:
    """Serve a page until it leaves, or its session ends."""
    own = is_own_origin(socket.headers.get("origin"), socket.headers.get("host", ""))
    if not own or parts.door.role(socket) is Role.NOBODY:
        await socket.close(POLICY_VIOLATION)
        return
    await socket.accept()
    if parts.counter.viewers >= (most := parts.params.viewers):
        await socket.close(TRY_LATER, f"{most} live pages are open, which is the most (console.viewers)")
        return
    parts.counter.viewers += 1
    looks, stops = Newest(1), Newest(1)
    works = (_hear(parts, socket, looks, stops), _show(parts, socket, looks), _stop(parts, socket, stops))
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        with contextlib.suppress(WebSocketDisconnect, asyncio.TimeoutError, RuntimeError):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        parts.counter.viewers -= 1


async def _hear(parts: Parts, socket: WebSocket, looks: Newest, stops: Newest) -> None:
    """Sort what a page says: a list of cameras to look at, or ``{"act": "stop", "word": ...}``."""
    while True:
        said = _read(await text_of(socket, FORGET_S))
        if parts.door.is_over(socket):  # what it shows would look alive, and its STOP be refused
            await socket.close(POLICY_VIOLATION)
            raise WebSocketDisconnect(POLICY_VIOLATION)
        queue = stops if isinstance(said, dict) and said.get("act") == "stop" else looks
        while queue.full():
            queue.get_nowait()
        queue.put_nowait(said)


async def _show(parts: Parts, socket: WebSocket, looks: Newest) -> None:
    """Tell how things stand, with pictures newer than the page has seen: one answer, never a queue."""
    seen, next_s = dict.fromkeys(parts.film.names, 0), 0.0
    while True:
        wanted = await looks.get()
        await asyncio.sleep(max(next_s - time.monotonic(), 0.0))
        next_s = time.monotonic() + 1.0 / parts.params.frames_hz
        pictures = []
        for name in parts.film.names:
            if isinstance(wanted, list) and name in wanted:
                seen[name], data = await asyncio.to_thread(parts.film.take, name, seen[name])
                pictures += [(name, data)] if data else []
        said = {**parts.board.snapshot(), "viewers": parts.counter.viewers}
        await socket.send_text(json.dumps({**said, "pictures": [name for name, _ in pictures]}))
        for _, data in pictures:
            await socket.send_bytes(data)


async def _stop(parts: Parts, socket: WebSocket, stops: Newest) -> None:
    """Stop, and say so; a page with another session's word is told that it was not done, and by nobody."""
    while True:
        word = (await stops.get()).get("word")
        if parts.door.has_word(socket, word if isinstance(word, str) else ""):
            told = await parts.act(parts.door.name(socket), "stop", {}, Role.VIEWER)
        else:
            told = {"act": "stop", "done": False, "why": "this did not come from the console's own page"}
        await socket.send_text(json.dumps(told))


def _read(text: str) -> Any:
    """Return what a page says; what is no JSON asks for nothing."""
    try:
        return json.loads(text[:MAX_TEXT])
    except (ValueError, RecursionError):
        return None
