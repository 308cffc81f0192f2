"""F37: the wall clock jumps by an hour, to and fro, under the whole graph while its arm moves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from casebook import Case
from promises import still_ns
from rig import WAIT_S
from stage import Stage

from armtune_policies.contract import Mode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.flaws import clock_jumps
from fixtures.wall_clock import COMPILER, WallClock

pytestmark = [pytest.mark.slow, pytest.mark.fault("F37")]
HOUR_S, SOON_MS = 3600, 2000.0


@pytest.mark.skipif(not WallClock.is_here(), reason=f"{COMPILER} is missing: a clock that jumps is compiled")
def test_motion_goes_on_and_the_record_tells_when_the_wall_clock_jumps(
    stage: Stage, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.by("every process' wall clock an hour ahead, then an hour behind")
    case.owes("a wait of the kernel for a moment of the wall clock, under way at the jump, is not moved by this clock")
    clock = WallClock(tmp_path)
    with monkeypatch.context() as under:
        for name, value in clock.environment.items():
            under.setenv(name, value)
        graph = stage.fresh("task.episode_steps=30")
    for off_s in (HOUR_S, -HOUR_S):
        graph.moving()
        clock.jump(off_s)
        jumped_ns = time.monotonic_ns()
        soon_ns = still_ns(jumped_ns, SOON_MS)
        graph.decisions.first(soon_ns, lambda d: d.source == "policy" and d.mode < Mode.HOLD, 10.0)
        case.needless("a node is lost", not graph.all_work())
        stops = [list(m.reasons) for at_ns, m in graph.gate.since(jumped_ns) if at_ns < soon_ns and not m.armed]
        case.needless("stopped by a clock", stops)
    newest = graph.episodes.last.episode_id
    graph.wait(lambda: graph.episodes.last.episode_id != newest, "the episode is over", 30.0)
    graph.wait((graph.up.run / "episodes" / f"{newest}.mcap").exists, "its file is whole", WAIT_S)
    told = " ".join(clock_jumps(read_episode(path)) for path in list_episodes(graph.up.run))
    stage.close()
    assert f"by +{HOUR_S} s" in told and f"by -{2 * HOUR_S} s" in told, told
