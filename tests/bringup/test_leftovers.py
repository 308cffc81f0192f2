from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from armtune_bringup.environment import PROFILES_FILE, profile
from armtune_bringup.leftovers import OLD_S, SHARED, sweep
from armtune_bringup.leftovers import dead as dead_segments
from harness import own_domain


def segment(folder: Path, number: int, age_s: float) -> Path:
    """A segment and the lock's file of its owner."""
    made = folder / f"fastrtps_{number:016x}"
    for path in (made, Path(f"{made}_el")):
        path.touch()
        os.utime(path, (time.time() - age_s,) * 2)
    return made


def test_segments_of_the_dead_go_and_those_of_the_living_and_of_who_begins_stay(tmp_path: Path) -> None:
    dead, alive, begins = (segment(tmp_path, i, age_s) for i, age_s in enumerate((2 * OLD_S, 2 * OLD_S, 0.0)))
    port = tmp_path / "fastrtps_port7411"
    port.touch()
    os.mkfifo(tmp_path / "fastrtps_ffffffffffffffff_el")
    os.utime(tmp_path / "fastrtps_ffffffffffffffff_el", (0.0, 0.0))
    with open(f"{alive}_el") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert dead_segments(tmp_path) == [dead]
        sweep(tmp_path)
        assert dead_segments(tmp_path) == []
    assert not dead.exists() and not Path(f"{dead}_el").exists()
    assert alive.exists() and begins.exists() and port.exists()


def test_machine_without_shared_memory_is_no_error(tmp_path: Path) -> None:
    sweep(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")
def test_a_killed_nodes_segment_is_known_as_such() -> None:
    """Fast DDS really names and locks its files so."""
    code = "import rclpy; rclpy.init(); node = rclpy.create_node('toy'); print('up', flush=True); input()"
    with own_domain() as domain:
        env = {**os.environ, PROFILES_FILE: str(profile()), "ROS_DOMAIN_ID": str(domain)}
        toy = subprocess.Popen([sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert toy.stdout is not None and toy.stdout.readline() == b"up\n"
            maps = Path(f"/proc/{toy.pid}/maps").read_text()
            mine = next(path for path in SHARED.glob("fastrtps_" + 16 * "[0-9a-f]") if str(path) in maps)
            lock = Path(f"{mine}_el")
            os.utime(lock, (time.time() - 2 * OLD_S,) * 2)
            sweep()
            assert mine.exists()
        finally:
            toy.kill()
            toy.communicate(timeout=10.0)
        sweep()
        assert not mine.exists() and not lock.exists()
