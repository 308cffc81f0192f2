"""The console's addresses. Everything that steers goes to a node by the desk; everything on the disk by the clerk."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from armtune_console.access import Pace, Role, is_own_origin
from armtune_console.acts import Unasked
from armtune_console.metrics import CONTENT_TYPE, exposition
from armtune_teleop.web import ASSETS, asset

from .guard import Guard
from .hand import hand
from .live import live
from .parts import Parts
from .refusal import refusal
from .shelf import body, shelf

PAGES = {
    "/": "live.html", "/progress": "progress.html", "/audit": "audit.html", "/browse": "browse.html",
    "/teleop": "teleop.html",
}  # fmt: skip
NOWHERE = "the console has no such address"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def app(parts: Parts, pace: Pace) -> Guard:
    """Return the application."""
    static = {
        path.name: path.read_bytes() for path in files(__package__).joinpath("static").iterdir() if path.is_file()
    } | {name: asset(name) for name in ASSETS}
    routes = [
        *_pages(parts, static), *_steering(parts), *shelf(parts.door, parts.clerk),
        WebSocketRoute("/live", lambda socket: live(parts, socket)),
        WebSocketRoute("/teleop/ws", lambda socket: hand(parts, socket)),
    ]  # fmt: skip
    inner = Starlette(routes=routes, exception_handlers=_HANDLERS)
    is_known = lambda request: parts.door.role(request) is not Role.NOBODY  # noqa: E731
    return Guard(inner, parts.params.accepted_names, pace, is_known)


# -- pages ---------------------------------------------------------------------------------


def _pages(parts: Parts, static: dict[str, bytes]) -> list[Route]:
    door = parts.door

    def file(name: str) -> Response:
        return Response(static[name], media_type=f"{TYPES['.' + name.rpartition('.')[2]]}; charset=utf-8")

    async def page(request: Request) -> Response:
        if door.who(request) is not None:
            return file(PAGES[request.url.path])
        if door.access.asks:
            return RedirectResponse("/login", 303)
        return door.give(request, file(PAGES[request.url.path]), door.enter(request, ""))

    async def login(_: Request) -> Response:
        return file("login.html")

    async def still(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in static:
            raise HTTPException(404, "no such file")
        return file(name)

    async def metrics(request: Request) -> Response:
        if door.access.asks:  # a program keeps no cookie
            door.see(request)
        return Response(text(), media_type=CONTENT_TYPE)

    def snapshot() -> dict[str, Any]:
        return {**parts.board.snapshot(), "viewers": parts.counter.viewers}

    text = exposition(snapshot)
    pages = [Route(path, page) for path in PAGES]
    return [*pages, Route("/login", login), Route("/static/{name}", still), Route("/metrics", metrics)]


# -- steering ------------------------------------------------------------------------------


def _steering(parts: Parts) -> list[Route]:
    door = parts.door

    async def session(request: Request) -> Response:
        found = door.who(request)
        role = door.see(request)
        return JSONResponse({
            "role": role.name.lower(), "word": found.word if found else "", "name": door.name(request),
            "asks": door.access.asks, "cameras": list(parts.film.names),
        })  # fmt: skip

    async def enter(request: Request) -> Response:
        if not is_own_origin(request.headers.get("origin"), request.headers.get("host", "")):
            raise HTTPException(403, "this did not come from the console's own page")
        said = await body(request)
        token = said.get("token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise HTTPException(400, "expected a token")
        made = door.enter(request, token)
        return door.give(request, JSONResponse({"role": made.role.name.lower()}), made)

    async def leave(request: Request) -> Response:
        door.change(request)
        return door.forget(request)

    async def act(request: Request) -> Response:
        role, name = door.change(request), request.path_params["name"]
        try:
            return JSONResponse(await parts.act(door.name(request), name, await body(request), role))
        except Unasked as error:
            raise HTTPException(400, str(error)) from None
        except PermissionError as error:
            raise HTTPException(403, str(error)) from None

    return [
        Route("/api/session", session), Route("/api/enter", enter, methods=["POST"]),
        Route("/api/leave", leave, methods=["POST"]), Route("/api/act/{name}", act, methods=["POST"]),
    ]  # fmt: skip


# -- refusals ------------------------------------------------------------------------------


async def _refused(request: Request, why: Exception) -> Response:
    if not isinstance(why, HTTPException):
        return refusal(500, "unexpected error; the log of console_node has it", request.headers)
    return refusal(why.status_code, NOWHERE if why.detail == "Not Found" else why.detail, request.headers)


_HANDLERS: Any = {HTTPException: _refused, Exception: _refused}
