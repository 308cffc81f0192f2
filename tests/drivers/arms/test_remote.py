"""An arm behind another's controller: when a goal is sent to it, and when never."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from armtune_drivers.arms.remote import Remote, asleep
from fixtures.arms import params

TICK_NS = 10_000_000
START_NS = 10**12
TOLD = params("wx250s", "-")
NAMES = [*TOLD.robot.joints, TOLD.robot.finger_joint]


class Arm:
    """A remote arm that is at once where it is told, stepped by hand."""

    def __init__(self) -> None:
        self.remote, self.now_ns = Remote(TOLD.robot, itertools.count(1).__next__), START_NS
        self.place = [*TOLD.robot.home_rad, TOLD.robot.gripper_open_m]
        self.obeys, self.answers = True, True
        self.remote.note("limits", "", self.now_ns)

    def tick(self, waist_rad: float | None = None, sees: bool = True) -> float | None:
        """One tick with or without a setpoint; return where the waist was sent, or None."""
        self.now_ns += TICK_NS
        if self.answers:
            self.remote.note("manager", "", self.now_ns)
        if sees:
            self.remote.see(self.place, self.now_ns)
        if waist_rad is not None:
            try:
                self.remote.hear(NAMES, [[waist_rad, *self.place[1:]]], self.now_ns)
            except ValueError as why:
                assert "faster than" in str(why)
        goal = self.remote.next(self.now_ns)
        if goal is not None and self.obeys:
            self.place[0] = float(goal[0])
        return None if goal is None else float(goal[0])


@pytest.fixture
def arm() -> Arm:
    """One that was moved by setpoints to 0.1 rad."""
    made = Arm()
    assert made.tick() is None, "nothing is sent before a setpoint"
    for i in range(1, 11):
        assert made.tick(0.01 * i) == pytest.approx(0.01 * i)
    return made


@pytest.mark.parametrize("what", ["manager", "limits", "controller", "others"])
def test_nothing_is_sent_while_something_is_wrong_nor_the_old_pose_after_it(arm: Arm, what: str) -> None:
    arm.answers = what != "manager"
    arm.remote.note(what, "it is off", arm.now_ns)
    assert [arm.tick(0.1) for _ in range(20)] == [None] * 20
    arm.place[0], arm.answers = 1.0, True  # somebody moves it
    arm.remote.note(what, "", arm.now_ns)
    assert [arm.tick(0.1) for _ in range(50)] == [None] * 50, "the sender goes on, and has no effect"
    assert arm.remote.boot_id == 2 and arm.remote.holds
    assert arm.tick(1.01) == pytest.approx(1.01), "from where it is now it goes on"


def test_setpoint_of_before_is_not_followed_though_it_is_near(arm: Arm) -> None:
    arm.remote.note("others", "1 others command it", arm.now_ns)
    arm.tick(0.1)
    arm.remote.note("others", "", arm.now_ns)
    arm.place[0] = 0.14
    assert [arm.tick(0.1) for _ in range(4)] == [None] * 4
    assert [arm.tick(0.14) for _ in range(4)][-1] == pytest.approx(0.14)


def test_arm_whose_joint_states_fail_or_are_not_finite_is_another_one_when_they_come_again(arm: Arm) -> None:
    with pytest.raises(ValueError, match="finite"):
        arm.remote.see([math.nan, *arm.place[1:]], arm.now_ns)
    assert [arm.tick(sees=False) for _ in range(20)][-1] is None
    arm.place[0] = 0.8
    assert [arm.tick() for _ in range(20)] == [None] * 20
    assert arm.remote.boot_id == 2


def test_arm_that_another_controller_moves_is_not_drawn_back(arm: Arm) -> None:
    arm.obeys = False
    for waist_rad in np.linspace(0.1, 0.9, 80):
        arm.place[0] = float(waist_rad)
        arm.tick(0.1)
    arm.obeys = True
    assert [arm.tick(0.1) for _ in range(50)] == [None] * 50
    assert arm.place[0] == pytest.approx(0.9) and arm.remote.boot_id == 2


def test_what_the_manager_said_grows_old(arm: Arm) -> None:
    arm.answers = False
    sent = [arm.tick(0.1) for _ in range(400)]
    assert sent[250] is not None and sent[-1] is None
    assert arm.remote.fault(arm.now_ns) == "the controller manager has not answered for 3 s"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"arm": "active"}, ""),
        ({"arm.state": "active", "other.state": "inactive"}, ""),
        ({"arm": "inactive"}, "arm is inactive, expected it active; switch it on"),
        ({"arm.state": ""}, "arm is in no state, expected it active; switch it on"),
        ({"other": "active", "arm_2.state": "active"}, None),
        ({}, None),
    ],
)
def test_manager_says_nothing_of_a_controller_that_it_does_not_name(said: dict[str, str], wrong: str | None) -> None:
    assert asleep("arm", said) == wrong
