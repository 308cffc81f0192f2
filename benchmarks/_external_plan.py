"""What is run: tasks, recipes, sizes. Frozen before the first run whose number is reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from armtune_policies.learn.settings import AgentParams, recipe_params

TASKS = ("drawer-open", "fetch-pick-and-place")


@dataclass(frozen=True)
class Plan:
    """One task's study; steps are decisions."""

    task: str
    limit: int
    """Decisions after which an episode has failed."""
    episodes: int
    """Of the trembling expert."""
    noise: float
    """Of its tremble, in the range -1..1 of an action."""
    attentive: int
    """One episode of so many it plays to the end."""
    recipes: dict[str, tuple[int, ...]]
    """Seeds of each."""
    offline: int = 10_000
    """Updates before practice."""
    steps: int = 2500
    """Of practice."""
    first_steps: int = 2000
    """In which a dip is looked for, by an evaluation every ``every_first`` steps."""
    every_offline: int = 2500
    every_first: int = 250
    every_step: int = 500
    trials: int = 20
    """Scenes of each evaluation."""


PLANS = {
    "drawer-open": Plan(
        "drawer-open",
        limit=75,
        episodes=120,
        noise=0.3,
        attentive=4,
        recipes={"calql": (0, 1, 2), "cql": (0, 1, 2), "rlpd": (0, 1, 2), "d3rlpy": (0,)},
    ),
    "fetch-pick-and-place": Plan(
        "fetch-pick-and-place",
        limit=50,
        episodes=200,
        noise=0.15,
        attentive=4,
        recipes={"calql": (0, 1), "iql": (0, 1)},
    ),
}

SMALL: dict[str, Any] = {
    "batch": 128,
    "projection": 64,
    "hidden": (128, 128),
    "gamma": 0.97,
    "tau": 0.02,
    "actor_lr": 3e-4,
    "warmup_steps": 0,
}
"""What fits two cores: few updates, so targets follow faster and the horizon is shorter than in the papers."""
PAIR: dict[str, Any] = {
    "critics": 2,
    "target_subset": 2,
    "cql_weight": 5.0,
    "cql_actions": 4,
    "bc_weight": 0.0,
    "actor_decay": 0.0,
    "resets_optimiser": False,
}
"""Cal-QL and CQL as Cal-QL's paper compares them: all alike but the floor."""
CHANGES: dict[str, dict[str, Any]] = {
    "calql": PAIR,
    "cql": PAIR,
    "rlpd": {"utd": 4, "actor_every": 4, "warmup_steps": 500},
    "iql": {},
    "d3rlpy": PAIR,
}


def changes(recipe: str) -> dict[str, Any]:
    """Return what this study changes of a recipe's settings; d3rlpy's are those of ``calql``."""
    return {**SMALL, **CHANGES[recipe]}


def agent_params(recipe: str) -> AgentParams:
    """Return a recipe's settings in this study."""
    return recipe_params(recipe, **changes(recipe))


def plan_of(task: str, recipe: str) -> Plan:
    """Return a task's plan for a recipe: RLPD has no pre-training."""
    plan = PLANS[task]
    return replace(plan, offline=0) if recipe == "rlpd" else plan


def named(plan: Plan) -> dict[str, Any]:
    """Return the part of a plan that a run depends on, as JSON can say it."""
    return {key: value for key, value in asdict(plan).items() if key != "recipes"}
