"""The table of nodes: complete, typed for ROS, and every program and setting real."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.graph import graph
from armtune_bringup.parameters import parameter_file
from armtune_bringup.runs import begin
from armtune_bringup.spec import NodeSpec, RunFacts
from armtune_policies.contract import ConfigError

ROOT = Path(__file__).resolve().parents[2]
RUN = RunFacts(run_id="r1", run_folder="/runs/r1", config_hash="0123")


def table(*overrides: str, world: str = "sim") -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in graph(compose(overrides), world, RUN)}  # type: ignore[arg-type]


def test_simulated_graph_is_in_activation_order_with_the_supervisor_last() -> None:
    names = list(table())
    assert names == [
        "sim_node", "gate_node", "reward_node", "policy_node", "recorder_node", "episode_node", "learner_node",
        "supervisor_node",
    ]  # fmt: skip
    assert table()["supervisor_node"].parameters["nodes"] == names[:-1]


def test_robot_graph_has_a_camera_node_per_camera_and_no_simulator() -> None:
    rows = table("camera=uvc", "camera.names=[front,wrist]", "camera.paths=[/dev/video0,/dev/video2]", world="robot")
    assert "sim_node" not in rows
    assert [name for name in rows if "camera" in name] == ["front_camera_node", "wrist_camera_node"]
    assert rows["wrist_camera_node"].parameters["name"] == "wrist"


def test_fault_injector_stands_between_the_simulated_arm_the_policy_and_the_rest_when_asked_for() -> None:
    rows = table("sim.faults=true", "camera.names=[front,wrist]", "experiment.time=lockstep")
    assert list(rows)[:3] == ["sim_node", "fault_node", "gate_node"]
    assert rows["fault_node"].parameters == {"time": "lockstep", "camera_names": ["front", "wrist"]}
    said = dict(rows["sim_node"].remaps)
    assert {"joint_states", "/clock", "sim/fault", "wrist/image_raw", "front/camera_info"} < set(said)
    assert said["/clock"] == "faulty/clock"
    assert rows["policy_node"].remaps == (("proposal/policy", "faulty/proposal/policy"),)
    assert "fault_node" in rows["supervisor_node"].parameters["nodes"]
    assert not any(row.remaps for row in table().values())


def test_arms_own_log_is_kept_in_the_run_when_asked_for() -> None:
    assert table("sim.arm_log=true")["sim_node"].parameters["arm_log"] == "/runs/r1/logs/arm.csv"
    assert table()["sim_node"].parameters["arm_log"] == ""


@pytest.mark.parametrize(
    ("world", "overrides", "says"),
    (
        ("robot", ("camera=uvc", "experiment.time=lockstep"), "lockstep needs the simulated arm"),
        ("robot", (), "expected real cameras on a robot"),
        ("robot", ("camera=uvc", "sim.faults=true"), "into a simulated arm only"),
        ("sim", ("policy.cameras=[wrist]",), "'wrist' is not in camera.names"),
        ("moon", (), "expected sim or robot"),
    ),
)
def test_config_and_world_that_do_not_go_together_are_refused(
    world: str, overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        table(*overrides, world=world)


def test_every_program_is_an_entry_point_of_its_package() -> None:
    for spec in [*table("sim.faults=true").values(), *table("camera=uvc", world="robot").values()]:
        setup = (ROOT / "ros_ws/src" / spec.package / "setup.py").read_text()
        assert f"{spec.executable} = {spec.package}.{spec.executable}:main" in setup


def test_every_package_a_row_starts_is_a_dependency_of_bringup() -> None:
    manifest = (ROOT / "ros_ws/src/armtune_bringup/package.xml").read_text()
    for spec in table().values():
        assert f"<exec_depend>{spec.package}</exec_depend>" in manifest


def test_every_row_gives_its_node_the_settings_class_the_node_reads() -> None:
    """``Params = X`` in the node file is the class the table fills in."""
    filled = ast.parse((ROOT / "ros_ws/src/armtune_bringup/armtune_bringup/graph.py").read_text())
    used = {
        (call.args[0].value, call.args[1].value): call.args[2].id  # type: ignore[attr-defined]
        for call in ast.walk(filled)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "_row"
    }
    for (package, executable), kind in used.items():
        node = (ROOT / "ros_ws/src" / package / package / f"{executable}.py").read_text()
        assert f"    Params = {kind}\n" in node, f"{executable} does not say Params = {kind}"


def test_parameters_are_flat_and_of_types_ros_has() -> None:
    def of_one_type(values: list[Any]) -> bool:
        return len({type(value) for value in values}) == 1

    for spec in table().values():
        for name, value in spec.parameters.items():
            assert isinstance(value, (str, int, float, bool)) or (isinstance(value, list) and of_one_type(value)), name
        assert parameter_file(spec).startswith(b'"/**":')


def test_learner_keeps_its_freed_memory() -> None:
    assert dict(table()["learner_node"].environment)["MALLOC_TRIM_THRESHOLD_"]
    assert all(not spec.environment for spec in table().values() if spec.name != "learner_node")


def test_run_continues_with_the_same_config_and_is_refused_with_another(tmp_path: Path) -> None:
    overrides = [f"experiment.folder={tmp_path}", "experiment.name=mine"]
    first = begin(compose(overrides))
    assert begin(compose(overrides)) == first and Path(first.run_folder, "config.yaml").is_file()
    with pytest.raises(ConfigError, match="run 'mine' exists with another config"):
        begin(compose([*overrides, "experiment.seed=1"]))


def test_run_without_a_name_is_called_by_task_and_time(tmp_path: Path) -> None:
    run = begin(compose([f"experiment.folder={tmp_path}", "task=bin_sort"]))
    assert run.run_id.startswith("bin_sort-") and len(run.run_id) == len("bin_sort-20260101-000000")


def test_rows_are_values() -> None:
    assert dataclasses.replace(table()["gate_node"]) == table()["gate_node"]
