"""Runs on the disk as pages see them: real files, the real process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_console.archive import clerk as clerks
from armtune_console.archive.clerk import Busy, Clerk
from armtune_console.archive.library import Library, Unknown, border
from armtune_console.archive.progress import Row, difference, flat, progress
from armtune_policies.contract import Verdict
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.labels import live_labels, read_labels
from armtune_policies.store.nouns import SAID_SUCCESS, SUCCESS
from fixtures.console import STEPS, write_run

pytestmark = pytest.mark.unhurried


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder, "first", "stsa")
    write_run(folder, "second", "ss", policy="v2")
    (folder / "first" / "config.yaml").write_text("task: {name: drawer, steps: 50}\nexperiment: {seed: 1}\n")
    (folder / "second" / "config.yaml").write_text("task: {name: drawer, steps: 40}\nexperiment: {seed: 1, x: [1]}\n")
    (folder / ".hidden").mkdir()
    return folder


@pytest.fixture(scope="module")
def clerk(root: Path) -> Iterator[Clerk]:
    made = Clerk(root)
    yield made
    made.close()


def test_runs_and_progress_are_read_by_the_process(clerk: Clerk) -> None:
    assert {row["run"]: row["episodes"] for row in clerk.ask("runs")} == {"first": 4, "second": 2}
    told = clerk.ask("run", run="first")
    assert (told["read"], told["of"], told["aborted"]) == (4, 4, 1)
    assert told["all"]["forward"]["hits"] == 2 and told["all"]["backward"] == {
        "hits": 0, "n": 1, "rate": 0.0, "ci95": told["all"]["backward"]["ci95"],
    }  # fmt: skip
    assert [len(points) for points in told["curves"].values()] == [2, 1]
    assert told["minutes"] == pytest.approx(4 * STEPS * 0.2 / 60, abs=0.01)


def test_episode_has_its_numbers_pictures_and_file(clerk: Clerk, root: Path) -> None:
    told = clerk.ask("episode", run="first", episode="first-00000")
    assert told["steps"] == STEPS and told["cameras"] == ["front"] and told["rate_hz"] == pytest.approx(5.0)
    assert told["verdicts"][-1] == "yes" and told["probabilities"][-1] == pytest.approx(0.9)
    data = clerk.ask("frame", run="first", episode="first-00000", camera="front", step=5)
    assert abs(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).mean() - 100) < 3
    assert Path(clerk.ask("path", run="first", episode="first-00000")) == list_episodes(root / "first")[0]


@pytest.mark.parametrize(
    ("question", "told"),
    (
        ("run", {"run": ".."}),
        ("run", {"run": "../runs/first"}),
        ("run", {"run": ".hidden"}),
        ("episode", {"run": "first", "episode": "../../second/episodes/second-00000"}),
        ("path", {"run": "first", "episode": "second-00000"}),
        ("frame", {"run": "first", "episode": "first-00000", "camera": "../x", "step": 0}),
        ("frame", {"run": "first", "episode": "first-00000", "camera": "front", "step": STEPS}),
    ),
)
def test_what_is_not_called_so_is_not_found(clerk: Clerk, question: str, told: dict) -> None:
    with pytest.raises(Unknown):
        clerk.ask(question, **told)


@given(st.text(max_size=30))
def test_no_name_leads_out_of_the_folder(root: Path, name: str) -> None:
    library = Library(root)
    try:
        path = library.path(name, "first-00000")
    except Unknown:
        return
    assert path.resolve().is_relative_to(root.resolve())


def test_answers_are_kept_as_reviews_and_labels_and_the_rates_follow(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", "st")
    library = Library(tmp_path)
    before = library.audit("mine", 1.0)
    assert before["due_in_all"] == 2 * STEPS and before["precision"]["n"] == 0
    hardest = before["due"][0]
    assert hardest["probability"] in (pytest.approx(0.55), pytest.approx(0.9)), "the last no, or the first yes"
    for step, word in ((STEPS - 1, "yes"), (STEPS - 2, "no"), (0, "unsure")):
        assert library.answer("mine", "mine-00000", step, word)["kept"] == f"mine-00000/{step}={word}"
    after = library.audit("mine", 1.0)
    assert after["due_in_all"] == 2 * STEPS - 3 and after["reviewed"] == 3
    assert (after["precision"]["hits"], after["precision"]["n"]) == (1, 2)
    episode = library._episode("mine", "mine-00000")
    assert read_labels(tmp_path / "mine", episode, "audit").verdicts[STEPS - 1] is Verdict.YES
    stops = lambda: library.run("mine")["false_stops"]  # noqa: E731
    assert (stops()["hits"], stops()["n"]) == (0, 1)
    library.answer("mine", "mine-00000", STEPS - 1, "no")
    assert (stops()["hits"], stops()["n"]) == (1, 1)
    library.answer("mine", "mine-00001", STEPS - 1, "no")  # it ended by time, not by the vote
    assert stops()["n"] == 1
    for step, word in ((0, "maybe"), (STEPS, "yes"), (-1, "yes")):
        with pytest.raises(ValueError, match="expected"):
            library.answer("mine", "mine-00000", step, word)


def test_success_that_a_person_said_is_no_stop_of_the_vote() -> None:
    row = Row("a", 0, "forward", "open", SUCCESS, "", 3, 0.6, "v", 0, 0, 2, SAID_SUCCESS)
    assert not row.is_voted and replace(row, mark="").is_voted


@given(st.floats(0.0, 1.0), st.lists(st.floats(0.0, 1.0)))
def test_border_is_where_the_word_turns(threshold: float, probabilities: list[float]) -> None:
    said = [(Verdict.YES if p > threshold else Verdict.NO, p) for p in probabilities]
    edge = border([*said, (Verdict.UNKNOWN, None)])
    words = {verdict for verdict, _ in said}
    assert 0.0 <= edge <= 1.0 and (len(words) == 2 or edge == 0.5)
    assert len(words) < 2 or all((p >= edge) is (verdict is Verdict.YES) or p == edge for verdict, p in said)


def test_datasets_beside_the_runs_are_listed_with_their_cards_and_a_bad_one_says_so(tmp_path: Path) -> None:
    library = Library(tmp_path / "runs")
    assert library.datasets() == []
    write_run(tmp_path / "runs", "shown", "s")
    one = read_episode(list_episodes(tmp_path / "runs/shown")[0])
    export([(one, live_labels(one))], tmp_path / "datasets/drawer")
    (tmp_path / "datasets/drawer/README.md").write_text("# Drawers")
    (tmp_path / "datasets/bad/meta").mkdir(parents=True)
    (tmp_path / "datasets/bad/meta/info.json").write_text("[]")
    (tmp_path / "datasets/carded/meta").mkdir(parents=True)
    (tmp_path / "datasets/carded/meta/info.json").write_text("{}")
    (tmp_path / "datasets/carded/README.md").write_bytes(b"\xff Latin")
    bad, carded, good = library.datasets()
    assert "is none" in bad["trouble"] and "utf-8" in carded["trouble"] and carded["dataset"] == "carded"
    assert (good["dataset"], good["card"]) == ("drawer", "# Drawers")
    assert (good["episodes"], good["steps"], good["rate_hz"]) == (1, STEPS, 5) and "action" in good["keys"]


def test_link_that_leads_elsewhere_is_neither_shown_nor_downloaded(tmp_path: Path) -> None:
    library = Library(tmp_path / "runs")
    run = write_run(tmp_path / "runs", "mine", "s")
    (tmp_path / "tokens.txt").write_text("operator let-me-steer")
    for folder, link in (("carded", "README.md"), ("linked", "meta/info.json")):
        (tmp_path / "datasets" / folder / "meta").mkdir(parents=True)
        (tmp_path / "datasets" / folder / "meta/info.json").write_text("{}")
        (tmp_path / "datasets" / folder / link).unlink(missing_ok=True)
        (tmp_path / "datasets" / folder / link).symlink_to(tmp_path / "tokens.txt")
    (run / "episodes/mine-00007.mcap").symlink_to(tmp_path / "tokens.txt")
    assert all("leads out" in row["trouble"] and not row["card"] for row in library.datasets())
    with pytest.raises(Unknown, match="leads out"):
        library.path("mine", "mine-00007")


def test_resets_are_those_that_practice_counted(tmp_path: Path) -> None:
    library, run = Library(tmp_path), write_run(tmp_path, "mine", "s")
    assert library.run("mine")["resets"] is None
    for text, found in (('{"resets": 3}', 3), ("[]", None), ('{"resets": "x"}', None), ("{", None)):
        (run / "practice.json").write_text(text)
        assert library.run("mine")["resets"] == found


def test_configs_differ_where_they_do(clerk: Clerk) -> None:
    told = clerk.ask("configs", a="first", b="second")
    assert told["keys"] == 4
    assert told["difference"] == [
        {"key": "experiment.x", "a": None, "b": [1]}, {"key": "task.steps", "a": 50, "b": 40},
    ]  # fmt: skip


@given(st.dictionaries(st.text(max_size=3), st.integers()), st.dictionaries(st.text(max_size=3), st.integers()))
def test_difference_is_what_turns_one_config_into_the_other(first: dict, second: dict) -> None:
    turned = dict(first)
    for row in difference(first, second):
        turned.update({row["key"]: row["b"]})
    assert {k: v for k, v in turned.items() if v is not None} == second
    assert flat({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}


def row(index: int, outcome: str, policy: str = "v1") -> Row:
    return Row(f"r-{index}", index, "forward", "do it", outcome, "", 60, 12.0, policy, 0, 0)


def test_time_to_a_goal_counts_motion_and_needs_a_full_window() -> None:
    told = progress([row(i, "timeout") for i in range(5)] + [row(i, "success", "v2") for i in range(5, 20)], window=5)
    assert told["minutes_to"] == {"forward": {"80%": pytest.approx(9 * 0.2), "90%": pytest.approx(10 * 0.2)}}
    assert told["start"]["forward"]["rate"] == 0.0 and told["policies"] == 2
    assert progress([row(0, "success")], window=5)["minutes_to"] == {}


def test_long_run_is_read_in_turns(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armtune_console.archive.library.TURN_S", -1.0)
    library = Library(root)
    assert (library.run("first")["read"], library.run("first")["of"]) == (0, 4)


def test_who_waits_too_long_for_others_is_told_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Clerk(root)
    monkeypatch.setattr(clerks, "ANSWER_S", 0.05)
    with made._lock, pytest.raises(Busy, match="busy with others"):
        made.ask("runs")


def test_process_that_is_killed_is_started_again_and_one_that_hangs_is_ended(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Clerk(root)
    made.ask("runs")
    process = made._process
    assert process is not None
    process.kill()
    process.wait(timeout=5.0)
    assert len(made.ask("runs")) == 2
    assert made._process is not None
    os.kill(made._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(clerks, "ANSWER_S", 0.2)
    with pytest.raises(Busy, match="did not answer"):
        made.ask("runs")
    monkeypatch.setattr(clerks, "ANSWER_S", 20.0)
    assert len(made.ask("runs")) == 2
    made.close()
