"""Bad input through the real command line: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from armtune_bringup import environment
from armtune_bringup.compose import compose
from armtune_policies.contract import ObservationSpec
from armtune_policies.store.manifest import entry, load_manifest, write_manifest
from fixtures.arms import REPLY_S
from fixtures.dynamixel_servos import wx250s
from fixtures.servo_bus import ServoBus
from fixtures.tiny_models import encoder_bytes, tiny_models
from harness import own_domain

COMMAND = (sys.executable, "-m", "armtune_bringup.cli")
HIDDEN = ("libEGL.so.1", "libOSMesa.so", "libOSMesa.so.6", "libOSMesa.so.8")
SMALL_DISK_KB = 300
UP = ("up", "sim", "experiment.name=one", "experiment.time=lockstep")

pytestmark = pytest.mark.unhurried


class Shell:
    """Runs ``armtune`` in a folder of its own, on a ROS domain of its own."""

    def __init__(self, folder: Path, domain: int) -> None:
        self.folder, self.domain = folder, domain
        self.env = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        self.env.pop("MUJOCO_GL", None)

    def __call__(self, *arguments: str, before: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, *COMMAND, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def refused(self, *arguments: str, **env: str) -> str:
        """Run something that must fail before anything is written; return its one sentence."""
        said = sentence(self(*arguments, **env))
        assert not (self.folder / "runs").exists()
        return said

    def given_up(self, *arguments: str) -> str:
        """Start a graph that must give up; return its one sentence. What it leaves is whole."""
        said = sentence(self(*arguments))
        assert_whole(self.folder / "runs")
        return said


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on standard error of a command that failed as it should."""
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr, done.stdout
    return done.stderr


def assert_whole(folder: Path) -> None:
    """Nothing half-written: no part files, no models or episodes that were begun."""
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in left if name.endswith((".part", ".onnx", ".safetensors"))], left


@pytest.fixture
def armtune(tmp_path: Path) -> Iterator[Shell]:
    """The command line, in a folder with small models that fit the default config."""
    tiny_models(tmp_path / "models", compose())
    with own_domain() as domain:
        yield Shell(tmp_path, domain)


# -- models ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ("policy", "reward"))
def test_missing_model_is_named_with_how_to_get_one(armtune: Shell, model: str) -> None:
    shutil.rmtree(armtune.folder / "models" / model)
    said = armtune.refused(*UP)
    assert f"{model}.folder: no manifest.json in models/{model}; train one" in said


def test_missing_model_is_named_when_it_is_to_be_evaluated(armtune: Shell) -> None:
    assert "no such file: the model's folder (model nowhere); train one" in armtune.refused("evaluate", "nowhere")


@pytest.mark.fault("F22")
@pytest.mark.parametrize("file", ("policy/encoder.onnx", "policy/head.onnx", "reward/reward.onnx"))
def test_truncated_model_is_refused(armtune: Shell, file: str) -> None:
    path = armtune.folder / "models" / file
    path.write_bytes(path.read_bytes()[:-10])
    said = armtune.refused(*UP)
    assert f"models/{file} is cut short: expected " in said and "copy the model again" in said


@pytest.mark.fault("F22")
def test_truncated_manifest_is_refused(armtune: Shell) -> None:
    path = armtune.folder / "models/policy/manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    assert "models/policy/manifest.json does not read as a manifest" in armtune.refused(*UP)


@pytest.mark.fault("F22")
@pytest.mark.parametrize("arguments", (UP, ("evaluate", "models/policy")))
def test_one_flipped_byte_is_refused_by_its_hash(armtune: Shell, arguments: tuple[str, ...]) -> None:
    path = armtune.folder / "models/policy/head.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    said = armtune.refused(*arguments)
    assert "models/policy/head.onnx has SHA-256 " in said and "the manifest says" in said


@pytest.mark.fault("F23")
def test_model_of_another_contract_is_refused_with_both_sides(armtune: Shell) -> None:
    said = armtune.refused(*UP, "policy.height_px=64")
    assert "models/policy" in said and "96x96" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        (("collect", "n=0"), "n: expected a number of demonstrations per direction, 1 to 10000, got '0'"),
        (("collect", "source=magic"), "source: expected one of teleop, expert, policy; got 'magic'"),
        (("collect",), "no graph found on ROS domain"),
        (("teleop",), "no graph found on ROS domain"),
        (("up", "sim", "teleop=thought"), "unknown teleop 'thought'; known: gamepad, joy, keyboard"),
        (("up", "sim", "policy=none"), "policy.folder: without a policy nobody would act"),
        (("up", "sim", "teleop=joy", "experiment.time=lockstep"), "teleop: a person acts in real time"),
        (("up", "sim", "teleop=joy", "teleop.buttons=[]"), "buttons: expected a row for engage, the dead-man"),
    ),
)
def test_what_a_person_cannot_show_by_is_refused(armtune: Shell, arguments: tuple[str, ...], says: str) -> None:
    assert says in armtune.refused(*arguments)


def test_node_that_refuses_a_model_is_the_reason_the_graph_stopped(armtune: Shell) -> None:
    """The manifest keeps its word, the graph inside does not: only the node that loads it can see."""
    folder = armtune.folder / "models/policy"
    manifest, encoder = load_manifest(folder), encoder_bytes(ObservationSpec(height_px=64))
    (folder / "encoder.onnx").write_bytes(encoder)
    files = {**manifest.files, "encoder.onnx": entry(encoder)}
    write_manifest(folder, replace(manifest, files=files, encoder_digest=files["encoder.onnx"].sha256))
    said = armtune.given_up(*UP)
    assert "policy_node ended with code 78, starting it again cannot help" in said
    assert "input image.front: expected uint8 (-1, 96, 96, 3), got uint8 (-1, 64, 96, 3)" in said
    assert f"logs are in {armtune.folder}/runs/one/logs" in said


