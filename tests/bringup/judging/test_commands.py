"""The judge's commands end to end on very little data: what they write is what the next one reads."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "policies/learn/reward"))

import tiny_judges

from armtune_bringup.cli import reward as commands
from armtune_bringup.judging import collect as collecting
from armtune_bringup.judging import witness
from armtune_bringup.judging.collect import LEARNT_FROM, MEASURED_ON, collect
from armtune_bringup.judging.finetune import finetune
from armtune_bringup.judging.frames import is_practice, labelled, taught
from armtune_bringup.judging.retrain import agreed, retrain
from armtune_bringup.judging.settings import Judging, read_overrides
from armtune_bringup.judging.study import reward_study
from armtune_bringup.judging.train import train
from armtune_bringup.judging.witness import TAUGHT
from armtune_policies.contract import ActionSpec, ConfigError, ObservationSpec, Verdict
from armtune_policies.learn.reward import fit as fitting
from armtune_policies.learn.reward.judge import Asked
from armtune_policies.reward.calibrate import verdict
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.files import TRASH
from armtune_policies.store.manifest import MANIFEST, Manifest, ModelError, load_manifest
from fixtures.tiny_models import SENTENCES_KNOWN, tiny_reward

FEW = ["task=bin_sort", "sim=varied", "experiment.demos=1", "experiment.failures=1", "experiment.demo_noise=0.0"]
FEW += ["policy.height_px=32", "policy.width_px=32", "fit.updates=4", "fit.batch=8"]
GREYS = (10, 10, 128, 245, 245)


def judging(folder: Path, *more: str) -> Judging:
    return read_overrides([*FEW, f"reward.folder={folder}", *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one demonstration and one failure per direction, and practice of a policy that was hardly taught."""
    folder = tmp_path_factory.mktemp("runs") / "bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "STAGES", {LEARNT_FROM: {"few": 2}})
        collect(judging(folder / "judge"), folder, 1, lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def teacher(run: Path) -> Path:
    """A judge of another kind, which says yes to what is bright."""
    policy, task = judging(run / "judge").config.policy, judging(run / "judge").config.task
    return tiny_reward(run / "teacher", policy.action, policy.observation, (task.forward, task.backward))


@pytest.fixture(scope="module")
def judge(run: Path, teacher: Path) -> Path:
    """A student that the teacher taught."""
    found = command("train", str(run), *FEW, f"reward.folder={run / 'judge'}", "--teacher", str(teacher))
    assert found["model"] == load_manifest(run / "judge").version
    return run / "judge"


def command(*arguments: str) -> dict[str, object]:
    """Run ``armtune reward ...``; return its last line, one JSON object."""
    app = typer.Typer()
    commands.add_to(app)
    result = CliRunner().invoke(app, ["reward", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.output.strip().splitlines()[-1])
    return found


def aims(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each try of practice from now on whether it takes its tool to be elsewhere than it is."""
    aimed, real = list[bool](), witness._acting

    def spy(policy: Policy, sentence: str, off_m: Any) -> Any:
        aimed.append(bool(off_m.any()))
        return real(policy, sentence, off_m)

    monkeypatch.setattr(witness, "_acting", spy)
    return aimed


def test_a_student_says_who_taught_it_and_on_what(judge: Path, teacher: Path) -> None:
    said = load_manifest(judge).provenance
    assert said["teacher"] == load_manifest(teacher).version
    for kind in ("demo", "failure", "practice-few"):
        assert f"of kind {kind} " in said["data"]


def test_a_model_of_ones_own_becomes_a_judge_with_a_card_and_one_that_cannot_be_served_is_not_trained(
    run: Path, tmp_path: Path
) -> None:
    told, config = list[str](), judging(tmp_path / "judge")
    frames = labelled(config, run)

    def tuned(folder: Path) -> Manifest:
        return finetune(config, frames, folder, "small", "cpu", lambda what, *_: told.append(what))

    with pytest.raises(ConfigError, match=r"fit\.members: expected 1 with a model out of a folder, got 2"):
        finetune(replace(config, fit={**config.fit, "members": 2}), frames, tmp_path, "small", "cpu", lambda *_: None)
    with pytest.raises(ModelError, match="reward_node cannot serve them"):
        tuned(tiny_judges.qwen(tmp_path / "qwen"))
    assert not told and not list(tmp_path.glob("judge*"))
    made = tuned(tiny_judges.siglip(tmp_path / "siglip"))
    assert made.provenance["model"] == "siglip" and made.provenance["tune"] == "small"
    assert "card.md" in made.files and load_manifest(tmp_path / "judge").version == made.version


def test_retraining_writes_beside_the_old_judge_and_tells_both_of_episodes_that_neither_learned_from(
    run: Path, judge: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = list[FrameSet](), fitting.fit

    def spy(asked: Asked, train: FrameSet, held: FrameSet, *more: Any, **others: Any) -> Any:
        seen.extend((train, held))
        return real(asked, train, held, *more, **others)

    monkeypatch.setattr(fitting, "fit", spy)
    before = load_manifest(judge).version
    arguments = ("retrain", str(run), *FEW, f"reward.folder={judge}", "--updates", "3")
    found = command(*arguments, "--labels", "live", "--teacher", str(teacher))
    assert not set(seen[0].used()) & set(seen[1].used())
    learnt, held = fitting.split(labelled(judging(judge), run), 0.2, 0)
    calibrated, measured = fitting.split(held, 0.5, 1)
    if not found["measured_apart"]:  # too few are held out
        calibrated = measured = held
    assert (set(seen[0].used()), set(seen[1].used())) == (set(learnt.used()), set(calibrated.used()))
    assert found["practice_frames"] == int(is_practice(measured).sum())
    assert found["folder"] == f"{judge}-new" and load_manifest(judge).version == before
    again = load_manifest(Path(f"{judge}-new"))
    assert again.version == found["model"] and again.provenance["from"] == before
    assert set(found["before"]) == set(found["after"]) and found["practice_frames"] > 0  # type: ignore[arg-type, operator]


def test_practice_of_another_number_of_episodes_takes_the_place_of_the_old(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "STAGES", {LEARNT_FROM: {"few": 2}})
    aimed = aims(monkeypatch)
    copy = Path(shutil.copytree(run, tmp_path / "bin"))
    collect(judging(copy / "judge"), copy, 2, lambda *_: None)
    assert aimed == [False, True] * 2, "every second try of a direction is aimed elsewhere"
    assert len(labelled(judging(copy / "judge"), copy).of_kind("practice-few").used()) == 4
    assert len(list((copy / TAUGHT / TRASH).iterdir())) == 2, "it is not lost"


def test_the_vote_is_tuned_to_a_config_that_composes(
    run: Path, judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from armtune_bringup.judging.evaluate import tune_vote

    monkeypatch.setattr(collecting, "STAGES", {LEARNT_FROM: {"few": 2}})
    steps: list[str] = []
    out, learnt = tmp_path / "tuned.yaml", labelled(judging(judge), run).used()
    own = judging(judge, "seed=0")  # that of the practice it learned from
    with pytest.raises(ConfigError, match=r"expected another than that of what was learnt from \(0\).*got 0"):
        tune_vote(own, run, out, 1, lambda *_: None)
    told, aimed = judging(judge, "seed=1"), aims(monkeypatch)
    tried = tune_vote(told, run, out, 1, lambda what, done, of: steps.append(f"{what} {done}/{of}"))
    assert labelled(judging(judge), run).used() == learnt, "what it is measured on is not learnt from"
    assert aimed == [False, False], "it is measured on tries as they are"
    assert list((run / "stages").glob(f"{LEARNT_FROM}-few-*/{MANIFEST}")) and steps[-1] == "episodes 6/6"
    assert [one.cost for one in tried] == sorted(one.cost for one in tried)
    best, written = tried[0].rule, yaml.safe_load(out.read_text())
    assert written == {"vote_need": best.need, "vote_window": best.window, "vote_opening": best.opening}
    episode = read_overrides([f"episode.{name}={value}" for name, value in written.items()]).config.episode
    assert (episode.vote_need, episode.vote_window, episode.vote_opening) == (best.need, best.window, best.opening)


def test_a_cell_of_the_study_is_measured_anew_with_another_vote_or_world_and_not_with_the_same(
    run: Path, judge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "STAGES", {MEASURED_ON: {"few": 2}})

    def study(*more: str) -> list[Path]:
        told = judging(judge, "task.episode_steps=8", *more)
        found = reward_study(told, run, 1, ("full",), lambda *_: None, print)
        assert found["cells"]["full"]["n_episodes"] == 6
        return list((run / "evaluation").glob("study-full-*.json"))

    for more, count in (
        ((), 1),
        ((), 1),
        (("episode.vote_need=1",), 2),
        (("reward.threshold=0.9",), 3),
        (("sim.distractors=0",), 4),
    ):
        assert len(study(*more)) == count, more
    with pytest.raises(ConfigError, match="expected a judge made with fit"):
        study("fit.updates=5")


@pytest.mark.fault("L9")
def test_a_judge_does_not_learn_its_own_word(run: Path, judge: Path) -> None:
    for call in (
        lambda: train(judging(judge), greys("practice"), lambda *_: None, label_set="live"),
        lambda: retrain(judging(judge), run, [], "live", None, 1, lambda *_: None),
    ):
        with pytest.raises(ConfigError, match="the judge's own answers"):
            call()
    with pytest.raises(ConfigError, match="a teacher labels what nobody did"):
        retrain(judging(judge), run, [], "operator", judge, 1, lambda *_: None)


def greys(kind: str) -> FrameSet:
    """One episode of grey frames, the last two called a success."""
    count = len(GREYS)
    rows, zeros = np.arange(count), np.zeros(count, np.int64)
    images = {"front": np.stack([np.full((96, 96, 3), grey, np.uint8) for grey in GREYS])}
    return FrameSet(
        images=images, state=np.zeros((count, 7), np.float32), frame=rows, question=zeros, is_success=rows == 4,
        episode=zeros, step=rows, kind=zeros, questions=SENTENCES_KNOWN[:1], episodes=(kind,), kinds=(kind,),
    )  # fmt: skip


def test_practice_takes_the_answer_that_teacher_and_student_are_sure_of_alike(tmp_path: Path) -> None:
    model = RewardModel.load(tiny_reward(tmp_path / "judge"), ActionSpec(), ObservationSpec())
    kept = agreed(greys("practice"), model, model, "live")
    assert kept.step.tolist() == [0, 1, 3, 4] and kept.is_success.tolist() == [False, False, True, True]
    for kind, label_set in (("demo", "live"), ("practice-few", "live"), ("practice", "operator")):
        kept = agreed(greys(kind), model, model, label_set)
        assert kept.is_success.tolist() == [False] * 4 + [True], "what is shown, true or said by a person stays"


def test_a_teachers_verdicts_are_labels_only_of_practice_that_nobody_labelled(tmp_path: Path) -> None:
    model = RewardModel.load(tiny_reward(tmp_path / "judge"), ActionSpec(), ObservationSpec())
    said = np.array(GREYS) / 255 > 0.5
    for kind, label_set, is_teachers in (
        ("practice", "live", True),
        ("practice", "operator", False),
        ("demo", "live", False),
        ("practice-few", "live", False),
    ):
        frames, targets = taught(greys(kind), model, label_set)
        assert frames.is_success.tolist() == (said if is_teachers else greys(kind).is_success).tolist()
        assert targets.dtype == np.float32 and np.array_equal(targets > 0.5, said)
    assert Verdict.UNKNOWN not in [verdict(float(p), model.limits) for p in targets]
