"""The Dockerfile's colcon step, on wheels: it builds, and installs what pip installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(sys.prefix)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not list(VENV.glob("lib/armtune_*/gate_node")), reason="our packages are not installed: make build")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="all", marks=pytest.mark.every_phase),  # minutes of a compiler, which pip had, too
        pytest.param(("--packages-ignore", "armtune_interfaces"), id="nodes"),
    ],
)
def test_colcon_and_pip_install_the_same_programs(options: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "docker/replay.sh"), str(tmp_path), *options],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "ARMTUNE_VENV": str(VENV)},
        capture_output=True, text=True, timeout=590,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "install the same" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("name", ("replay.sh", "entrypoint.sh"))
def test_script_is_sound_shell(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / "docker" / name)], check=True, timeout=30)
