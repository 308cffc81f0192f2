"""What comes before every request: is it for us, is it small, is it not one of too many."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from armtune_console.access import Pace, is_own_name

from .refusal import refusal

MAX_BODY = 64 * 1024
STOP_PATH = "/api/act/stop"
"""Of somebody who may see, never refused for being asked too often; see ``Desk.ask``."""
POLICY_VIOLATION, TRY_LATER = 1008, 1013
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Scope = MutableMapping[str, Any]


class Guard:
    """Wraps an ASGI application.

    Args:
        app: What is guarded.
        names: Host names that are ours.
        pace: Of requests, by address.
        is_known: Whether somebody may see.
    """

    def __init__(
        self, app: Any, names: tuple[str, ...], pace: Pace, is_known: Callable[[HTTPConnection], bool]
    ) -> None:
        self._app, self._names, self._pace, self._is_known = app, names, pace, is_known

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refused := self._refusal(scope, headers):
            await _refuse(scope, receive, send, *refused)
            return
        left = MAX_BODY

        async def counted() -> Any:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise HTTPException(*_TOO_LARGE)  # more came than was announced
            return message

        async def dressed(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answered.setdefault(name, value)
            await send(message)

        await self._app(scope, counted, dressed)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if not is_own_name(headers.get("host", ""), self._names):
            return 421, "this console does not go by that name; add it to console.names"
        peer = (scope.get("client") or ("nobody",))[0]
        is_paced = self._pace.allows(peer) or (scope["path"] == STOP_PATH and self._is_known(HTTPConnection(scope)))
        if not is_paced:
            return 429, "too many requests; wait a second"
        length = headers.get("content-length", "0")
        return _TOO_LARGE if not length.isdecimal() or int(length) > MAX_BODY else None


_TOO_LARGE = (413, f"expected at most {MAX_BODY} bytes")


async def _refuse(scope: Scope, receive: Any, send: Any, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": why})
        return
    answer = refusal(status, why, Headers(scope=scope), {**HEADERS, "Retry-After": "1"})
    await answer(scope, receive, send)
