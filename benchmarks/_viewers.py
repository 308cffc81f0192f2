"""Viewers of a console, as pages are: each asks for the next state once it has the last; one more has stopped asking.

Run as ``python -m benchmarks._viewers ADDRESS VIEWERS SECONDS``; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect

WANTED = '["front"]'


async def watch(address: str, cookie: str, seen: dict[str, int]) -> None:
    """Ask and take, without end."""
    async with _open(address, cookie) as page:
        while True:
            await _look(page, seen)


async def freeze(address: str, cookie: str, seen: dict[str, int]) -> None:
    """Ask once, then only keep what comes."""
    async with _open(address, cookie) as page:
        await _look(page, {"frames": 0, "states": 0})
        async for data in page:
            seen["frozen_bytes"] += len(data)


async def _look(page: ClientConnection, seen: dict[str, int]) -> None:
    await page.send(WANTED)
    said = json.loads(await page.recv())
    seen["states"] += 1
    for _ in said["pictures"]:
        await page.recv()
        seen["frames"] += 1


def _open(address: str, cookie: str) -> connect:
    return connect(address.replace("http", "ws", 1) + "live", additional_headers={"cookie": cookie})


async def main(address: str, viewers: int, seconds: float) -> dict[str, int]:
    """Look on for a while; return what was seen."""
    with urllib.request.urlopen(address, timeout=10.0) as page:
        cookie = page.headers["set-cookie"].split(";")[0]
    seen = {"frames": 0, "states": 0, "frozen_bytes": 0}
    tasks = [watch(address, cookie, seen) for _ in range(viewers)]
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks, freeze(address, cookie, seen)), timeout=seconds)
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
