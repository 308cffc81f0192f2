"""Askeds out of transformers folders: tiny random weights, the real library, the real runtime."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

import tiny_judges

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.learn.export import About
from armtune_policies.learn.reward.clip import Towers
from armtune_policies.learn.reward.export import PARITY, check_exportable, export_judge
from armtune_policies.learn.reward.fit import FitParams, fit, split
from armtune_policies.learn.reward.generative import NO_TOKEN, Generative
from armtune_policies.learn.reward.judge import Asked, Familiarity, Served
from armtune_policies.reward.calibrate import Limits
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.store.manifest import ModelError

OPEN, CLOSE = "open the drawer", "close the drawer"
SPEC, ACTION = ObservationSpec(cameras=("front", "wrist"), height_px=24, width_px=40), ActionSpec()
IMAGES = [torch.from_numpy(np.random.default_rng(i).integers(0, 256, (4, 24, 40, 3), np.uint8)) for i in range(2)]
QUESTIONS, DONE = [OPEN, CLOSE, OPEN, CLOSE], torch.tensor([1.0, 0.0, 0.0, 1.0])
DUAL, GENERATIVE = ("siglip", "clip"), ("smolvlm", "paligemma", "qwen")
LIMITS = Limits(0.5, 0.4, 1e6)
Folders = Callable[[str], Path]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Make each kind of folder once."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = getattr(tiny_judges, name)(tmp_path_factory.mktemp("judges") / name)
        return made[name]

    return folder


def load(name: str, folder: Path, is_lora: bool = False, spec: ObservationSpec = SPEC) -> Asked:
    torch.manual_seed(1)
    if name in DUAL:
        return Towers.load(folder, spec, "lora" if is_lora else "head")
    return Generative.load(folder, spec, "lora" if is_lora else "projection")


def about(name: str, judge: Asked) -> About:
    return About(name, ACTION, SPEC, dict(zip((OPEN, CLOSE), judge.sentences((OPEN, CLOSE)).numpy())))


def served(judge: Asked) -> Served:
    with torch.no_grad():
        seen = judge.net.look(IMAGES).numpy()
    return Served(judge.net, Familiarity.fitted(seen), 2.0)


def loss_of(judge: Asked) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(judge.logits(IMAGES, QUESTIONS), DONE)


@pytest.mark.parametrize("is_lora", (False, True), ids=("small part", "lora"))
@pytest.mark.parametrize("name", (*DUAL, *GENERATIVE))
def test_a_step_of_fine_tuning_lowers_the_loss_and_leaves_what_is_locked(
    folders: Folders, name: str, is_lora: bool
) -> None:
    judge = load(name, folders(name), is_lora)
    trained = list(judge.trainable())
    mine = {id(p) for p in trained}
    locked = {n: p.detach().clone() for n, p in judge.net.named_parameters() if id(p) not in mine}
    before = loss_of(judge)
    optimiser = torch.optim.SGD(trained, lr=0.05)
    before.backward()
    optimiser.step()
    assert float(loss_of(judge).detach()) < float(before.detach())
    assert locked and all(torch.equal(p, locked[n]) for n, p in judge.net.named_parameters() if n in locked)
    assert 0 < sum(p.numel() for p in trained) < sum(p.numel() for p in judge.net.parameters())


@pytest.mark.parametrize("name", (*DUAL, *GENERATIVE))
def test_answers_are_the_same_each_time_and_depend_on_picture_and_sentence(folders: Folders, name: str) -> None:
    judge = load(name, folders(name))
    with torch.no_grad():
        first, again = judge.logits(IMAGES, QUESTIONS), judge.logits(IMAGES, QUESTIONS)
        other = judge.logits(IMAGES, QUESTIONS[::-1])
        moved = judge.logits([255 - image for image in IMAGES], QUESTIONS)
        alone = torch.cat([judge.logits([i[k : k + 1] for i in IMAGES], [QUESTIONS[k]]) for k in range(4)])
    assert torch.equal(first, again) and first.shape == (4,)
    assert not torch.allclose(first, other, atol=1e-6) and not torch.allclose(first, moved, atol=1e-6)
    torch.testing.assert_close(first, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "is_lora"), (("siglip", True), ("smolvlm", True)))
def test_the_exported_graph_says_what_torch_says(folders: Folders, tmp_path: Path, name: str, is_lora: bool) -> None:
    judge = load(name, folders(name), is_lora)
    with torch.no_grad():  # adapters start as nothing; the graph must hold what they learnt
        for parameter in judge.trainable():
            parameter += 0.1 * torch.randn_like(parameter)
        want = torch.sigmoid(judge.logits(IMAGES, QUESTIONS) / 2.0).numpy()
    locked = {n: p.clone() for n, p in judge.net.named_parameters()}
    manifest = export_judge(tmp_path / name, served(judge), LIMITS, about(name, judge))
    assert manifest.metrics["parity_max_error"] <= PARITY
    model = RewardModel.load(tmp_path / name, ACTION, SPEC)
    for row, question in enumerate(QUESTIONS):
        images = {camera: image[row].numpy() for camera, image in zip(SPEC.cameras, IMAGES)}
        assert model.score(images, question) == pytest.approx(want[row], abs=PARITY)
    assert all(torch.equal(p, locked[n]) for n, p in judge.net.named_parameters())


def test_the_graph_form_of_a_generative_model_is_its_own_forward(folders: Folders) -> None:
    for name in ("smolvlm", "paligemma"):
        judge = load(name, folders(name))
        with torch.no_grad():
            ours = judge.logits(IMAGES, QUESTIONS)
            judge.net.family = replace(judge.net.family, has_graph=False)
            torch.testing.assert_close(judge.logits(IMAGES, QUESTIONS), ours, atol=1e-6, rtol=0)


def test_a_family_without_a_graph_form_is_not_exported(folders: Folders, tmp_path: Path) -> None:
    judge = load("qwen", folders("qwen"))
    with pytest.raises(ModelError, match=r"no form that a graph can hold.*expected one of type clip"):
        export_judge(tmp_path / "q", served(judge), LIMITS, about("q", judge))
    assert not (tmp_path / "q").exists()
    with pytest.raises(ModelError, match=r"at most 1024 MiB of float32 weights in one graph, got 2048"):
        check_exportable(nn.Linear(1 << 15, 1 << 14, bias=False, device="meta"))


def test_the_chat_template_of_the_folder_is_used(folders: Folders) -> None:
    judge = load("smolvlm", folders("smolvlm"))
    template = (
        "<|im_start|>{% for m in messages %}User:{% for p in m.content %}"
        "{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}{% endfor %}Assistant:"
    )
    judge.net._tokenizer.chat_template = template
    rows = judge.sentences([OPEN, OPEN + " " + OPEN])
    prompt = rows[0][rows[0] != NO_TOKEN].tolist()
    assert prompt[0] == tiny_judges.VOCABULARY["<|im_start|>"]
    assert prompt.count(tiny_judges.VOCABULARY["<image>"]) == 2 * 4  # two cameras, four tokens each
    assert rows[0, 0] == rows[1, 0] == NO_TOKEN and rows[0, -1] == rows[1, -1] == prompt[-1]
    with pytest.raises(ValueError, match="expected at most 48 tokens, got"):
        judge.sentences([" ".join([OPEN] * 20)])


def test_every_spelling_of_an_answer_counts(folders: Folders) -> None:
    judge = load("smolvlm", folders("smolvlm"))
    known = tiny_judges.VOCABULARY
    assert judge.net.yes.tolist() == sorted([known["yes"], known["Yes"]])
    assert judge.net.no.tolist() == sorted([known["no"], known["No"]])


@pytest.mark.parametrize("name", ("siglip", "smolvlm"))
def test_a_blank_question_and_another_size_are_refused(folders: Folders, name: str) -> None:
    judge = load(name, folders(name))
    with pytest.raises(ValueError, match="got a blank one"):
        judge.logits([image[:1] for image in IMAGES], ["  "])
    with pytest.raises(ValueError, match=r"expected uint8 images \(N, 24, 40, 3\)"):
        judge.logits([image[:1, :20] for image in IMAGES], [OPEN])


def test_a_folder_that_will_not_do_is_refused_in_one_sentence(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"with config\.json, found none"):
        Towers.load(tmp_path, SPEC)
    with pytest.raises(ModelError, match="expected a model of type clip or siglip, got smolvlm"):
        Towers.load(folders("smolvlm"), SPEC)
    pickled = tmp_path / "pickled"
    shutil.copytree(folders("siglip"), pickled)
    weights = pickled / "model.safetensors"
    weights.rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights are never read"):
        Towers.load(pickled, SPEC)
    weights.touch()
    with pytest.raises(ModelError, match="is empty"):
        Towers.load(pickled, SPEC)
    weights.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ModelError, match="transformers cannot load it"):
        Towers.load(pickled, SPEC)


def test_a_tokenizer_that_cannot_answer_is_refused(folders: Folders, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    shutil.copytree(folders("smolvlm"), silent)
    tiny_judges.write_tokenizer(silent, without=("yes", "Yes"))
    with pytest.raises(ModelError, match="no single token for 'yes'"):
        Generative.load(silent, SPEC)


def test_weights_that_are_missing_are_not_made_up(folders: Folders, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(folders("siglip"), partial)
    save_file({"logit_bias": torch.zeros(1)}, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="the weights lack logit_scale"):
        Towers.load(partial, SPEC)


def test_a_folder_judge_is_fitted_and_calibrated_like_any_other(folders: Folders) -> None:
    rng = np.random.default_rng(0)
    bright = np.arange(80) % 2 == 0
    pictures = (rng.integers(0, 60, (80, 24, 40, 3)) + 180 * bright[:, None, None, None]).astype(np.uint8)
    rows, zero = np.arange(80), np.zeros(80, np.int64)
    episodes = tuple(f"run-{i:05d}" for i in range(20))
    frames = FrameSet(
        {"front": pictures, "wrist": pictures},
        np.zeros((80, 7), np.float32),
        rows,
        zero,
        bright,
        rows // 4,
        rows % 4,
        zero,
        (OPEN,),
        episodes,
        ("expert",),
    )
    params = FitParams(updates=60, batch=16, learning_rate=1e-2, shift_px=0, light=0.0)
    fitted = fit(load("clip", folders("clip")), *split(frames, 0.2, 0), params, seed=0)
    assert set(fitted.held.used()) < set(episodes)
    told = fitted.p > fitted.limits.threshold
    assert (told == fitted.held.is_success).mean() >= 0.9
    with torch.no_grad():
        _, distance = fitted.served(*([torch.zeros((2, 24, 40, 3), dtype=torch.uint8)] * 2), torch.zeros(2, 12))
    assert distance.shape == (2,) and bool(torch.isfinite(distance).all())
