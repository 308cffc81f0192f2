"""Composing a config: plain, checked, hashed; every mistake is one sentence that names what is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_bringup.compose import compose, config_hash, options, plain, read, write
from armtune_policies.contract import ConfigError
from armtune_policies.contract.paths import config_root


@pytest.fixture
def own_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configs that a test may spoil."""
    folder = tmp_path / "configs"
    shutil.copytree(config_root(), folder)
    monkeypatch.setenv("ARMTUNE_CONFIGS", str(folder))
    return folder


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as why:
        compose(overrides)
    return str(why.value)


@pytest.mark.parametrize("task", options("task"))
def test_every_task_composes(task: str) -> None:
    assert compose([f"task={task}"]).task.name == task


def test_each_file_of_each_group_composes() -> None:
    for group in ("robot", "arm", "safety", "sim", "learner", "experiment", "camera"):
        for name in options(group):
            compose([f"{group}={name}"])


def test_robot_and_the_arm_of_its_name_bring_each_other_unless_another_is_asked_for() -> None:
    for asked in ("robot=so101", "arm=so101"):
        config = compose([asked])
        assert (config.robot.name, config.arm.adapter) == ("so101", "feetech")
    assert compose(["arm=wxai"]).robot.dof == 6
    assert compose(["arm=fr3"]).robot.dof == 7
    assert compose(["arm=ros2_control"]).robot.name == "wx250s", "there is no robot of that name"
    both = compose(["robot=wx250s", "arm=so101"])
    assert (both.robot.name, both.arm.adapter) == ("wx250s", "feetech")


def test_no_two_servers_of_one_robot_want_the_same_port() -> None:
    config = compose(["console=shared", "console.foxglove_port=8767", "learner=remote", "teleop=web"])
    console = config.console
    ports = [console.port, console.foxglove_port, config.learner.port, config.teleop.port]
    assert len(set(ports)) == len(ports)


def test_value_that_the_file_leaves_at_its_default_can_be_set() -> None:
    assert compose(["experiment.episodes=7"]).experiment.episodes == 7


def test_same_overrides_give_the_same_hash_and_others_another() -> None:
    assert config_hash(compose(["experiment.seed=3"])) == config_hash(compose(["experiment.seed=3"]))
    assert config_hash(compose(["teleop=gamepad"])) == config_hash(compose(["teleop=web"])), "a run may change devices"
    assert config_hash(compose(["experiment.seed=3"])) != config_hash(compose(["experiment.seed=4"]))


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    config = compose(["task=lid", "experiment.name=x"])
    assert read(write(config, tmp_path)) == config
    assert f"# hash {config_hash(config)}" in (tmp_path / "config.yaml").read_text()


def test_plain_config_holds_only_json_values() -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        else:
            assert isinstance(value, (str, int, float, bool))

    walk(plain(compose()))


@pytest.mark.parametrize(
    ("override", "says"),
    (
        ("task=nope", "unknown task 'nope'; known: bin_sort, drawer, lid"),
        ("robot=../../etc", "unknown robot"),
        ("nonsense", "expected name=value"),
        ("nope.x=1", "unknown group 'nope'; known: arm"),
        ("hydra.run.dir=x", "unknown group 'hydra'"),
        ("+experiment.new=1", "expected name=value"),
        ("~task", "expected name=value"),
        ("experiment.nope=1", "unknown key 'nope'; known: demo_looks"),
        ("experiment.seed=three", "seed: expected int"),
        ("experiment.seed=-1", "seed: expected a number in [0"),
        ("experiment.time=later", "expected one of real, lockstep"),
        ("experiment.name=A/B", "expected 1 to 64"),
        ("policy.rate_hz=2", "rate_hz: expected a number in [5"),
        ("policy.rate_hz=.nan", "expected"),
        ("experiment.folder=${oc.env:HOME}", "interpolation is not for configs"),
        ("experiment.seed=1,2", "does not compose"),
    ),
)
def test_bad_override_is_one_sentence(override: str, says: str) -> None:
    text = refusal(override)
    assert says in text and "\n" not in text and len(text) < 400


@pytest.mark.fault("F56")
def test_key_that_could_name_code_is_refused(own_configs: Path) -> None:
    with open(own_configs / "task/drawer.yaml", "a") as file:
        file.write("_target_: os.system\n")
    assert "task._target_: keys that start with '_' are refused" in refusal()


@pytest.mark.fault("F56")
def test_config_that_asks_the_environment_is_refused(own_configs: Path) -> None:
    with open(own_configs / "experiment/default.yaml", "a") as file:
        file.write("steps: ${oc.env:HOME}\n")
    assert "does not ask the environment" in refusal()


@pytest.mark.fault("F56")
@pytest.mark.parametrize(
    ("text", "says"),
    (
        ("steps: !!python/object/apply:os.system ['touch ran']\n", "got the tag tag:yaml.org,2002:python"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nsteps: *b\n", "got an alias"),
        ("steps: " + "[" * 5000 + "\n", "at most 32 deep"),
        ("steps: ${oc.decode:1}\n", "does not ask the environment"),
        ("steps: ${hydra:runtime.cwd}\n", "does not ask the environment"),
        ("_partial_: true\n", "keys that start with '_' are refused"),
    ),
)
def test_config_with_a_trick_is_refused(own_configs: Path, text: str, says: str) -> None:
    with open(own_configs / "experiment/default.yaml", "a") as file:
        file.write(text)
    assert says in refusal() and not Path("ran").exists()


def test_unknown_key_in_a_file_is_refused_with_the_known_ones(own_configs: Path) -> None:
    with open(own_configs / "experiment/default.yaml", "a") as file:
        file.write("sede: 3\n")
    assert "unknown key 'sede'; known: " in refusal()


def test_broken_yaml_is_one_sentence(own_configs: Path) -> None:
    (own_configs / "experiment/default.yaml").write_text("seed: [1\n")
    assert "expected YAML" in refusal()


def test_missing_configs_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMTUNE_CONFIGS", str(tmp_path / "nowhere"))
    assert "set ARMTUNE_CONFIGS" in refusal()


@given(st.text(max_size=40))
def test_any_override_is_taken_or_refused_in_one_sentence(text: str) -> None:
    try:
        compose([text])
    except ConfigError as why:
        assert str(why).strip()
