"""F33: the disk of the run fills up while the arm practises: a real one, a small tmpfs."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from casebook import Case
from rig import SHORT, FaultStack
from stage import Stage
from std_srvs.srv import Trigger

from armtune_policies.contract import Mode, topics
from armtune_policies.store.episode_reader import list_episodes, read_episode

DISK_MB, FLOOR_MB = 32, 10
BLOCK = bytes(1 << 16)

pytestmark = [pytest.mark.slow, pytest.mark.fault("F33")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(made, capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here: that needs root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], timeout=30, check=True)


@pytest.fixture
def small(stage: Stage, disk: Path, tmp_path: Path) -> Iterator[FaultStack]:
    """A graph whose run is on that disk; the arm's own log, by which it is judged, is not."""
    logs = disk / "one/logs"
    logs.mkdir(parents=True)
    (logs / "arm.csv").symlink_to(tmp_path / "arm.csv")
    graph = stage.fresh(*SHORT, f"experiment.folder={disk}", f"recorder.disk_floor_mb={FLOOR_MB}")
    graph.moving()
    yield graph
    stage.close()


def fill(path: Path) -> None:
    """Write until the disk takes no more."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(BLOCK):
                pass
        except OSError as why:
            assert why.errno == errno.ENOSPC


def whole(run: Path) -> dict[str, int]:
    """How many steps each episode under a final name has; one that is torn is refused."""
    return {path.stem: read_episode(path).steps for path in list_episodes(run)}


def test_episode_ends_whole_and_practice_waits_until_there_is_space_again(
    small: FaultStack, case: Case, disk: Path
) -> None:
    case.by(f"a tmpfs of {DISK_MB} MB under the run filled in mid-episode")
    graph, filler, pids = small, disk / "filler", small.up.nodes()
    episode, since_ns = graph.episodes.last.episode_id, time.monotonic_ns()
    fill(filler)
    assert os.statvfs(disk).f_bavail == 0
    _, paused = graph.episodes.first(
        since_ns, lambda e: e.phase == "paused" and "mend, then resume: disk: " in e.reason, timeout_s=20.0
    )
    assert "free some space" in paused.reason
    case.nothing("another episode begins", {e.episode_id for _, e in graph.episodes.since(since_ns)} - {episode})
    case.needless("the arm is stopped by it", [s for _, s in graph.gate.since(since_ns) if s.mode == Mode.STOP])
    rested_ns = graph.rest_ns(time.monotonic_ns())
    case.nothing("the arm goes on", graph.stays(rested_ns, 0.6) > 0.01)
    graph.stop()
    graph.clear("stop requested")
    assert "machine not fit" in graph.arm()
    case.needless("a node ends", {name for name, pid in pids.items() if graph.up.nodes().get(name) != pid})

    before = whole(graph.up.run)
    assert before.get(episode, 0) < graph.config.task.episode_steps, "the recorder did not feel it"
    filler.unlink()
    graph.recover()
    assert graph.call(Trigger, topics.PRACTICE_RESUME, Trigger.Request()).success
    all_steps = graph.config.task.episode_steps
    graph.wait(
        lambda: all_steps in {n for name, n in whole(graph.up.run).items() if name not in before},
        "a new episode with all of its steps is recorded",
        timeout_s=30.0,
    )
    assert before.items() <= whole(graph.up.run).items()
    case.needless("a node ends", {name for name, pid in pids.items() if graph.up.nodes().get(name) != pid})
