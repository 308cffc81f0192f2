"""`armtune bench external` without the peers: its loop, its data and its checks, on a point that moves on a line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from armtune_policies.learn.settings import AgentParams
from benchmarks._external_plan import PLANS, Plan, agent_params, plan_of
from benchmarks._external_report import Result, checks, summary, table
from benchmarks._external_run import Run
from benchmarks._external_world import EVALUATION, Floats, episode, shown, success_count

pytestmark = pytest.mark.unhurried

PLAN = Plan("line", 12, 8, 0.3, 2, {}, offline=6, steps=30, every_offline=3, every_first=12, trials=2)
PARAMS = AgentParams(recipe="calql", hidden=(8,), projection=4, batch=8, cql_actions=2, utd=1, warmup_steps=0)


class Line:
    """A point, its goal at 0; what a seed says is where it starts."""

    cpu_s = 0.0

    def __init__(self) -> None:
        self.at, self.seeds = 0.0, list[int]()

    def reset(self, seed: int) -> Floats:
        self.seeds.append(seed)
        self.at = float(np.random.default_rng(seed).uniform(0.5, 1.0))
        return self._seen()

    def step(self, action: Floats) -> tuple[Floats, bool]:
        self.at += 0.1 * float(action[0])
        return self._seen(), abs(self.at) < 0.1

    def expert(self) -> Floats:
        return np.array([-1.0, 0, 0, 0], np.float32)

    def _seen(self) -> Floats:
        return np.array([self.at, 1.0], np.float32)


def run(folder: Path, world: Line, plan: Plan = PLAN) -> Run:
    return Run(plan, PARAMS, 3, world, folder / "data.npz", folder / "run")


def told(run: Run) -> list[dict[str, Any]]:
    """Run to the end; return points without times."""
    return [{k: v for k, v in point.items() if k != "cpu_s"} for point in run.run(lambda _: None)]


class Killed(Exception):
    pass


def test_curve_is_the_same_when_the_run_was_killed_at_every_point(tmp_path: Path) -> None:
    whole = told(run(tmp_path / "whole", Line()))

    def kill(_: dict[str, Any]) -> None:
        raise Killed

    for _ in whole:
        with pytest.raises(Killed):
            run(tmp_path / "cut", Line()).run(kill)
    assert told(run(tmp_path / "cut", Line())) == whole
    assert [p["step"] for p in whole[:3]] == [-6, -3, 0] and whole[-1]["step"] >= 24
    assert whole[-1]["updates"] == 6 + whole[-1]["step"]


def test_scenes_of_evaluation_are_never_practised_in(tmp_path: Path) -> None:
    world = Line()
    told(run(tmp_path, world))
    apart = [seed >= EVALUATION for seed in world.seeds]
    assert 0 < sum(apart) < len(apart)
    assert {seed for seed in world.seeds if seed >= EVALUATION} == {EVALUATION, EVALUATION + 1}


def test_checkpoint_of_another_plan_is_refused(tmp_path: Path) -> None:
    told(run(tmp_path, Line()))
    with pytest.raises(ValueError, match="is of training"):
        run(tmp_path, Line(), replace(PLAN, steps=31))


def test_data_hold_failures_and_one_zero_reward_per_success() -> None:
    arrays = shown(Line(), episodes=40, noise=0.3, attentive=4, limit=12)
    ends = np.flatnonzero(arrays["terminals"] | arrays["timeouts"])
    assert len(ends) == 40 and 0 < arrays["terminals"].sum() < 40
    assert set(arrays["rewards"]) == {-1.0, 0.0}
    assert np.array_equal(arrays["rewards"] == 0.0, arrays["terminals"])
    assert np.abs(arrays["actions"]).max() <= 1.0
    within = np.setdiff1d(np.arange(len(arrays["rewards"])), ends)
    assert np.array_equal(arrays["next_observations"][within], arrays["observations"][within + 1])
    again = shown(Line(), episodes=40, noise=0.3, attentive=4, limit=12)
    assert all(np.array_equal(arrays[key], again[key]) for key in arrays)


def test_success_ends_an_episode_and_a_time_limit_too() -> None:
    seen, actions, is_success = episode(Line(), 1, lambda _: Line().expert(), 12)
    assert is_success and len(seen) == len(actions) + 1 <= 12
    assert len(episode(Line(), 1, lambda _: -Line().expert(), 12)[1]) == 12
    assert success_count(Line(), lambda _: Line().expert(), 12, 5) == 5


def result(recipe: str, seed: int, successes: list[int], q: float) -> Result:
    points = [{"step": -3000, "successes": 0, "trials": 20, "q": 0.0, "mc": -30.0, "cpu_s": 1.0}]
    for number, count in enumerate(successes):
        points.append({"step": 250 * number, "successes": count, "trials": 20, "q": q, "mc": -30.0, "cpu_s": 60.0})
    return Result("drawer-open", recipe, seed, "", points, 0.0, 1.0)


def test_checks_say_who_dips_deeper_and_whose_q_is_too_low() -> None:
    calql = [result("calql", seed, [18, 16, 18, 20], -29.0) for seed in (0, 1)]
    cql = [result("cql", seed, [18, 2, 8, 20], -50.0) for seed in (0, 1)]
    found = checks(calql, cql)
    assert found["cql_dips_deeper"] and found["calql_q_not_below_returns"] and found["cql_q_below_returns"]
    assert found["cql_dips_deeper_by"]["mean"] == pytest.approx(0.7)
    turned = checks(cql, calql)
    assert not turned["cql_dips_deeper"] and not turned["calql_q_not_below_returns"]
    assert not turned["cql_q_below_returns"]


def test_table_has_a_row_per_recipe_and_pools_its_seeds() -> None:
    runs = [result("calql", seed, [10, 5, 20], -29.0) for seed in (0, 1, 2)] + [result("d3rlpy", 0, [10, 5, 20], -29.0)]
    lines = table(runs)
    assert len(lines) == 4 and all(line.count("|") == lines[0].count("|") for line in lines)
    assert "50% [38%, 62%] (50% 50% 50%)" in lines[2]
    assert summary(runs)["drawer-open_calql"]["dip"] == [0.25, 0.25, 0.25]


def test_every_recipe_of_the_plan_has_settings_that_fit_thirty_thousand_updates() -> None:
    for task, plan in PLANS.items():
        for recipe in plan.recipes:
            of, params = plan_of(task, recipe), agent_params("calql" if recipe == "d3rlpy" else recipe)
            assert of.offline + params.utd * of.steps <= 30_000
