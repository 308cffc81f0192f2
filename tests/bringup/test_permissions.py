"""The permissions of a graph: default deny, one enclave a node, and one way to the arm."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from armtune_bringup.cli import app
from armtune_bringup.compose import compose
from armtune_bringup.graph import graph
from armtune_bringup.permissions import EVERY_SAYS, OPERATOR, WIRES, Granted, granted
from armtune_bringup.spec import NodeSpec, RunFacts
from armtune_policies.contract import topics

pytestmark = pytest.mark.fault("F59")
MODELS = ("policy.folder=p", "reward.folder=r")


def table(world: str, *overrides: str) -> tuple[tuple[NodeSpec, ...], tuple[Granted, ...]]:
    config = compose([*MODELS, *overrides])
    rows = graph(config, world, RunFacts("r", "runs/r", "0"))  # type: ignore[arg-type]
    return rows, granted(rows, config.camera.names)


def who(grants: Sequence[Granted], how: str, name: str) -> set[str]:
    return {one.node for one in grants if name in getattr(one, how)}


@pytest.mark.parametrize(
    ("world", "overrides", "arm"),
    (
        ("sim", ("teleop=joy", "console=local"), "sim_node"),
        ("robot", ("camera=uvc", "teleop=joy"), "arm_node"),
        ("robot", ("arm=ros2_control", "camera=uvc"), "ros2_control_node"),
    ),
)
def test_only_the_gate_speaks_to_the_arm_and_only_sources_to_the_gate(
    world: str, overrides: tuple[str, ...], arm: str
) -> None:
    rows, grants = table(world, *overrides)
    assert [one.node for one in grants] == [*(row.name for row in rows), OPERATOR]
    assert who(grants, "says", topics.SETPOINT) == {"gate_node"} and arm in who(grants, "hears", topics.SETPOINT)
    for source, node in (("policy", "policy_node"), ("motion", "episode_node"), ("teleop", "teleop_node")):
        assert who(grants, "says", topics.proposal(source)) <= {node}
    assert who(grants, "says", topics.JOINT_STATES) == {arm}
    assert who(grants, "asks", topics.ARM) <= {"console_node", OPERATOR}
    assert who(grants, "asks", topics.LEASE) <= {"policy_node", "episode_node", "teleop_node"}
    assert who(grants, "says", topics.ESTOP) == {OPERATOR}
    lives = {name for one in grants for name in one.asks if name.endswith("/change_state")}
    assert who(grants, "asks", sorted(lives)[0]) == {"supervisor_node"} and len(lives) == len(rows) - 1


def test_a_camera_by_topic_hears_its_driver_and_nobody_else_does() -> None:
    _, grants = table("robot", "camera=topic")
    for name in ("/camera/color/image_raw", "/camera/color/camera_info"):
        assert who(grants, "hears", name) == {"front_camera_node"} and not who(grants, "says", name)


def test_no_grant_is_a_wildcard_but_of_the_controller_that_the_config_names() -> None:
    names = {n for w in WIRES.values() for n in (*w.says, *w.hears, *w.serves, *w.asks) if "*" in n}
    assert names == {topics.controller("*", kind) for kind in ("joint_trajectory", "commands")}


def test_nodes_on_a_workstation_have_their_enclaves_and_the_robots_supervisor_leads_them() -> None:
    shared = ("camera=uvc", "experiment.workstation=[policy_node]", "experiment.name=x")
    _, robot = table("robot", *shared)
    rows, workstation = table("workstation", *shared)
    assert [row.name for row in rows] == ["policy_node"] and workstation[0].enclave == "/wx250s/policy_node"
    assert who(robot, "asks", "policy_node/change_state") == {"supervisor_node"}


def test_faults_are_granted_between_simulator_and_the_rest() -> None:
    _, grants = table("sim", "sim.faults=true")
    assert who(grants, "says", topics.JOINT_STATES) == {"fault_node"}
    assert who(grants, "says", topics.proposal("policy")) == {"fault_node"}
    assert who(grants, "says", topics.faulty(topics.JOINT_STATES)) == {"sim_node"}


def test_every_program_of_the_table_of_nodes_has_its_row() -> None:
    for world, more in (("sim", ("sim.faults=true",)), ("robot", ("camera=uvc", "arm=ros2_control"))):
        rows, _ = table(world, "console=local", "teleop=web", *more)
        assert {row.executable for row in rows} <= set(WIRES)


def test_command_writes_a_policy_file_of_one_enclave_a_node(tmp_path: Path) -> None:
    file = tmp_path / "policies.xml"
    done = CliRunner().invoke(app, ["config", "permissions", "sim", str(file), *MODELS])
    assert done.exit_code == 0, done.output
    root = ElementTree.parse(file).getroot()
    assert (root.tag, root.get("version")) == ("policy", "0.2.0")
    enclaves = {one.get("path", ""): one for one in root.iter("enclave")}
    assert len(enclaves) == len(table("sim")[1]) and "/wx250s/gate_node" in enclaves
    profile = enclaves["/wx250s/gate_node"].find("profiles/profile")
    assert profile is not None and profile.attrib == {"ns": "/wx250s", "node": "gate_node"}
    said = {t.text for t in profile.findall("topics[@publish='ALLOW']/topic")}
    assert said == set(WIRES["gate_node"].says) | set(EVERY_SAYS)
    assert {one.tag for one in profile} == {"topics", "services"}
    assert all(value == "ALLOW" for one in profile for value in one.attrib.values())
