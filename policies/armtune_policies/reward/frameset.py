"""Labelled frames in arrays: what a judge of success is trained and measured on. Kept in one file, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from armtune_policies.store.files import write_whole
from armtune_policies.store.tensors import load_tensors

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
WORDS = "words"


@dataclass(frozen=True)
class FrameSet:
    """M frames, and N questions about them with the answers; a frame may be asked several.

    ``images`` uint8 (M, H, W, 3) by camera and ``state`` float32 (M, 7) are the frames; ``frame``, ``question`` and
    ``episode`` (N,) index frames, ``questions`` and ``episodes``; ``step`` (N,) is the control step in the episode,
    ``kind`` (N,) indexes ``kinds``: where the episode comes from.
    """

    images: Mapping[str, Bytes]
    state: npt.NDArray[np.float32]
    frame: Ints
    question: Ints
    is_success: Bools
    episode: Ints
    step: Ints
    kind: Ints
    questions: tuple[str, ...]
    episodes: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, keep: npt.NDArray[np.generic]) -> FrameSet:
        """Return the questions that a mask or index array picks; frames stay as they are."""
        picked = {name: getattr(self, name)[keep] for name in ("frame", "question", "is_success")}
        return replace(self, **picked, episode=self.episode[keep], step=self.step[keep], kind=self.kind[keep])

    def of_episodes(self, names: Iterable[str]) -> FrameSet:
        """Return the questions about some episodes."""
        wanted = set(names)
        return self.rows(np.array([name in wanted for name in self.episodes], bool)[self.episode])

    def of_kind(self, *kinds: str) -> FrameSet:
        """Return the questions about episodes of some kinds."""
        return self.rows(np.array([name in kinds for name in self.kinds], bool)[self.kind])

    def asked(self, *questions: str) -> FrameSet:
        """Return only these questions."""
        return self.rows(np.array([name in questions for name in self.questions], bool)[self.question])

    def used(self) -> tuple[str, ...]:
        """Return the episodes that are asked about, in order."""
        return tuple(self.episodes[i] for i in np.unique(self.episode))

    def pictures(self, rows: npt.NDArray[np.generic]) -> dict[str, Bytes]:
        """Return the images of some questions, by camera."""
        return {camera: images[self.frame[rows]] for camera, images in self.images.items()}


def joined(parts: Sequence[FrameSet]) -> FrameSet:
    """Return several sets as one; what they call alike is one.

    Raises:
        ValueError: when there is none, or they are not of the same cameras.
    """
    if not parts or any(set(part.images) != set(parts[0].images) for part in parts):
        raise ValueError(
            "expected frame sets of the same cameras, at least one; collect episodes: armtune reward collect"
        )
    names = {what: tuple(dict.fromkeys(n for part in parts for n in getattr(part, what))) for what in _NAMED.values()}
    starts = np.cumsum([0, *(len(part.state) for part in parts)])

    def indices(what: str) -> Ints:
        places = {name: i for i, name in enumerate(names[_NAMED[what]])}
        mapped = [np.array([places[n] for n in getattr(part, _NAMED[what])], np.int64) for part in parts]
        return np.concatenate([place[getattr(part, what)] for place, part in zip(mapped, parts)])

    return FrameSet(
        images={c: np.concatenate([part.images[c] for part in parts]) for c in parts[0].images},
        state=np.concatenate([part.state for part in parts]),
        frame=np.concatenate([part.frame + start for part, start in zip(parts, starts)]),
        question=indices("question"),
        is_success=np.concatenate([part.is_success for part in parts]),
        episode=indices("episode"),
        step=np.concatenate([part.step for part in parts]),
        kind=indices("kind"),
        questions=names["questions"],
        episodes=names["episodes"],
        kinds=names["kinds"],
    )


_NAMED = {"question": "questions", "episode": "episodes", "kind": "kinds"}
_COLUMNS = ("frame", "question", "is_success", "episode", "step", "kind", "state")


def write_frames(path: Path, frames: FrameSet) -> None:
    """Write a set as one safetensors file.

    Raises:
        OSError: when the disk refuses.
    """
    arrays = {f"image.{camera}": images for camera, images in frames.images.items()}
    arrays |= {name: getattr(frames, name) for name in _COLUMNS}
    words = json.dumps({name: getattr(frames, name) for name in _NAMED.values()})
    write_whole(path, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, {WORDS: words}))


def read_frames(path: Path) -> FrameSet:
    """Return the set of a file that ``write_frames`` wrote, its cameras by name.

    Raises:
        ValueError: when it is not such a file.
        OSError: when it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        words = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][WORDS])
        arrays = load_tensors(data, str(path))
        # in no order of its own: the library's differs from load to load
        images = {name.removeprefix("image."): a for name, a in sorted(arrays.items()) if name.startswith("image.")}
        columns: dict[str, Any] = {name: arrays[name] for name in _COLUMNS}
        columns |= {name: tuple(words[name]) for name in _NAMED.values()}
        return FrameSet(images=images, **columns)
    except Exception as why:  # safetensors' errors share no useful base with json's
        raise ValueError(
            f"{path}: expected a frame set, got another file ({why}); delete it, it is made anew"
        ) from None


def read_joined(paths: Iterable[Path]) -> FrameSet:
    """Return the sets of several files as one.

    Raises:
        ValueError: as ``read_frames`` and ``joined``.
        OSError: when one cannot be read.
    """
    return joined([read_frames(path) for path in paths])
