"""What is proposed beside what a policy wants: the sticky gripper, on a robot as in simulation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from armtune_policies.contract import StepTick, TaskPair
from armtune_policies.store.nouns import EpisodeState
from armtune_runtime.assemble import Frame, Joints, Seen
from armtune_runtime.settings import PolicyNodeParams, PolicyParams
from armtune_runtime.think import Thinker
from fixtures.wires import SENTENCE, SIZE, mjcf, robot

WANTED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)


def thinker(folder: Path, **policy: Any) -> Thinker:
    task = TaskPair(name="drawer", forward=SENTENCE, backward="close the drawer")
    told = PolicyParams(folder=str(folder), **policy)
    params = PolicyNodeParams(policy=told, robot=robot(), task=task, run_folder=str(folder), mjcf=mjcf())
    return Thinker.of(params)


def proposed(thinks: Thinker, episode_id: str, handed_back: int = 99) -> list[float]:
    """Act an episode by a policy that opens and closes the gripper in turn; return what is proposed for the gripper."""
    pose = (*robot().home_rad, robot().finger_m(1.0))
    seen = Seen({"front": Frame(1, 1, np.full((*SIZE, 3), 90, np.uint8))}, Joints(1, 1, pose), 0.0)
    made = []
    for step, opening in enumerate(WANTED):
        wants = np.array([0.01, 0, 0, 0, 0, 0, opening], np.float32)
        policy: Any = SimpleNamespace(
            features=lambda images: np.zeros(4, np.float32), propose=lambda *_, wants=wants: wants
        )
        tick = StepTick(1, 1, episode_id, step, "policy", 1 + (step >= handed_back))
        thought = thinks.think(policy, seen, EpisodeState(episode_id=episode_id, sentence=SENTENCE), tick)
        assert thought.proposed.dtype == np.float32 and thought.proposed[:-1].tolist() == wants[:-1].tolist()
        made.append(float(thought.proposed[-1]))
    return made


@pytest.mark.parametrize(
    ("policy", "held"),
    [
        ({}, [0, 1, 1, 1, 0, 0]),
        ({"rate_hz": 10.0}, [0, 1, 1, 1, 1, 1]),
        ({"grip_s": 0.0}, list(WANTED)),
    ],
)
def test_gripper_stays_for_its_time_with_what_it_was_told_anew(
    tmp_path: Path, policy: dict[str, Any], held: list[float]
) -> None:
    thinks = thinker(tmp_path, **policy)
    assert proposed(thinks, "run-00000") == proposed(thinks, "run-00001") == held


def test_who_gets_the_arm_back_is_not_held_to_what_was_wanted_before(tmp_path: Path) -> None:
    assert proposed(thinker(tmp_path), "run-00000", handed_back=2) == [0, 1, 0, 1, 1, 1]
