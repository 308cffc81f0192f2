"""What ``episode_node`` is made of: its conductor, and the counts kept in the run's folder. No ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError, topics
from armtune_policies.episode import events as e
from armtune_policies.episode.conductor import Conductor
from armtune_policies.episode.counted import counted
from armtune_policies.episode.course import Counts
from armtune_policies.episode.machine import NAMES, PracticeMachine
from armtune_policies.episode.memory import Grasps, Memory
from armtune_policies.episode.places import demonstrated, kept_in
from armtune_policies.store.episode_reader import list_episodes, next_index
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import training_folder
from armtune_policies.store.nouns import EVALUATION, EVALUATIONS

from .practice_settings import EpisodeNodeParams

FILE = "practice.json"
WISHES: dict[str, e.Event] = {
    topics.PRACTICE_PAUSE: e.Pause(),
    topics.PRACTICE_RESUME: e.Resume(),
    topics.PRACTICE_RESET: e.Reset(),
}
"""What a person may want between episodes, by its service."""


class KeptCounts:
    """Reads the counts of a run that goes on, and writes them when they change: a killed run counts on where it was.

    Args:
        run_folder: Of the run.
        by_files: Whether what its episode files say is counted from them: only they know what became of the one that
            was on when it was killed.
        write: How a file is written, whole or not at all.

    Raises:
        ConfigError: when the file is none of ours.
    """

    def __init__(
        self, run_folder: Path, by_files: bool = False, write: Callable[[Path, Any], object] = write_json
    ) -> None:
        self._path, self._write = Path(run_folder) / FILE, write
        value = read_json(self._path) if self._path.is_file() else {}
        try:
            self.counts = Counts(**value)
        except TypeError:
            raise ConfigError(f"{self._path}: expected the counts of a practice; move it away to count anew") from None
        self._written = replace(self.counts)
        if by_files and list_episodes(run_folder):
            self.counts = Counts(**{**asdict(self.counts), **counted(run_folder)})

    def keep(self, counts: Counts) -> dict[str, Any]:
        """Write the counts where they changed, and return them by name."""
        if counts != self._written:
            self._written = replace(counts)
            self._write(self._path, asdict(counts))
        return asdict(counts)


def conductor(p: EpisodeNodeParams, counts: Counts) -> Conductor:
    """Return the conductor of a run that is new or goes on.

    Raises:
        ValueError: when a demonstration that shows where to push cannot be read.
    """
    run = Path(p.run_folder)
    index, evaluation = next_index(run, p.run_id), next_index(run / EVALUATIONS, p.run_id + NAMES[EVALUATION])
    about = (p.run_id, p.config_hash, index, counts, p.learns, p.calibration_hash, p.time == "real", evaluation)
    machine = PracticeMachine(p.episode, p.task, p.rest_s, *about)
    memory = Memory(_grasps(p) if p.mjcf else None, p.task.carries)
    return Conductor(p.episode, machine, memory, p.seed, waits_for_sight=p.time == "lockstep")


def _grasps(p: EpisodeNodeParams) -> Grasps | None:
    """Return where demonstrations took hold: of the run that is named, else of the policy's training."""
    if p.demos_folder:
        return demonstrated(Path(p.demos_folder))
    return kept_in(training_folder(Path(p.policy_folder))) if p.policy_folder else None
