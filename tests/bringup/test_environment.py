from __future__ import annotations

import re
from pathlib import Path

import pytest

from armtune_bringup.environment import (
    DOMAINS,
    PROFILE,
    PROFILES_FILE,
    SEATS,
    UNSHARED,
    node_environment,
    profile,
    ros_environment,
)
from armtune_bringup.spec import NodeSpec
from armtune_policies.contract import ConfigError

pytestmark = pytest.mark.fault("F59")
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
SEES = NodeSpec("armtune_runtime", "policy_node", "policy_node", "arm", {}, shares_memory=True)


def written(folder: Path, name: str) -> str:
    """A profile of the user's, blank for none."""
    if not name:
        return ""
    (folder / name).write_text("<profiles/>")
    return str(folder / name)


@pytest.mark.parametrize(
    ("middleware", "expected"), [("rmw_fastrtps_cpp", "SYSTEM_DEFAULT"), ("rmw_cyclonedds_cpp", "LOCALHOST")]
)
def test_discovery_stays_on_this_machine_whatever_the_middleware(
    middleware: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (RANGE, PROFILES_FILE):
        monkeypatch.delenv(name, raising=False)
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
    shares: bool, own: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PROFILES_FILE, written(tmp_path, own))
    spec = NodeSpec(
        "armtune_safety", "gate_node", "gate_node", "arm", {}, environment=(("A", "1"),), shares_memory=shares
    )
    made = node_environment(spec, ros_environment(7))
    assert expected in made[PROFILES_FILE] and made["A"] == "1"


def test_node_that_is_started_again_and_shares_memory_has_ports_that_the_dead_before_it_had_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(PROFILES_FILE, raising=False)
    base, again = ros_environment(7), tmp_path / "again.xml"
    numbers = []
    for _ in SEATS:
        assert node_environment(SEES, base, again)[PROFILES_FILE] == str(again)
        text = again.read_text()
        numbers.append(int(re.findall(r"<participantID>(\d+)</participantID>", text)[0]))
        assert re.sub(r"<participantID>.*</participantID>", "", text) == profile().read_text()
    assert sorted(numbers) == list(SEATS)


@pytest.mark.parametrize("name", (PROFILE, UNSHARED))
def test_discovery_looks_for_every_participant_id_and_every_domain_has_the_ports(name: str) -> None:
    (looks_for,) = re.findall(r"<maxInitialPeersRange>(\d+)<", profile(name).read_text())
    assert int(looks_for) == SEATS.stop
    assert 7400 + 250 * DOMAINS[-1] + 11 + 2 * SEATS[-1] <= 65_535


@pytest.mark.parametrize("text", ("<profiles/>", '<p is_default_profile="true"><rtps><participantID>7</participantID>'))
def test_profile_of_the_users_own_stays_when_a_node_is_started_again(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PROFILES_FILE, written(tmp_path, "my.xml"))
    (tmp_path / "my.xml").write_text(text)
    assert node_environment(SEES, ros_environment(7), tmp_path / "again.xml")[PROFILES_FILE].endswith("my.xml")


def test_node_is_started_again_on_a_full_disk_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PROFILES_FILE, raising=False)
    (tmp_path / "file").touch()
    made = node_environment(SEES, ros_environment(7), tmp_path / "file/again.xml")
    assert made[PROFILES_FILE] == str(profile())


@pytest.mark.parametrize(("own", "expected"), [("", "unshared"), ("my.xml", "my")])
def test_command_that_may_be_killed_shares_no_memory_unless_the_user_names_a_profile(
    own: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PROFILES_FILE, written(tmp_path, own))
    assert expected in ros_environment(7, shares_memory=False)[PROFILES_FILE]


def test_profile_that_is_not_there_is_no_leave_to_talk_on_every_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PROFILES_FILE, str(tmp_path / "mine.xml"))
    with pytest.raises(ConfigError, match=r"expected a file, got .*mine\.xml; unset it"):
        ros_environment(7)
