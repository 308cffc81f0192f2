"""The whole practice stack on emulated arms in place of the simulator: it practises, and faults stop it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from casebook import Case

from armtune_bringup.compose import compose
from armtune_policies.contract import Mode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from fixtures.plugged import Plugged, Wx250s, plugged
from fixtures.tiny_models import tiny_models
from fixtures.up import UP_S, Up
from harness import own_domain

pytestmark = pytest.mark.slow
ARMS = ("wx250s", "wxai", "so101", "fr3")
REST_S = 0.5
ENDLESS = ("--practice", "task.episode_steps=1000", "reward.threshold=0.999")


@pytest.fixture
def arm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plugged]:
    with plugged(request.param, tmp_path) as one:
        yield one


@pytest.fixture
def up(tmp_path: Path, arm: Plugged) -> Iterator[Callable[..., Up]]:
    """Start ``armtune up robot`` on the emulated arm, with tiny models and a folder of pictures for a camera."""
    tiny_models(tmp_path / "models", compose())
    (tmp_path / "pictures").mkdir()
    chance = np.random.default_rng(0)
    for number in range(8):
        picture = chance.integers(0, 256, (480, 640, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), picture)
    started: list[Up] = []
    with own_domain() as domain:

        def start(*arguments: str) -> Up:
            camera = ("camera=files", "camera.paths=[pictures]")
            started.append(Up(tmp_path, domain, *camera, *arm.overrides, *arguments, world="robot"))
            return started[-1]

        yield start
        for one in started:
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGINT)
            one.ends(timeout_s=15.0)


def practising(up: Callable[..., Up], arm: Plugged) -> Up:
    """A graph whose policy moves the arm, most of its episode still to come."""
    start = arm.places()
    one = up(*ENDLESS)
    one.until(lambda: bool(np.max(np.abs(arm.places() - start)) > arm.moved), "the arm moves")
    return one


def rests(one: Up, arm: Plugged) -> None:
    here, since_s = arm.places(), time.monotonic()

    def still() -> bool:
        nonlocal here, since_s
        now = arm.places()
        if not np.max(np.abs(now - here)) <= arm.moved / 6:
            here, since_s = now, time.monotonic()
        return time.monotonic() - since_s >= REST_S

    one.until(still, "the arm at rest", timeout_s=5.0)


@pytest.mark.parametrize("arm", ARMS, indirect=True)
def test_an_episode_is_practised_and_its_file_has_what_the_arm_did(up, arm: Plugged) -> None:
    start = arm.places()
    one = up("--practice", "experiment.episodes=1", "task.episode_steps=10", "reward.threshold=0.999")
    one.until(lambda: bool(np.max(np.abs(arm.places() - start)) > arm.moved / 3), "the arm moves")  # it goes home later
    assert one.ends(UP_S) == 0, one.said
    assert "practised 1 episodes" in one.said
    (file,) = list_episodes(one.run)
    episode = read_episode(file)
    assert len(episode.modes) == 10 and np.mean([mode < Mode.HOLD for mode in episode.modes]) > 0.5
    assert np.ptp(episode.state[episode.complete, :3], axis=0).max() > 0.005, "the tool moved, and its file says so"
    assert arm.is_held(is_driven=False), "the arm is held, not dropped"


@pytest.mark.parametrize("arm", ARMS, indirect=True)
def test_arm_is_held_by_its_driver_when_the_gate_is_killed_in_motion(up, arm: Plugged) -> None:
    one = practising(up, arm)
    os.kill(one.node("gate_node"), signal.SIGKILL)
    one.until_said("gate_node: ended by SIGKILL")
    rests(one, arm)
    assert arm.is_held(is_driven=True), "the driver lives and holds"
    arm.be_strict()
    os.kill(one.node("arm_node"), signal.SIGKILL)
    one.until(arm.has_bitten, "the motors' own watchdogs")
    rests(one, arm)
    assert arm.is_held(is_driven=False), "and when that dies, the motors hold by themselves"


@pytest.mark.every_phase
@pytest.mark.parametrize("arm", ARMS[:1], indirect=True)
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.fault("F41")),
        pytest.param(signal.SIGSTOP, marks=pytest.mark.fault("F42")),
    ],
)
def test_arm_rests_and_is_stopped_when_its_cameras_node_dies_or_hangs(
    up, arm: Plugged, case: Case, number: int
) -> None:
    one = practising(up, arm)
    case.by(f"{signal.Signals(number).name} of a camera's node in motion")
    camera = one.node("front_camera_node")
    os.kill(camera, number)
    try:
        rests(one, arm)
        one.until_said("STOP: stop requested")
        case.nothing("an arm that is dropped", not arm.is_held(is_driven=True))
    finally:
        if number == signal.SIGSTOP:
            os.kill(camera, signal.SIGCONT)


@pytest.mark.fault("F49")
@pytest.mark.parametrize("arm", ("wx250s", "wxai", "fr3"), indirect=True)
def test_gate_stops_and_what_ails_the_arm_is_said_when_a_joint_is_overloaded_or_hot(up, arm: Plugged) -> None:
    one = practising(up, arm)
    arm.ail()
    one.until_said("STOP: controller not read back")
    one.until_said(arm.ailment)
    rests(one, arm)


@pytest.mark.fault("F49")
@pytest.mark.parametrize("arm", ("wx250s",), indirect=True)
def test_gate_slows_while_a_servo_is_warm_and_stops_once_it_is_hot(up, arm: Wx250s) -> None:
    one = practising(up, arm)
    arm.bus.set(9, "present_temperature", 60)
    one.until_said("arm strained")
    assert "STOP: controller not read back" not in one.said
    arm.bus.set(9, "present_temperature", 68)
    one.until_said("STOP: controller not read back")
    one.until_said("left_finger (id 9): 68 C, it lets go at 72 C")
    rests(one, arm)
