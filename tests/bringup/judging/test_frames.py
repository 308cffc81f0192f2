"""Making a success classifier from the command line's side: frames with truth, labels, settings."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from armtune_bringup.compose import compose
from armtune_bringup.judging import witness
from armtune_bringup.judging.audit import Auditing
from armtune_bringup.judging.evaluate import measured
from armtune_bringup.judging.frames import is_practice, labelled, unlabelled
from armtune_bringup.judging.label import apply_page, label_episode, write_page
from armtune_bringup.judging.settings import read_overrides, rule_of
from armtune_bringup.judging.study import CELLS, one_hot, table
from armtune_bringup.judging.teach import of_tasks
from armtune_bringup.judging.witness import EXPERT, Wanted, witnessed
from armtune_bringup.stages import collect_demos
from armtune_policies.contract import ConfigError, Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.reward.audit import AuditParams
from armtune_policies.reward.frameset import read_joined
from armtune_policies.reward.gather import LabelParams, by_rule
from armtune_policies.store.edits import Edit, write_edit
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.labels import operator_labels, read_labels, write_labels
from armtune_policies.store.nouns import (
    ABORTED,
    PRACTICE,
    SAID_FAILURE,
    SAID_SUCCESS,
    SUCCESS,
    EpisodeState,
    Observation,
)

TASK = ["task=bin_sort", "sim=varied", "experiment.demos=1", "experiment.failures=0", "experiment.demo_noise=0.0"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "bin"
    assert all(episode.is_success for episode in collect_demos(compose(TASK), folder, "bin"))
    return folder


def test_fresh_frames_carry_the_truth_and_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, wanted, done = compose(TASK), Wanted(seed=5, episodes=1, kinds=(EXPERT,)), []
    frames = read_joined(witnessed(config, wanted, {}, tmp_path, lambda: done.append(1)))
    assert len(done) == 2 and frames.kinds == (EXPERT,) and len(frames.used()) == 2
    for index, question in enumerate((config.task.forward, config.task.backward)):
        mine = frames.asked(question)
        assert len(mine) and frames.questions[index] == question
        assert not mine.is_success[0] and mine.is_success[-3:].all(), "it ends soon after the success"
    monkeypatch.setattr(witness, "make_env", lambda _: pytest.fail("rendered again"))
    again = read_joined(witnessed(compose([*TASK, "reward.folder=elsewhere"]), wanted, {}, tmp_path))
    assert np.array_equal(again.images["front"], frames.images["front"])
    with pytest.raises(ValueError, match="practice episodes need policies"):
        witnessed(config, Wanted(5, 1), {}, tmp_path)


def test_the_rule_agrees_with_how_a_demonstration_really_ended(run: Path) -> None:
    questions = (compose(TASK).task.forward, compose(TASK).task.backward)
    shown = [read_episode(path) for path in list_episodes(run)]
    frames = by_rule(shown, questions, ("front",), LabelParams(), dict(zip(questions, questions[::-1])))
    assert frames.kinds == ("demo",) and 0.1 < frames.is_success.mean() < 0.5


def test_labels_by_page_and_by_command_line_are_the_same_sidecar(run: Path) -> None:
    config = compose(TASK)
    episodes = [read_episode(path) for path in list_episodes(run)]
    page, count = write_page(run, run / "labels.html", "live", "operator", config)
    assert count == len(episodes) and "data:image/jpeg;base64" in page.read_text()
    first = episodes[0]
    last = first.steps - 1
    label_episode(run, first.episode_id, "operator", f"{last - 2}-{last}", f"{last - 3}", config)
    labels = read_labels(run, first, "operator")
    assert labels.verdicts[-4:] == (Verdict.UNKNOWN, *[Verdict.YES] * 3) and labels.success_step == last - 1
    saved = {"kind": "armtune-labels", "label_set": "other", "episodes": {
        first.episode_id: [v.name.lower() for v in labels.verdicts]}}  # fmt: skip
    (run / "saved.json").write_text(json.dumps(saved))
    apply_page(run / "saved.json", run, config)
    assert read_labels(run, first, "other").verdicts == labels.verdicts
    with pytest.raises(ConfigError, match=f"numbers from 0 to {last}"):
        label_episode(run, first.episode_id, "operator", f"3-{last + 1}", "", config)
    with pytest.raises(ConfigError, match="no episode 'nope'"):
        label_episode(run, "nope", "operator", "", "", config)


def test_a_page_of_labels_needs_no_training_library(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.modules['torch'] = None\n"
        "from armtune_bringup.compose import compose; from armtune_bringup.judging.label import write_page\n"
        f"write_page(Path({str(run)!r}), Path({str(tmp_path / 'l.html')!r}), 'live', 'operator', compose({TASK}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "data:image/jpeg" in (tmp_path / "l.html").read_text()


def test_what_a_person_labelled_of_the_run_itself_is_learnt_as_labelled(run: Path, tmp_path: Path) -> None:
    run, judging = (
        Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("labels*"))),
        read_overrides(TASK),
    )
    practise(run, judging.questions[0])
    shown = labelled(judging, run)
    assert shown.kinds == ("demo",) and "practised" not in shown.episodes, "the judge's own word is no label"
    demo = shown.episodes[0]
    for name, yes in ((demo, "0-1"), ("practised", "3")):
        label_episode(run, name, "operator", yes, "2", judging.config)
    frames = labelled(judging, run)
    mine = frames.of_episodes([demo])
    assert (
        mine.step[mine.is_success].tolist() == [0, 1] and 2 not in mine.step and mine.of_kind("demo").used() == (demo,)
    )
    theirs = frames.of_kind("practice")
    assert theirs.step.tolist() == [0, 1, 3] and theirs.is_success.tolist() == [False, False, True]
    assert "practised" not in labelled(judging, run, with_practice=False).used()
    with pytest.raises(ConfigError, match="no episode has labels 'audit'"):
        labelled(judging, run, [run], "audit")


@pytest.mark.parametrize("is_judged", (False, True), ids=("no judge spoke", "a judge spoke too"))
def test_how_an_operator_ended_an_episode_is_an_outcome_and_labels_no_frame_by_itself(
    tmp_path: Path, is_judged: bool
) -> None:
    judging, run, other = read_overrides(TASK), tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        for name, mark in (("won", SAID_SUCCESS), ("lost", SAID_FAILURE)):
            practise(folder, judging.questions[0], name, 12, SUCCESS if name == "won" else "timeout", mark, is_judged)
            said = operator_labels(read_episode(folder / "episodes" / f"{name}.mcap").about)
            assert said is not None
            write_labels(folder, said)  # as the recorder does
    frames = labelled(judging, run)
    assert frames.kinds == ("failure", "demo") and frames.of_kind("demo").used() == ("won",)
    mine = frames.asked(judging.questions[0]).of_episodes(["won"])
    assert mine.step[mine.is_success].tolist() == [9, 10, 11] and not {7, 8} & set(mine.step.tolist())
    assert not frames.of_episodes(["lost"]).is_success.any()
    theirs = labelled(judging, other, [run]).of_kind("practice")
    assert theirs.used() == ("lost", "won") and theirs.step[theirs.is_success].tolist()[-3:] == [9, 10, 11]
    label_episode(run, "won", "operator", "5", "", judging.config)
    mine = labelled(judging, run).of_kind("demo")
    assert mine.step[mine.is_success].tolist() == [5], "what is said of frames counts"


def test_what_a_person_dropped_or_cut_is_neither_learnt_nor_labelled_nor_audited(tmp_path: Path) -> None:
    judging, run = read_overrides(TASK), tmp_path / "run"
    for name, mark in (("won", SAID_SUCCESS), ("lost", SAID_FAILURE), ("gone", SAID_SUCCESS)):
        practise(run, judging.questions[0], name, 12, "timeout" if name == "lost" else SUCCESS, mark)
    write_edit(run, Edit("gone", is_dropped=True))
    write_edit(run, Edit("won", first_step=4))
    for frames in (labelled(judging, run), of_tasks(judging, [run])[0]):
        mine = frames.of_episodes(["won"])
        assert set(frames.used()) == {"won", "lost"} and mine.step.min() == 4 and mine.is_success.any()
    assert write_page(run, run / "labels.html", "live", "operator", judging.config)[1] == 2
    with pytest.raises(ConfigError, match="no episode 'gone'"):
        label_episode(run, "gone", "operator", "3", "", judging.config)
    due = Auditing(run, AuditParams(share=1.0)).stand().due
    assert {one.decision.step for one in due if one.decision.episode_id == "won"} == set(range(4, 12))
    assert {one.decision.episode_id for one in due} == {"won", "lost"}


def test_what_a_person_labelled_of_practice_stays_where_a_teacher_labels_the_rest(run: Path, tmp_path: Path) -> None:
    judging, practised = read_overrides(TASK), tmp_path / "practised"
    for name in ("looked-at", "left"):
        practise(practised, judging.questions[0], name)
    label_episode(practised, "looked-at", "operator", "3", "0", judging.config)
    frames = labelled(judging, run, [practised], "live")
    theirs = frames.of_episodes(["looked-at"])
    assert theirs.step.tolist() == [1, 2, 3] and theirs.is_success.tolist() == [False, False, True]
    is_open = unlabelled(frames, "live")
    assert set(frames.rows(is_open).used()) == {"left"} and is_practice(theirs).all()


@pytest.mark.parametrize(("outcome", "purpose"), [(ABORTED, ""), ("timeout", PRACTICE)], ids=("aborted", "of practice"))
def test_what_nobody_judged_and_what_was_stopped_says_nothing(
    run: Path, tmp_path: Path, outcome: str, purpose: str
) -> None:
    judging = read_overrides(TASK)
    run = Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("labels*")))
    practise(run, judging.questions[0], "unjudged", outcome=outcome, is_judged=False, purpose=purpose)
    assert "unjudged" not in labelled(judging, run).used()


def practise(
    run: Path,
    sentence: str,
    name: str = "practised",
    steps: int = 4,
    outcome: str = "timeout",
    mark: str = "",
    is_judged: bool = True,
    purpose: str = "",
) -> None:
    """Write an episode whose steps a judge called failures."""
    about = EpisodeState(
        episode_id=name, run_id="bin", task="bin_sort", direction="forward", sentence=sentence, purpose=purpose
    )
    with EpisodeWriter(run / "episodes", about, {}) as episode:
        for step in range(steps):
            images = {"front": np.zeros((96, 96, 3), np.uint8)}
            seen = Observation(name, step, step, images, np.zeros(7, np.float32))
            zeros = (0.0,) * 7
            decided = Decision(
                step, 9, name, step, "policy", step, "v1", 0, Kind.TOOL_DELTA, zeros, zeros, (), "", Mode.RUN
            )
            told = RewardAnswer(name, step, 0.1, Verdict.NO, "reward", 0.01) if is_judged else None
            episode.add_step(observation=seen, decision=decided, answer=told)
        episode.close(outcome, steps - 1, mark=mark)


def test_the_judges_settings_stand_beside_the_configs() -> None:
    judging = read_overrides(["task=lid", "seed=7", "fit.updates=9", "label.dropped=4", "calibration.abstained=0.02"])
    assert judging.seed == 7 and judging.config.task.name == "lid" and judging.label.dropped == 4
    assert judging.fit_params.updates == 9 and rule_of(judging.config).need == judging.config.episode.vote_need
    for wrong, why in (
        ("seed=x", "whole number"),
        ("fit.speed=1", "unknown key 'speed'"),
        ("label.dropped=-1", "dropped"),
    ):
        with pytest.raises(ConfigError, match=why):
            read_overrides([wrong]).fit_params  # noqa: B018  composing the training's settings is what refuses


def test_the_study_is_told_as_a_table_of_the_worst_direction(tmp_path: Path) -> None:
    config = compose(TASK)
    frames = read_joined(witnessed(config, Wanted(seed=5, episodes=1, kinds=(EXPERT,)), {}, tmp_path))
    said = np.where(frames.is_success, Verdict.YES, Verdict.NO).astype(np.uint8)
    found = measured(frames, said, rule_of(config))
    assert found["frame_fpr"] == found["episode_false_stop"] == found["abstain"] == 0.0 and found["frame_recall"] == 1.0
    assert found["frame_fpr_upper95"] > 0.0 and set(found["directions"]) == set(frames.questions)
    text = table(dict.fromkeys(CELLS, found))
    assert text.count("100.00%") == len(CELLS)
    vectors = one_hot(frames)
    assert [int(vectors[q].argmax()) for q in frames.questions] == [0, 1]
