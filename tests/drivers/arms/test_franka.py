"""The Franka adapter: franky over the maker's library, unmodified, on one end, ``franka-sim`` on the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from armtune_drivers.arms.base import ArmFault, Reading
from armtune_drivers.settings import ArmNodeParams
from armtune_safety.kinematics import Kinematics
from fixtures.arms import CONFIGS, Held, shipped
from fixtures.franka_robot import FrankaRobot

if MISSING := [name for name in ("franky", "franka_sim") if importlib.util.find_spec(name) is None]:
    mend = "pip install --no-deps -r constraints/franka.txt"
    pytest.skip(f"{', '.join(MISSING)} not installed: {mend}", allow_module_level=True)

PATIENT = {"reply_s": 0.05, "lost_in_a_row": 8}
"""The simulated robot shares two cores with the tests."""
CREEP_RAD = 0.005
"""A step of 10 ms: half a radian a second, of the robot's clock twice as fast where it gets half a processor."""


@pytest.fixture
def fr3() -> Iterator[FrankaRobot]:
    with FrankaRobot() as running:
        yield running


def told(address: str, **robot: object) -> ArmNodeParams:
    arm = {**shipped("arm", "fr3"), "port": address, **PATIENT}
    return ArmNodeParams.from_mapping({"robot": {**shipped("robot", "fr3"), **robot}, "arm": arm})


def test_it_holds_follows_and_says_when_the_robot_is_gone(fr3: FrankaRobot) -> None:
    start = np.array(fr3.state()["positions"])
    with Held(told(fr3.address)) as arm:
        assert arm.unfit() == ""
        arm.measured = arm.steps(lambda r: r is not None).position
        assert arm.measured[:-1] == pytest.approx(start, abs=0.01), "taking hold moves nothing"
        goal = arm.measured + np.array([0.2, 0.1, -0.1, 0.2, -0.1, 0.2, 0.1, 0.0])
        reading = arm.creep(goal, CREEP_RAD)
        assert "fr3_joint2" in reading.facts["effort_nm"]
        rest = arm.steps(lambda r: r is not None and arm.loop.holds)
        assert rest.position == pytest.approx(goal, abs=0.03), "and it holds where it is when setpoints fall silent"
        assert fr3.state()["mode"] == "TORQUE"
        fr3.kill()
        with pytest.raises(ArmFault, match=r"check its power|is the arm on"):
            arm.steps(lambda _: False)


def test_robot_has_the_tool_where_our_model_has_it(fr3: FrankaRobot) -> None:
    robot = told("").robot
    kinematics = Kinematics(robot, CONFIGS / "robot" / robot.mjcf)
    franky = importlib.import_module("franky")
    with Held(told(fr3.address)) as arm:
        driver = arm.adapter._driver  # type: ignore[attr-defined]
        makers, state = driver.model, driver.state
        for q in np.random.default_rng(0).uniform(robot.joint_lower_rad, robot.joint_upper_rad, (20, robot.dof)):
            flange = makers.pose(franky.Frame.Flange, q, state.F_T_EE, state.EE_T_K)
            p, r = kinematics.tool_pose(q)
            assert p - r[:, 0] * 0.1034 == pytest.approx(flange.translation, abs=1e-4), "less the hand's length"
            assert r[:, 0] == pytest.approx(flange.matrix[:3, 2], abs=1e-4), "out of the hand is the flange's z"


def test_limits_are_read_out_of_the_robot_and_narrower_ones_keep_the_gate_from_arming(fr3: FrankaRobot) -> None:
    narrower = [-1.0, *shipped("robot", "fr3")["joint_lower_rad"][1:]]
    with Held(told(fr3.address, joint_lower_rad=narrower)) as arm:
        assert "lets fr3_joint1 within [-2.7501" in arm.unfit()


def test_robot_that_stops_by_itself_is_a_fault_in_its_own_words(fr3: FrankaRobot) -> None:
    with Held(told(fr3.address)) as arm:
        arm.steps(lambda r: r is not None)
        fr3.reflex()
        with pytest.raises(ArmFault, match=r"cartesian_reflex.*; mend the cause, then clear it in Desk"):
            arm.steps(lambda _: False)


def test_robot_in_error_is_not_taken_and_cleared_by_a_person_only() -> None:
    with FrankaRobot(is_in_reflex=True) as fr3:
        refused = pytest.raises(ArmFault, match=r"the robot says .*cartesian_reflex.*clear it in Desk")
        with refused, Held(told(fr3.address)):
            pass
        leave = {**shipped("arm", "fr3"), "port": fr3.address, "may_go_limp": True, **PATIENT}
        with Held(ArmNodeParams.from_mapping({"robot": shipped("robot", "fr3"), "arm": leave})) as arm:
            arm.steps(lambda r: r is not None)


def test_silence_of_the_robot_is_a_fault(fr3: FrankaRobot) -> None:
    with Held(told(fr3.address)) as arm:
        arm.steps(lambda r: r is not None)
        fr3.freeze()
        with pytest.raises(ArmFault, match=r"has not answered for 0\.54 s; check its power"):
            arm.steps(lambda _: False)
        fr3.kill()


def test_hand_goes_to_widths_and_holds_what_it_closes_on() -> None:
    with FrankaRobot(object_m=0.03) as fr3, Held(told(fr3.address)) as arm:
        setpoint = arm.steps(lambda r: r is not None).position.copy()
        for opening, width_m in ((0.75, 0.06), (0.0, 0.03), (1.0, 0.08)):

            def there(reading: Reading | None, opening: float = opening, width_m: float = width_m) -> bool:
                setpoint[-1] += np.clip(opening - setpoint[-1], -0.01, 0.01)
                is_told = abs(setpoint[-1] - opening) < 1e-9
                return is_told and reading is not None and abs(reading.position[-1] * 0.08 - width_m) < 1e-3

            arm.steps(there, setpoint)
            assert fr3.state()["is_grasped"] == (opening == 0.0)


def test_hand_that_was_not_homed_is_refused() -> None:
    with FrankaRobot(found_m=0.0) as fr3:
        refused = pytest.raises(ArmFault, match=r"opens to 0 m, expected 0\.08; home it in Desk")
        with refused, Held(told(fr3.address)):
            pass


def test_address_where_nobody_is_is_refused_in_one_sentence() -> None:
    nobody = "127.0.0.1"
    with pytest.raises(ArmFault, match=r"127\.0\.0\.1: .*; is the arm on, FCI active"), Held(told(nobody)):
        pass
