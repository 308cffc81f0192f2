"""What a controller must say of itself before it gets the arm."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from gate_rig import gate_params

from armtune_safety.controller import Controller

PARAMS = gate_params()
FIT = Controller.enforcing(PARAMS.robot, 0.1)


def unfit(**changes: object) -> str:
    return replace(FIT, **changes).unfit(PARAMS.robot, PARAMS.safety)


def wider(name: str, by: float) -> tuple[float, ...]:
    first, *rest = getattr(FIT, name)
    return (first + by, *rest)


def test_controller_is_fit_when_it_enforces_the_robots_limits_in_any_order() -> None:
    assert unfit() == ""
    turned = {name: getattr(FIT, name)[::-1] for name in ("joints", "position_low", "position_high", "velocity_limit")}
    assert unfit(**turned) == ""


@pytest.mark.parametrize("silence_s", [0.0, -1.0, 0.11, math.nan, math.inf])
def test_controller_is_unfit_when_its_watchdog_is_off_or_slow(silence_s: float) -> None:
    assert "watchdog" in unfit(silence_s=silence_s)


@pytest.mark.parametrize(
    ("name", "by"),
    [("position_low", -0.1), ("position_high", 0.1), ("velocity_limit", 0.1), ("velocity_limit", -100.0)],
)
@pytest.mark.parametrize("damage", ["off", "nan"])
def test_controller_is_unfit_when_a_limit_is_wider_or_no_number(name: str, by: float, damage: str) -> None:
    assert "no wider than" in unfit(**{name: wider(name, by if damage == "off" else math.nan)})


def test_controller_is_unfit_when_joints_or_limits_are_missing() -> None:
    assert "expected waist" in unfit(joints=FIT.joints[1:])
    assert "says no limit" in unfit(velocity_limit=FIT.velocity_limit[1:])
    assert "moves nothing" in unfit(joints=())
