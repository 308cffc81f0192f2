from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.slot import PolicySlot
from armtune_policies.store.manifest import SENTENCES

MakeModel = Callable[..., Path]
SAYINGS = ("open the drawer", "close the drawer")
SPEC, ACTION = ObservationSpec(height_px=16, width_px=16), ActionSpec()


@pytest.fixture
def slot(make_model: MakeModel) -> PolicySlot:
    return PolicySlot(Policy.load(make_model("first"), ACTION, SPEC))


@pytest.mark.fault("F25")
def test_an_offer_waits_until_an_episode_starts(slot: PolicySlot, make_model: MakeModel, other_head: bytes) -> None:
    first = slot.current
    slot.offer(make_model("second", kind="head", head=other_head))
    assert slot.settle(10.0)
    assert slot.current is first and slot.state.waiting_version.startswith("second-")
    assert slot.at_episode_start().version.startswith("second-")
    assert slot.state.waiting_version == "" and slot.current.encoder_digest == first.encoder_digest
    slot.close()


@pytest.mark.fault("F25")
def test_the_newest_offer_wins_when_two_came_in_one_episode(slot: PolicySlot, make_model: MakeModel) -> None:
    slot.offer(make_model("second", kind="head"))
    slot.offer(make_model("third", kind="head"))
    assert slot.settle(10.0)
    assert slot.at_episode_start().version.startswith("third-")


@pytest.mark.fault("F22", "L7")
def test_the_policy_stays_and_the_reason_is_told_when_an_offer_is_broken(
    slot: PolicySlot, make_model: MakeModel
) -> None:
    folder = make_model("second", kind="head")
    (folder / "head.onnx").write_bytes((folder / "head.onnx").read_bytes()[:-1])
    slot.offer(folder, version="second-1")
    assert slot.settle(10.0)
    assert slot.at_episode_start().version.startswith("first-")
    assert slot.state.refused_version == "second-1" and "cut short" in slot.state.refused_reason


@pytest.mark.fault("F23")
def test_a_head_is_refused_when_it_fits_another_encoder(slot: PolicySlot, make_model: MakeModel) -> None:
    slot.offer(make_model("second", kind="head", encoder_digest="ab" * 32))
    assert slot.settle(10.0)
    assert "head is for encoder abababababababab" in slot.state.refused_reason


@pytest.mark.fault("F23")
def test_a_head_is_refused_when_it_lacks_a_sentence(slot: PolicySlot, make_model: MakeModel) -> None:
    sentences = save({"embeddings": np.eye(1, 384, dtype=np.float32)})
    slot.offer(make_model("second", kind="head", sentences=(SAYINGS[0],), **{SENTENCES: sentences}))
    assert slot.settle(10.0)
    assert f"does not know the sentence {SAYINGS[1]!r}" in slot.state.refused_reason


def test_a_head_is_opened_as_the_first_policy_was(make_model: MakeModel) -> None:
    opened = list[OrtSession]()

    def on_cpu(graph: bytes) -> OrtSession:
        opened.append(OrtSession(graph, ("CPUExecutionProvider",)))
        return opened[-1]

    slot = PolicySlot(Policy.load(make_model("first"), ACTION, SPEC, on_cpu))
    slot.offer(make_model("second", kind="head"))
    assert slot.settle(10.0) and slot.at_episode_start().version.startswith("second-")
    assert len(opened) == 3


@pytest.mark.fault("L7")
def test_a_head_is_refused_when_its_manifest_is_not_the_one_offered(slot: PolicySlot, make_model: MakeModel) -> None:
    slot.offer(make_model("second", kind="head"), manifest_digest="0" * 64)
    assert slot.settle(10.0)
    assert "the offer says 0000" in slot.state.refused_reason


@pytest.mark.fault("F25")
def test_control_goes_on_while_an_offer_is_verified(make_model: MakeModel) -> None:
    may_end = threading.Event()

    def slow(policy: Policy, folder: Path) -> Policy:
        may_end.wait(timeout=10.0)
        return policy.with_head(folder)

    slot = PolicySlot(Policy.load(make_model("first"), ACTION, SPEC), verify=slow)
    slot.offer(make_model("second", kind="head"))
    assert slot.at_episode_start().version.startswith("first-")
    may_end.set()
    assert slot.settle(10.0)
    assert slot.at_episode_start().version.startswith("second-")
