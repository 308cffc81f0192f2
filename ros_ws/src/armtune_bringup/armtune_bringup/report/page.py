"""The one-page HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(**facts: Any) -> bytes:
    """Fill ``page.html.j2``; a fact the template asks for and does not get is an error."""
    folder = FileSystemLoader(Path(__file__).parent)
    page = Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template("page.html.j2")
    return page.render(**facts).encode()
