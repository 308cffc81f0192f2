"""LeRobot v3 folders as episodes like our own, so that labels, features and checks are the same ones.

State and action must mean what ours mean: the tool's pose, and its allowed change over one period.
Success is ``next.success`` where there is that column, else the better of two values of
``next.reward``, else ``next.terminated``; without any of them nobody judged, and a demonstration's
end counts as success (``labels.shown_labels``). A folder that ``lerobot_write`` made says more:
from it come the episodes as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec, Verdict, keys
from armtune_policies.runtime.images import prepare
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.errors import BadData
from armtune_policies.store.labels import LabelSet, parse_labels, shown_labels
from armtune_policies.store.nouns import SUCCESS, TIMEOUT, EpisodeState

from .foreign import plain_episode
from .lerobot_files import IMAGE, INDICES, LeRobotFiles, Placed, column, is_lerobot, numbers, texts

if TYPE_CHECKING:
    import pyarrow as pa

JUDGED = (keys.SUCCESS, keys.REWARD, keys.TERMINATED)
KNOWN = (
    *INDICES, *JUDGED, keys.STATE, keys.ACTION, keys.DONE, keys.TRUNCATED, keys.PROPOSED, keys.INTERVENTION,
    keys.FEATURES, keys.STAMP,
)  # fmt: skip
FREE = (IMAGE, keys.EXTRA)
"""Keys that begin so are fine, too."""
ABOUT = "armtune/about"
"""Column of ``meta/episodes`` in which our own folders keep what an episode says of itself, as JSON."""

Pieces = tuple[Placed, ...]
"""Where an episode lies: in one of LeRobot's, or in several that follow each other."""
Floats = npt.NDArray[np.float32]
Frames = npt.NDArray[np.uint8]


class LeRobotFolder:
    """A folder whose metadata fits the contract; episodes are read one at a time.

    Args:
        root: The folder with ``meta/info.json``.
        action: What its actions must mean, its rate included.
        observation: Cameras that are needed, and the size that pictures are shrunk to.

    Raises:
        BadData: naming the file, the key, what was expected and what came.
        ValueError: when pyarrow or PyAV is missing.
    """

    def __init__(self, root: Path, action: ActionSpec, observation: ObservationSpec) -> None:
        self.files, self.action, self.observation = LeRobotFiles(root), action, observation
        self._check()

    @classmethod
    def as_it_is(cls, root: Path) -> LeRobotFolder:
        """Open a folder by its own rate, cameras and picture size."""
        files = LeRobotFiles(root)
        sizes = {tuple(files.features[f"{IMAGE}{camera}"]["shape"][:2]) for camera in files.cameras}
        if len(sizes) != 1:
            raise BadData(files.source, IMAGE, "cameras of one picture size", sorted(sizes) or "none")
        height, width = sizes.pop()
        return cls(root, ActionSpec(float(files.fps)), ObservationSpec(files.cameras, int(height), int(width)))

    @cached_property
    def placed(self) -> list[Pieces]:
        """All episodes in order; one that ``lerobot_write`` cut at its holes is one again."""
        found: list[Pieces] = []
        before = None
        for at in self.files.placed:
            name = json.loads(at.row[ABOUT])["about"]["episode_id"] if at.row.get(ABOUT) else None
            if name is not None and name == before:
                found[-1] = (*found[-1], at)
            else:
                found.append((at,))
            before = name
        return found

    def labels(self, pieces: Pieces, episode: Episode) -> LabelSet:
        """Return what the folder says of an episode of it: the label set it was exported by.

        Raises:
            ValueError: when that is none.
        """
        at = pieces[0]
        said = json.loads(at.row[ABOUT]).get("labels") if at.row.get(ABOUT) else None
        return parse_labels(said, self.files.named(at)) if said else shown_labels(episode)

    def read(self, pieces: Pieces) -> Episode:
        """Read one episode; pictures at policy size.

        Raises:
            BadData: naming the file and the episode, the key, what was expected and what came.
        """
        import pyarrow as pa

        at, source = pieces[0], self.files.named(pieces[0])
        each = [self.files.rows(piece) for piece in pieces]
        rows = pa.concat_tables(each)
        values = {
            keys.STATE: numbers(rows, keys.STATE, len(STATE_NAMES), source),
            keys.ACTION: numbers(rows, keys.ACTION, len(self.action.names), source),
        }
        size = (self.observation.height_px, self.observation.width_px)
        images = {
            camera: np.stack(
                [
                    prepare(frame, *size)
                    for piece, some in zip(pieces, each)
                    for frame in self.files.frames(piece, some, keys.image(camera))
                ]
            )
            for camera in self.observation.cameras
        }
        sentence = self.files.sentence(rows, source)
        if at.row.get(ABOUT):
            return _as_it_was(at, rows, source, images, values)
        done, outcome, verdicts = _judged(rows, source)
        about = EpisodeState(
            episode_id=f"episode-{at.index:06d}", index=at.index, sentence=sentence, outcome=outcome, end_step=done
        )
        stamps_ns = np.round(column(rows, "timestamp", source)[: done + 1] * 1e9).astype(np.int64)
        count = done + 1
        return plain_episode(
            Path(source), about, {camera: frames[:count] for camera, frames in images.items()},
            values[keys.STATE][:count], values[keys.ACTION][:count], stamps_ns, verdicts[:count],
        )  # fmt: skip

    def _check(self) -> None:
        source, features = self.files.source, self.files.features
        if self.files.fps != self.action.rate_hz:
            raise BadData(source, "fps", f"{self.action.rate_hz:g}, the rate of the policy", self.files.fps)
        cameras = [keys.image(camera) for camera in self.observation.cameras]
        if unknown := sorted(key for key in features if key not in KNOWN and not key.startswith(FREE)):
            raise BadData(source, unknown[0], f"one of the keys {', '.join(KNOWN)}, {IMAGE}<camera>", "this one")
        if missing := [key for key in (keys.STATE, keys.ACTION, *cameras) if key not in features]:
            raise BadData(source, missing[0], "this key", "none")
        for key, wanted in ((keys.STATE, STATE_NAMES), (keys.ACTION, self.action.names)):
            _check_names(features[key], key, wanted, source)


