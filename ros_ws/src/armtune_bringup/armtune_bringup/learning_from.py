"""A workstation that learns from robots elsewhere: their episodes come here whole, what is learnt goes back as heads.

Everything is in one folder: a mirror of each run, the learner's checkpoints, its heads. The same call goes on from it,
whichever side was killed or cut off meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from armtune_policies.contract import ConfigError, SteadyClock, file_digest
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.store.manifest import MANIFEST
from armtune_policies.store.shelf import Taken
from armtune_policies.transfer.remote import Remote, Unreachable
from armtune_runtime.learner_process import LearnerProcess, Offer, job_of, spawn
from armtune_runtime.settings import ONLINE, REMOTE, LearnerNodeParams

from .settings import Config

POLL_S, ASK_S = 0.2, 1.0
REST_FACTOR = 3.0
"""A robot that cost so much time in vain is left alone this many times longer: the others get the rest."""


@dataclass
class Robot:
    """One robot, as far as it is known here."""

    remote: Remote
    run: Path | None = None
    told: set[str] = field(default_factory=set)
    """Episodes that the learner knows of."""
    owed: Offer | None = None
    """The newest head it does not have yet."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What went wrong last, by what was asked of it."""
    first_digest: str = ""
    """Of the manifest of the policy that is learnt from here; blank for none."""
    again_s: float = 0.0
    """It is not asked before."""

    def ask(
        self,
        what: str,
        do: Callable[[], str],
        say: Callable[[str], None],
        forgives: tuple[type[Exception], ...] = (Unreachable, ValueError),
    ) -> None:
        """Do what may fail, unless it is left alone; what ``do`` returns or raises is its trouble, said once."""
        began_s = time.monotonic()
        if began_s < self.again_s:
            return
        try:
            trouble = do()
        except Taken:
            raise
        except forgives as why:
            now_s = time.monotonic()
            self.again_s = now_s + max(ASK_S, REST_FACTOR * (now_s - began_s))
            trouble = f"{why}; asked again until it does" if isinstance(why, Unreachable) else str(why)
        if trouble and trouble not in self.troubles.values():
            say(trouble)
        self.troubles[what] = trouble


def learn_from(
    config: Config,
    robots: Sequence[Remote],
    folder: Path,
    stop: Callable[[], bool],
    say: Callable[[str], None] = print,
    on_bytes: Callable[[str, int, int], None] = lambda url, done, of: None,
) -> None:
    """Learn until ``stop``.

    Args:
        config: Of the policy and of the learner; a remote recipe is taken for ``online``.
        robots: Whose episodes are learnt from.
        folder: Of all that is kept.
        stop: Says whether to end.
        say: Gets a line for each thing that happens.
        on_bytes: Told how much of a robot's run is here.

    Raises:
        ConfigError: when two robots record a run of one name, one began with another policy than is learnt from here,
            or the learner gives up.
        Taken: when a robot has another episode than is here by one name.
        ValueError: when a robot refuses before learning began; afterwards it is said, and the others go on.
        OSError: when this disk refuses.
    """
    first = Path(config.policy.folder) / MANIFEST
    digest = file_digest(first) if config.policy.folder and first.is_file() else ""
    known = [Robot(remote, first_digest=digest) for remote in robots]
    while not all(robot.run for robot in known):  # the learner is told all runs when it is started
        for robot in known:
            robot.ask("episodes", partial(_fetch, robot, folder, say, on_bytes), say, (Unreachable,))
        if stop():
            return
        time.sleep(POLL_S)
    runs = [robot.run for robot in known if robot.run is not None]
    if len(set(runs)) < len(runs):
        raise ConfigError("two robots record a run of one name; give one another experiment.name")
    learner = _learner(config, folder, runs)
    try:
        asked_s = 0.0
        while not stop():
            if time.monotonic() - asked_s > ASK_S:
                asked_s = time.monotonic()
                for robot in known:
                    robot.ask("episodes", partial(_fetch, robot, folder, say, on_bytes), say)
                    _tell(robot, learner)
            for offer in learner.poll():
                say(f"learnt {offer.version}")
                for robot in known:
                    robot.owed = offer
            for robot in known:
                robot.ask("heads", partial(_bring, robot, folder, learner, say), say)
            if learner.state == "given up":
                raise ConfigError(f"the learner has given up: {learner.trouble}")
            time.sleep(POLL_S)
    finally:
        learner.close()


def _learner(config: Config, folder: Path, runs: Sequence[Path]) -> LearnerProcess:
    online = ONLINE if config.learner.recipe == REMOTE else config.learner.recipe
    learner = replace(config.learner, recipe=online, more_folders=tuple(str(run.resolve()) for run in runs))
    e, where = config.experiment, str(folder.resolve())
    told = {"learner": learner, "policy": config.policy, "demos_folder": e.demos_folder, "seed": e.seed}
    params = LearnerNodeParams(run_folder=where, **told)  # type: ignore[arg-type]
    every = 0 if online == ONLINE else learner.refit_every
    return LearnerProcess(partial(spawn, job_of(params)), SteadyClock(), learner.restarts, learner.hang_s, every)


def _fetch(robot: Robot, folder: Path, say: Callable[[str], None], on_bytes: Callable[[str, int, int], None]) -> str:
    """Bring what is new; return what changed on the way, which comes with the next index.

    Raises:
        ConfigError: when it records another run than it did, or began with another policy than is learnt from here.
    """
    if robot.run is None and (theirs := robot.remote.index().first_digest) and robot.first_digest not in ("", theirs):
        raise ConfigError(f"{robot.remote.url} began with another policy; copy it here and name it by policy.folder")
    pulled = robot.remote.pull(folder, partial(on_bytes, robot.remote.url))
    run_id = pulled.index.run_id
    if robot.run is not None and robot.run.name != run_id:
        raise ConfigError(f"{robot.remote.url} records another run now, {run_id}; start anew to learn from it")
    robot.run = folder / run_id
    if pulled.came:
        say(f"{run_id}: {len(pulled.came)} files came")
    return "; ".join(pulled.left)


def _tell(robot: Robot, learner: LearnerProcess) -> None:
    """Tell the learner of episodes it does not know of; of those that were here before, of the newest."""
    if robot.run is None:
        return
    names = [path.stem for path in list_episodes(robot.run)]
    for name in names[-1:] if not robot.told else [name for name in names if name not in robot.told]:
        learner.finished(name)
    robot.told.update(names)


def _bring(robot: Robot, folder: Path, learner: LearnerProcess, say: Callable[[str], None]) -> str:
    """Bring the newest head, and how the learner is; what cannot be brought now is brought later. Return nothing."""
    said = {
        "state": learner.state, "newest_episode": learner.newest_episode, "waiting_episodes": learner.waiting_episodes,
        "updates_done": learner.updates_done, "restarts_left": learner.restarts_left, "reason": learner.trouble,
    }  # fmt: skip
    robot.remote.tell("/state", said)
    if (offer := robot.owed) is None:
        return ""
    head = Path(offer.folder)
    name = head.name if head.parent == (folder / "models").resolve() else ""  # the first policy is there
    if name:
        robot.remote.push(folder, name)
    robot.remote.offer(name, offer.version, offer.manifest_digest)
    robot.owed = None
    say(f"{robot.remote.url} has {offer.version}")
    return ""
