"""A workstation that learns from robots elsewhere: their episodes come here whole, what is learnt goes back as heads.

Everything is in one folder: a mirror of each run, the learner's checkpoints, its heads. The same call goes on from it,
whichever side was killed or cut off meanwhile. Each robot has a thread of its own, so that none waits for another;
the learner is asked and told by one thread alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError, SteadyClock, file_digest
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.store.manifest import MANIFEST
from armtune_policies.store.shelf import Taken
from armtune_policies.transfer.remote import Index, Remote, Unreachable
from armtune_runtime.learner_process import LearnerProcess, Offer, job_of, spawn
from armtune_runtime.settings import ONLINE, REMOTE, LearnerNodeParams

from .settings import Config

POLL_S = 0.2
ASK_S = 1.0
"""Between two requests for episodes, and after trouble."""
LEAVE_S = 2.0
"""How long the robots' threads may take to end, all together."""


@dataclass
class Robot:
    """One robot, as far as it is known here. Ours sets what is told, owed and said, its own thread everything else."""

    remote: Remote
    run: Path | None = None
    told: set[str] = field(default_factory=set)
    """Episodes that the learner knows of."""
    owed: Offer | None = None
    """The newest head; it may have it already."""
    brought: Offer | None = None
    """The head it has."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """How the learner is; blank before learning began."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What went wrong last, by what was asked of it."""
    first_digest: str = ""
    """Of the manifest of the policy that is learnt from here; blank for none."""
    again_s: dict[str, float] = field(default_factory=dict)
    """Before when something is not asked of it again."""
    failed: Exception | None = None
    """What ended its thread."""

    def ask(
        self,
        what: str,
        do: Callable[[], str],
        say: Callable[[str], None],
        forgives: tuple[type[Exception], ...] = (Unreachable, ValueError),
    ) -> None:
        """Do what may fail, unless it did a moment ago; what ``do`` returns or raises is its trouble, said once."""
        if time.monotonic() < self.again_s.get(what, 0.0):
            return
        try:
            trouble = do()
        except Taken:
            raise
        except forgives as why:
            self.again_s[what] = time.monotonic() + ASK_S
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
    known, ends = [Robot(remote, first_digest=digest) for remote in robots], threading.Event()
    owners: dict[str, Robot] = {}
    threads = []
    for robot in known:
        told = (robot, folder, owners, ends, say, on_bytes)
        threads.append(threading.Thread(target=_serve, args=told, name=robot.remote.url, daemon=True))
        threads[-1].start()
    try:
        while not all(robot.run for robot in known):  # the learner is told all runs when it is started
            _raise_failed(known)
            if stop():
                return
            time.sleep(POLL_S)
        _learn(_learner(config, folder, [robot.run for robot in known if robot.run]), known, stop, say)
    finally:
        ends.set()
        end_s = time.monotonic() + LEAVE_S
        for thread in threads:  # one that is in the midst of a piece may be left: it is as if killed
            thread.join(timeout=max(end_s - time.monotonic(), 0.0))


def _learn(
    learner: LearnerProcess, known: Sequence[Robot], stop: Callable[[], bool], say: Callable[[str], None]
) -> None:
    """Learn until ``stop``; raises what ``learn_from`` does."""
    try:
        asked_s = 0.0
        while not stop():
            _raise_failed(known)
            if time.monotonic() - asked_s > ASK_S:
                asked_s = time.monotonic()
                for robot in known:
                    _tell(robot, learner)
            for offer in learner.poll():
                say(f"learnt {offer.version}")
                for robot in known:
                    robot.owed = offer
            for robot in known:
                robot.said = _state(learner)
            if learner.state == "given up":
                raise ConfigError(f"the learner has given up: {learner.trouble}")
            time.sleep(POLL_S)
    finally:
        learner.close()


def _raise_failed(known: Sequence[Robot]) -> None:
    """Raise what ended a robot's thread, where something did."""
    for robot in known:
        if robot.failed is not None:
            raise robot.failed


