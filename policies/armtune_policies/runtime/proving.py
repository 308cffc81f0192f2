"""Graphs from outside are tried in a child process before this one loads them: what kills the child is refused.

The limits are those of ``trial``. It costs a fifth of a second per model, once per process and file; offers are tried
on the thread that verifies them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from armtune_policies.store.manifest import ModelError, ModelFiles

from . import trial
from .alone import alone

CPU_S, TIMEOUT_S = 20, 60.0
MAX_GRAPH_BYTES = 1 << 29
_proven: set[str] = set()
"""SHA-256 of the graphs this process has seen pass."""


def prove(files: ModelFiles, folder: Path, cpu_s: int = CPU_S) -> None:
    """Try each ONNX file of a verified model in a child process with limits on memory and time.

    Raises:
        ModelError: in one sentence, for a graph that holds what it may not, does not load or run, or ends the child.
    """
    named = {n: data for n, data in files.blobs.items() if n.endswith(".onnx") and _digest(files, n) not in _proven}
    if named:
        try_graphs(named, folder, cpu_s)
        _proven.update(_digest(files, name) for name in named)


def _digest(files: ModelFiles, name: str) -> str:
    return files.manifest.files[name].sha256


def try_graphs(named: Mapping[str, bytes], folder: Path, cpu_s: int = CPU_S) -> None:
    """As ``prove``, of graphs by name that no manifest describes yet; ``folder`` is where they are from."""
    if large := [name for name, data in named.items() if len(data) > MAX_GRAPH_BYTES]:
        got = len(named[large[0]])
        raise ModelError(f"{folder}/{large[0]}: expected at most {MAX_GRAPH_BYTES} bytes, got {got}")
    asked = {"cpu_s": cpu_s, "graphs": [[name, len(data)] for name, data in named.items()]}
    head = json.dumps(asked).encode() + b"\n"
    command = alone(sys.executable, trial.__file__)
    try:
        # A session of its own: Ctrl-C is for the node. A child left alone ends by its own limits.
        done = subprocess.run(
            command,
            input=b"".join([head, *named.values()]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{folder}: its graphs did not load and run within {TIMEOUT_S:g} s; not used") from None
    except OSError as why:
        raise ModelError(f"{folder}: cannot start {sys.executable} to try its graphs: {why.strerror}") from None
    said = [json.loads(line) for line in done.stdout.splitlines() if line.endswith(b"}")]
    if said and said[-1].get("done"):
        return
    begun = next((line["graph"] for line in reversed(said) if "graph" in line), "")
    if not begun:
        raise ModelError(f"{folder}: its graphs cannot be tried; install onnx and onnxruntime (constraints/robot.txt)")
    raise ModelError(f"{folder}/{begun}: {said[-1].get('why') or _death(done.returncode, cpu_s)}")


def _death(code: int, cpu_s: int) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return f"did not load and run within {cpu_s} s of processor time; not used"
    ended = signal.Signals(-code).name if code < 0 else f"code {code}"
    return f"ended the process that tried to load it ({ended}); not used"
