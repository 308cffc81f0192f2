"""What the programs measured by ``learner.py`` share: make ready once, then run when asked. No imports but Python's."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(make: Callable[[dict[str, Any]], Callable[[], Any]]) -> None:
    """Make a program's update of the job on the command line, then time it once for each line of stdin.

    Prints first how long making it and its first updates took (a compiler's work, mostly), then
    updates per second of processor time, one a turn.
    """
    job = json.loads(sys.argv[1])
    start_s = time.monotonic()
    update = make(job)
    for _ in range(3):
        update()
    print(json.dumps({"ready_s": time.monotonic() - start_s}), flush=True)
    for _ in sys.stdin:
        start, count = time.process_time(), 0
        while time.process_time() - start < job["seconds"]:
            update()
            count += 1
        print(json.dumps({"updates_s": count / (time.process_time() - start)}), flush=True)
