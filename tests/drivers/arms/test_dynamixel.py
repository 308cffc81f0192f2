"""The Dynamixel adapter on an emulated WidowX 250 S: what it sets, refuses, survives and says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from armtune_drivers.arms.base import ArmFault
from fixtures.arms import Held, params
from fixtures.dynamixel_servos import wx250s
from fixtures.servo_bus import ServoBus

pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed: constraints/robot.txt")
HOME = np.array([0.0, -0.385419, 0.515541, 0.0, 1.440675, 0.0, 1.0])
SHADOWS = {2: 3, 4: 5}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[ServoBus]:
    with ServoBus("dynamixel", tmp_path, wx250s()) as running:
        running.be_patient(20.0)
        yield running


def told(bus: ServoBus, **arm: object):
    return params("wx250s", bus.path, **arm)


def waist(by_rad: float) -> np.ndarray:
    """Home, but for the waist."""
    return HOME + np.array([by_rad, *[0.0] * 6])


def refusal(bus: ServoBus, **arm: object) -> str:
    with pytest.raises(ArmFault) as why, Held(told(bus, **arm)):
        pass
    assert "\n" not in str(why.value)
    return str(why.value)


def test_limits_watchdog_and_profile_are_on_every_servo_and_read_back_before_anything_moves(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        assert arm.unfit() == ""
        assert arm.said.silence_s == pytest.approx(0.1) and arm.said.velocity_limit[0] == pytest.approx(
            3.1415, abs=1e-3
        )
        for servo in bus.state().values():
            assert (servo["bus_watchdog"], servo["torque_enable"], servo["operating_mode"]) == (5, 1, 3)
            assert servo["profile_velocity"] == servo["velocity_limit"] > 0
        two = bus.state()[2]
        assert (two["min_position"], two["max_position"]) == (820, 3345)  # the maker's 819 is past the URDF's limit
        assert arm.steps(lambda r: r is not None).position == pytest.approx(HOME, abs=0.005)


def test_both_servos_of_a_joint_and_the_finger_go_where_they_are_told(bus: ServoBus) -> None:
    goal = HOME + np.array([0.3, 0.2, -0.2, 0.1, -0.1, 0.2, -0.6])
    with Held(told(bus)) as arm:
        reading = arm.creep(goal)
        assert "waist 0.00 A" in reading.facts["effort"] and "shoulder shadow 32" in reading.facts["temperature_c"]
        servos = bus.state()
    for main, shadow in SHADOWS.items():
        assert servos[main]["present_position"] == pytest.approx(servos[shadow]["present_position"], abs=1)
    assert arm.robot.finger_m(0.4) == pytest.approx(0.0238)
    assert servos[9]["present_position"] == pytest.approx(2048 + 185, abs=8)  # 0.284 rad: horn 14 mm, link 24 mm


def test_servos_hold_by_themselves_when_this_process_falls_silent_and_goals_count_again_once_engaged(
    bus: ServoBus,
) -> None:
    with Held(told(bus)) as arm:
        arm.steps(lambda r: r is not None, waist(0.02))
        bus.be_patient(1.0)
        end_s = time.monotonic() + 5.0
        while any(s["bus_watchdog"] > 0 for s in bus.state().values()) and time.monotonic() < end_s:
            time.sleep(0.02)
        servos = bus.state()
        assert all((s["bus_watchdog"], s["torque_enable"]) == (-1, 1) for s in servos.values())
        with pytest.raises(ArmFault, match="watchdog stopped it"):
            arm.steps(lambda _: False)
        bus.be_patient(20.0)
        assert arm.loop.engage(2).boot_id == 2
        arm.creep(waist(0.1))


def test_arm_holds_where_it_is_when_setpoints_fall_silent(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        there = arm.creep(waist(0.3))
        rest = arm.steps(lambda r: r is not None and arm.loop.holds)
        assert rest.position == pytest.approx(there.position, abs=0.02)
        assert bus.state()[1]["bus_watchdog"] == 5  # fed: it is the gate that is silent, not we


@pytest.mark.fault("F49")
def test_overload_is_said_with_the_joint_and_ends_by_a_reboot_that_a_person_asks_for(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(4, "overload", True)
        with pytest.raises(ArmFault, match=r"elbow \(id 4\): overloaded; it has let go"):
            arm.steps(lambda _: False)
    assert "start once with arm.may_go_limp=true" in refusal(bus)
    assert bus.state()[4]["torque_enable"] == 0
    with Held(told(bus, may_go_limp=True)) as arm:
        assert arm.unfit() == ""
    assert bus.state()[4]["torque_enable"] == 1


def test_leave_to_go_limp_ends_with_the_start_it_was_given_for(bus: ServoBus) -> None:
    with Held(told(bus, may_go_limp=True)) as arm:
        bus.set(4, "overload", True)
        with pytest.raises(ArmFault, match="it has let go"):
            arm.steps(lambda _: False)
        arm.loop.fail()
        with pytest.raises(ArmFault, match=r"elbow \(id 4\): overloaded; .* start once with arm\.may_go_limp=true"):
            arm.loop.open()
    assert bus.state()[4]["hardware_error"] == 0x20, "nobody asked for a reboot this time"


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
def test_few_lost_answers_are_counted_and_borne_many_are_a_fault(bus: ServoBus, fault: str) -> None:
    spoil = getattr(bus, fault)
    with Held(told(bus, reply_s=0.008)) as arm:
        spoil(0.02, *range(1, 10))
        seen: list[bool] = []
        arm.steps(lambda r: seen.append(r is None) or (r is not None and any(seen)))  # type: ignore[func-returns-value]
        spoil(0.6, *range(1, 10))
        with pytest.raises(ArmFault, match=r"did not answer 6 times in a row|of the last answers were lost"):
            arm.steps(lambda _: False)
        spoil(0.0, *range(1, 10))
        arm.loop.fail()
        arm.loop.open()  # a bus that is well again is taken again
        arm.loop.engage(2)


@pytest.mark.fault("F49")
def test_servo_that_goes_silent_is_named_within_its_bound(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(7, "missing", True)
        with pytest.raises(ArmFault, match=r"wrist_angle \(id 7\) did not answer 6 times in a row"):
            arm.steps(lambda _: False)
    assert "no answer from wrist_angle (id 7)" in refusal(bus)


@pytest.mark.fault("F49")
def test_servo_that_was_without_power_is_said_and_held_again_once_engaged(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(6, "power", False)
        with pytest.raises(ArmFault, match=r"forearm_roll \(id 6\): its torque is off; was it without power"):
            arm.steps(lambda _: False)
        arm.loop.open()
        assert arm.loop.engage(2).silence_s > 0.0
        assert bus.state()[6]["torque_enable"] == 1


def test_unplugged_bus_is_said_and_found_again(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.unplug()
        with pytest.raises(ArmFault, match="unplugged, off or in use"):
            arm.steps(lambda _: False)
        arm.loop.fail()
        with pytest.raises(ArmFault, match="unplugged, off or in use"):
            arm.loop.open()
        bus.plug()
        arm.loop.open()
        arm.loop.engage(2)
        arm.creep(waist(0.05))


@pytest.mark.parametrize(
    ("servo", "register", "value", "says"),
    [
        (8, "model_number", 1020, "wrist_rotate (id 8): expected model 1060, got 1020"),
        (1, "firmware_version", 37, "firmware 37 has no bus watchdog"),
        (7, "drive_mode", 0, "expected Drive Mode(10) 1, got 0"),
        (2, "stubborn", "velocity_limit", "Velocity Limit(44) reads 200 after 131 was written"),
        (2, "stubborn", "bus_watchdog", "Bus Watchdog(98) reads 0 after 5 was written"),
        (6, "present_position", 0, "forearm_roll (id 6): rests outside"),
        (3, "present_position", 1900, "shoulder (id 2) and shoulder shadow (id 3): 0.16 rad apart"),
        (9, "present_temperature", 68, "left_finger (id 9): 68 C, it lets go at 72 C"),
        (1, "torque_enable", 1, "holds with its torque on, and"),
    ],
)
def test_start_is_refused_in_one_sentence(bus: ServoBus, servo: int, register: str, value: object, says: str) -> None:
    if register == "present_position" and value == 0:
        says, value = "rests outside its limits", -40
    bus.set(servo, register, value)
    assert says in refusal(bus)


@pytest.mark.fault("F49")
def test_hot_servo_stops_the_arm_and_it_is_not_held_again_before_that_is_cool(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        bus.set(9, "present_temperature", 68)
        with pytest.raises(ArmFault, match=r"left_finger \(id 9\): 68 C, it lets go at 72 C"):
            arm.steps(lambda _: False)
        with pytest.raises(ArmFault, match="let it cool"):
            arm.loop.open()


@pytest.mark.fault("F49")
def test_arm_that_sags_under_its_load_does_not_sink_with_each_fault(bus: ServoBus) -> None:
    with Held(told(bus)) as arm:
        goal = bus.state()[1]["goal_position"]
        bus.set(1, "blocked", True)
        bus.set(1, "present_position", goal - 20)
        for boot_id in range(2, 6):
            arm.loop.fail()
            arm.loop.open()
            arm.loop.engage(boot_id)
            arm.loop.step()
            assert bus.state()[1]["goal_position"] == goal
        bus.set(1, "present_position", goal - 60)
        arm.loop.engage(6)
        assert bus.state()[1]["goal_position"] == goal - 60, "so far off, it was put there"


def test_no_joint_is_held_while_another_rests_outside_its_limits(bus: ServoBus) -> None:
    bus.set(9, "present_position", 1000)
    assert "left_finger (id 9): rests outside its limits" in refusal(bus)
    assert not any(servo["torque_enable"] for servo in bus.state().values())


@pytest.mark.fault("F49")
def test_warm_servo_is_a_warning_that_names_it(bus: ServoBus) -> None:
    bus.set(9, "present_temperature", 60)
    with Held(told(bus)) as arm:
        assert arm.steps(lambda r: r is not None).warning == "left_finger (id 9): 60 C"


def test_settings_change_under_torque_only_when_somebody_holds_the_arm(bus: ServoBus) -> None:
    bus.set(1, "torque_enable", 1)
    assert "start once with arm.may_go_limp=true" in refusal(bus)
    assert bus.state()[1]["torque_enable"] == 1
    with Held(told(bus, may_go_limp=True)) as arm:
        assert arm.unfit() == ""
    with Held(told(bus)) as arm:  # now all is set: an arm that holds is taken over without letting go
        assert arm.unfit() == ""


def test_port_that_is_no_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArmFault, match="unplugged, off or in use"), Held(params("wx250s", tmp_path / "absent")):
        pass
