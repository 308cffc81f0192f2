"""Finished episode files as numpy arrays.

::

    for path in list_episodes(Path("runs/my-run")):
        episode = read_episode(path)
        episode.images["front"][0], episode.state, episode.allowed, episode.outcome
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import Decision, Kind, Verdict

from . import records
from .episode_writer import ABOUT
from .files import TRASH
from .mcap_scan import entries
from .nouns import EpisodeState, Observation
from .schemas import STEP_TOPICS
from .step_table import Row, StepTable

WIDTH = 7
MAX_STEPS = 1_000_000
"""No episode is longer; a file that says so is damaged."""


@dataclass(frozen=True)
class Episode:
    """One episode; row ``k`` of every array is control step ``k``, 0 to ``end_step``.

    Rows with ``complete`` False lack their observation or their decision: images are 0
    there and numbers NaN, so leave them out. ``state`` is tool position [m], rotation
    vector [rad], gripper 0..1, in ``base_link``; ``proposed`` and ``allowed`` are tool
    deltas over one period [m, rad, opening 0..1]; ``proposed`` is NaN where nothing
    acceptable came or it was a joint target.
    """

    path: Path
    about: EpisodeState
    metadata: Mapping[str, str]
    images: Mapping[str, np.ndarray]
    """By camera: uint8 rgb, shape (T, H, W, 3)."""
    state: np.ndarray
    """float32 (T, 7)."""
    features: np.ndarray
    """float32 (T, F), of the frozen encoder; F may be 0."""
    proposed: np.ndarray
    """float32 (T, 7)."""
    allowed: np.ndarray
    """float32 (T, 7): what was really commanded; the dataset's ``action``."""
    stamps_ns: np.ndarray
    """int64 (T,): stamp of the newest frame used, -1 where none."""
    complete: np.ndarray
    """bool (T,)."""
    modes: np.ndarray
    """uint8 (T,): RUN 0, SLOW 1, HOLD 2, STOP 3."""
    verdicts: np.ndarray
    """uint8 (T,): UNKNOWN 0, NO 1, YES 2; the raw evidence, not a reward."""
    probabilities: np.ndarray
    """float32 (T,): of success, NaN where unknown."""
    sources: tuple[str, ...]
    """Who proposed, blank where nothing acceptable came."""
    limited_by: tuple[tuple[str, ...], ...]
    refused: tuple[str, ...]
    policy_versions: tuple[str, ...]
    encoder_digest: str
    observation_digest: str
    reward_digest: str

    @property
    def episode_id(self) -> str:
        return self.about.episode_id

    @property
    def direction(self) -> str:
        return self.about.direction

    @property
    def sentence(self) -> str:
        return self.about.sentence

    @property
    def outcome(self) -> str:
        return self.about.outcome

    @property
    def end_step(self) -> int:
        return self.about.end_step

    @property
    def steps(self) -> int:
        """T, the number of rows."""
        return len(self.state)

    @property
    def policy_version(self) -> str:
        """The policy that acted, blank for a person; a policy is swapped between episodes only."""
        return next((version for version in self.policy_versions if version), "")

    @property
    def intervention(self) -> np.ndarray:
        """bool (T,): a person held the arm."""
        return np.array([source == "teleop" for source in self.sources], bool)


def list_episodes(run_folder: Path) -> list[Path]:
    """The finished episode files of a run, oldest first."""
    return sorted((Path(run_folder) / "episodes").glob("*.mcap"))


def next_index(run_folder: Path, run_id: str) -> int:
    """The first episode index of ``run_id`` that no file of the run uses, unfinished and trashed ones included."""
    pattern = re.compile(re.escape(run_id) + r"-(\d{5,})\.mcap.*")
    folder = Path(run_folder) / "episodes"
    names = [path.name for path in (*folder.glob("*.mcap*"), *folder.glob(f"{TRASH}/*.mcap*"))]
    return max((int(found[1]) + 1 for name in names if (found := pattern.fullmatch(name))), default=0)


def read_episode(path: Path) -> Episode:
    """Read one finished episode file.

    Raises:
        ValueError: when it is no whole episode file, saying what is wrong.
        OSError: when it cannot be read.
    """
    table, about, metadata = read_rows(Path(path))
    if not about.outcome:
        raise ValueError(f"{path}: expected a finished episode, got one without an outcome; salvage it first")
    last = table.last_step if about.end_step < 0 else about.end_step
    if last >= MAX_STEPS:
        raise ValueError(f"{path}: expected an episode of less than {MAX_STEPS} steps, got {last + 1}")
    rows = [table.row(step) for step in range(last + 1)]
    try:
        return _stacked(Path(path), about, metadata, rows)
    except ValueError as why:
        raise ValueError(f"{path}: {why}") from None


