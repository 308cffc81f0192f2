"""The profiles of two machines: what of the single machine's stays, and what is refused. They work: faults/test_f40."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from armtune_bringup import link
from armtune_bringup.environment import PROFILES_FILE, UNSHARED, node_environment, profile, ros_environment
from armtune_bringup.spec import NodeSpec
from armtune_policies.contract import ConfigError

ROBOT, WORKSTATION = "10.0.0.1", "10.0.0.2"


def texts(file: Path, name: str) -> list[str | None]:
    return [element.text for element in ElementTree.parse(file).iter() if element.tag.endswith(f"}}{name}")]


def test_a_machine_binds_loopback_and_its_own_address_and_asks_the_robot_who_is_there(tmp_path: Path) -> None:
    made = link.write(WORKSTATION, ROBOT, tmp_path)
    assert [file.name for file in made] == ["fastdds_linked.xml", "fastdds_unshared.xml"]
    for file in made:
        assert texts(file, "discoveryProtocol") == ["SUPER_CLIENT"]
        assert texts(file, "address") == ["127.0.0.1", WORKSTATION, ROBOT]
    for name in ("segment_size", "receiveBufferSize", "port_queue_capacity", "sec", "nanosec"):
        assert texts(made[0], name) == texts(profile(), name)
    for file in (*made, profile(), profile(UNSHARED)):
        assert texts(file, "nanosec")[-1] == "50000000", "the period of heartbeats, which mend losses"
    assert "SHM" in texts(made[0], "type") and "SHM" not in texts(made[1], "type")


def test_the_robot_serves_discovery_on_the_same_addresses(tmp_path: Path) -> None:
    server = link.write(ROBOT, ROBOT, tmp_path)[-1]
    assert server.name == "fastdds_server.xml" and texts(server, "discoveryProtocol") == ["SERVER"]
    assert texts(server, "address") == ["127.0.0.1", ROBOT, ROBOT] and texts(server, "prefix") == [link.PREFIX]


def test_who_takes_no_pictures_shares_no_memory_on_two_machines_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, unshared = link.write(WORKSTATION, ROBOT, tmp_path)
    monkeypatch.setenv(PROFILES_FILE, str(linked))
    gate = NodeSpec("armtune_safety", "gate_node", "gate_node", "arm", {}, shares_memory=False)
    assert node_environment(gate, ros_environment(7))[PROFILES_FILE] == str(unshared)


def test_node_that_is_started_again_gets_other_ports_on_two_machines_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, _ = link.write(WORKSTATION, ROBOT, tmp_path)
    monkeypatch.setenv(PROFILES_FILE, str(linked))
    policy = NodeSpec("armtune_runtime", "policy_node", "policy_node", "arm", {}, shares_memory=True)
    made = node_environment(policy, ros_environment(7), tmp_path / "again.xml")
    assert len(texts(Path(made[PROFILES_FILE]), "participantID")) == 1
    assert texts(Path(made[PROFILES_FILE]), "address") == texts(linked, "address")


@pytest.mark.parametrize("here", ("robot", "", "10.0.0", "::1"))
def test_one_sentence_says_so_when_an_address_is_none(tmp_path: Path, here: str) -> None:
    with pytest.raises(ConfigError, match=r"this machine: expected an IPv4 address such as 10\.0\.0\.1"):
        link.write(here, ROBOT, tmp_path)
    assert not list(tmp_path.iterdir())


def test_discovery_is_not_served_where_it_was_not_configured(tmp_path: Path) -> None:
    link.write(WORKSTATION, ROBOT, tmp_path)
    with pytest.raises(ConfigError, match="on the robot, run: armtune link write"):
        link.serve(tmp_path)
