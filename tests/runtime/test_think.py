"""A step of a policy where what it runs on is gone or too slow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from armtune_policies.contract import TaskPair
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.session import Arrays
from armtune_policies.store.manifest import ModelError
from armtune_runtime.settings import PolicyParams
from armtune_runtime.think import check_pace, load_policy
from fixtures.tiny_models import ACTION, OBSERVATION, SENTENCES_KNOWN, tiny_policy

TASK = TaskPair(name="drawer", forward=SENTENCES_KNOWN[0], backward=SENTENCES_KNOWN[1])
GPU = ("CUDAExecutionProvider", "CPUExecutionProvider")

pytestmark = pytest.mark.fault("F27")


class Slow(OrtSession):
    """The same graph on something a hundred times slower."""

    def run(self, feeds: Mapping[str, Any]) -> Arrays:
        time.sleep(0.11)
        return super().run(feeds)


class Gone(OrtSession):
    """A device that is lost once the model is loaded and checked."""

    is_there = True

    def run(self, feeds: Mapping[str, Any]) -> Arrays:
        if not Gone.is_there:
            raise ModelError("the graph refused its inputs: CUDA failure 999")
        return super().run(feeds)


def test_policy_falls_back_and_says_to_what_where_it_is_fast_enough(tmp_path: Path) -> None:
    policy = load_policy(PolicyParams(folder=str(tiny_policy(tmp_path)), providers=GPU), TASK)
    assert policy.provider in set(GPU) & set(onnxruntime.get_available_providers()), "the CPU where it is all there is"


def test_policy_is_refused_where_a_step_takes_longer_than_a_period(tmp_path: Path) -> None:
    params = PolicyParams(folder=str(tiny_policy(tmp_path)), providers=GPU)
    policy = Policy.load(tmp_path, ACTION, OBSERVATION, Slow)
    with pytest.raises(ModelError, match=r"a step takes 2\d\d ms on .*, more than the control period of 200 ms; CUDA"):
        check_pace(policy, params, TASK.forward)


def test_step_of_a_device_that_was_lost_is_an_error_and_no_proposal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy.load(tiny_policy(tmp_path), ACTION, OBSERVATION, Gone)
    monkeypatch.setattr(Gone, "is_there", False)
    with pytest.raises(ModelError, match="CUDA failure"):
        policy.features({"front": np.zeros((96, 96, 3), np.uint8)})