# -- config ----------------------------------------------------------------------------


def test_unknown_task_is_refused_with_the_known_ones(armtune: Shell) -> None:
    assert "unknown task 'juggle'; known: bin_sort, drawer, lid" in armtune.refused("up", "sim", "task=juggle")


@pytest.mark.parametrize(
    ("override", "says"),
    (
        ("experiment.sed=1", "unknown key 'sed'; known: "),
        ("experiment.seed=x", "seed: expected int, got 'x'"),
        ("seed", "expected name=value, as in task=drawer"),
        ("experiment.seed=[", "does not compose: "),
    ),
)
def test_bad_override_is_refused(armtune: Shell, override: str, says: str) -> None:
    assert says in armtune.refused("up", "sim", override)


@pytest.mark.parametrize(
    "command", (("collect",), ("pretrain", "runs/shown"), ("evaluate", "models/policy"), ("demo",))
)
def test_bad_override_is_refused_by_every_command(armtune: Shell, command: tuple[str, ...]) -> None:
    assert "unknown key 'sed'; known: " in armtune.refused(*command, "experiment.sed=1")


# -- machine ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", (UP, ("collect", "source=expert"), ("evaluate", "models/policy")))
def test_machine_without_opengl_is_told_what_to_install(armtune: Shell, arguments: tuple[str, ...]) -> None:
    hidden = armtune.folder / "hidden"
    hidden.mkdir()
    for name in HIDDEN:
        (hidden / name).touch()  # found first, and no library
    said = sentence(armtune(*arguments, LD_LIBRARY_PATH=str(hidden)))
    assert "no off-screen OpenGL found; install libegl1" in said
    assert_whole(armtune.folder / "runs")


@pytest.mark.parametrize("arguments", (UP, ("collect", "source=expert")))
def test_unknown_opengl_is_refused_before_mujoco_fails_on_it(armtune: Shell, arguments: tuple[str, ...]) -> None:
    said = sentence(armtune(*arguments, MUJOCO_GL="crayons"))
    assert "MUJOCO_GL: expected egl or osmesa, got 'crayons'" in said


def test_graph_of_which_nothing_would_be_recorded_is_not_started(armtune: Shell) -> None:
    said = armtune.refused(*UP, "recorder.disk_floor_mb=10000000")
    assert "MB free on the disk of" in said and "10000000 wanted; free some space" in said


@pytest.mark.fault("F33")
def test_full_disk_ends_a_collection_in_one_sentence_with_whole_files(armtune: Shell) -> None:
    """On a small tmpfs in a mount namespace of its own, where the kernel grants one."""
    runs, kept = armtune.folder / "runs", armtune.folder / "kept"
    runs.mkdir()
    mount = f"mount -t tmpfs -o size={SMALL_DISK_KB}k tmpfs {runs}"
    namespace = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, mount], capture_output=True, timeout=30).returncode
    ):
        pytest.skip("no tmpfs can be mounted here (unshare -m)")
    script = f'{mount} && "$@"; code=$?; cp -r {runs} {kept}; exit $code'
    said = sentence(armtune("collect", "source=expert", "experiment.name=one", before=(*namespace, script, "sh")))
    assert f"no space left to write {runs}/one/episodes/one-00000.mcap; free some disk space" in said
    assert (kept / "one/config.yaml").is_file()
    assert_whole(kept)


@pytest.mark.fault("F33")
def test_file_that_may_not_grow_ends_a_collection_in_one_sentence_with_whole_files(armtune: Shell) -> None:
    """The same by RLIMIT_FSIZE, which needs no rights."""
    before = ("sh", "-c", f'ulimit -f {SMALL_DISK_KB} && exec "$@"', "sh")
    said = sentence(armtune("collect", "source=expert", "experiment.name=one", before=before))
    assert f"cannot write {armtune.folder}/runs/one/episodes/one-00000.mcap: File too large" in said
    assert_whole(armtune.folder / "runs")


def test_second_graph_on_a_domain_is_refused(armtune: Shell) -> None:
    claim = environment.claim(armtune.domain)  # as a running graph holds it
    try:
        said = armtune.refused(*UP)
    finally:
        os.close(claim)
    assert f"another graph runs on ROS domain {armtune.domain}; stop it, or set ROS_DOMAIN_ID" in said


def test_camera_without_its_files_is_the_reason_the_graph_stopped(armtune: Shell) -> None:
    pytest.importorskip("dynamixel_sdk", reason="dynamixel-sdk is not installed: constraints/robot.txt")
    camera = ("camera=files", "camera.paths=[nowhere]")
    with ServoBus("dynamixel", armtune.folder, wx250s()) as bus:
        bus.be_patient(20.0)
        arm = (f"arm.port={bus.path}", f"arm.reply_s={REPLY_S}")
        said = armtune.given_up("up", "robot", *camera, *arm, "experiment.name=one")
    assert "front_camera_node ended with code 78, starting it again cannot help" in said
    assert "nowhere: no such folder of images; set camera.paths to an existing one" in said
