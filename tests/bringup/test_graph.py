"""The table of nodes: complete, typed for ROS, and every program and setting real."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.graph import SEES, graph
from armtune_bringup.parameters import parameter_file
from armtune_bringup.runs import begin
from armtune_bringup.spec import NodeSpec, RunFacts
from armtune_calibration.record import (
    Calibration,
    CameraRecord,
    GripperRecord,
    LensRecord,
    PlaceRecord,
    WorkspaceRecord,
    load,
    save,
)
from armtune_policies.contract import ConfigError

ROOT = Path(__file__).resolve().parents[2]
RUN = RunFacts(run_id="r1", run_folder="/runs/r1", config_hash="0123")
HAND_AWAY = (
    "camera=uvc", "console=local", "teleop=web", "experiment.name=one", "experiment.workstation=[console_node]"
)  # fmt: skip


def table(*overrides: str, world: str = "sim") -> dict[str, NodeSpec]:
    return {spec.name: spec for spec in graph(compose(overrides), world, RUN)}  # type: ignore[arg-type]


def test_simulated_graph_is_in_activation_order_with_the_supervisor_last() -> None:
    names = list(table())
    assert names == [
        "sim_node", "gate_node", "reward_node", "policy_node", "recorder_node", "episode_node", "learner_node",
        "supervisor_node",
    ]  # fmt: skip
    assert table()["supervisor_node"].parameters["nodes"] == names[:-1]


def test_console_is_the_first_to_be_up_and_its_loss_does_not_stop_the_arm() -> None:
    rows = table("console=local", "reward.folder=models/mine", "reward.threshold=0.7")
    assert next(iter(rows)) == "console_node" and "console_node" not in table()
    assert "console_node" in rows["supervisor_node"].parameters["spare"]
    told = rows["console_node"].parameters
    assert (told["reward_folder"], told["threshold"], told["console.host"]) == ("models/mine", 0.7, "127.0.0.1")


def test_learner_is_spare_but_where_practice_waits_for_it() -> None:
    assert table()["learner_node"].is_spare and table("learner=online")["learner_node"].is_spare
    waits = table("learner=online", "experiment.time=lockstep")
    assert not waits["learner_node"].is_spare and not waits["policy_node"].is_spare


def test_console_on_a_workstation_is_told_where_the_robots_hand_is() -> None:
    rows = table(*HAND_AWAY, "teleop.host=10.0.0.2", world="workstation")
    assert rows["console_node"].parameters["teleop_host"] == "10.0.0.2"


def test_robot_graph_has_a_camera_node_per_camera_and_no_simulator() -> None:
    rows = table("camera=uvc", "camera.names=[front,wrist]", "camera.paths=[/dev/video0,/dev/video2]", world="robot")
    assert next(iter(rows)) == "arm_node" and "sim_node" not in rows
    assert rows["arm_node"].parameters["arm.adapter"] == "dynamixel"
    behind = table("camera=uvc", "arm=ros2_control", world="robot")
    assert next(iter(behind)) == "ros2_control_node" and "arm_node" not in behind
    assert [name for name in rows if "camera" in name] == ["front_camera_node", "wrist_camera_node"]
    told = rows["supervisor_node"].parameters
    assert told["workers"] == ["arm_node", "front_camera_node", "wrist_camera_node"] and told["works_s"][0] == 1.0
    assert "workers" not in table()["supervisor_node"].parameters, "what a simulated arm does, its heartbeat shows"
    assert rows["wrist_camera_node"].parameters["name"] == "wrist"


def test_arm_node_that_may_let_the_arm_go_limp_is_not_started_again() -> None:
    assert table("camera=uvc", world="robot")["arm_node"].max_respawns > 0
    assert table("camera=uvc", "arm.may_go_limp=true", world="robot")["arm_node"].max_respawns == 0


def test_arm_with_another_robots_joints_is_refused_and_told_what_to_choose() -> None:
    with pytest.raises(ConfigError, match=r"expected those of wx250s .* choose its own, as in arm=wx250s"):
        table("camera=uvc", "robot=wx250s", "arm=so101", world="robot")


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


def test_robot_and_workstation_share_the_table_and_the_robots_supervisor_looks_after_both() -> None:
    parted = ("experiment.name=one", "experiment.workstation=[reward_node,policy_node]")
    whole, here, there = table("experiment.name=one"), table(*parted), table(*parted, world="workstation")
    assert list(there) == ["reward_node", "policy_node"]
    assert [*here, *there] != list(whole) and {*here, *there} == set(whole) and not {*here} & {*there}
    assert here["supervisor_node"].parameters["nodes"] == whole["supervisor_node"].parameters["nodes"]
    on_a_robot = table(*parted, "camera=uvc", world="robot")
    assert next(iter(on_a_robot)) == "arm_node" and "policy_node" not in on_a_robot


def test_arms_own_log_is_kept_in_the_run_when_asked_for() -> None:
    assert table("sim.arm_log=true")["sim_node"].parameters["arm_log"] == "/runs/r1/logs/arm.csv"
    assert table()["sim_node"].parameters["arm_log"] == ""


@pytest.mark.parametrize(
    ("world", "overrides", "says"),
    (
        ("robot", ("camera=uvc", "experiment.time=lockstep"), "lockstep needs the simulated arm"),
        ("robot", (), "expected real cameras on a robot"),
        ("robot", ("camera=uvc", "sim.faults=true"), "into a simulated arm only"),
        ("robot", ("camera=uvc", "reward.noise=cloth_folding"), "answers are spoilt in simulation only"),
        ("sim", ("policy.cameras=[wrist]",), "'wrist' is not in camera.names"),
        ("robot", ("camera=uvc", "arm.joints=[a,b,c,d,e,f,g]"), "expected those of wx250s"),
        ("moon", (), "expected one of sim, robot, workstation"),
        ("workstation", ("experiment.name=one",), "name what runs here"),
        ("sim", ("experiment.workstation=[policy_node]",), "name the run"),
        ("sim", ("experiment.workstation=[gate_node]",), "expected some of console_node, reward_node"),
        ("sim", ("experiment.workstation=[learner_node]",), "to learn elsewhere: learner=remote"),
        ("robot", HAND_AWAY, "expected the robot's address, .* got 127.0.0.1; leave console_node on the robot"),
        ("workstation", (*HAND_AWAY, "teleop.host=0.0.0.0"), "expected the robot's address, .* got 0.0.0.0"),
    ),
)
def test_config_and_world_that_do_not_go_together_are_refused(
    world: str, overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        table(*overrides, world=world)


def test_every_program_is_an_entry_point_of_its_package() -> None:
    behind = table("camera=uvc", "arm=ros2_control", world="robot")
    for rows in (table("sim.faults=true", "console=local"), table("camera=uvc", world="robot"), behind):
        _are_entry_points(rows.values())


def _are_entry_points(specs: Iterable[NodeSpec]) -> None:
    for spec in specs:
        setup = (ROOT / "ros_ws/src" / spec.package / "setup.py").read_text()
        assert f"{spec.executable} = {spec.package}.{spec.executable}:main" in setup


def test_every_package_a_row_starts_is_a_dependency_of_bringup() -> None:
    manifest = (ROOT / "ros_ws/src/armtune_bringup/package.xml").read_text()
    for spec in table("console=local").values():
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


def test_only_what_looks_at_pictures_shares_memory() -> None:
    """The console may be killed lightly, and does with what UDP keeps of them; the judge looks at observations."""
    programs = {path.stem: path.read_text() for path in (ROOT / "ros_ws/src").glob("armtune_*/armtune_*/*_node.py")}
    seeing = {name for name, source in programs.items() if re.search(r"sensor_msgs.msg import .*\bImage\b", source)}
    assert seeing - {"watching_node", "console_node"} | {"reward_node"} == SEES
    rows = table("sim.faults=true", "console=local", "teleop=joy")
    assert {name for name, row in rows.items() if row.shares_memory} == SEES & set(rows)


def test_parameters_are_flat_and_of_types_ros_has() -> None:
    def of_one_type(values: list[Any]) -> bool:
        return len({type(value) for value in values}) == 1

    for spec in table("console=local").values():
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


def calibration(folder: Path, robot: str = "wx250s", workspace: bool = True) -> Path:
    """Write a calibration of the front camera with a reference picture, and a workspace narrower on one side."""
    lens = LensRecord(
        fx_px=600, fy_px=600, cx_px=319.5, cy_px=239.5, distortion=(0.0,) * 5, sd=(0.1,) * 8, rms_px=0.2, views=9
    )
    place = PlaceRecord(kind="scene", picture="front-1.png", sha256="0" * 64)
    front = CameraRecord(name="front", width_px=640, height_px=480, lens=lens, place=place)
    box = WorkspaceRecord(low_m=(0.15, -1.0, 0.04), high_m=(0.9, 0.25, 0.9), tilt_rad=0.0) if workspace else None
    fingers = GripperRecord(closed_m=0.016, open_m=0.036)
    return save(
        Calibration(robot_id="arm-1", robot=robot, made="", cameras=(front,), workspace=box, gripper=fingers), folder
    )


def test_calibration_is_checked_quoted_and_tightens_the_workspace(tmp_path: Path) -> None:
    path = calibration(tmp_path)
    rows = table(f"camera.calibration={path}")
    assert list(rows)[:3] == ["sim_node", "camera_check_node", "gate_node"]
    gate = rows["gate_node"].parameters
    assert gate["checked_cameras"] == ["front"] and rows["camera_check_node"].parameters["checked_cameras"] == ["front"]
    assert gate["safety.workspace_low_m"] == [0.15, -0.30, 0.04]
    assert gate["safety.workspace_high_m"] == [0.50, 0.25, 0.45]
    assert gate["robot.gripper_closed_m"] == 0.016
    assert rows["episode_node"].parameters["calibration_hash"] == load(path).hash
    assert "camera_check_node" not in table() and "checked_cameras" not in table()["gate_node"].parameters


def test_calibration_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="measured on a so101, but robot=wx250s"):
        table(f"camera.calibration={calibration(tmp_path, robot='so101')}")
    path = calibration(tmp_path)
    with pytest.raises(ConfigError, match="no camera 'wrist'; calibrated: front"):
        table("camera.names=[front,wrist]", f"camera.calibration={path}")
    path.write_text(path.read_text().replace("600", "650"))
    with pytest.raises(ConfigError, match="edited or damaged"):
        table(f"camera.calibration={path}")
    with pytest.raises(ConfigError, match="no calibration of 'nobody'"):
        table("camera.calibration=nobody")
