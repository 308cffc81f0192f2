"""Who a request comes from: its session, its role, its own word."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from armtune_console.access import Access, Pace, Role, Session, is_own_name, is_own_origin

WORD = "x-armtune-word"
"""The header in which a page says its session's own word."""
BEARER = "bearer "


class Door:
    """Lets in, by cookie for browsers and by ``Authorization: Bearer TOKEN`` for programs.

    Args:
        access: Tokens and sessions.
        entries: How often an address may try a token.
        cookie: Its name; cookies are shared by all ports of a host.
        plain_names: By which host names pages are asked without TLS; by others their cookies are for TLS only.
    """

    def __init__(self, access: Access, entries: Pace, cookie: str, plain_names: tuple[str, ...]) -> None:
        self.access, self._entries, self._cookie, self._plain_names = access, entries, cookie, plain_names

    def who(self, request: HTTPConnection) -> Session | None:
        return self.access.session(request.cookies.get(self._cookie, ""))

    def role(self, request: HTTPConnection) -> Role:
        """Return what a request that changes nothing may see."""
        if _is_program(request):
            token = request.headers["authorization"][len(BEARER) :].strip()
            return self._tried(request, token) if self.access.asks else Role.OPERATOR
        found = self.who(request)
        return found.role if found else Role.NOBODY

    def _tried(self, request: HTTPConnection, token: str) -> Role:
        """Return what a token allows; a wrong one is counted, and after too many none is looked at."""
        if not self._entries.has_left(_peer(request)):
            return Role.NOBODY
        if (role := self.access.role_of(token)) is Role.NOBODY:
            self._entries.allows(_peer(request))
        return role

    def is_over(self, socket: HTTPConnection) -> bool:
        """Whether the session that a socket was opened with has ended; a program's token has none."""
        return not _is_program(socket) and self.who(socket) is None

    def has_word(self, request: HTTPConnection, word: str) -> bool:
        """Whether the session's own word was said; a program, which no other site's page can be, needs none."""
        found = self.who(request)
        told = found is not None and hmac.compare_digest(word.encode(errors="replace"), found.word.encode())
        return told or _is_program(request)

    def see(self, request: HTTPConnection) -> Role:
        """Return the role of a viewer at least.

        Raises:
            HTTPException: 401; 429 after too many wrong tokens.
        """
        if (role := self.role(request)) is Role.NOBODY:
            if _is_program(request) and not self._entries.has_left(_peer(request)):
                raise HTTPException(429, "too many tries; wait a minute")
            raise HTTPException(401, "come in first: open the console's page and give your token")
        return role

    def change(self, request: HTTPConnection) -> Role:
        """Return the role of a request that changes something: from our own page, with its session's word.

        Raises:
            HTTPException: 401 or 403.
        """
        role = self.see(request)
        own = is_own_origin(request.headers.get("origin"), request.headers.get("host", ""))
        if not own or not self.has_word(request, request.headers.get(WORD, "")):
            raise HTTPException(403, "this did not come from the console's own page; reload the page")
        return role

    def enter(self, request: HTTPConnection, token: str) -> Session:
        """Return a new session.

        Raises:
            HTTPException: 401 for a wrong token, 429 for too many tries.
        """
        if self.access.asks and not self._entries.allows(_peer(request)):
            raise HTTPException(429, "too many tries; wait a minute")
        if (made := self.access.enter(token)) is None:
            raise HTTPException(401, "no such token; ask who runs this robot")
        return made

    def give(self, request: HTTPConnection, response: Response, session: Session) -> Response:
        """Put the cookie of a session on the response to a request."""
        response.set_cookie(self._cookie, session.cookie, **self._kept(request))
        return response

    def forget(self, request: HTTPConnection) -> Response:
        self.access.leave(request.cookies.get(self._cookie, ""))
        response = JSONResponse({"done": True})
        response.delete_cookie(self._cookie, **self._kept(request))
        return response

    def _kept(self, request: HTTPConnection) -> dict[str, Any]:
        """Return how a browser is to keep the cookie."""
        is_secure = not is_own_name(request.headers.get("host", ""), self._plain_names)
        return {"httponly": True, "samesite": "strict", "secure": is_secure}

    def name(self, request: HTTPConnection) -> str:
        """Return what an operator is called on other pages: four digits that say nothing."""
        cookie: Any = request.cookies.get(self._cookie) or request.headers.get("authorization", "")
        return hashlib.sha256(cookie.encode()).hexdigest()[:4]


def _peer(request: HTTPConnection) -> str:
    return request.client.host if request.client else "nobody"


def _is_program(request: HTTPConnection) -> bool:
    """Whether a request names a token; no browser does so for another site's page."""
    return request.headers.get("authorization", "").lower().startswith(BEARER)
