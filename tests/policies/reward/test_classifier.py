from __future__ import annotations

from pathlib import Path

import pytest

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.store.manifest import ModelError
from fixtures.tiny_models import SENTENCES_KNOWN, tiny_reward


def test_a_model_that_does_not_know_what_it_will_be_asked_is_refused_before_a_session_is_open(tmp_path: Path) -> None:
    folder, opened = tiny_reward(tmp_path / "reward"), list[OrtSession]()

    def open_session(graph: bytes) -> OrtSession:
        opened.append(OrtSession(graph))
        return opened[-1]

    with pytest.raises(ModelError, match="does not know the sentence 'fly'"):
        RewardModel.load(folder, ActionSpec(), ObservationSpec(), open_session, (SENTENCES_KNOWN[0], "fly"))
    assert not opened
    model = RewardModel.load(folder, ActionSpec(), ObservationSpec(), open_session, SENTENCES_KNOWN)
    assert model.provider == opened[0].provider
    model.close()