def _serve(
    robot: Robot,
    folder: Path,
    owners: dict[str, Robot],
    ends: threading.Event,
    say: Callable[[str], None],
    on_bytes: Callable[[str, int, int], None],
) -> None:
    """One robot's thread: bring its episodes here and heads there, until ``ends``."""
    asked_s = -ASK_S
    try:
        while not ends.is_set():
            forgives = (Unreachable, ValueError) if robot.said else (Unreachable,)
            if time.monotonic() - asked_s > ASK_S:
                asked_s = time.monotonic()
                robot.ask("episodes", partial(_fetch, robot, folder, owners, say, on_bytes), say, forgives)
            if robot.said:
                robot.ask("heads", partial(_bring, robot, folder, say), say)
            ends.wait(POLL_S)
    except Exception as why:  # told by learn_from
        robot.failed = why
    finally:
        robot.remote.close()


def _learner(config: Config, folder: Path, runs: Sequence[Path]) -> LearnerProcess:
    online = ONLINE if config.learner.recipe == REMOTE else config.learner.recipe
    learner = replace(config.learner, recipe=online, more_folders=tuple(str(run.resolve()) for run in runs))
    e, where = config.experiment, str(folder.resolve())
    told = {"learner": learner, "policy": config.policy, "demos_folder": e.demos_folder, "seed": e.seed}
    params = LearnerNodeParams(run_folder=where, carries=config.task.carries, **told)  # type: ignore[arg-type]
    every = 0 if online == ONLINE else learner.refit_every
    return LearnerProcess(partial(spawn, job_of(params)), SteadyClock(), learner.restarts, learner.hang_s, every)


def _fetch(
    robot: Robot,
    folder: Path,
    owners: dict[str, Robot],
    say: Callable[[str], None],
    on_bytes: Callable[[str, int, int], None],
) -> str:
    """Bring what is new; return what changed on the way, which comes with the next index.

    Raises:
        ConfigError: before anything comes, when it records another run than it did, or one of another robot's name,
            or began with another policy than is learnt from here.
    """
    url = robot.remote.url

    def check(index: Index) -> None:
        digests = {robot.first_digest, index.first_digest} - {""}
        if robot.run is None and len(digests) > 1:
            raise ConfigError(f"{url} began with another policy; copy it here and name it by policy.folder")
        if robot.run is not None and robot.run.name != index.run_id:
            raise ConfigError(f"{url} records another run now, {index.run_id}; start anew to learn from it")
        if owners.setdefault(index.run_id, robot) is not robot:
            raise ConfigError(f"two robots record a run of one name, {index.run_id}; give one another experiment.name")

    pulled = robot.remote.pull(folder, partial(on_bytes, url), check)
    robot.run = folder / pulled.index.run_id
    if pulled.came:
        say(f"{robot.run.name}: {len(pulled.came)} files came")
    return "; ".join(pulled.left)


def _tell(robot: Robot, learner: LearnerProcess) -> None:
    """Tell the learner of episodes it does not know of; of those that were here before, of the newest."""
    if robot.run is None:
        return
    names = [path.stem for path in list_episodes(robot.run)]
    for name in names[-1:] if not robot.told else [name for name in names if name not in robot.told]:
        learner.finished(name)
    robot.told.update(names)


def _state(learner: LearnerProcess) -> Mapping[str, Any]:
    """Return how the learner is, for its robots."""
    return {
        "state": learner.state, "newest_episode": learner.newest_episode, "waiting_episodes": learner.waiting_episodes,
        "updates_done": learner.updates_done, "restarts_left": learner.restarts_left, "reason": learner.trouble,
    }  # fmt: skip


def _bring(robot: Robot, folder: Path, say: Callable[[str], None]) -> str:
    """Bring the newest head, and how the learner is; what cannot be brought now is brought later. Return nothing."""
    robot.remote.tell("/state", robot.said)
    offer = robot.owed
    if offer is None or offer is robot.brought:
        return ""
    head = Path(offer.folder)
    name = head.name if head.parent == (folder / "models").resolve() else ""  # the first policy is there
    if name:
        robot.remote.push(folder, name)
    robot.remote.offer(name, offer.version, offer.manifest_digest)
    robot.brought = offer
    say(f"{robot.remote.url} has {offer.version}")
    return ""
