"""``armtune reward offer`` beside a reward node that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition

from armtune_interfaces.msg import GateState
from armtune_policies.contract import TaskPair
from armtune_policies.store.manifest import load_manifest
from armtune_runtime.settings import PolicyParams, RewardNodeParams, RewardParams
from armtune_safety.managed_node import LATCHED_QOS
from fixtures.tiny_models import SENTENCES_KNOWN, tiny_reward
from harness import Stack

NODE, ROBOT = "reward_node", "wx250s"


def offer(stack: Stack, folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "armtune_bringup.cli", "reward", "offer", str(folder)]
    env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.fault("L7")
def test_an_offer_is_verified_by_the_node_or_refused_with_its_reason(stack: Stack, tmp_path: Path) -> None:
    first, second, strange = (tmp_path / name for name in ("first", "second", "strange"))
    for folder, sentences in ((first, SENTENCES_KNOWN), (second, SENTENCES_KNOWN), (strange, ("lift the lid",))):
        tiny_reward(folder, sentences=sentences, name=folder.name)
    task = TaskPair(name="drawer", forward=SENTENCES_KNOWN[0], backward=SENTENCES_KNOWN[1])
    params = RewardNodeParams(reward=RewardParams(folder=str(first)), policy=PolicyParams(), task=task)
    stack.start("armtune_runtime.reward_node", NODE, params, (("__ns", f"/{ROBOT}"),))
    for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        stack.transition(f"{ROBOT}/{NODE}", step)
    gate = stack.node.create_publisher(GateState, f"/{ROBOT}/gate_state", LATCHED_QOS)
    gate.publish(GateState())  # by which a graph is found
    code, text = offer(stack, second)
    assert code == 0 and f"{load_manifest(second).version} was verified" in text
    code, text = offer(stack, strange)
    assert code == 2 and "refused strange-" in text and "does not know the sentence 'open the drawer'" in text
