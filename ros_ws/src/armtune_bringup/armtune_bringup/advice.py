"""What to do with data: which prior episodes to learn from, and how to practise on what was learnt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_policies.contract import DIRECTIONS
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import read_json, write_json, write_whole
from armtune_policies.store.nouns import ABORTED, SUCCESS

from .agents import Learning, OnStep, gathered

if TYPE_CHECKING:
    from armtune_policies.learn.advise import Advice

ADVICE_SEED = 2_000_000
"""First of the scenes that advice is made from: not those that results are measured on."""


def select_prior(
    learning: Learning,
    demos: Path,
    prior: Path,
    encoder: Path,
    out: Path,
    above: float,
    most: int | None = None,
    on_step: OnStep = lambda what, done, total: None,
) -> dict[str, Any]:
    """Rank prior episodes by likeness to the task's successes; write which to keep, and a histogram beside it.

    Args:
        learning: Config and settings.
        demos: Episodes of the task: run folder or LeRobot folder.
        prior: Episodes to choose from: the same.
        encoder: Folder whose encoder makes the features.
        out: Selection file, ``.json``; ``armtune pretrain --prior`` takes it.
        above: Least likeness of an episode that is kept, 0..1.
        most: Keep at most so many, the most alike; None for all.
        on_step: Told of the progress.

    Returns:
        What the file says.

    Raises:
        ValueError: when data or encoder will not do, or no demonstration succeeds.
    """
    from armtune_policies.learn.frozen import FrozenEncoder
    from armtune_policies.learn.offline import OfflineParams
    from armtune_policies.learn.retrieval import scores
    from armtune_policies.learn.sources import SELECTION, sources

    config, policy = learning.config, learning.config.policy
    frozen = FrozenEncoder(encoder, policy.action, policy.observation)
    plain = OfflineParams.from_mapping({**learning.offline, "copies": 0})
    data = gathered(config, plain, demos, prior, frozen, on_step)
    names = [one.name for one in sources(prior, policy.action, policy.observation)]
    found = data.trajectories[len(data.trajectories) - len(names) :]
    shown = [one for one in data.trajectories[: -len(names)] if one.group in DIRECTIONS]
    if not shown:
        raise ValueError(f"{demos}: expected successes of {' or '.join(data.sentences[:2])} to compare with, got none")
    ranked = sorted(zip(scores(found, shown), names, found), key=lambda row: (-row[0], row[1]))
    rows = [
        {
            "name": name, "score": round(score, 6), "sentence": data.sentences[one.sentence],
            "steps": int(one.is_step.sum()), "is_kept": score >= above and (most is None or place < most),
        }
        for place, (score, name, one) in enumerate(ranked)
    ]  # fmt: skip
    value = {
        "kind": SELECTION, "prior": os.path.relpath(prior.resolve(), out.resolve().parent), "encoder": frozen.digest,
        "target": demos.name, "above": above, "most": most, "episodes": rows,
    }  # fmt: skip
    write_json(out, value)
    write_whole(out.with_suffix(".png"), _histogram([score for score, *_ in ranked], above))
    return value


def advise_practice(
    learning: Learning, demos: Path, run: Path | None, on_step: OnStep = lambda what, done, total: None
) -> Advice:
    """Compare ``policy.folder``'s policy, or a run's outcomes, with the data it was trained on.

    Args:
        learning: Config and settings; a set of data whose ``offline.weight_*`` is 0 does not count.
        demos: Episodes of the task that the policy was trained on.
        run: Run folder whose outcomes are the policy's; None evaluates it in the simulator.
        on_step: Told of the progress.

    Raises:
        ValueError: when there are too few episodes, or they will not do.
    """
    from armtune_policies.learn.advise import advise
    from armtune_policies.learn.finetune import PracticeParams
    from armtune_policies.learn.offline import OfflineParams
    from armtune_policies.learn.sources import sources

    config, policy = learning.config, learning.config.policy
    weights = OfflineParams.from_mapping(learning.offline).weights
    ways = {config.task.sentence(direction): direction for direction in DIRECTIONS}
    shown = []
    for source in sources(demos, policy.action, policy.observation):
        episode = source.read()
        won = episode.outcome == SUCCESS
        if episode.sentence in ways and weights[ways[episode.sentence] if won else "failure"] > 0:
            shown.append(float(won))
    steps = PracticeParams.from_mapping(learning.practice).steps
    return advise(_of_run(run) if run is not None else _measured(learning, on_step), shown, steps)


def as_json(advice: Advice) -> dict[str, Any]:
    """Return advice as one JSON object can say it, caveats included."""
    from armtune_policies.learn.advise import CAVEATS

    return {**asdict(advice), "caveats": list(CAVEATS)}


def _of_run(run: Path) -> list[float]:
    """Return the successes that a run has: measured before practice, else its episodes' outcomes."""
    before = run / "evaluation" / "before.json"
    if before.is_file():
        rates = read_json(before)["success"].values()
        return [float(i < rate["successes"]) for rate in rates for i in range(rate["n"])]
    ended = [read_episode(path).outcome for path in list_episodes(run)]
    return [float(outcome == SUCCESS) for outcome in ended if outcome != ABORTED]


def _measured(learning: Learning, on_step: OnStep) -> list[float]:
    from armtune_policies.runtime.policy import Policy

    from .stages import evaluate_policy

    config, done = learning.config, []
    policy = Policy.load(Path(config.policy.folder), config.policy.action, config.policy.observation)

    def told(seed: int, is_success: bool) -> None:
        done.append(float(is_success))
        on_step("evaluating", len(done), 2 * config.experiment.evaluations)

    evaluate_policy(config, policy, on_episode=told, first_seed=ADVICE_SEED)
    return done


def _histogram(values: Sequence[float], above: float) -> bytes:
    from matplotlib.figure import Figure

    from .report.plots import png

    figure = Figure(figsize=(6.0, 3.0), dpi=120)
    axes = figure.add_subplot()
    axes.hist(values, bins=20, range=(0.0, 1.0), color="#0b6e99")
    axes.axvline(above, color="#d9730d", label=f"kept from {above:g}")
    axes.set(xlabel="likeness to the task's demonstrations", ylabel="prior episodes", xlim=(0, 1))
    axes.legend(frameon=False)
    return png(figure)
