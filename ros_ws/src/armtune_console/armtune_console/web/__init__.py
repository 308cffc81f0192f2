"""The web app: an ASGI application and its static pages; what it knows of the graph is a board, a film and a desk."""

from .app import app
from .parts import Counter, Parts

__all__ = ["Counter", "Parts", "app"]
