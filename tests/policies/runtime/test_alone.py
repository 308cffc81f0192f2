"""What an interpreter of its own sees, and what not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from armtune_policies.runtime.alone import alone

SCRIPT = """
import json, sys
found = []
for name in ("by_user", "by_path", "beside", "standing"):
    try:
        __import__(name)
        found.append(name)
    except ImportError:
        pass
print(json.dumps([found, sys.argv[1:], __name__]))
"""


def test_only_what_is_installed_is_found(tmp_path: Path) -> None:
    python = getattr(sys, "_base_executable", sys.executable)  # a virtual environment has no user's packages
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = {
        "by_user": f"home/.local/lib/{version}/site-packages",
        "by_path": "more",
        "beside": "file",
        "standing": "cwd",
    }
    for name, where in places.items():
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / f"{name}.py").touch()
    (tmp_path / "file/it.py").write_text(SCRIPT)
    command = alone(python, tmp_path / "file/it.py", "--listen", "x")
    env = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "more")}
    done = subprocess.run(
        command, env=env, cwd=tmp_path / "cwd", capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == [["by_user"], ["--listen", "x"], "__main__"]
