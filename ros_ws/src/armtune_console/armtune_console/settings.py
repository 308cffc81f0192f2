"""What the console is told: where it is served, who may come in, how much the pictures may cost."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, choice, num, text

NONE = "none"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HERE = (*LOOPBACK, "[::1]")
"""This machine, as a request's Host may call it."""
ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True)
class ConsoleParams(Checked):
    """The web app. Beyond this machine it is served only with tokens and TLS."""

    kind: str = choice(NONE, of=(NONE, "web"), doc="web: serve the console; none: do not")
    host: str = text("127.0.0.1", doc="address served; beyond this machine tokens and TLS are required")
    port: int = num(8766, low=0, high=65535, doc="port served; 0: any free one")
    tokens: str = text("", doc="file with a line `operator TOKEN` or `viewer TOKEN` each; blank: no login")
    tls_cert: str = text("", doc="PEM file of the certificate chain; blank: no TLS")
    tls_key: str = text("", doc="PEM file of its key")
    names: tuple[str, ...] = text((), doc="further names it is reached by, as behind a proxy; they require tokens")
    frames_hz: float = num(10.0, low=1.0, high=30.0, doc="most pictures a second, for all viewers together")
    width_px: int = num(640, low=64, high=1920, doc="wider pictures are made this wide")
    jpeg_quality: int = num(75, low=20, high=95, doc="of the pictures")
    viewers: int = num(16, low=1, high=100, doc="most live pages at once")
    foxglove_port: int = num(0, low=0, high=65535, doc="serve Foxglove on this port of this machine; 0: do not")
    rerun_port: int = num(0, low=0, high=65535, doc="serve Rerun (gRPC) on this port of this machine; 0: do not")

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert: expected it together with tls_key, got one of the two")
        if not self.is_local and not (self.tokens and self.tls_cert):
            raise ConfigError(
                f"host: {self.host} is reached from other machines: name console.tokens, console.tls_cert and "
                "console.tls_key, or keep 127.0.0.1 (docs/console.md)"
            )
        if self.names and not self.tokens:
            raise ConfigError("names: a console that is reached by further names requires console.tokens")

    @property
    def is_on(self) -> bool:
        """Whether there is a console at all."""
        return self.kind != NONE

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy that does TLS stands before it, whose word on who asks is taken."""
        return bool(self.names) and not self.tls_cert

    @property
    def plain_names(self) -> tuple[str, ...]:
        """By which of the names it is asked without TLS; a proxy does TLS for all that are not this machine's own."""
        return () if self.tls_cert else HERE

    def address(self, port: int) -> str:
        """Where a browser finds it, once it is served on a port."""
        host = socket.gethostname() if self.host in ANY else self.host
        return f"{'https' if self.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def accepted_names(self) -> tuple[str, ...]:
        """What may stand in a request's Host: a page of another name is another site's."""
        return (*HERE, *((socket.gethostname(),) if self.host in ANY else (self.host,)), *self.names)


@dataclass(frozen=True, kw_only=True)
class ConsoleNodeParams(Checked):
    """What ``console_node`` is told."""

    console: ConsoleParams
    run_id: str = text(doc="of this run")
    run_folder: str = text(doc="of this run; the folder around it holds the others")
    camera_names: tuple[str, ...] = text(("front",), doc="cameras shown")
    reward_folder: str = text("", doc="model folder of the success classifier, whose threshold is shown")
    policy_folder: str = text("", doc="model folder of the policy; models are listed beside it")
    threshold: float = num(0.0, low=0.0, high=0.999, doc="probability above which yes is said; 0: the model's own")
    teleop_host: str = text("127.0.0.1", doc="address at which the graph's teleop_node serves an operator's page")
