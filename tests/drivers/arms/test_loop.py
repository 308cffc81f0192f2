"""The loop of an arm on emulated servos: what a sender that goes on can do when the arm is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from armtune_drivers.arms.loop import ArmLoop
from armtune_policies.contract import ManualClock
from fixtures.arms import Held, params
from fixtures.dynamixel_servos import wx250s
from fixtures.servo_bus import ServoBus

pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed: constraints/robot.txt")
TICK_NS = 10_000_000


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ServoBus]:
    with ServoBus("dynamixel", tmp_path, wx250s()) as running:
        running.be_patient(20.0)
        yield running


def test_setpoint_of_before_the_fault_is_not_followed_when_the_arm_is_back(bus: ServoBus) -> None:
    clock = ManualClock(10**12)
    with Held(params("wx250s", bus.path)) as arm:
        arm.loop = ArmLoop(arm.adapter, arm.robot, clock)
        before = [[0.15, *arm.robot.home_rad[1:], arm.robot.gripper_open_m]]
        arm.loop.open()
        arm.loop.engage(2)
        clock.set_ns(clock.now_ns() + 10**9)
        arm.loop.hear(arm.names, before)
        assert arm.loop.holds, "no joint state is out yet"
        arm.loop.step()
        for _ in range(5):
            arm.loop.hear(arm.names, before)
            assert arm.loop.holds, "its sender cannot know yet where the arm is"
            clock.set_ns(clock.now_ns() + TICK_NS)
            arm.loop.step()
        arm.loop.hear(arm.names, [[0.01, *before[0][1:]]])
        assert not arm.loop.holds
