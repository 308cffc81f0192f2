"""``armtune evaluate`` on a running graph: killed and gone on with, judged by truth, and practice none the wiser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armtune_bringup.compose import compose
from armtune_bringup.environment import PROFILES_FILE
from armtune_interfaces.msg import EpisodeState, GateState
from armtune_interfaces.srv import Arm, ResetWorld
from armtune_policies.contract import topics
from armtune_policies.episode.trials import plan
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.labels import OPERATOR, read_labels
from armtune_policies.store.manifest import load_manifest
from armtune_safety.managed_node import LATCHED_QOS
from fixtures.tiny_models import tiny_policy, tiny_reward
from fixtures.up import UP_S, Up
from harness import Stack

CONFIG = ["task.episode_steps=20", "policy.height_px=32", "policy.width_px=32", "experiment.evaluations=2"]
SCENES, POLICIES, SEED = 2, 2, 0

pytestmark = [pytest.mark.slow, pytest.mark.unhurried]


def still_models(folder: Path) -> None:
    """Two policies that let the arm rest, a hair apart: whatever is done is done by another."""
    config = compose(CONFIG)
    specs = (config.policy.action, config.policy.observation)
    sentences = (config.task.forward, config.task.backward)
    for name in ("old", "new"):
        tiny_policy(folder / name, *specs, sentences, name=name, by_state=np.zeros((7, 7)))
    tiny_reward(folder / "reward", *specs, sentences)


def hand_shuts_the_drawer(stack: Stack, robot: str) -> None:
    """In every episode that is to shut the drawer somebody does: the scene becomes one in which it is shut."""
    asked = stack.node.create_client(ResetWorld, f"/{robot}/{topics.RESET_WORLD}")
    done: set[str] = set()

    def on_state(state: EpisodeState) -> None:
        is_on = state.phase == EpisodeState.ACTING and state.direction == "backward" and state.judged_step >= 1
        if is_on and state.episode_id not in done:
            done.add(state.episode_id)
            asked.call_async(ResetWorld.Request(seed=1, direction="forward"))

    stack.node.create_subscription(EpisodeState, f"/{robot}/{topics.EPISODE_STATE}", on_state, LATCHED_QOS)


class Evaluation:
    """The command, as a process."""

    def __init__(self, folder: Path, domain: int) -> None:
        self.result = folder / "result.json"
        words = ["evaluate", "models/new", *CONFIG, "--against", "models/old", "--on-stack"]
        command = [sys.executable, "-m", "armtune_bringup.cli", *words, "--result", str(self.result)]
        env = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        env.pop(PROFILES_FILE, None)  # the harness's own
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen(command, cwd=folder, env=env, **pipe)

    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.result.read_text())["trials"] if self.result.is_file() else []


def test_killed_evaluation_goes_on_with_what_is_left_and_practice_learns_nothing_of_it(tmp_path: Path) -> None:
    still_models(tmp_path / "models")
    robot = compose(CONFIG).robot.name
    with Stack(tmp_path) as stack:
        models = ["policy.folder=models/old", "reward.folder=models/reward"]
        up = Up(tmp_path, stack.domain, "experiment.time=lockstep", *CONFIG, *models)
        try:
            up.until_said("learner_node: active")
            hand_shuts_the_drawer(stack, robot)

            def armed() -> bool:
                gate = stack.wait_for(f"/{robot}/{topics.GATE_STATE}", GateState, qos=LATCHED_QOS)
                return bool(stack.call(Arm, f"/{robot}/{topics.ARM}", Arm.Request(boot_id=gate.boot_id)).accepted)

            stack.until(armed, what="the gate armed")
            first = Evaluation(tmp_path, stack.domain)
            stack.until(lambda: len(first.rows()) >= 3 or first.process.poll() is not None, UP_S, "three trials")
            first.process.send_signal(signal.SIGKILL)
            before = first.rows()
            assert first.process.communicate(timeout=10) and 3 <= len(before) < SCENES * 2 * POLICIES
            second = Evaluation(tmp_path, stack.domain)
            said = second.process.communicate(timeout=UP_S)[0]
            assert second.process.returncode == 0, said
        finally:
            up.process.send_signal(signal.SIGINT)
            up.ends(timeout_s=15.0)
    found, trials = json.loads(said.splitlines()[-1]), plan(SCENES, POLICIES, SEED)
    rows = second.rows()
    assert rows[: len(before)] == before and [row["number"] for row in rows] == list(range(len(trials)))
    for name in ("new", "old"):
        assert found["policies"][name]["backward"] == {"successes": 2, "n": 2, "ci95": [0.342, 1.0]}
        assert found["policies"][name]["forward"]["successes"] == 0
    assert (found["n"], found["judge"], found["difference"]["both"]["points"]) == (8, "truth", 0.0)
    acted_by_whom_it_was_told(tmp_path, up.run, rows)
    assert not list_episodes(up.run) and not {"models", "practice.json", "policy.json"} & {
        p.name for p in up.run.iterdir()
    }


def acted_by_whom_it_was_told(folder: Path, run: Path, rows: list[dict[str, Any]]) -> None:
    """Every episode that counts was acted by the policy whose turn it was, and bears the truth as its label."""
    versions = [load_manifest(folder / "models" / name).version for name in ("new", "old")]
    for row, trial in zip(rows, plan(SCENES, POLICIES, SEED)):
        episode = read_episode(run / "evaluation" / "episodes" / f"{row['episode']}.mcap")
        assert episode.policy_version == versions[trial.policy] and episode.direction == trial.direction
        assert episode.about.purpose == "evaluation"
        if row["success"]:
            assert read_labels(run / "evaluation", episode, OPERATOR).success_step == episode.end_step
