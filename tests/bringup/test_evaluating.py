"""Trials on a graph: who is invited when, what is made again, what is kept, and who says whether it was done."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.evaluating import Contender, Ledger, Tried, contenders, evaluate_on, table
from armtune_bringup.settings import Config
from armtune_bringup.stages import EVALUATION_SEED
from armtune_policies.contract import ConfigError
from armtune_policies.episode.trials import Trial
from armtune_policies.store.files import read_json
from fixtures.tiny_models import tiny_policy

WHO = [Contender(name, Path(name), f"{name}-1", "d") for name in ("new", "old")]


class Graph:
    """The other end: does the backward direction, by whoever is invited; some attempts are void."""

    def __init__(self, *void: int) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._void, self._attempts = void, 0

    def invite(self, one: Contender) -> None:
        self.asked.append(("invite", one.name))

    def reset_world(self, seed: int, direction: str) -> None:
        self.asked.append(("lay", (seed, direction)))

    def attempt(self, one: Contender, direction: str, by_truth: bool, stop: Any, say: Callable[[str], None]) -> Tried:
        self._attempts += 1
        self.asked.append(("attempt", (one.name, direction)))
        if self._attempts in self._void:
            return Tried("", None, "the arm was held")
        return Tried(f"run-eval-{self._attempts:05d}", direction == "backward" if by_truth else None)


class Person:
    """Notes what is to be laid, and says that forward was done."""

    def __init__(self) -> None:
        self.laid: list[Trial] = []

    def lay(self, trial: Trial) -> None:
        self.laid.append(trial)

    def is_done(self, trial: Trial) -> bool:
        return trial.direction == "forward"


@cache
def config(*other: str) -> Config:
    return compose(["experiment.evaluations=2", "experiment.seed=5", *other])


def ledger(path: Path, *other: str, by_truth: bool = True) -> Ledger:
    return Ledger(path / "result.json", WHO, config(*other), by_truth)


def test_each_trial_is_invited_laid_and_acted_by_whose_turn_it_is(tmp_path: Path) -> None:
    graph, book, told = Graph(), ledger(tmp_path), list[tuple[int, int]]()
    evaluate_on(graph, book, WHO, None, on_trial=lambda done, of: told.append((done, of)))
    expected = []
    for trial in book.trials:
        name = WHO[trial.policy].name
        laid = (EVALUATION_SEED + trial.scene, trial.direction)
        expected += [("invite", name), ("lay", laid), ("attempt", (name, trial.direction))]
    assert graph.asked == expected and told == [(n, 8) for n in range(1, 9)] and not book.left
    found = book.summary()
    assert [found["policies"][name]["backward"]["successes"] for name in ("new", "old")] == [2, 2]
    assert "| new (new-1) | 0/2 | 2/2 | 2/4 (15 to 85 %) | 0 |" in table(found)
    assert read_json(tmp_path / "result.json")["result"] == found


def test_what_is_kept_does_not_say_whose_trial_it_was_and_is_gone_on_with(tmp_path: Path) -> None:
    first, count = ledger(tmp_path), 0

    def stop() -> bool:
        return count >= 3

    def on_trial(done: int, of: int) -> None:
        nonlocal count
        count = done

    evaluate_on(Graph(), first, WHO, None, stop, on_trial)
    kept = read_json(tmp_path / "result.json")
    assert len(kept["trials"]) == 3 and all("policy" not in row for row in kept["trials"]) and "result" not in kept
    assert table(first.summary()) == "3 of 8 trials", "who judges is not told how it stands"
    again = ledger(tmp_path)
    assert [trial.number for trial in again.left] == [3, 4, 5, 6, 7]
    evaluate_on(Graph(), again, WHO, None)
    assert [row["number"] for row in again.rows] == list(range(8)) and again.rows[:3] == kept["trials"]


def test_policies_in_another_order_are_another_plan(tmp_path: Path) -> None:
    evaluate_on(Graph(), ledger(tmp_path), WHO, None)
    with pytest.raises(ConfigError, match="name another file by --result"):
        Ledger(tmp_path / "result.json", WHO[::-1], config(), True)


def test_attempt_that_a_person_ended_is_nobodys_void(tmp_path: Path) -> None:
    book, asked = ledger(tmp_path), [False, True]
    evaluate_on(Graph(1), book, WHO, None, lambda: asked.pop(0) if asked else True)
    assert not book.rows and not book.voids


def test_another_plan_does_not_go_on_with_these_trials(tmp_path: Path) -> None:
    evaluate_on(Graph(), ledger(tmp_path), WHO, None)
    for other in ("experiment.evaluations=3", "experiment.seed=6", "task.episode_steps=7", "safety.slow_scale=0.4"):
        with pytest.raises(ConfigError, match="name another file by --result"):
            ledger(tmp_path, other)
    with pytest.raises(ConfigError, match="name another file by --result"):
        ledger(tmp_path, by_truth=False)
    assert not ledger(tmp_path).left


def test_attempt_that_says_nothing_is_made_again_and_many_in_a_row_are_a_question(tmp_path: Path) -> None:
    graph, said, book = Graph(2, 3), list[str](), ledger(tmp_path)
    evaluate_on(graph, book, WHO, None, say=said.append)
    name = WHO[book.trials[1].policy].name
    assert book.summary()["voids"] == {"new": 0, "old": 0, name: 2}
    assert read_json(tmp_path / "result.json")["voids"] == [{"number": 1, "why": "the arm was held"}] * 2
    assert len([one for one in graph.asked if one[0] == "attempt"]) == 10
    assert said == ["trial 2 is made again: the arm was held"] * 2
    with pytest.raises(ConfigError, match="3 attempts in a row said nothing: the arm was held"):
        evaluate_on(Graph(1, 2, 3), ledger(tmp_path / "other"), WHO, None, say=said.append)


def test_a_person_lays_and_judges_where_no_simulator_does(tmp_path: Path) -> None:
    graph, person, book = Graph(), Person(), ledger(tmp_path, by_truth=False)
    evaluate_on(graph, book, WHO, person)
    assert person.laid == list(book.trials) and not [one for one in graph.asked if one[0] == "lay"]
    assert book.summary()["policies"]["new"]["forward"] == {"successes": 2, "n": 2, "ci95": [0.342, 1.0]}


def test_a_policy_is_not_compared_with_itself(tmp_path: Path) -> None:
    one = tiny_policy(tmp_path / "one")
    assert [c.name for c in contenders(config(), [one])] == ["new"]
    with pytest.raises(ConfigError, match="expected another policy than"):
        contenders(config(), [one, one])
