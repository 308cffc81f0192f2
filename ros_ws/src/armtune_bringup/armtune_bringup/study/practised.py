"""The cell ``practice`` of a study: the offline agent practises through the ROS graph, judged by images alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_bringup.agents import OnStep, exported, made
from armtune_bringup.judging.frames import labelled
from armtune_bringup.judging.settings import Judging
from armtune_bringup.judging.train import train
from armtune_bringup.settings import Config
from armtune_bringup.stages import evaluate_policy
from armtune_policies.contract import digest
from armtune_policies.episode.counted import counted, minutes
from armtune_policies.episode.places import demonstrated
from armtune_policies.learn.settings import anywhere, named_by
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.edits import kept_paths
from armtune_policies.store.episode_reader import read_episode
from armtune_policies.store.manifest import MANIFEST, load_manifest, training_folder
from armtune_runtime.settings import ONLINE

from .cells import SeedStudy
from .lockstep import Judge, OnEpisode, as_row, nobody, practised
from .sights import Images

if TYPE_CHECKING:
    from armtune_policies.learn.agent import Agent
    from armtune_policies.learn.online import OnlineLearner

CELL = "practice"
MARKS = (2_000, 5_000)
"""Steps of practice after which what had been learnt is measured, too."""


class PractisedStudy(SeedStudy):
    """A seed's cells, and practice through ROS; the agent sees images.

    Attributes:
        judge: What judges in the reward node's place, by ROS domain; None for the learned reward.
        on_episode: Told of each episode; see ``OnEpisode``.
    """

    judge: Judge | None = None
    on_episode: OnEpisode = staticmethod(lambda counts, steps, seconds: None)  # type: ignore[assignment]

    def _runs(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        return {**super()._runs(), CELL: self._practice}

    def _reads(self, name: str) -> list[Any]:
        if name != CELL:
            return super()._reads(name)
        config, by = self.config, "another" if self.judge else self.config.reward.noise
        settings = [named_by(self.params), self.offline.updates, self.practice.steps, asdict(config.episode)]
        settings.append(config.task.practised)
        acted = asdict(replace(config.policy, folder=""))  # how tries are aimed and explore among it
        given = load_manifest(Path(config.reward.folder)).version if self._is_given else ""
        judged = [by, given, asdict(replace(config.reward, folder=""))]
        learning = {name: getattr(config.learner, name) for name in ("rows", "pause_unknown")}
        return [*settings, acted, *judged, learning]

    @property
    def _is_given(self) -> bool:
        """Whether the judge is a folder that is there, not one to be trained on the seed's demonstrations."""
        return (Path(self.config.reward.folder) / MANIFEST).is_file()

    def _practice(self, folder: Path) -> dict[str, Any]:
        config, run = self.practising(folder), folder / "run"
        counts = practised(config, self.practice.steps, self.on_episode, self.judge or nobody)
        learner = caught_up(config, run, self.on_step)
        most_gap_s = config.episode.home_s + config.episode.nudge_s + config.experiment.rest_s
        robot_minutes, sessions = minutes(run, most_gap_s)
        row = {**as_row(counts), **counted(run), "robot_minutes": robot_minutes, "sessions": sessions}
        row |= {"steps_learnt": learner.paid.steps, "practice_updates": learner.paid.updates}
        row |= {"updates": learner.agent.updates, "reverts": learner.guard.reverts}
        at = [mark for mark in MARKS if mark < self.practice.steps]
        rates = [{"steps": steps, "success": self._rated(config, head)} for steps, head in standing(run, at)]
        after = self._after(config, learner)
        rates.append({"steps": row["steps"], "success": after})
        return {**row, "is_reverted": learner.guard.is_reverted, "success": after, "curve": rates}

    def _after(self, config: Config, learner: OnlineLearner) -> dict[str, list[int]]:
        """Measure what practice would go on with: the agent, or what the guard has gone back to."""
        if not learner.guard.is_reverted:
            return self._measured(learner.agent, self.sizes.episodes)
        return self._rated(config, Path(learner.guard.reference.folder))

    def _rated(self, config: Config, folder: Path) -> dict[str, list[int]]:
        """Measure a head of the run, or the policy that it began with."""
        policy = Policy.load(Path(config.policy.folder), config.policy.action, config.policy.observation)
        if Path(config.policy.folder).resolve() != folder.resolve():
            policy = policy.with_head(folder)
        sized = replace(config, experiment=replace(config.experiment, evaluations=self.sizes.episodes))
        found = evaluate_policy(sized, policy)
        return {direction: [one.successes, one.count] for direction, one in found.items()}

    def practising(self, folder: Path) -> Config:
        """Return the config of the run below ``folder``, its policy exported and its judge trained."""
        config, demos = self.config, self._images.folder
        demonstrated(demos)  # where to push is then at hand when the graph starts
        policy = self._exported(self.folder / f"policy-{digest([self._named, anywhere(self.params)])[:12]}")
        reward = replace(config.reward, folder="" if self.judge else str(self._judged_by(demos)))
        where, shown = str(folder.resolve()), str(demos.resolve())
        prior = "" if self._images.prior is None else str(self._images.prior.resolve())
        as_agent = {name: getattr(self.params, name) for name in ("utd", "failures", "device")}
        return replace(
            config,
            policy=replace(config.policy, folder=str(policy.resolve())),
            reward=reward,
            learner=replace(config.learner, recipe=ONLINE, prior_folder=prior, **as_agent),
            experiment=replace(config.experiment, folder=where, name="run", demos_folder=shown),
        )

    @property
    def _images(self) -> Images:
        if not isinstance(self.sight, Images):
            raise TypeError("practice through ROS sees images")
        return self.sight

    def _exported(self, folder: Path) -> Path:
        """Export the offline agent, with the checkpoint that the learner goes on from beside it."""
        from armtune_policies.learn.offline import training_digest
        from armtune_policies.learn.saved import save_training

        if not (folder / MANIFEST).is_file():
            agent: Agent
            agent, _ = self._trained(self.params, self.offline.updates, self._checkpoint, "offline")
            named = training_digest(self.data, self.params, self.seed)
            save_training(training_folder(folder), agent.state(), named, agent.updates)
            embeddings = made(self.data, self.params, self.seed)[2]
            frozen = self._images.encoder(self.on_step)
            exported(folder, agent, frozen, embeddings, self.config, self.data.digest, self.offline)
        return folder

    def _judged_by(self, demos: Path) -> Path:
        """Return the folder of the judge, trained on the demonstrations unless it is there."""
        if self._is_given:
            return Path(self.config.reward.folder)
        folder = demos / "models" / "reward"
        if not (folder / MANIFEST).is_file():
            config = replace(self.config, reward=replace(self.config.reward, folder=str(folder)))
            judging = Judging(config)
            train(judging, labelled(judging, demos, with_practice=False), self.on_step)
        return folder