def read_rows(path: Path) -> tuple[StepTable, EpisodeState, Mapping[str, str]]:
    """Return the step table of a file, its newest episode state and its metadata.

    Raises:
        ValueError: when it is no episode file.
    """
    about, metadata, table = EpisodeState(), None, None
    for entry in entries(path):
        if entry.metadata_name == ABOUT:
            metadata = entry.metadata or {}
            table = StepTable(metadata.get("episode_id", ""))
        if table is None or STEP_TOPICS.get(entry.topic) != entry.type_name:
            continue
        value = records.decode(entry.type_name, entry.data, entry.schema)
        if isinstance(value, EpisodeState):
            about = value
        else:
            table.add(value)
    if table is None or metadata is None:
        raise ValueError(f"{path}: expected an episode file, got an MCAP file without {ABOUT!r} metadata")
    return table, about, metadata


def _stacked(path: Path, about: EpisodeState, metadata: Mapping[str, str], rows: Sequence[Row]) -> Episode:
    observations = [row.observation for row in rows]
    decisions = [row.decision for row in rows]
    answers = [row.answer for row in rows]
    seen = next((o for o in observations if o is not None), None)
    width = 0 if seen is None else len(seen.features)
    answered = next((a for a in answers if a is not None and a.model_digest), None)
    return Episode(
        path=path,
        about=about,
        metadata=metadata,
        images=_images(observations),
        state=_numbers("state", [None if o is None else o.state for o in observations], WIDTH),
        features=_numbers("features", [None if o is None else o.features for o in observations], width),
        proposed=_numbers("proposed", [_tool_delta(d) for d in decisions], WIDTH),
        allowed=_numbers("allowed", [None if d is None else d.allowed for d in decisions], WIDTH),
        stamps_ns=np.array([-1 if o is None else o.stamp_ns for o in observations], np.int64),
        complete=np.array([row.is_complete for row in rows], bool),
        modes=np.array([0 if d is None else d.mode for d in decisions], np.uint8),
        verdicts=np.array([row.verdict for row in rows], np.uint8),
        probabilities=np.array(
            [a.probability if a is not None and a.verdict != Verdict.UNKNOWN else np.nan for a in answers], np.float32
        ),
        sources=tuple("" if d is None else d.source for d in decisions),
        limited_by=tuple(() if d is None else d.limited_by for d in decisions),
        refused=tuple("" if d is None else d.refused for d in decisions),
        policy_versions=tuple("" if d is None else d.policy_version for d in decisions),
        encoder_digest="" if seen is None else seen.encoder_digest,
        observation_digest="" if seen is None else seen.observation_digest,
        reward_digest="" if answered is None else answered.model_digest,
    )


def _tool_delta(decision: Decision | None) -> Any:
    if decision is None or decision.kind != Kind.TOOL_DELTA or not decision.proposed:
        return None
    return decision.proposed


def _numbers(key: str, rows: Sequence[Any], width: int) -> np.ndarray:
    """Stack rows of ``width`` numbers, NaN where there is none; raises ValueError for a row of another width."""
    table = np.full((len(rows), width), np.nan, np.float32)
    for place, row in enumerate(rows):
        if row is not None:
            if len(row) != width:
                raise ValueError(f"{key}: expected {width} numbers at every step, got {len(row)} at step {place}")
            table[place] = row
    return table


def _images(observations: Sequence[Observation | None]) -> dict[str, np.ndarray]:
    """Stack by camera; raises ValueError when a camera comes and goes or its pictures change size."""
    sizes = [{name: image.shape for name, image in o.images.items()} for o in observations if o is not None]
    if not sizes:
        return {}
    if other := next((size for size in sizes if size != sizes[0]), None):
        raise ValueError(f"expected the same cameras and sizes at every step, got {sizes[0]} and {other}")
    blank = {name: np.zeros(size, np.uint8) for name, size in sizes[0].items()}
    return {
        name: np.stack([zero if o is None else o.images[name] for o in observations]) for name, zero in blank.items()
    }
