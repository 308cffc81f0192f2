"""A workstation's side as a process: ``fetch.py URL TOKEN FOLDER`` pulls until all is here, whatever happens."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from armtune_policies.transfer.remote import Remote, Unreachable


def main(url: str, token: str, folder: str) -> None:
    remote = Remote(url, token, timeout_s=1.0)
    while True:
        try:
            came = remote.pull(Path(folder)).came
        except Unreachable as why:
            print(why, flush=True)
            time.sleep(0.1)
            continue
        print("all is here", len(came), flush=True)
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
