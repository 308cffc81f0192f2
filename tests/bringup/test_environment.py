from __future__ import annotations

import pytest

from armtune_bringup.environment import ros_environment

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


@pytest.mark.parametrize(
    ("middleware", "expected"), [("rmw_fastrtps_cpp", "SYSTEM_DEFAULT"), ("rmw_cyclonedds_cpp", "LOCALHOST")]
)
def test_discovery_stays_on_this_machine_whatever_the_middleware(
    middleware: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RANGE, raising=False)
    monkeypatch.setenv("RMW_IMPLEMENTATION", middleware)
    made = ros_environment(7)
    assert made[RANGE] == expected
    assert made["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds_loopback.xml")


def test_range_that_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RANGE, "SUBNET")
    assert ros_environment(7)[RANGE] == "SUBNET"
