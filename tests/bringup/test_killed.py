"""kill -9 in the middle of training and of practice: the same call goes on, and ends where it would have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from armtune_bringup.agents import pretrain_agent, read_overrides, training_folder
from armtune_bringup.compose import compose
from armtune_bringup.finetuning import finetune_agent
from armtune_policies.store.files import read_json
from fixtures.tiny_models import tiny_policy

sys.path.insert(0, str(Path(__file__).parents[1] / "policies/learn"))

from dots import episode
from lerobot_writer import write_folder

CONFIG = ["policy.height_px=32", "policy.width_px=32", "task.episode_steps=4", "experiment.evaluations=1"]
SMALL = ["agent.batch=8", "agent.hidden=[8,8]", "agent.cql_actions=2", "offline.copies=0"]
PRETRAIN = [*CONFIG, *SMALL, "agent=calql", "offline.updates=300", "offline.checkpoint_every=5"]
PRACTISE = [*CONFIG, "practice.steps=120", "practice.checkpoint_every=1", "experiment.name=one"]


def killed(arguments: list[str], checkpoint: Path, patience_s: float = 120.0) -> None:
    """Run a command until it has written a checkpoint, then kill -9 it."""
    command = [sys.executable, "-m", "armtune_bringup.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    ends_s = time.monotonic() + patience_s
    try:
        while not checkpoint.is_file():
            if process.poll() is not None and process.stdout is not None:
                raise AssertionError(f"ended before a checkpoint: {process.stdout.read().decode()}")
            assert time.monotonic() < ends_s, f"no {checkpoint} within {patience_s} s"
            try:
                process.wait(timeout=0.01)
            except subprocess.TimeoutExpired:
                continue
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed; make it longer"


@pytest.mark.fault("F29")
@pytest.mark.slow
def test_training_and_practice_go_on_by_the_same_call(tmp_path: Path) -> None:
    config = compose(CONFIG)
    encoder = tiny_policy(tmp_path / "encoder", config.policy.action, config.policy.observation)
    shown = [episode(seed) for seed in range(3)]
    for one in shown:
        object.__setattr__(one.about, "sentence", config.task.forward)
    demos = write_folder(tmp_path / "shown", shown)

    folder = tmp_path / "calql"
    named = [*PRETRAIN, f"policy.folder={folder}"]
    kept = training_folder(folder)
    killed(["pretrain", str(demos), *named, "--encoder", str(encoder)], kept / "checkpoint.json")
    assert not (folder / "manifest.json").exists()
    done = pretrain_agent(read_overrides(named), demos, None, encoder)
    straight = pretrain_agent(
        read_overrides([*PRETRAIN, f"policy.folder={tmp_path / 'straight'}"]), demos, None, encoder
    )
    assert 5 <= done["resumed_from"] < 300 == done["updates"] and straight["resumed_from"] == 0
    assert done["policy"] == straight["policy"]
    rows = [at for at, _ in read_json(kept / "curve.json")["rows"]]
    assert rows == sorted(set(rows)) and rows[-1] == 300

    named = [*PRACTISE, f"policy.folder={folder}", f"experiment.folder={tmp_path}"]
    killed(["finetune", str(demos), "--in-process", *named], tmp_path / "one/practice/checkpoint.json")
    assert not (tmp_path / "one/result.json").exists()
    ended = finetune_agent(read_overrides(named), demos, None)
    assert ended["resumed_from"] >= 1 and ended["steps"] >= 120 and ended["updates"] == ended["steps"]
    assert read_json(tmp_path / "one/result.json") == ended
    steps = [at for at, _ in read_json(tmp_path / "one/practice/curve.json")["rows"]]
    assert steps == sorted(set(steps)) and steps[-1] == ended["steps"]
