"""How a file of ours is run by an interpreter of its own, which imports nothing of ours."""

from __future__ import annotations

from pathlib import Path

_RUN = "import sys; del sys.path[0], sys.argv[0]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"


def alone(python: str, file: str | Path, *arguments: str) -> list[str]:
    """Return the command. ``PYTHONPATH``, the folder we stand in and the file's own are not looked at.

    So it is with ``-I``, but what ``pip install --user`` installed is found; ``-P`` would do, which 3.10 has not.
    """
    return [python, "-E", "-c", _RUN, str(file), *arguments]