def _judged(rows: pa.Table, source: str) -> tuple[int, str, npt.NDArray[np.uint8]]:
    """Return the last step, the outcome and the verdict of each step (T,)."""
    count = rows.num_rows
    key = next((key for key in JUDGED if key in rows.column_names), None)
    if key is None:
        return count - 1, SUCCESS, np.full(count, Verdict.UNKNOWN, np.uint8)
    values = column(rows, key, source)
    allowed = ({-1.0, 0.0}, {0.0, 1.0}) if key == keys.REWARD else ({0.0, 1.0},)
    if not any(set(values.tolist()) <= some for some in allowed):
        raise BadData(source, key, "-1 and 0, or 0 and 1" if key == keys.REWARD else "0 or 1", sorted(set(values))[:4])
    good = values == (0.0 if values.min() < 0 else 1.0)
    verdicts = np.where(good, Verdict.YES, Verdict.NO).astype(np.uint8)
    return (int(np.argmax(good)), SUCCESS, verdicts) if good.any() else (count - 1, TIMEOUT, verdicts)


def _as_it_was(
    at: Placed, rows: pa.Table, source: str, images: Mapping[str, Frames], values: Mapping[str, Floats]
) -> Episode:
    """Return an episode of a folder of ours, the steps that were left out as holes."""
    said = json.loads(at.row[ABOUT])
    known = EpisodeState.__dataclass_fields__
    about = EpisodeState(**{key: value for key, value in said["about"].items() if key in known})
    about = replace(about, stands_m=tuple(about.stands_m))  # JSON has lists only
    found = {name: column(rows, keys.extra(name), source) for name in ("step", "mode", "verdict", "probability")}
    steps, count = found["step"].astype(int), about.end_step + 1
    if len(steps) != rows.num_rows or not (np.diff(steps) > 0).all() or steps[-1] >= count:
        raise BadData(source, keys.extra("step"), f"steps that rise, below {count}", steps.tolist()[-3:])
    proposed = numbers(rows, keys.extra("proposed"), values[keys.ACTION].shape[1], source)
    proposed[column(rows, keys.extra("is_proposed"), source) == 0] = np.nan
    stamps_ns = np.asarray(rows[keys.extra("stamp_ns")].to_pylist(), np.int64)  # floats would round them
    told = {name: texts(rows, keys.extra(name), source) for name in ("source", "limited_by", "refused", "policy")}
    has_features = keys.extra("features") in rows.column_names
    width = len(rows[keys.extra("features")][0]) if has_features else 0
    features = numbers(rows, keys.extra("features"), width, source) if width else np.zeros((len(steps), 0), np.float32)

    def spread(made: npt.NDArray[Any], blank: float = 0) -> npt.NDArray[Any]:
        out = np.full((count, *made.shape[1:]), blank, made.dtype)
        out[steps] = made
        return out

    def texted(name: str) -> tuple[str, ...]:
        row_of = dict(zip(steps.tolist(), told[name]))
        return tuple(row_of.get(step, "") for step in range(count))

    made = plain_episode(
        Path(source), about, {camera: spread(frames) for camera, frames in images.items()},
        spread(values[keys.STATE], np.nan), spread(values[keys.ACTION], np.nan), spread(stamps_ns, -1),
        spread(found["verdict"].astype(np.uint8)),
    )  # fmt: skip
    return replace(
        made,
        metadata=said["metadata"],
        features=spread(features, np.nan),
        proposed=spread(proposed, np.nan),
        complete=spread(np.ones(len(steps), bool)),
        modes=spread(found["mode"].astype(np.uint8)),
        probabilities=spread(
            np.where(found["probability"] < 0, np.nan, found["probability"]).astype(np.float32), np.nan
        ),
        sources=texted("source"),
        limited_by=tuple(tuple(filter(None, text.split(";"))) for text in texted("limited_by")),
        refused=texted("refused"),
        policy_versions=texted("policy"),
        **{key: said[key] for key in ("encoder_digest", "observation_digest", "reward_digest")},
    )


def _check_names(feature: Any, key: str, wanted: tuple[str, ...], source: str) -> None:
    shape, said = feature.get("shape"), feature.get("names")
    if list(shape or ()) != [len(wanted)]:
        raise BadData(source, key, f"shape [{len(wanted)}]", shape)
    if isinstance(said, dict):
        said = next(iter(said.values()), None)
    if said is not None and list(said) != list(wanted):
        raise BadData(source, f"{key} names", ", ".join(wanted), said)


__all__ = ["ABOUT", "LeRobotFolder", "is_lerobot"]
