from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from dots import ACTION, GO, SPEC, DotWorld, read
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.learn.bc import Pretrained, PretrainParams, RefitParams, encode, pretrain, refit_head, row_shares
from armtune_policies.learn.data import Transitions
from armtune_policies.learn.evaluate import evaluate
from armtune_policies.learn.loop import Progress
from armtune_policies.runtime.policy import Policy

Embeddings = dict[str, np.ndarray]
SHORT = PretrainParams(updates=12, batch=8, shift_px=1)


def weights(trained: Pretrained) -> torch.Tensor:
    nets = (trained.encoder, trained.head)
    return torch.cat([tensor.flatten() for net in nets for tensor in net.state_dict().values()])


def test_a_cloned_policy_reaches_unseen_goals_in_the_runtime(policy_folder: Path) -> None:
    policy = Policy.load(policy_folder, ACTION, SPEC)
    result = evaluate(policy, DotWorld(), read, GO, range(1000, 1020), 20)
    assert result.rate >= 0.5, str(result)


def test_the_same_seed_gives_the_same_weights(data: Transitions, embeddings: Embeddings) -> None:
    one, two, other = (weights(pretrain(data, embeddings, ACTION, SPEC, SHORT, seed=s)) for s in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_an_interrupted_training_ends_as_if_it_was_not(
    data: Transitions, embeddings: Embeddings, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 10:
            signal.raise_signal(signal.SIGINT)

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        pretrain(data, embeddings, ACTION, SPEC, SHORT, checkpoint=path, on_progress=interrupt)
    resumed = pretrain(data, embeddings, ACTION, SPEC, SHORT, checkpoint=path)
    whole = pretrain(data, embeddings, ACTION, SPEC, SHORT)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_checkpoint_is_refused_when_it_is_of_other_settings_or_broken(
    data: Transitions, embeddings: Embeddings, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"

    def interrupt(_: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(data, embeddings, ACTION, SPEC, SHORT, checkpoint=path, on_progress=interrupt)
    with pytest.raises(ValueError, match=r"is of training .* this one is"):
        pretrain(data, embeddings, ACTION, SPEC, SHORT, seed=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="is not a checkpoint"):
        pretrain(data, embeddings, ACTION, SPEC, SHORT, checkpoint=path)


def test_a_refit_changes_a_copy_of_the_head_and_nothing_else(
    trained: Pretrained, data: Transitions, embeddings: Embeddings
) -> None:
    before = weights(trained).clone()
    features = encode(trained.encoder, data)
    head, loss = refit_head(
        trained.head, features, data, embeddings, np.zeros(len(data), bool), RefitParams(updates=50)
    )
    assert torch.equal(weights(trained), before) and np.isfinite(loss)
    assert not torch.equal(head.out.weight, trained.head.out.weight)


def test_a_refit_is_refused_when_features_are_of_other_rows(
    trained: Pretrained, data: Transitions, embeddings: Embeddings
) -> None:
    with pytest.raises(ValueError, match="features: expected"):
        refit_head(
            trained.head, np.zeros((3, trained.encoder.feature_size), np.float32), data, embeddings, np.zeros(3, bool)
        )


@pytest.mark.fault("F31")
def test_training_stops_with_a_sentence_when_the_loss_is_not_finite(data: Transitions, embeddings: Embeddings) -> None:
    data = data.rows(np.arange(len(data)))
    data.state[:] = np.nan
    with pytest.raises(ValueError, match="the loss became nan at step"):
        pretrain(data, embeddings, ACTION, SPEC, SHORT)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1)), min_size=1, max_size=60), st.floats(0.1, 0.9))
def test_own_rows_get_their_share_and_both_sentences_count_alike(
    rows: list[tuple[bool, int]], own_share: float
) -> None:
    is_own, sentence = (np.array(column) for column in zip(*rows))
    shares = row_shares(is_own, sentence, own_share)
    assert shares.sum() == pytest.approx(1.0) and (shares > 0).all()
    if is_own.any() and not is_own.all():
        assert shares[is_own].sum() == pytest.approx(own_share)
    for part in (is_own, ~is_own):
        sums = [shares[part & (sentence == one)].sum() for one in np.unique(sentence[part])]
        assert sums == pytest.approx(sums[:1] * len(sums))
