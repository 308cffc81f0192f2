"""A process that reads the archive, and the one who asks it: what is heavy there does not slow the live page.

A question is a line of JSON on its input, an answer a line on its output; it ends when its input does.

::

    python -m armtune_console.archive.clerk ROOT [MODEL ...]
"""

from __future__ import annotations

import base64
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from armtune_policies.contract.priority import ask_priority

from .library import QUESTIONS, Library, Unknown

ANSWER_S = 20.0
"""An answer comes in so long; and the turn to ask, as does one's that asked before."""
NICE = 15


class Busy(TimeoutError):
    """The archive did not answer in time."""


class Clerk:
    """Asks the process; starts it when it is first needed, and again when it died. One question at a time.

    Args:
        root: The folder of runs.
        models: Folders of models in use.
    """

    def __init__(self, root: Path, models: tuple[Path, ...] = ()) -> None:
        self._command = [sys.executable, "-m", __name__, str(root), *map(str, models)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def ask(self, question: str, **told: Any) -> Any:
        """Return the answer of the method of ``Library`` that is called so; bytes as bytes.

        Raises:
            Unknown: when nothing is called so.
            ValueError: when what is asked, or what was found, will not do.
            Busy: when others ask for too long; when no answer comes in time, the process is ended, too.
        """
        with self._turn():
            process = self._started()
            try:
                print(json.dumps({"question": question, "told": told}), file=process.stdin, flush=True)
                answer = json.loads(self._answers.get(timeout=ANSWER_S) or "{}")
            except (queue.Empty, OSError):
                answer = {}
            if not answer:
                self._end()
                raise Busy(f"the archive did not answer within {ANSWER_S:g} s; try again")
        if "why" in answer:
            raise {"Unknown": Unknown}.get(answer["kind"], ValueError)(answer["why"])
        return base64.b64decode(answer["bytes"]) if "bytes" in answer else answer["is"]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=ANSWER_S):
            raise Busy(f"the archive was busy with others for {ANSWER_S:g} s; try again")
        try:
            yield
        finally:
            self._lock.release()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._answers = queue.Queue()
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = subprocess.Popen(self._command, text=True, **pipes)  # type: ignore[call-overload]
            threading.Thread(target=_listen, args=(self._process, self._answers), daemon=True).start()
        return self._process  # type: ignore[return-value]

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=5.0)


def _listen(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    for line in process.stdout or ():
        answers.put(line)
    answers.put("")


def _answer(library: Library, line: str) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        found = QUESTIONS[asked["question"]](library, **asked["told"])
    except Unknown as why:
        return {"kind": "Unknown", "why": str(why)}
    except (ValueError, TypeError, OSError) as why:
        return {"kind": type(why).__name__, "why": str(why)}
    if isinstance(found, bytes):
        return {"bytes": base64.b64encode(found).decode()}
    return {"is": str(found) if isinstance(found, Path) else found}


def main() -> None:
    """Answer until the input ends."""
    ask_priority(NICE)
    root, *models = map(Path, sys.argv[1:])
    library = Library(root, tuple(models))
    for line in sys.stdin:
        print(json.dumps(_answer(library, line)), flush=True)


if __name__ == "__main__":
    main()
