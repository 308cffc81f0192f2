"""A robot's side as a process: ``dock.py RUN_FOLDER HOST PORT TOKEN``; ends with stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from armtune_policies.transfer.app import Dock
from armtune_policies.transfer.server import Server


def main(run: str, host: str, port: str, token: str) -> None:
    tell = lambda said: print(json.dumps(str(said)), flush=True)  # noqa: E731
    dock = Dock(Path(run), "run", Path(run) / "first", token, tell, tell)
    server = Server(dock.app(), host, int(port))
    print(server.port, flush=True)
    sys.stdin.read()
    server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
