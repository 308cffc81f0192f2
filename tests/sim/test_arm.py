"""The simulated arm behind its controller, by a clock set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from armtune_policies.contract import ConfigError, ManualClock
from armtune_sim.arm import Arm, ticks_a_period
from armtune_sim.arm_log import ArmLog, columns
from armtune_sim.gated import default_gate
from armtune_sim.settings import SimParams
from armtune_sim.world import TICK_NS, World

GATE = default_gate()
TICK_S = TICK_NS / 1e9
REST_TICKS = 10
"""From the last setpoint at full speed to rest; 80 ms was measured, the watchdog's 100 ms not even needed."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World(Path(GATE.mjcf), "bin_sort", SimParams())
    yield made
    made.close()


@pytest.fixture
def arm(world: World, tmp_path: Path) -> Arm:
    world.reset(3, "forward")
    arm = Arm(world, GATE.robot, ManualClock(10**9), str(tmp_path / "arm.csv"))
    arm.start()
    return arm


def beat(arm: Arm, setpoint: np.ndarray | None = None) -> None:
    """A tick later; the setpoint came just before."""
    assert isinstance(arm._clock, ManualClock)
    arm._clock.advance(TICK_S)
    if setpoint is not None:
        arm.hear(setpoint)
    arm.catch_up()


def rows(arm: Arm, tmp_path: Path) -> list[list[str]]:
    arm._log.close()  # type: ignore[union-attr]
    lines = (tmp_path / "arm.csv").read_text().splitlines()
    assert lines[0] == ",".join(columns(7))
    return [line.split(",") for line in lines[1:]]


@pytest.mark.parametrize(("joint", "speed_rad_s"), [(0, 2.15), (1, -0.9), (2, 1.5), (3, 3.1), (4, -3.0), (5, 3.1)])
def test_arm_comes_to_rest_and_stays_when_setpoints_end_at_full_speed(arm: Arm, joint: int, speed_rad_s: float) -> None:
    setpoint = arm.world.joints_measured()
    for tick in range(25):
        setpoint = setpoint.copy()
        setpoint[joint] += speed_rad_s * min(1.0, (tick + 1) / 10) * TICK_S
        beat(arm, setpoint)
    assert abs(arm.world.velocities_measured()[joint]) > 0.8 * abs(speed_rad_s)
    speeds = []
    for _ in range(60):
        beat(arm)
        speeds.append(float(np.abs(arm.world.velocities_measured()[:-1]).max()))
    assert arm.follower.holds and arm.follower.refused == 0
    assert max(speeds[REST_TICKS:]) < 0.01
    np.testing.assert_allclose(arm.world.joints_measured()[:-1], setpoint[:-1], atol=0.01)


def test_log_has_a_row_a_tick_with_what_was_followed_and_measured(arm: Arm, tmp_path: Path) -> None:
    here = arm.world.joints_measured()
    beat(arm)
    for _ in range(13):
        beat(arm, here)
    for _ in range(12):
        beat(arm)
    arm.reset(4, "backward", gap_ns=TICK_NS)
    found = rows(arm, tmp_path)
    # The first tick is due at the start: two in the first beat. Silence is 100 ms.
    assert [row[2] for row in found] == ["hold"] * 2 + ["setpoint"] * 23 + ["hold"] * 2 + ["reset"]
    assert [int(row[1]) for row in found] == [10**9 + TICK_NS * n for n in range(1, 29)]
    np.testing.assert_array_equal([float(v) for v in found[5][3:10]], here)
    np.testing.assert_array_equal([float(v) for v in found[-1][10:]], arm.world.joints_measured())


def test_arm_is_lifted_home_as_by_a_hand_and_the_objects_stay(arm: Arm) -> None:
    setpoint = arm.world.joints_measured()
    home = setpoint.copy()
    for _ in range(40):
        setpoint[1] += 0.01
        beat(arm, setpoint)
    before, poses = arm.now_ns, arm.world.truth().poses
    assert np.abs(arm.world.joints_measured() - home).max() > 0.2
    arm.reset(7, None, gap_ns=TICK_NS)
    np.testing.assert_allclose(arm.world.joints_measured(), home, atol=0.01)
    assert arm.follower.holds and arm.now_ns == before + TICK_NS
    for name, pose in arm.world.truth().poses.items():
        np.testing.assert_array_equal(pose, poses[name])


def test_hand_that_was_told_to_shut_is_not_told_to_leap_when_the_arm_was_lifted(arm: Arm) -> None:
    setpoint = arm.world.joints_measured()
    beat(arm, setpoint)
    for _ in range(40):
        setpoint[-1] = max(setpoint[-1] - 0.03, 0.0)
        beat(arm, setpoint)
    assert setpoint[-1] == 0.0
    arm.reset(0, None, gap_ns=TICK_NS)
    for _ in range(20):  # the gate goes on with what it had told the hand, and the arm where it is
        beat(arm, np.append(arm.world.joints_measured()[:-1], setpoint[-1]))
    assert arm.follower.refused == 0 and not arm.follower.holds


def test_ticks_that_are_long_overdue_are_skipped_and_counted_when_the_process_slept(arm: Arm) -> None:
    beat(arm)
    before = arm.ticks
    arm._clock.advance(1.0)  # type: ignore[union-attr]
    done = arm.catch_up()
    assert done == arm.ticks - before == 6
    assert arm.skipped == 100 - done
    assert arm.facts()["skipped"] == arm.skipped


def test_arm_goes_on_without_its_log_when_the_disk_refuses(tmp_path: Path) -> None:
    class Full:
        def append(self, row: object) -> None:
            raise OSError(28, "no space left to write arm.csv")

    log = ArmLog(tmp_path / "arm.csv", 7)
    log._series = Full()  # type: ignore[assignment]
    for _ in range(2):
        log.tick(0, "hold", np.zeros(7), np.zeros(7))
    assert "arm log ended" in log.error and "no space left" in log.error
    log.close()


def test_arm_that_presses_in_lockstep_lets_the_gate_give_way(world: World) -> None:
    world.reset(3, "forward")
    arm = Arm(world, GATE.robot, None, "")
    arm.start()
    setpoint = world.joints_measured()
    while abs(setpoint[1] - world.joints_measured()[1]) < 0.3:  # the shoulder pushes the hand onto the table
        points = [setpoint + np.eye(7)[1] * 0.5 * TICK_S * (tick + 1) for tick in range(20)]
        setpoint = points[-1]
        assert arm.play(points) == "" and setpoint[1] < 3.0
    back = 20 * [world.joints_measured()]
    assert "faster than" in arm.play(back), "too far at once"
    here = 20 * [np.append(world.joints_measured()[:-1], setpoint[-1])]
    assert arm.play(here) == "" and not arm.follower.holds
    assert np.abs(world.joints_measured()[:-1] - here[0][:-1]).max() < 0.05


def test_wall_is_refused_when_faults_are_not_enabled(arm: Arm) -> None:
    assert "with sim.faults=true it has arm.wall" in arm.inject("arm.wall", True, 0.0)
    assert arm.inject("arm.lag", True, 0.0)


def test_period_has_whole_ticks_or_is_refused() -> None:
    assert ticks_a_period(5.0) == 20
    with pytest.raises(ConfigError, match="whole 10 ms ticks"):
        ticks_a_period(7.0)
