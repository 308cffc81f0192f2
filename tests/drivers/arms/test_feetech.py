"""The Feetech adapter on an emulated SO-101; what is common to all servo arms is tested in ``test_dynamixel``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from armtune_drivers.arms.base import ArmFault
from armtune_drivers.settings import ArmNodeParams
from fixtures.arms import REPLY_S, Held, shipped
from fixtures.feetech_servos import so101
from fixtures.servo_bus import ServoBus

scservo_sdk = pytest.importorskip("scservo_sdk", reason="feetech-servo-sdk is not installed: constraints/robot.txt")

HOME = np.array([0.0] * 5 + [0.5])
"""The middle of every way, where LeRobot homes all six; the jaw's is half open."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ServoBus]:
    with ServoBus("feetech", tmp_path, so101()) as running:
        yield running


def told(bus: ServoBus, **arm: object) -> ArmNodeParams:
    own = {**shipped("arm", "so101"), "port": str(bus.path), "reply_s": REPLY_S, **arm}
    return ArmNodeParams.from_mapping({"robot": shipped("robot", "so101"), "arm": own})


def test_makers_sdk_alone_reads_and_moves_a_servo(bus: ServoBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scservo_sdk.port_handler, "LATENCY_TIMER", 250.0)  # half a second for an answer, not 34 ms
    port, packets = scservo_sdk.PortHandler(str(bus.path)), scservo_sdk.PacketHandler(0)
    assert port.openPort() and port.setBaudRate(1_000_000)
    assert packets.read2ByteTxRx(port, 3, 3) == (777, scservo_sdk.COMM_SUCCESS, 0)
    for address, size, value in ((46, 2, 1000), (40, 1, 1), (42, 2, 2100)):
        assert getattr(packets, f"write{size}ByteTxRx")(port, 3, address, value) == (scservo_sdk.COMM_SUCCESS, 0)
    end_s = time.monotonic() + 5.0
    while packets.read2ByteTxRx(port, 3, 56)[0] != 2100 and time.monotonic() < end_s:
        pass
    assert packets.read2ByteTxRx(port, 3, 56)[0] == 2100
    port.closePort()


def test_limits_are_on_every_servo_and_read_back_and_the_arm_goes_where_it_is_told(bus: ServoBus) -> None:
    with Held(told(bus, reverse=[False, True, False, False, False, False])) as arm:
        assert arm.unfit() == ""
        for servo in bus.state().values():
            assert (servo["torque_enable"], servo["lock"]) == (1, 1) and 0 < servo["goal_speed"] <= 2500
        assert arm.said.velocity_limit[0] == pytest.approx(3.0, abs=2e-3)
        assert arm.said.position_low[1] == pytest.approx(-1.745, abs=2e-3)
        assert arm.steps(lambda r: r is not None).position == pytest.approx(HOME, abs=4e-3)
        reading = arm.creep(HOME + np.array([0.3, 0.2, -0.2, 0.1, 0.4, -0.2]), most=0.01)
        servos = bus.state()
    assert servos[2]["present_position"] == pytest.approx(2048 - 130, abs=8), "this one turns against its joint"
    assert servos[1]["torque_limit"] == 1000 and servos[6]["torque_limit"] == 500
    assert "gripper 30" in reading.facts["temperature_c"]


def test_calibration_that_is_overwritten_is_said_before(bus: ServoBus, caplog: pytest.LogCaptureFixture) -> None:
    """LeRobot keeps what it measured of each joint's way in the same registers."""
    with Held(told(bus)):
        pass
    said = [line for line in caplog.messages if "wrist_roll (id 5)" in line]
    assert len(caplog.messages) == 6 and len(said) == 1
    assert "Minimum Angle(9) was 0, becomes 260" in said[0] and "Maximum Angle(11) was 4095, becomes 3900" in said[0]
    caplog.clear()
    with Held(told(bus)):
        assert not caplog.messages, "what does not differ is not written"


@pytest.mark.fault("F49")
def test_overload_is_said_with_its_joint(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(2, "status", 0x20)
        with pytest.raises(ArmFault, match=r"shoulder_lift \(id 2\): overloaded"):
            arm.steps(lambda _: False)
    with pytest.raises(ArmFault, match="let it cool, take its load off"), Held(told(bus)):
        pass


def test_servo_whose_speeds_count_otherwise_is_refused(bus: ServoBus) -> None:
    bus.set(4, "phase", 8)
    with pytest.raises(ArmFault, match=r"wrist_flex \(id 4\): Phase\(18\) is 8, expected bit 2 set"), Held(told(bus)):
        pass


def test_unplugged_and_silent_servos_are_faults_here_too(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(5, "missing", True)
        with pytest.raises(ArmFault, match=r"wrist_roll \(id 5\) did not answer 6 times in a row"):
            arm.steps(lambda _: False)
        bus.unplug()
        with pytest.raises(ArmFault, match="unplugged, off or in use"):
            arm.steps(lambda _: False)
