from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.worker_session import WorkerSession
from armtune_policies.store.manifest import ModelError

MakeModel = Callable[..., Path]
SPEC, ACTION = ObservationSpec(height_px=16, width_px=16), ActionSpec()
GREY = {"front": np.full((16, 16, 3), 51, np.uint8)}


def test_a_proposal_is_made_from_images_state_and_sentence(make_model: MakeModel) -> None:
    policy = Policy.load(make_model(), ACTION, SPEC)
    features = policy.features(GREY)
    np.testing.assert_allclose(features, [0.2, 0.2, 0.2], atol=1e-6)
    proposed = policy.propose(features, np.zeros(7), "open the drawer")
    assert proposed.dtype == np.float32 and proposed.shape == (7,)
    assert np.all(proposed >= ACTION.low) and np.all(proposed <= np.array(ACTION.high, np.float32))
    assert policy.version.startswith("tiny-") and len(policy.encoder_digest) == 64


def test_the_worker_proposes_the_same_as_this_process(make_model: MakeModel) -> None:
    here, there = Policy.load(make_model(), ACTION, SPEC), Policy.load(make_model(), ACTION, SPEC, WorkerSession)
    state = np.ones(7)
    for policy in (here, there):
        assert policy.features(GREY).shape == (3,)
    a, b = (p.propose(p.features(GREY), state, "close the drawer") for p in (here, there))
    np.testing.assert_allclose(a, b, atol=1e-6)
    there.close()


def test_a_sentence_is_refused_when_the_model_does_not_know_it(make_model: MakeModel) -> None:
    policy = Policy.load(make_model(), ACTION, SPEC)
    with pytest.raises(ModelError, match=r"'dance'; it knows 'open the drawer'"):
        policy.propose(np.zeros(3, np.float32), np.zeros(7), "dance")


def test_an_observation_is_refused_when_a_number_is_nan(make_model: MakeModel) -> None:
    policy = Policy.load(make_model(), ACTION, SPEC)
    with pytest.raises(ModelError, match="NaN"):
        policy.propose(np.full(3, np.nan, np.float32), np.zeros(7), "open the drawer")


@pytest.mark.fault("F23")
def test_both_contracts_are_named_when_they_differ(make_model: MakeModel) -> None:
    other = ObservationSpec(height_px=32, width_px=16)
    with pytest.raises(ModelError, match=r"contract [0-9a-f]{16} .*16x16.* this robot's config has [0-9a-f]{16}"):
        Policy.load(make_model(), ACTION, other)


@pytest.mark.fault("F24")
def test_a_model_is_refused_when_its_outputs_are_not_the_stored_ones(make_model: MakeModel) -> None:
    bad = _golden_of(make_model())
    bad["out.proposed"] = bad["out.proposed"] + np.float32(0.01)
    with pytest.raises(ModelError, match=r"off by 0\.01"):
        Policy.load(make_model("changed", golden=bad), ACTION, SPEC)


@pytest.mark.fault("F23")
def test_a_model_is_refused_when_its_shapes_are_not_the_contracts(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match=r"features: expected float32 \(-1, 5\), got float32 \(-1, 3\)"):
        Policy.load(make_model(feature_size=5), ACTION, SPEC)


@pytest.mark.fault("F24")
def test_a_model_is_refused_when_it_proposes_beyond_the_bounds(make_model: MakeModel, scaled_head: bytes) -> None:
    golden = _golden_of(make_model())
    half, centre = (np.subtract(ACTION.high, ACTION.low) / 2, np.add(ACTION.high, ACTION.low) / 2)
    golden["out.proposed"] = ((golden["out.proposed"] - centre) * 2 + centre).astype(np.float32)
    assert half.min() > 0
    with pytest.raises(ModelError, match="beyond the action bounds"):
        Policy.load(make_model("wild", head=scaled_head, golden=golden), ACTION, SPEC)


def test_runtime_and_reward_work_when_the_training_library_is_hidden() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import armtune_policies.runtime.slot, armtune_policies.runtime.worker_session\n"
        "import armtune_policies.reward.classifier, armtune_policies.reward.frames, armtune_policies.reward.sheet\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _golden_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "golden.safetensors")
