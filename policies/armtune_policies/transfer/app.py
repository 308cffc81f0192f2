"""The robot's side: hands out its run, takes in heads, and passes on what the learner says. An ASGI application.

::

    GET  /index                          what there is: run, files, episodes set aside
    GET  /files/<path>?offset=           a piece of a file
    GET  /heads?path=&size_bytes=&sha256=        how much of a head's file is here
    PUT  /heads?path=&size_bytes=&sha256=&offset=   the next piece of it
    POST /offer                          a head that is whole, or blank for the first policy: to be offered
    POST /state                          how the learner is
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from armtune_policies.contract import file_digest
from armtune_policies.store.files import checked_name
from armtune_policies.store.manifest import MANIFEST, MAX_FILE_BYTES
from armtune_policies.store.shelf import CHUNK_BYTES, EPISODES, HEADS, Inbox, Shelf, item_of

MAX_JSON_BYTES = 1 << 16
FLOOR_BYTES = 1 << 29
"""Heads leave so much of the disk to episodes."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
Told = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Offered:
    """A head that has arrived whole."""

    version: str
    folder: Path
    manifest_digest: str


class Dock:
    """What the application serves.

    Args:
        run_folder: Of the run.
        run_id: Its name.
        first: Folder of the policy it began with, which may be gone back to.
        token: What every request must bear; blank where nobody else can reach it.
        on_offer: Told a head that is here and whole, on the web's thread.
        on_state: Told what the learner says of itself, likewise.
    """

    def __init__(
        self,
        run_folder: Path,
        run_id: str,
        first: Path,
        token: str,
        on_offer: Callable[[Offered], None],
        on_state: Told,
    ) -> None:
        self._root, self._run_id, self._first, self._token = Path(run_folder), run_id, Path(first), token
        self._shelf, self._inbox = Shelf(self._root, EPISODES), Inbox(self._root, HEADS, MAX_FILE_BYTES, FLOOR_BYTES)
        self._looking = threading.Lock()
        self._on_offer, self._on_state = on_offer, on_state

    def app(self) -> Starlette:
        """Return the application."""
        work: tuple[tuple[str, str, Callable[[Request, bytes], Response]], ...] = (
            ("GET", "/index", self._index),
            ("GET", "/files/{path:path}", self._file),
            ("GET", "/heads", self._held),
            ("PUT", "/heads", self._take),
            ("POST", "/offer", self._offer),
            ("POST", "/state", self._state),
        )
        return Starlette(routes=[Route(path, self._guarded(do), methods=[method]) for method, path, do in work])

    def _guarded(self, do: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if why := self._stranger(request):
                return PlainTextResponse(why, 401)
            body = b""
            async for piece in request.stream():
                body += piece
                if len(body) > CHUNK_BYTES:
                    return PlainTextResponse(f"expected at most {CHUNK_BYTES} bytes", 413)
            try:
                return await run_in_threadpool(do, request, body)
            except FileNotFoundError as why:
                return PlainTextResponse(str(why), 404)
            except (ValueError, KeyError, TypeError) as why:
                return PlainTextResponse(str(why), 400)
            except OSError as why:
                return PlainTextResponse(why.strerror or str(why), 507)

        return answer

    def _stranger(self, request: Request) -> str:
        """Return why a request is not answered, blank for one that is.

        A page in a browser here could be made to ask us under its own name (DNS rebinding): it tells where it is from,
        or calls us by a name that is not this machine's. Who knows the token may call us by any name.
        """
        if "origin" in request.headers:
            return "expected a workstation, got a page of a browser"
        said = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(said.encode(), self._token.encode()):
            return "expected the robot's token; see learner.token_file"
        if not self._token and _host(request) not in LOOPBACK:
            return f"expected to be called {LOOPBACK[0]} where there is no learner.token_file, got {_host(request)!r}"
        return ""

    def _index(self, request: Request, body: bytes) -> Response:
        """A file is hashed once; while one request does that, others are told to come again."""
        if not self._looking.acquire(blocking=False):
            return PlainTextResponse("its files are being looked at; ask again", 503)
        try:
            files = [asdict(item) for item in self._shelf.items()]
        finally:
            self._looking.release()
        first = self._first / MANIFEST
        digest = file_digest(first) if first.is_file() else ""
        return JSONResponse({"run": self._run_id, "files": files, "aside": self._shelf.aside(), "first": digest})

    def _file(self, request: Request, body: bytes) -> Response:
        data = self._shelf.read(request.path_params["path"], int(request.query_params["offset"]), CHUNK_BYTES)
        return Response(data, media_type="application/octet-stream")

    def _held(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"held": self._inbox.held(item_of(request.query_params))})

    def _take(self, request: Request, body: bytes) -> Response:
        held = self._inbox.take(item_of(request.query_params), int(request.query_params["offset"]), body)
        return JSONResponse({"held": held})

    def _offer(self, request: Request, body: bytes) -> Response:
        said = _json(body)
        folder = self._root / "models" / checked_name(said["name"], "head") if said["name"] else self._first
        if file_digest(folder / MANIFEST) != said["manifest_digest"]:
            raise ValueError(f"{said['name']}: its manifest here is another one than is offered; send it first")
        self._on_offer(Offered(str(said["version"]), folder, str(said["manifest_digest"])))
        self._inbox.tidy([])  # of heads that were given up for this one; who still sends one begins anew
        return JSONResponse({})

    def _state(self, request: Request, body: bytes) -> Response:
        self._on_state(_json(body))
        return JSONResponse({})


def _host(request: Request) -> str:
    """Return the name that a client calls us by."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _json(body: bytes) -> Mapping[str, Any]:
    value = json.loads(body[:MAX_JSON_BYTES])
    if not isinstance(value, dict):
        raise ValueError("expected one JSON object")
    return value
