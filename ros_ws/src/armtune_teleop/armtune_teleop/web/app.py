"""The page and its WebSocket, on Starlette. What draws it, ``hand.js``, is the console's page of this kind, too.

The page speaks first and often (30 Hz): ``{"x": 0.2, "engage": 1}``. Each answer says how things stand. Pages of other
sites may not connect: a browser names the page's origin, which must be this very host, by a name we know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .link import Link

SILENT_S = 2.0
"""A page that sends nothing for so long is gone."""
POLICY_VIOLATION = 1008
ASSETS = {"hand.js": "text/javascript; charset=utf-8", "hand.css": "text/css; charset=utf-8"}
"""Files that draw the page, with their types."""
LOCAL = ("localhost", "127.0.0.1")


def page(link: Link, hosts: Sequence[str] = ()) -> Starlette:
    """Return the application; every address in it is relative, so that it may be mounted anywhere.

    Args:
        link: To the node.
        hosts: Names, besides this machine's own ``LOCAL``, by which a browser may call it. A page of another site whose
            name suddenly means this machine (DNS rebinding) calls it by another.
    """
    html = asset("page.html")

    async def show(request: Request) -> Response:
        if not request.url.path.endswith("/"):  # its own addresses are relative to a folder
            return RedirectResponse(f"{request.url.path}/")
        return HTMLResponse(html)

    async def drawn(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return Response(asset(name), media_type=ASSETS[name])

    async def talk(socket: WebSocket) -> None:
        if not _is_own(socket.headers.get("origin"), socket.headers.get("host", "")):
            await socket.close(POLICY_VIOLATION)
            return
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, asyncio.TimeoutError, KeyError):  # the last: no text
            try:
                while True:
                    text = await asyncio.wait_for(socket.receive_text(), timeout=SILENT_S)
                    why = link.take(socket, text)
                    answer: dict[str, Any] = {**link.said(socket), "refused": why}
                    await socket.send_json(answer)
            finally:
                link.leave(socket)

    known = Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, *hosts], www_redirect=False)
    routes = [Route("/", show), *(Route(f"/{name}", drawn) for name in ASSETS), WebSocketRoute("/ws", talk)]
    return Starlette(routes=routes, middleware=[known])


def asset(name: str) -> bytes:
    """Return a file of the page."""
    return files(__package__).joinpath(name).read_bytes()


def _is_own(origin: str | None, host: str) -> bool:
    """Whether a connection comes from our own page, or from a program, which names no origin."""
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return False
