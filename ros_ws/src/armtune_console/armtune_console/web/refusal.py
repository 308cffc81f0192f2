"""A refusal is one sentence: as JSON for pages' scripts and programs, as a page for a person who followed a link."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse, JSONResponse, Response

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>armtune: refused</title><link rel="stylesheet" href="/static/console.css">
<link rel="icon" href="/static/icon.svg">
</head>
<body><main><h1>armtune</h1><p role="alert">{why}</p><p><a href="/">to the live page</a></p></main></body>
</html>
"""


def refusal(status: int, why: str, asked: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request with the headers ``asked``."""
    if "text/html" in asked.get("accept", ""):
        return HTMLResponse(PAGE.format(why=escape(why)), status, headers)
    return JSONResponse({"why": why}, status, headers)