def standing(run: Path, marks: Sequence[int]) -> list[tuple[int, Path]]:
    """Return for each mark after how many control steps it was passed, and the head that was learnt by then.

    Marks that were not passed, or by when nothing was learnt, are left out. Heads are called by how many episodes they
    learnt from (``learn.online_pupil``).
    """
    heads = {int(path.name[5:]): path for path in (run / "models").glob("head-*") if (path / MANIFEST).is_file()}
    found, left, steps = [], sorted(marks), 0
    for number, path in enumerate(kept_paths(run), 1):
        steps += read_episode(path).steps
        while left and steps >= left[0]:
            left.pop(0)
            if known := [at for at in heads if at <= number]:
                found.append((steps, heads[max(known)]))
    return found


def caught_up(config: Config, run: Path, on_step: OnStep) -> OnlineLearner:
    """Return a run's learner, once it has paid for the episodes at the end that the graph did not wait for."""
    from armtune_policies.learn.online import OnlineLearner, in_order
    from armtune_policies.learn.online_pupil import FOLDER

    p, learner, e = config.policy, config.learner, config.experiment
    data = [Path(folder) for folder in (e.demos_folder, learner.prior_folder) if folder]
    one = OnlineLearner(
        Path(p.folder), data, p.action, p.observation, run / FOLDER, learner.utd, learner.failures,
        learner.rows, e.seed,
        lambda done, total: on_step("reading episodes", done, total), learner.device, config.task.carries,
    )  # fmt: skip
    for path in in_order(one.paid.episodes, list(kept_paths(run))):
        steps = one.read(path, logging.getLogger(__name__).warning)
        if path.stem not in one.paid.episodes:
            one.pay(path.stem, steps, lambda done, total: on_step("learning the last episodes", done, total))
    return one
