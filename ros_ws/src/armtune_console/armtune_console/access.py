"""Who may see and who may steer: tokens, sessions, same origin, and how often. Pure: time is handed in.

A session is a random cookie. What changes something must also carry the session's own word in a header, which only
a page of ours can have read, and come from our own origin.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from urllib.parse import urlsplit

from armtune_policies.contract import Clock, ConfigError

SESSIONS, PEERS = 256, 1024
"""More are not remembered; those not used for longest are forgotten first."""
SESSION_S = 12 * 3600.0
TOKEN = re.compile(r"[A-Za-z0-9_.~-]{16,256}")


class Role(IntEnum):
    """What somebody may do; an operator may do what a viewer may."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2


ROLES = {"viewer": Role.VIEWER, "operator": Role.OPERATOR}


def read_tokens(path: Path) -> dict[bytes, Role]:
    """Return the role of each token, by the token's SHA-256.

    Raises:
        ConfigError: unless each line is ``operator TOKEN`` or ``viewer TOKEN`` and nobody else can read the file.
        OSError: when it cannot be read.
    """
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: expected a file that only its owner can read; run `chmod 600 {path}`")
    found: dict[bytes, Role] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in ROLES or not TOKEN.fullmatch(words[1]):
            raise ConfigError(
                f"{path}:{number}: expected `operator TOKEN` or `viewer TOKEN`, 16 to 256 of A-Za-z0-9_.~-"
            )
        found[_digest(words[1])] = ROLES[words[0]]
    if not found:
        raise ConfigError(f"{path}: expected a line `operator TOKEN` or `viewer TOKEN`, found none")
    return found


@dataclass(frozen=True)
class Session:
    """One browser: its cookie, its word for requests that change something, what it may do."""

    cookie: str
    word: str
    role: Role
    since_ns: int


class Access:
    """The door.

    Args:
        tokens: Roles by digest, as ``read_tokens`` gives them; none at all makes everyone here an operator.
        clock: Steady.
    """

    def __init__(self, tokens: Mapping[bytes, Role], clock: Clock) -> None:
        self._tokens, self._clock = dict(tokens), clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._tokens)

    def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None for one that is unknown or too old."""
        found = self._sessions.get(cookie)
        if found is None or (self._clock.now_ns() - found.since_ns) / 1e9 > SESSION_S:
            return None
        self._sessions.move_to_end(cookie)
        return found

    def enter(self, token: str) -> Session | None:
        """Return a new session for a token, None for a wrong one."""
        role = self.role_of(token) if self.asks else Role.OPERATOR
        if role is Role.NOBODY:
            return None
        made = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), role, self._clock.now_ns())
        self._sessions[made.cookie] = made
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return made

    def leave(self, cookie: str) -> None:
        self._sessions.pop(cookie, None)

    def role_of(self, token: str) -> Role:
        """Return what a token allows; compares with all of them, in the same time whichever it is."""
        asked, found = _digest(token), Role.NOBODY
        for digest, role in self._tokens.items():
            if hmac.compare_digest(asked, digest):
                found = role
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()  # a half of a character is in no token


def is_own_name(host: str, names: Sequence[str]) -> bool:
    """Whether a request's Host is one of ours: another site's name that leads here is not."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and name in {one.strip("[]").lower() for one in names}


def is_own_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from a page of ours; a program, which names no origin, has no cookie to abuse either."""
    try:
        return origin is None or (origin != "null" and urlsplit(origin).netloc == host)
    except ValueError:
        return False


@dataclass
class _Bucket:
    left: float
    at_ns: int


@dataclass
class Pace:
    """So many requests a second from one address, and so many at once."""

    per_s: float
    burst: float
    clock: Clock
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def allows(self, peer: str) -> bool:
        """Count a request; False when there were too many."""
        bucket, is_left = self._refilled(peer), self.has_left(peer)
        bucket.left -= 1.0 if is_left else 0.0
        return is_left

    def has_left(self, peer: str) -> bool:
        """Whether one more would be allowed; counts none."""
        return self._refilled(peer).left >= 1.0

    def _refilled(self, peer: str) -> _Bucket:
        now_ns = self.clock.now_ns()
        bucket = self._buckets.setdefault(peer, _Bucket(self.burst, now_ns))
        self._buckets.move_to_end(peer)
        while len(self._buckets) > PEERS:
            self._buckets.popitem(last=False)
        bucket.left = min(self.burst, bucket.left + (now_ns - bucket.at_ns) / 1e9 * self.per_s)
        bucket.at_ns = now_ns
        return bucket
