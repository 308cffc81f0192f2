"""Serves an application on a thread beside a node: a page, or a run's files."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import uvicorn

from .patience import PatientProtocol

STOP_S = 5.0


class Server:
    """Serves until closed.

    Args:
        app: An ASGI application.
        host: Address to serve on.
        port: Port; 0 takes any free one, see ``port``.
        tls: PEM files of the certificate chain and of its key; None serves without TLS.
        is_proxied: Whether who asks is whom a proxy on this machine names (``X-Forwarded-For``); else anybody here
            might name another address with each request, and so be never too many.

    Raises:
        OSError: when the address is taken, or a file cannot be read.
    """

    def __init__(
        self, app: Any, host: str, port: int, tls: tuple[str, str] | None = None, is_proxied: bool = False
    ) -> None:
        try:
            self._socket = socket.create_server((host, port))
        except OSError as why:
            text = f"cannot serve {host}:{port}: {os.strerror(why.errno or 0)}; name another port"
            raise OSError(why.errno, text) from None
        # Inherited by connections; asyncio sets it only where a socket names its protocol. Else answers wait 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        # Few settings: no access log, and a page that is open does not hold up the end.
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws_max_size=1 << 16)
        config.http, config.proxy_headers = PatientProtocol, is_proxied
        config.timeout_graceful_shutdown = 1
        if tls is not None:
            config.ssl_certfile, config.ssl_keyfile = tls
            config.load()  # here, that a bad file is the caller's error and not a thread's
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=STOP_S)
        self._socket.close()
