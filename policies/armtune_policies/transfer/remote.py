"""The workstation's side: brings a robot's episodes here and heads there, going on wherever it was cut."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from armtune_policies.contract import ConfigError
from armtune_policies.store.files import checked_name
from armtune_policies.store.shelf import CHUNK_BYTES, EPISODES, HEADS, Damaged, Inbox, Item, Shelf, item_of

TIMEOUT_S = 10.0
STALE = (ConnectionError, ssl.SSLEOFError)
"""What asking over a connection says that the robot closed meanwhile, as uvicorn does after 5 s of silence."""
DAMAGED_IN_A_ROW = 3
"""So many times a file is sent anew before somebody should look."""


class Unreachable(OSError):
    """The robot does not answer, or not as one; it may later."""


class Gone(ValueError):
    """The robot no longer has a file as its index said: it was set aside or written anew meanwhile."""


@dataclass(frozen=True)
class Index:
    """What a robot has: the run's name, its whole files, its episodes set aside, the digest of its first policy."""

    run_id: str
    items: tuple[Item, ...]
    aside: tuple[str, ...]
    first_digest: str = ""
    """Of the manifest; blank where the robot has none."""


@dataclass(frozen=True)
class Pulled:
    """What one ``pull`` came to."""

    index: Index
    came: tuple[str, ...]
    """Files that became whole."""
    left: tuple[str, ...]
    """What changed on the way, each with why; the next index says what it is now."""


class Remote:
    """One robot.

    Args:
        url: As in ``http://robot:8768``, or ``https``.
        token: What the robot wants to be shown.
        timeout_s: How long one piece may take.

    Raises:
        ConfigError: when the URL is none.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"expected the address of a robot, as in http://robot:8768, got {url!r}")
        self.url, self._parts, self._timeout_s = url, parts, timeout_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._open: http.client.HTTPConnection | None = None
        self._inboxes: dict[Path, Inbox] = {}  # each remembers the digests of what is here
        self._shelves: dict[Path, Shelf] = {}

    def index(self) -> Index:
        """Return what the robot has.

        Raises:
            Unreachable: when the robot does not answer.
            ValueError: when it refuses, or says nonsense.
        """
        value = self._json("GET", "/index")
        try:
            items, aside = tuple(map(item_of, value["files"])), tuple(map(str, value["aside"]))
            return Index(checked_name(value["run"], "run"), items, aside, str(value.get("first", "")))
        except (KeyError, TypeError) as why:
            raise ValueError(f"{self.url}: expected an index of a run, got one without {why}") from None

    def pull(
        self,
        folder: Path,
        on_bytes: Callable[[int, int], None] = lambda done, of: None,
        check: Callable[[Index], None] = lambda index: None,
    ) -> Pulled:
        """Bring all of the run that is not here into ``folder/<run>``.

        Args:
            folder: Of the mirrors.
            on_bytes: Told how many bytes are here, of how many.
            check: Told what there is before anything comes; what it raises ends the call.

        Raises:
            Unreachable: when the robot is gone; what came stays, and the next call goes on from there.
            Taken: when another file that must not change is here under the same name.
            ValueError: when the robot refuses.
            OSError: when this disk refuses.
        """
        index, came, left = self.index(), list[str](), list[str]()
        check(index)
        root = folder / index.run_id
        inbox = self._inboxes.setdefault(root, Inbox(root, EPISODES))
        inbox.tidy(index.items)
        inbox.set_aside(index.aside)
        done, of = 0, sum(item.size_bytes for item in index.items)
        for item in index.items:
            was_here = (root / item.path).is_file()
            try:
                if inbox.held(item) < item.size_bytes:
                    self._fetch(inbox, item, partial(_further, on_bytes, done, of))
                    was_here = False
                came += [] if was_here else [item.path]
            except (Gone, Damaged) as why:
                left.append(str(why))
            done += item.size_bytes
        on_bytes(of, of)
        return Pulled(index, tuple(came), tuple(left))

    def push(self, root: Path, name: str) -> None:
        """Bring a head, ``root/models/<name>``, to the robot, its manifest last.

        Raises:
            Unreachable: as ``pull``.
            ValueError: when the robot refuses it, or there is none of that name.
        """
        shelf = self._shelves.setdefault(root, Shelf(root, HEADS))
        items = [item for item in shelf.items() if item.path.startswith(f"models/{name}/")]
        if not items:
            raise ValueError(f"{root}/models/{name}: expected a head, got no file of one")
        for item in items:
            where, damaged = urlencode(asdict(item)), 0
            held = self._held(where)
            while held < item.size_bytes:
                data = shelf.read(item.path, held, CHUNK_BYTES)
                try:
                    held = int(self._json("PUT", f"/heads?{where}&offset={held}", data)["held"])
                except ValueError:
                    if (damaged := damaged + 1) >= DAMAGED_IN_A_ROW:
                        raise
                    held = self._held(where)

    def offer(self, name: str, version: str, manifest_digest: str) -> None:
        """Have a head offered that was pushed, or with a blank name the policy that the run began with.

        Raises:
            Unreachable: as ``pull``.
            ValueError: when it is not there.
        """
        self.tell("/offer", {"name": name, "version": version, "manifest_digest": manifest_digest})

    def tell(self, where: str, said: Mapping[str, Any]) -> None:
        """Post a JSON object."""
        self._json("POST", where, json.dumps(said).encode())

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    def _held(self, where: str) -> int:
        return int(self._json("GET", f"/heads?{where}")["held"])

    def _fetch(self, inbox: Inbox, item: Item, on_held: Callable[[int], None]) -> None:
        held, damaged = inbox.held(item), 0
        while held < item.size_bytes:
            data = self._ask("GET", f"/files/{quote(item.path)}?offset={held}")
            if not data:
                raise Gone(f"{item.path}: expected {item.size_bytes} bytes, the robot has only {held}")
            try:
                held = inbox.take(item, held, data)
            except Damaged:
                if (damaged := damaged + 1) >= DAMAGED_IN_A_ROW:
                    raise
                held = 0
            on_held(held)

    def _json(self, method: str, where: str, body: bytes | None = None) -> Any:
        try:
            return json.loads(self._ask(method, where, body))
        except json.JSONDecodeError:
            raise ValueError(f"{self.url}{where}: expected JSON, got something else; is it a robot of ours?") from None

    def _ask(self, method: str, where: str, body: bytes | None = None) -> bytes:
        is_used = self._open is not None
        try:
            try:
                status, data = self._answer(method, where, body)
            except STALE:
                if not is_used:
                    raise
                self.close()  # all that is asked may be asked twice
                status, data = self._answer(method, where, body)
        except (OSError, http.client.HTTPException) as why:
            self.close()
            raise Unreachable(f"{self.url} does not answer: {why or type(why).__name__}") from None
        if status != 200:
            said = data[:300].decode(errors="replace")
            if status >= 500:
                raise Unreachable(f"{self.url} cannot now: {said}")
            raise (Gone if status == 404 else ValueError)(f"{self.url} refuses: {said}")
        return data

    def _answer(self, method: str, where: str, body: bytes | None) -> tuple[int, bytes]:
        """Ask once; return the status and what was said."""
        connection = self._open = self._open or self._connection()
        connection.request(method, where, body, self._headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


def _further(on_bytes: Callable[[int, int], None], before: int, of: int, held: int) -> None:
    on_bytes(before + held, of)
