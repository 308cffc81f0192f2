"""Addresses of what is on the disk: runs, episodes, reviews, models. Names go to the clerk, paths come from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from armtune_console.access import Role
from armtune_console.archive.clerk import Busy, Clerk
from armtune_console.archive.library import Unknown

from .door import Door

MOST = 32
"""More questions at once are refused: the clerk answers one after the other."""
MAX_DIGITS = 9
_KEEP = {"Cache-Control": "private, max-age=3600"}
"""Pictures of finished episodes never change."""


class Shelf:
    """Answers requests by asking the clerk."""

    def __init__(self, door: Door, clerk: Clerk) -> None:
        self._door, self._clerk, self._waiting = door, clerk, 0
        # Its own: questions, of which each waits for its turn so long, take no thread from the live pages' pictures.
        self._pool = ThreadPoolExecutor(max_workers=MOST, thread_name_prefix="archive")

    def seen(self, question: str, *names: str) -> Callable[[Request], Awaitable[Response]]:
        """Return an address that shows an answer; it is told what is called so in the path or the query."""

        async def show(request: Request) -> Response:
            self._door.see(request)
            given = {**request.query_params, **request.path_params}
            if missing := [name for name in names if name not in given]:
                raise HTTPException(400, f"expected {missing[0]} in the query")
            return JSONResponse(await self._ask(question, **{name: given[name] for name in names}))

        return show

    async def frame(self, request: Request) -> Response:
        self._door.see(request)
        told = dict(request.path_params)
        if not (len(step := told.pop("step")) <= MAX_DIGITS and step.isascii() and step.isdecimal()):
            raise HTTPException(404, "no such step")
        return Response(await self._ask("frame", **told, step=int(step)), media_type="image/jpeg", headers=_KEEP)

    async def audit(self, request: Request) -> Response:
        self._door.see(request)
        text = request.query_params.get("share", "0.05")
        try:
            share = float(text)
        except ValueError:
            raise HTTPException(400, f"share: expected a number from 0 to 1, got {text[:40]!r}") from None
        return JSONResponse(await self._ask("audit", run=request.path_params["run"], share=share))

    async def answer(self, request: Request) -> Response:
        if self._door.change(request) < Role.OPERATOR:
            raise HTTPException(403, "only an operator may answer")
        said = await body(request)
        if not (isinstance(said, dict) and isinstance(said.get("step"), int)):
            raise HTTPException(400, 'expected {"episode": ..., "step": 3, "truth": "yes"}')
        told = {"episode": str(said.get("episode")), "step": said["step"], "word": str(said.get("truth"))}
        return JSONResponse(await self._ask("answer", run=request.path_params["run"], **told))

    async def download(self, request: Request) -> Response:
        self._door.see(request)
        path = await self._ask("path", **request.path_params)
        return FileResponse(path, filename=f"{request.path_params['episode']}.mcap", media_type="application/mcap")

    async def safety(self, request: Request) -> Response:
        self._door.see(request)
        return PlainTextResponse(await self._ask("safety"))

    async def _ask(self, question: str, **told: Any) -> Any:
        if self._waiting >= MOST:
            raise HTTPException(503, f"{MOST} questions wait for the archive already; try again")
        self._waiting += 1
        try:
            ask = partial(self._clerk.ask, question, **told)
            return await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        except Unknown as why:
            raise HTTPException(404, str(why)) from None
        except ValueError as why:
            raise HTTPException(400, str(why)) from None
        except Busy as why:
            raise HTTPException(503, str(why)) from None
        finally:
            self._waiting -= 1


def shelf(door: Door, clerk: Clerk) -> list[Route]:
    """Return the addresses."""
    one = Shelf(door, clerk)
    return [
        Route("/api/runs", one.seen("runs")),
        Route("/api/models", one.seen("models")),
        Route("/api/datasets", one.seen("datasets")),
        Route("/api/safety", one.safety),
        Route("/api/configs", one.seen("configs", "a", "b")),
        Route("/api/runs/{run}", one.seen("run", "run")),
        Route("/api/runs/{run}/config", one.seen("config", "run")),
        Route("/api/runs/{run}/audit", one.audit),
        Route("/api/runs/{run}/audit", one.answer, methods=["POST"]),
        Route("/api/runs/{run}/episodes/{episode}", one.seen("episode", "run", "episode")),
        Route("/api/runs/{run}/episodes/{episode}/frames/{camera}/{step}", one.frame),
        Route("/download/{run}/{episode}", one.download),
    ]


async def body(request: Request) -> Any:
    """Return what a request carries.

    Raises:
        HTTPException: 400, unless it is JSON.
    """
    try:
        return json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON") from None
