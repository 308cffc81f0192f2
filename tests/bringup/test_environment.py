from __future__ import annotations

import pytest

from armtune_bringup.environment import PROFILES_FILE, node_environment, ros_environment
from armtune_bringup.spec import NodeSpec

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


@pytest.mark.parametrize(
    ("shares", "own", "expected"), [(True, "", "loopback"), (False, "", "unshared"), (False, "my.xml", "my")]
)
def test_what_guards_the_arm_shares_no_memory_unless_the_user_names_a_profile(
    shares: bool, own: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROFILES_FILE, own)
    spec = NodeSpec(
        "armtune_safety", "gate_node", "gate_node", "arm", {}, environment=(("A", "1"),), shares_memory=shares
    )
    made = node_environment(spec, ros_environment(7))
    assert expected in made[PROFILES_FILE] and made["A"] == "1"
