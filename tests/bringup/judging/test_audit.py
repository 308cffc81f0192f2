"""The audit of a run, as a person does it: real episode files, the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from armtune_bringup.cli import audit as commands
from armtune_bringup.judging import audit as module
from armtune_bringup.judging.audit import Auditing
from armtune_policies.contract import ConfigError, Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.reward.audit import AuditParams
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.labels import read_labels
from armtune_policies.store.nouns import EpisodeState, Observation

EPISODES, STEPS, ALL = 3, 12, AuditParams(share=1.0)


def write(run: Path) -> None:
    """Episodes whose last three steps are called a success; step 5 has no answer."""
    for index in range(EPISODES):
        name = f"run-{index:05d}"
        about = EpisodeState(episode_id=name, run_id="run", direction="forward", sentence="open it")
        with EpisodeWriter(run / "episodes", about, {}) as episode:
            for step in range(STEPS):
                image = np.full((4, 6, 3), 20 * step, np.uint8)
                seen = Observation(name, step, step, {"front": image, "wrist": image[:2]}, np.zeros(7, np.float32))
                said = Verdict.UNKNOWN if step == 5 else Verdict.YES if step >= STEPS - 3 else Verdict.NO
                decided = Decision(
                    step,
                    9,
                    name,
                    step,
                    "policy",
                    step,
                    "v1",
                    0,
                    Kind.TOOL_DELTA,
                    (0.0,) * 7,
                    (0.0,) * 7,
                    (),
                    "",
                    Mode.RUN,
                )
                told = RewardAnswer(name, step, 0.7, said, "reward", 0.01)
                episode.add_step(observation=seen, decision=decided, answer=told)
            episode.close("success", end_step=STEPS - 1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write(tmp_path / "run")
    return tmp_path / "run"


def command(*arguments: str, typed: str = "") -> tuple[int, str]:
    app = typer.Typer()
    commands.add_to(app)
    result = CliRunner().invoke(app, ["audit", *arguments], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_each_decision_that_is_due_has_its_picture(run: Path) -> None:
    found = Auditing(run, ALL).stand()
    assert len(found.due) == EPISODES * (STEPS - 1) and found.reviewed == 0
    assert {one.decision.step for one in found.due} == set(range(STEPS)) - {5}
    assert all(one.picture.read_bytes().startswith(b"\x89PNG") for one in found.due)
    assert 0 < len(Auditing(run, AuditParams(share=0.3)).stand().due) < len(found.due)


def test_answers_are_kept_as_reviews_and_as_a_label_set(run: Path) -> None:
    auditing = Auditing(run, ALL)
    assert auditing.answer(["run-00000/11=yes", "run-00000/10=no", "run-00000/9=unsure", "run-00001/3=no"]) == 4
    found = auditing.stand()
    assert (found.reviewed, len(found.due)) == (4, EPISODES * (STEPS - 1) - 4)
    assert (found.precision.hits, found.precision.count) == (1, 2)
    assert (found.recall.hits, found.recall.count) == (1, 1)
    labels = read_labels(run, read_episode(list_episodes(run)[0]), "audit")
    assert labels.verdicts[9:] == (Verdict.UNKNOWN, Verdict.NO, Verdict.YES) and labels.success_step is None
    auditing.answer(["run-00000/10=yes"])
    assert auditing.stand().precision.hits == 2


def test_rates_are_of_the_sample_not_of_what_a_person_looked_at_unasked(run: Path) -> None:
    params = AuditParams(share=0.3)
    auditing = Auditing(run, params)
    asked = [one.name for one in auditing.stand().due]
    odd = next(f"run-00000/{s}" for s in range(STEPS) if s != 5 and f"run-00000/{s}" not in asked)
    auditing.answer([f"{odd}=unsure", f"{asked[0]}=yes"])
    found = auditing.stand()
    assert found.reviewed == 1 and len(found.due) == len(asked) - 1
    assert Auditing(run, ALL).stand().reviewed == 2, "a larger sample has them both"


def test_episodes_are_read_once_however_many_answers_come(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, real = list[Path](), module.read_kept
    monkeypatch.setattr(module, "read_kept", lambda path: reads.append(path) or real(path))
    code, _ = command(str(run), "--share", "1", "--ask", typed="y\nn\nu\nq\n")
    assert code == 0 and len(reads) == EPISODES


@pytest.mark.parametrize(
    ("text", "says"),
    (
        ("run-00000=yes", "expected EPISODE/STEP=yes|no|unsure"),
        ("run-00000/3=maybe", "expected EPISODE/STEP=yes|no|unsure"),
        ("run-00009/3=yes", "no finished episode 'run-00009'"),
        ("run-00001/12=yes", "expected a step below 12, got 12"),
    ),
)
def test_an_answer_that_will_not_do_is_refused_and_none_is_kept(run: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Auditing(run, ALL).answer(["run-00000/1=no", text])
    assert says in str(refused.value)
    assert Auditing(run, ALL).stand().reviewed == 0


def test_a_run_without_episodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a run folder with finished episodes"):
        Auditing(tmp_path, ALL)


def test_the_command_lists_takes_answers_and_raises_the_alarm(run: Path) -> None:
    code, text = command(str(run), "--share", "1", "--most", "2")
    assert code == 0 and text.count("due  ") == 2 and "0 reviewed, 33 due" in text
    wrong = [f"--say=run-0000{e}/{s}=no" for e in range(EPISODES) for s in (9, 10, 11)]
    code, text = command(str(run), "--share", "1", *wrong, "--json")
    value = json.loads(text.splitlines()[-1])
    assert code == 1 and "ALARM: precision 0.000" in text and "9 answers kept" in text
    assert value["reviewed"] == 9 and value["precision"]["hits"] == 0 and len(value["due"]) == 24


def test_the_command_asks_one_by_one(run: Path) -> None:
    code, text = command(str(run), "--share", "1", "--ask", typed="y\nn\nu\nq\n")
    assert code == 0 and "'open it': done? y, n, u (unsure), q (enough)" in text
    assert "3 reviewed, 30 due" in text
