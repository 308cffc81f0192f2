"""The launch files start exactly the table of nodes, and end the graph by the runner's rules."""

from __future__ import annotations

import os
import runpy
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bringup import launch_stand_in as stand_in

from armtune_bringup import environment
from armtune_bringup.compose import compose
from armtune_bringup.graph import graph
from armtune_bringup.runner import GraphStopped
from armtune_bringup.runs import begin
from fixtures.tiny_models import tiny_models

LAUNCH = Path(__file__).resolve().parents[2] / "ros_ws/src/armtune_bringup/launch"
DOMAIN = "198"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[types.SimpleNamespace]:
    """Runs a launch file against the stand-in; gives back free domains afterwards."""
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "armtune_bringup.actions", raising=False)
    monkeypatch.setenv("ROS_DOMAIN_ID", DOMAIN)
    tiny_models(tmp_path / "models", compose())
    monkeypatch.chdir(tmp_path)
    claims: list[int] = []
    claim = environment.claim
    monkeypatch.setattr(environment, "claim", lambda number: claims.append(claim(number)) or claims[-1])

    def run(name: str, **values: str) -> list[Any]:
        description = runpy.run_path(str(LAUNCH / name))["generate_launch_description"]()
        declared = [e for e in description.entities if isinstance(e, stand_in.DeclareLaunchArgument)]
        defaults = {argument.name: argument.default_value for argument in declared}
        assert set(values) <= set(defaults)
        overrides = f"{values.pop('overrides', '')} experiment.folder={tmp_path} experiment.name=launched"
        context = stand_in.Context({**defaults, **values, "overrides": overrides})
        return [action for entity in description.entities[len(declared) :] for action in entity.run(context)]

    yield types.SimpleNamespace(run=run, overrides=[f"experiment.folder={tmp_path}", "experiment.name=launched"])
    for descriptor in claims:
        os.close(descriptor)
    sys.modules.pop("armtune_bringup.actions", None)


def same_as_table(actions: list[Any], world: Any, overrides: list[str]) -> None:
    config = compose(overrides)
    specs = graph(config, world, begin(config))
    nodes = [action for action in actions if isinstance(action, stand_in.Node)]
    assert [(n.package, n.executable, n.name, n.namespace) for n in nodes] == [
        (s.package, s.executable, s.name, s.namespace) for s in specs
    ]
    for node, spec in zip(nodes, specs):
        (file,) = node.parameters
        assert yaml.safe_load(Path(file).read_text())["/**"]["ros__parameters"] == dict(spec.parameters)
        assert node.remappings == list(spec.remaps)
        assert node.additional_env["ROS_DOMAIN_ID"] == DOMAIN
        assert dict(spec.environment).items() <= node.additional_env.items()


def test_sim_launch_file_starts_the_table(launched: Any) -> None:
    actions = launched.run("sim.launch.py", task="bin_sort", overrides="experiment.seed=3")
    same_as_table(actions, "sim", [*launched.overrides, "task=bin_sort", "experiment.seed=3"])


def test_robot_launch_file_starts_the_table(launched: Any) -> None:
    actions = launched.run("robot.launch.py", camera="uvc")
    same_as_table(actions, "robot", [*launched.overrides, "camera=uvc"])


def test_workstation_launch_file_starts_what_is_left_to_it(launched: Any) -> None:
    left = "experiment.workstation=[reward_node,policy_node]"
    actions = launched.run("workstation.launch.py", overrides=left)
    assert len([action for action in actions if isinstance(action, stand_in.Node)]) == 2
    same_as_table(actions, "workstation", [*launched.overrides, left])


def test_graph_ends_with_a_reason_when_respawns_are_spent(launched: Any) -> None:
    actions = launched.run("sim.launch.py")
    handler = next(a.handler for a in actions if hasattr(a, "handler") and a.handler.target_action.name == "gate_node")
    context = stand_in.Context({})
    for _ in range(3):
        (reply,) = handler.on_exit(stand_in.Ended(-9), context)
        handler = reply.actions[0].handler
    with pytest.raises(GraphStopped, match="gate_node: its respawns are spent"):
        handler.on_exit(stand_in.Ended(1), context)


def test_graph_goes_on_without_a_learner_whose_respawns_are_spent(launched: Any) -> None:
    actions = launched.run("sim.launch.py")
    handlers = (a.handler for a in actions if hasattr(a, "handler"))
    handler = next(one for one in handlers if one.target_action.name == "learner_node")
    context = stand_in.Context({})
    with pytest.raises(GraphStopped, match="learner_node: starting it again cannot help"):
        handler.on_exit(stand_in.Ended(78), context)
    for _ in range(3):
        (reply,) = handler.on_exit(stand_in.Ended(-9), context)
        handler = reply.actions[0].handler
    for code in (1, 78):
        (reply,) = handler.on_exit(stand_in.Ended(code), context)
        assert reply.msg.startswith("learner_node: ") and "it stays down" in reply.msg


def test_graph_ends_at_once_when_starting_again_cannot_help(launched: Any) -> None:
    actions = launched.run("sim.launch.py")
    with pytest.raises(GraphStopped, match="sim_node: starting it again cannot help"):
        actions[0].handler.on_exit(stand_in.Ended(78), stand_in.Context({}))


def test_nothing_is_respawned_while_the_graph_shuts_down(launched: Any) -> None:
    actions = launched.run("sim.launch.py")
    assert actions[0].handler.on_exit(stand_in.Ended(-2), stand_in.Context({}, is_shutdown=True)) == []
