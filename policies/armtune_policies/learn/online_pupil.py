"""The recipe ``online`` as the learner process runs it: every finished episode is paid for once, in order.

Each that was judged also goes to the guard: where the arm has got worse than it was, its reference is offered again,
and nothing new for a while. What was gone back from stays under ``models``, the reason beside it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from armtune_policies.contract import ConfigError
from armtune_policies.store.edits import read_kept
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import write_json
from armtune_policies.store.manifest import MANIFEST, load_manifest
from armtune_policies.store.nouns import ABORTED, SAID_FAILURE, SAID_SUCCESS, SUCCESS

from .job import LearnerJob, Pupil, offer_of
from .online import OnlineLearner

FOLDER = "learner"


class OnlinePupil(Pupil):
    """Pays for the episodes of a run, one after another, and offers a head after each that taught something.

    Raises:
        ValueError: when policy, data or a checkpoint will not do.
    """

    def __init__(self, job: LearnerJob, out: TextIO) -> None:
        super().__init__(job, out)
        if job.prior_folder and not job.demos_folder:
            raise ConfigError("learner.prior_folder: expected experiment.demos_folder beside it; leave both blank to "
                              "learn from what the training kept, prior data among it")  # fmt: skip
        self._versions: dict[Path, str] = {}
        data = [Path(folder) for folder in (job.demos_folder, job.prior_folder) if folder]
        self._learner = OnlineLearner(
            Path(job.policy_folder), data, job.action, job.observation, job.run / FOLDER, job.utd, job.failures,
            job.rows, job.seed, lambda done, total: self.tell("progress", read=done, of=total),
            job.device, job.carries,
        )  # fmt: skip

    def gather(self) -> None:
        """Remember again what was paid for before a restart; the checkpoint holds all that came of it."""
        known = {path.stem: path for path in self.paths()}
        for name in self._learner.paid.episodes:
            if name in known:
                self._remember(known[name])
            self.tell("progress", read=name)

    def refit(self, episode_id: str) -> None:
        """Pay for every finished episode up to this one, each on those there were by then; then offer a head.

        Of other runs all that is finished counts: their episodes come in no order with this one's. While the reward
        model cannot say what became of this one nothing is paid; all of it is when it can again.
        """
        self.await_file(episode_id)
        made, paid, why = 0, self._learner.paid, self._why_wait(episode_id)
        is_asked_again = episode_id in paid.episodes  # we were killed before the head was told of
        for path in self.paths() if not why else ():
            if path.stem not in paid.episodes and (path.stem <= episode_id or run_of(path.stem) != run_of(episode_id)):
                steps = self._remember(path)
                told = lambda done, of: self.tell("progress", update=done, of=of)  # noqa: E731
                made += self._learner.pay(path.stem, steps, told)
        counts = {"updates": made, "total": paid.updates, "steps": paid.steps, "episodes": len(paid.episodes)}
        counts["reverts"] = self._learner.guard.reverts
        if why:
            self.tell("nothing", reason=why, after=episode_id, **counts)
            return
        try:
            is_due = made or is_asked_again or self._learner.guard.is_reverted
            offered = self._offered(episode_id) if is_due else None
            manifest = None if offered is None else load_manifest(offered)
        except (OSError, ValueError) as why:
            self.tell("nothing", reason=str(why), after=episode_id, **counts)
            return
        if offered is None or manifest is None:
            self.tell("nothing", reason=self._why_nothing(), after=episode_id, **counts)
        else:
            self.tell_offer(offered, manifest, after=episode_id, **counts)

    def _why_wait(self, episode_id: str) -> str:
        """Return why an episode is not paid for yet; blank for one that is or that cannot be read."""
        path = next((path for path in self.paths() if path.stem == episode_id), None)
        if path is None or episode_id in self._learner.paid.episodes:
            return ""
        try:
            return self.why_pause(read_kept(path))
        except (OSError, ValueError):
            return ""

    def standing(self) -> dict[str, Any]:
        """Offer anew what was offered last: a kill of everything may have come before the policy took it."""
        guard, paid = self._learner.guard, self._learner.paid
        heads = self._heads() if paid.episodes else []
        folder = self._folder_of(guard.reference.version) if guard.is_reverted else next(iter(heads), None)
        if folder is None or not (folder / MANIFEST).is_file():
            return {}
        return offer_of(folder, load_manifest(folder), after=paid.episodes[-1])

    def _heads(self) -> list[Path]:
        """Return the whole heads of this run, newest first."""
        found = sorted((self.job.run / "models").glob("head-*"), reverse=True)
        return [folder for folder in found if (folder / MANIFEST).is_file()]

    def _offered(self, episode_id: str) -> Path | None:
        """Return the folder to offer: of the actor of now, or of the one to go back to; None while that one acts."""
        guard = self._learner.guard
        if not guard.is_reverted:
            folder = self.job.run / "models" / f"head-{len(self._learner.paid.episodes):04d}"
            self._learner.offer(folder, self.about(episode_id))
            return folder
        if guard.is_back:
            return None
        if not (path := self.job.run / "models" / f"reverted-{guard.reverts:02d}.json").exists():
            write_json(path, {"after": episode_id, "back_to": guard.reference.version, **asdict(guard)})
        version, back = guard.reference.version, self._folder_of(guard.reference.version)
        if back is None:
            raise ValueError(f"{self.job.run}/models: the policy to go back to, {version}, is no longer there")
        return back

    def _why_nothing(self) -> str:
        guard, stuck = self._learner.guard, self._learner.stuck_since
        if not guard.is_reverted:
            return f"{stuck} failures since the last success: learnt from again after one" if stuck else ""
        return f"the arm got worse: back to {guard.reference.version}; offers go on after {guard.rest} episodes"

    def _remember(self, path: Path) -> int:
        """Read an episode into the replay; one that was not paid for yet is shown to the guard, too."""
        is_new = path.stem not in self._learner.paid.episodes
        skipped = lambda why: self.tell("skipped", reason=why)  # noqa: E731
        return self._learner.read(path, skipped, self._judge if is_new else lambda _: None)

    def _judge(self, episode: Episode) -> None:
        """Show the guard what the policy did, where it did it itself."""
        folder = self._folder_of(episode.policy_version) if is_its_own(episode) else None
        if folder is not None:
            limited = float(np.mean([bool(names) for names in episode.limited_by]))
            self._learner.guard.note(episode.policy_version, str(folder), episode.outcome == SUCCESS, limited)

    def _folder_of(self, version: str) -> Path | None:
        """Return where a policy of this run is: one of our heads, or the one it began with; None for any other."""
        first = Path(self.job.policy_folder)
        found = (folder.resolve() for folder in (*self._heads(), first) if self._version(folder) == version)
        return next(found, None)

    def _version(self, folder: Path) -> str:
        """Return what a model is called, its files verified once: there are thousands in a week, and none changes."""
        if folder not in self._versions:
            self._versions[folder] = load_manifest(folder).version
        return self._versions[folder]


def run_of(episode_id: str) -> str:
    """Return which run an episode is of."""
    return episode_id.rpartition("-")[0]


def is_its_own(episode: Episode) -> bool:
    """Whether the outcome says what the policy can do: it acted, without a person's hand or word, to the end."""
    is_said = episode.about.mark in (SAID_SUCCESS, SAID_FAILURE)
    return episode.outcome != ABORTED and not is_said and not episode.intervention.any()
