"""The operator's page: an ASGI application that runs by itself; the console has the same controls as a page."""

from armtune_policies.transfer.server import Server

from .app import ASSETS, SILENT_S, asset, page
from .link import Link

__all__ = ["ASSETS", "SILENT_S", "Link", "Server", "asset", "page"]
