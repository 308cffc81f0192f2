"""Settings of the gate: shipped files are complete, and bounds can only be tightened."""

from __future__ import annotations

import pytest
import yaml
from gate_rig import ROOT, gate_params

from armtune_policies.contract import ConfigError, flatten
from armtune_safety.settings import SafetyParams, SupervisorParams


def test_every_bound_is_written_down_in_the_shipped_file() -> None:
    written = yaml.safe_load((ROOT / "configs/safety/default.yaml").read_text())
    assert set(written) == set(flatten(gate_params().safety))


@pytest.mark.parametrize(
    ("name", "loose"),
    [
        ("joint_state_age_s", 0.2),
        ("joint_state_age_s", 0.0),
        ("proposal_age_s", 1.0),
        ("max_linear_m_s", 1.0),
        ("tool_max_angle_rad", 3.0),
        ("heartbeat_lost_s", 0.0),
        ("barrier_s", float("nan")),
        ("max_linear_m_s", float("inf")),
    ],
)
def test_bound_is_refused_when_it_is_loosened_or_switched_off(name: str, loose: float) -> None:
    with pytest.raises(ConfigError, match=name):
        gate_params(**{name: loose})


def test_tightened_bound_is_taken() -> None:
    assert gate_params(max_linear_m_s=0.1).safety.max_linear_m_s == 0.1


def test_workspace_is_refused_when_its_corners_are_crossed() -> None:
    with pytest.raises(ConfigError, match="expected x below"):
        SafetyParams(workspace_low_m=(0.5, -0.3, 0.0), workspace_high_m=(0.1, 0.3, 0.4))


def test_robot_is_refused_when_a_list_lacks_a_joint() -> None:
    robot = {**yaml.safe_load((ROOT / "configs/robot/wx250s.yaml").read_text()), "home_rad": [0.0]}
    with pytest.raises(ConfigError, match="home_rad: expected 6 entries"):
        type(gate_params().robot).from_mapping(robot)


@pytest.mark.parametrize(
    ("workers", "works_s", "why"),
    [(("arm",), (), "expected 1 entries"), (("gate",), (1.0,), "got 'gate'"), (("arm",), (0.0,), "works_s")],
)
def test_how_long_work_may_take_is_said_of_each_node_that_works(
    workers: tuple[str, ...], works_s: tuple[float, ...], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        SupervisorParams(nodes=("arm",), workers=workers, works_s=works_s, safety=gate_params().safety)


def test_slow_comes_before_hold() -> None:
    with pytest.raises(ConfigError, match="expected at most condition_hold"):
        gate_params(condition_slow=17.0, condition_hold=10.0)
