"""HTTP that hangs up on a client who does not finish what it began to ask: uvicorn itself would wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ASK_S = 10.0
"""So long a client may take for a request's head, and be silent in the midst of its body."""


class PatientProtocol(H11Protocol):
    """One connection. A long answer, and a WebSocket once it is one, are not hurried."""

    _unfinished: tuple[Any, ...] = ()
    _heard = 0

    def data_received(self, data: bytes) -> None:
        self._heard += 1
        super().data_received(data)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look()

    def _look(self) -> None:
        """See whether the client still owes what it owed the last time."""
        transport: Any = self.transport
        if transport.is_closing() or transport.get_protocol() is not self:
            return
        state = self.conn.their_state
        now = {h11.IDLE: (self.cycle, state), h11.SEND_BODY: (self.cycle, state, self._heard)}.get(state, ())
        if now and now == self._unfinished:
            transport.abort()
            return
        self._unfinished = now
        loop: asyncio.AbstractEventLoop = self.loop
        loop.call_later(ASK_S, self._look)
