"""The WidowX AI adapter: the maker's unmodified driver on one end, ``trossen-arm-sim`` on the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from armtune_drivers.arms.base import ArmFault
from armtune_drivers.settings import ArmNodeParams
from armtune_safety import rotations
from armtune_safety.kinematics import Kinematics
from fixtures.arms import CONFIGS, Held, shipped
from fixtures.trossen_controller import TrossenController

trossen_arm = pytest.importorskip("trossen_arm", reason="trossen_arm is not installed: constraints/arms.txt")
if importlib.util.find_spec("trossen_arm_sim") is None:
    pytest.skip("trossen-arm-sim is not installed: constraints/arms.txt", allow_module_level=True)

SIMULATED = {"gripper_velocity_1_s": 11.4}
"""The simulated controller says 0.5 m/s for its gripper, and cannot be told less."""

PATIENT = {"reply_s": 0.05, "lost_in_a_row": 8}
"""The simulated controller shares two cores with the tests."""


@pytest.fixture
def controller() -> Iterator[TrossenController]:
    with TrossenController() as running:
        yield running


def told(address: str, grip_effort: float = 0.5, **robot: object) -> ArmNodeParams:
    arm = {**shipped("arm", "wxai"), "port": address, "grip_effort": grip_effort, **PATIENT}
    return ArmNodeParams.from_mapping({"robot": {**shipped("robot", "wxai"), **SIMULATED, **robot}, "arm": arm})


def test_makers_driver_holds_moves_and_says_when_its_controller_is_gone(controller: TrossenController) -> None:
    with Held(told(controller.address)) as arm:
        assert arm.unfit() == ""
        arm.measured = arm.loop.step().position  # type: ignore[union-attr]
        goal = arm.measured + np.array([0.2, 0.3, 0.1, 0.1, -0.1, 0.2, 0.5])
        reading = arm.creep(goal)
        assert "joint_2" in reading.facts["temperature_c"]
        rest = arm.steps(lambda r: r is not None and arm.loop.holds)
        assert rest.position == pytest.approx(goal, abs=0.03)
        assert controller.state()["positions"][6] == pytest.approx(0.022, abs=0.002), "half open, in metres"
        controller.kill()
        with pytest.raises(ArmFault, match="is the arm on"):
            arm.steps(lambda _: False)


def test_makers_driver_has_the_tool_where_our_model_has_it(controller: TrossenController) -> None:
    robot = told("").robot
    kinematics = Kinematics(robot, CONFIGS / "robot" / robot.mjcf)
    with Held(told(controller.address)) as arm:
        arm.measured = arm.loop.step().position  # type: ignore[union-attr]
        arm.creep(arm.measured + np.array([0.2, 0.4, 0.3, 0.2, -0.2, 0.3, 0.0]))
        driver = arm.adapter._driver  # type: ignore[attr-defined]
        output = driver.get_robot_output()
        p, r = kinematics.tool_pose(list(output.joint.all.positions)[:6])
        makers = np.array(output.cartesian.positions)
        assert p == pytest.approx(makers[:3], abs=1e-3)
        assert rotations.angle_rad(r, rotations.exp(makers[3:])) < 1e-3


def test_limits_that_the_controller_does_not_take_keep_the_gate_from_arming(controller: TrossenController) -> None:
    """The simulator answers a change of limits and ignores it."""
    narrower = [-1.0, *shipped("robot", "wxai")["joint_lower_rad"][1:]]
    with Held(told(controller.address, joint_lower_rad=narrower)) as arm:
        assert "lets joint_0 within [-3.05433" in arm.unfit()


def test_grip_that_the_controller_does_not_limit_is_refused(controller: TrossenController) -> None:
    """The simulated one says 100 N, whatever it is told."""
    refused = pytest.raises(ArmFault, match=r"reads 100 N after 40 N was written; .* raise arm\.grip_effort")
    with refused, Held(told(controller.address, grip_effort=0.1)):
        pass


def test_driver_that_cannot_end_in_good_order_is_said_and_let_go(
    controller: TrossenController, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck:
        """What the maker's driver raises when its controller does not take the end of a session."""

        def get_is_configured(self) -> bool:
            return True

        def cleanup(self) -> None:
            raise trossen_arm.RuntimeError("Failed to set joint modes")

    with Held(told(controller.address)) as arm:
        driver, arm.adapter._driver = arm.adapter._driver, Stuck()  # type: ignore[attr-defined]
    assert "did not end in good order" in caplog.text and "Failed to set joint modes" in caplog.text
    driver.cleanup()


def test_joint_that_overheats_is_a_fault_in_the_drivers_words(controller: TrossenController) -> None:
    with Held(told(controller.address)) as arm:
        controller.fault("JOINT_OVERHEATED")
        with pytest.raises(ArmFault, match="Joint overheated; hold the arm, mend the cause"):
            arm.steps(lambda _: False)


def test_lost_datagrams_are_borne_and_silence_is_a_fault(controller: TrossenController) -> None:
    with Held(told(controller.address)) as arm:
        arm.measured = arm.loop.step().position  # type: ignore[union-attr]
        controller.drop(0.1)
        arm.creep(arm.measured + np.array([0.2, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0]))
        assert controller.state()["lost"] > 0
        controller.drop(1.0)
        with pytest.raises(ArmFault, match=r"has not answered for 0\.54 s; check its power"):
            arm.steps(lambda _: False)


def test_address_where_nobody_is_is_refused_in_one_sentence() -> None:
    nobody = "127.0.0.1"
    with pytest.raises(ArmFault, match=r"127\.0\.0\.1: .*; is the arm on, and this its address\?"), Held(told(nobody)):
        pass
