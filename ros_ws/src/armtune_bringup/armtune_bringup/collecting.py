"""A collection session on a running graph: what is there, what is wanted, and whether the newest one is any good.

The run's folder is its only memory: a session that was killed counts what it finds and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from armtune_policies.contract import DIRECTIONS
from armtune_policies.store.edits import read_edit, write_edit
from armtune_policies.store.episode_reader import Episode, list_episodes, read_episode
from armtune_policies.store.files import write_whole
from armtune_policies.store.flaws import flaws, note_checked, read_joints, was_checked
from armtune_policies.store.nouns import DEMONSTRATION, DISCARDED, PRACTICE, READY, SUCCESS

from .report.video import captioned, mp4
from .settings import Config

FILM_PX = 384
BELL = "\a"


@dataclass(frozen=True)
class Kept:
    """One episode of the run, as its file says."""

    path: Path
    direction: str
    outcome: str
    steps: int
    corrected: int
    """Steps in which a person held the arm."""
    flaws: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether it is a demonstration: a success without a flaw."""
        return self.outcome == SUCCESS and not self.flaws


class Session:
    """Counts the demonstrations of a run: of those in it what was recorded for a session of this kind.

    Args:
        run_folder: Of the graph.
        wanted: Demonstrations per direction.
        config: Of the graph: whose joints are checked, how fast a replay is, what a flaw is.
        say: Where lines for the operator go.
        film: Whether each episode's replay is written beside it.
        is_shown: Whether a person begins and shows each episode; else the policy acts and a person corrects it.
    """

    def __init__(
        self, run_folder: Path, wanted: int, config: Config,
        say: Callable[[str], None] = print, film: bool = True, is_shown: bool = True,
    ) -> None:  # fmt: skip
        self._folder, self._wanted, self._config = run_folder, wanted, config
        self._say, self._film, self._is_shown = say, film, is_shown
        self._purposes = (DEMONSTRATION if is_shown else PRACTICE, "")
        self._kept: dict[Path, Kept] = {}
        self._others: set[Path] = set()
        self._told = ""
        for path in list_episodes(run_folder):
            self._look(path)

    @property
    def counts(self) -> dict[str, int]:
        """Sound demonstrations per direction; one that was set aside since counts no more."""
        self._kept = {path: one for path, one in self._kept.items() if path.exists()}
        return {way: sum(one.counts and one.direction == way for one in self._kept.values()) for way in DIRECTIONS}

    @property
    def is_done(self) -> bool:
        return all(count >= self._wanted for count in self.counts.values())

    def words(self) -> str:
        return ", ".join(f"{way} {count}/{self._wanted}" for way, count in self.counts.items())

    def hear(self, state: Any) -> None:
        """Tell the operator what an episode state means to them, once."""
        line = ""
        begins = "press start" if self._is_shown else "the policy acts; take over where it goes wrong"
        if state.phase == READY and not state.outcome:
            how = state.reason if state.reason and not state.sets_aside else begins
            line = f"{state.episode_id} {state.direction}, {state.sentence!r}: {how} ({self.words()})"
        elif state.outcome and state.mark == DISCARDED:
            line = f"{state.episode_id} discarded"
        elif state.phase == "paused":
            line = f"paused: {state.reason}"
        if line and line != self._told:
            self._say(line)
        self._told = line or self._told

    def look(self) -> bool:
        """Take up files that have become whole; return whether everything wanted is there."""
        for path in list_episodes(self._folder):
            if path not in self._kept and path not in self._others:
                self._take(path)
        return self.is_done

    def summary(self) -> str:
        flawed = sum(bool(one.flaws) for one in self._kept.values())
        failed = sum(one.outcome != SUCCESS for one in self._kept.values())
        return f"{self.words()} in {self._folder}; besides {failed} without success, {flawed} with flaws"

    def _take(self, path: Path) -> None:
        episode = self._look(path)
        if episode is None:
            return
        one = self._kept[path]
        steps = f"{one.steps} steps" + (f", {one.corrected} of them yours" if not self._is_shown else "")
        self._say(f"{episode.episode_id} {one.direction}: {one.outcome}, {steps} ({self.words()})")
        if self._film and (film := replay(episode, self._config.policy.rate_hz)):
            write_whole(path.with_suffix(".mp4"), film)
            self._say(f"  replay: {path.with_suffix('.mp4')}")
        for flaw in one.flaws:
            self._say(f"  not counted, {flaw}; 'again' records it anew{BELL}")

    def _look(self, path: Path) -> Episode | None:
        """Take up one file; None where it cannot be read, or was recorded for something else.

        The first look at a success with a flaw in which a person had a hand keeps it out of training, too; from then
        on a person decides. What the policy did alone stays what the vote made of it.
        """
        robot = self._config.robot
        try:
            episode = read_episode(path)
            if episode.about.purpose not in self._purposes:
                self._others.add(path)
                return None
            joints = read_joints(path, robot.joints)
            found = flaws(episode, joints, robot.joints, robot.joint_velocity_rad_s, self._config.flaws)
            edit = read_edit(self._folder, path.stem)
        except (ValueError, OSError) as why:
            self._kept[path] = Kept(path, "", "", 0, 0, (str(why),))
            self._say(f"{path.name}: not counted, it cannot be read: {why}{BELL}")
            return None
        corrected = int(episode.intervention.sum())
        if episode.outcome == SUCCESS and not was_checked(self._folder, path.stem):
            if found and (corrected or episode.about.purpose != PRACTICE):
                write_edit(self._folder, replace(edit, is_dropped=True, why="; ".join(found)))
            note_checked(self._folder, path.stem, found)
        found = found or (edit.why or "left out by a person",) * edit.is_dropped
        self._kept[path] = Kept(path, episode.direction, episode.outcome, episode.steps, corrected, found)
        return episode


def replay(episode: Episode, rate_hz: float) -> bytes:
    """Return what the cameras saw as H.264 in MP4, side by side; empty where no frame was recorded."""
    if not episode.images or not episode.complete.any():
        return b""
    return mp4(_frames(episode), rate_hz)


def _frames(episode: Episode) -> Iterator[np.ndarray]:
    for step in np.flatnonzero(episode.complete):
        views = [cv2.resize(images[step], (FILM_PX, FILM_PX)) for images in episode.images.values()]
        text = f"{episode.sentence}  {step + 1}/{episode.steps}  {episode.sources[step]}"
        yield captioned(np.hstack(views), text)
