"""The cockpit: in how many ways an operator is lost, and that none of them is a release."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from armtune_bringup.compose import compose
from armtune_policies.contract import ManualClock
from armtune_policies.contract.paths import config_root
from armtune_teleop.cockpit import DRAINED_S, Cockpit
from armtune_teleop.keys import Keyboard
from armtune_teleop.settings import TeleopNodeParams
from armtune_teleop.web import Link

pytestmark = pytest.mark.unhurried

READ_S = 0.02
REST = (0.0,) * 8
POSE = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)


class Seat:
    """A cockpit with a shipped device, and a hand that publishes."""

    def __init__(self, device: str) -> None:
        config = compose([f"teleop={device}"])
        mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
        params = TeleopNodeParams(teleop=config.teleop, robot=config.robot, mjcf=mjcf, rate_hz=5.0)
        self.clock = ManualClock(0)
        self.is_stopped = False
        self.robot, self.cockpit = config.robot, Cockpit(params, self.clock, lambda: 1.0)

    def joy(self, *down: int, axes: tuple[float, ...] = REST) -> None:
        self.clock.advance(READ_S)
        self.cockpit.on_joy(axes, [int(place in down) for place in range(11)])
        self.cockpit.poll(self.is_stopped)

    def page(self, link: Link, page: object, text: str) -> None:
        self.clock.advance(READ_S)
        assert link.take(page, text) == ""
        self.cockpit.poll()

    def wait(self, seconds: float, each: Callable[[], object] = lambda: None) -> None:
        for _ in range(round(seconds / READ_S)):
            self.clock.advance(READ_S)
            each()
            self.cockpit.poll()

    @property
    def stands(self) -> tuple[bool, str]:
        return self.cockpit.pilot.engaged, self.cockpit.pilot.lost


def held(device: str = "joy", engage: int = 4) -> Seat:
    seat = Seat(device)
    seat.cockpit.on_pose(*POSE)
    seat.joy()
    seat.joy(engage)
    assert seat.stands == (True, "")
    return seat


def not_a_number() -> Seat:
    seat = held()
    seat.joy(4, axes=(math.nan, *REST[1:]))
    return seat


def silent() -> Seat:
    seat = held()
    seat.wait(1.0)
    return seat


def leaping() -> Seat:
    seat = held("pose", 0)
    seat.cockpit.on_pose(*POSE)
    seat.cockpit.on_pose((0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    return seat


def pose_gone() -> Seat:
    seat = held("pose", 0)
    for _ in range(20):
        seat.joy(0)
    return seat


def page_closed() -> Seat:
    seat, page = Seat("web"), object()
    link = Link(seat.cockpit.inbox)
    for text in ("{}", '{"engage": 1, "x": 1}'):
        seat.page(link, page, text)
    assert seat.stands == (True, "")
    link.leave(page)
    seat.wait(READ_S)
    return seat


def idle() -> Seat:
    seat, board = Seat("keyboard"), Keyboard()
    send = lambda: seat.cockpit.on_joy((), board.buttons(seat.clock.t_ns))  # noqa: E731
    seat.wait(0.1, send)
    board.press("space", seat.clock.t_ns)
    seat.wait(1.0, send)
    assert seat.stands == (True, "")
    seat.wait(9.5, send)
    return seat


@pytest.mark.parametrize(
    ("lose", "why"),
    (
        (not_a_number, "input 'axis0' reads nan"),
        (silent, "nothing heard from the device for 0.5 s"),
        (leaping, "leapt by 0.500 m"),
        (pose_gone, "nothing heard from the pose for 0.3 s"),
        (page_closed, "the operator's page is gone"),
        (idle, "no key for 10 s"),
    ),
)
def test_operator_who_can_be_heard_no_more_is_lost_and_did_not_let_go(lose: Callable[[], Seat], why: str) -> None:
    seat = lose()
    engaged, lost = seat.stands
    assert not engaged and why in lost
    seat.wait(2.0)
    assert seat.stands == (False, lost), "it stays so"


def test_operator_who_lets_go_is_not_lost_and_one_who_was_may_take_the_arm_again() -> None:
    seat = held()
    seat.joy()
    assert seat.stands == (False, "")
    seat = not_a_number()
    seat.joy(4)
    assert not seat.cockpit.pilot.engaged, "the dead-man that stayed down does not count"
    seat.joy()
    seat.joy(4)
    assert seat.stands == (True, "")


def test_dead_man_taken_while_the_gate_is_stopped_does_not_count_once_it_is_armed() -> None:
    seat = Seat("joy")
    seat.is_stopped = True
    seat.joy()
    seat.joy(4)
    assert seat.stands == (False, "")
    seat.is_stopped = False
    for _ in range(5):
        seat.joy(4)
    assert seat.stands == (False, "") and seat.cockpit.pilot.propose() is None
    seat.joy()
    seat.joy(4)
    assert seat.stands == (True, "")


def test_hand_is_followed_from_the_first_step_of_a_lease_and_after_a_gap_from_where_it_came_back() -> None:
    seat = held("pose", 0)
    pilot = seat.cockpit.pilot

    def reach(x: float) -> None:
        seat.cockpit.on_pose((x, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        seat.joy(0)

    for x in range(30):
        reach(0.01 * x)
    first = pilot.propose(lease=7)
    reach(0.29)
    reach(0.30)
    second = pilot.propose(lease=7)
    assert first is not None and second is not None
    assert first[:6].tolist() == [0.0] * 6, "what the hand did before it had the arm is not owed"
    assert second[:3] == pytest.approx([0.01, 0.0, 0.0])
    reach(0.31)
    for _ in range(20):
        seat.joy(0)
    reach(0.40)
    assert not pilot.engaged, "it must be let go first"
    for down in ((), (0,), (0,)):
        seat.cockpit.on_pose((0.40, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        seat.joy(*down)
    again = pilot.propose(lease=8)
    assert again is not None and again[:6].tolist() == [0.0] * 6


def test_neither_device_is_believed_while_two_speak_at_once() -> None:
    seat = held()
    seat.cockpit.on_joy(REST, [int(place in (4, 2)) for place in range(11)])
    assert seat.cockpit.poll(doubled="teleop/joy") == ()
    assert seat.stands == (False, "two publish on teleop/joy; end one of them")


def test_dead_man_that_is_up_on_the_other_device_is_no_release() -> None:
    seat = held()
    seat.cockpit.on_joy(REST, [0] * 11)
    seat.cockpit.poll(doubled="teleop/joy")
    assert seat.stands == (False, "two publish on teleop/joy; end one of them")


def test_what_one_of_two_said_is_not_believed_when_it_comes_after_that_one_is_gone() -> None:
    seat = held()
    seat.cockpit.poll(doubled="teleop/joy")
    seat.cockpit.on_joy(REST, [int(place == 2) for place in range(11)])
    seat.clock.advance(READ_S)
    assert seat.cockpit.poll() == () and "two publish" in seat.cockpit.trouble
    seat.wait(DRAINED_S + 0.1, lambda: seat.cockpit.on_joy(REST, [0] * 11))
    assert seat.cockpit.trouble == ""
    seat.cockpit.on_joy(REST, [int(place == 2) for place in range(11)])
    assert seat.cockpit.poll() == ("success",)
