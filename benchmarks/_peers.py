"""Other people's programs in environments of their own: ``benchmarks/peers/<name>/.venv``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parent / "peers"


def python_of(peer: str) -> Path:
    """Return the Python of a peer's environment.

    Raises:
        FileNotFoundError: when it was not made yet.
    """
    python = PEERS / peer / ".venv" / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python} is missing; make it by running this again with --make-peers")
    return python


def make_peer(peer: str) -> None:
    """Make the environment from ``<peer>.txt``, where there is none.

    What ``<peer>.bare.txt`` names goes in without its dependencies.
    """
    venv = PEERS / peer / ".venv"
    if (venv / "bin" / "python").exists():
        return
    print(f"making {venv}")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=300)
    for file, more in ((PEERS / f"{peer}.bare.txt", ["--no-deps"]), (PEERS / f"{peer}.txt", [])):
        if file.exists():
            install = [str(venv / "bin" / "pip"), "install", "-q", *more, "-r", str(file)]
            subprocess.run(install, check=True, timeout=3600)
