"""A dataset as it goes to other people: data, a card that says what it is, checksums, a licence."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from armtune_policies.contract import ConfigError
from armtune_policies.store.edits import kept_paths, sidecars
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import copy_whole, whole_file, whole_folder, write_whole
from armtune_policies.store.nouns import SUCCESS

CARD, SUMS = "README.md", "SHA256SUMS"
LICENCES = ("apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "mit")
"""Names as Hugging Face's cards spell them; others are taken as ``other``."""
TAR_TIME_S = 0
"""Of every file in a tar: the same data, the same bytes."""
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z")
LEROBOT = ("meta", "data", "videos")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Card:
    """What a dataset says of itself."""

    title: str
    licence: str
    contact: str
    episodes: int
    steps: int
    successes: int
    rate_hz: float
    sentences: tuple[tuple[str, int], ...]
    cameras: tuple[str, ...]
    is_lerobot: bool

    def text(self) -> str:
        """Return the card: YAML that Hugging Face reads, then what a person reads."""
        head: dict[str, Any] = {"license": self.licence if self.licence in LICENCES else "other"}
        head |= {} if self.licence in LICENCES else {"license_name": self.licence}
        head |= {"task_categories": ["robotics"], "tags": ["LeRobot", "robotics"] if self.is_lerobot else ["robotics"]}
        if self.is_lerobot:
            head["configs"] = [{"config_name": "default", "data_files": "data/*/*.parquet"}]
        told = "\n".join(f"| {sentence} | {count} |" for sentence, count in self.sentences)
        form = "LeRobot v3" if self.is_lerobot else "armtune episode files (MCAP with ROS 2 schemas)"
        return (
            f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {self.title}\n\n"
            f"{self.episodes} episodes, {self.steps} steps at {self.rate_hz:g} a second, {self.successes} successes.\n"
            f"Format: {form}. Cameras: {', '.join(self.cameras) or 'none'}. Licence: {self.licence}.\n\n"
            f"| What the arm was told | Episodes |\n|---|---|\n{told}\n\n"
            "`observation.state` is the tool's position [m], rotation vector [rad] and gripper opening 0..1 in the\n"
            "arm's base; `action` is what was commanded: the tool's change over one step [m, rad], and the opening.\n\n"
            f"Check the files: `sha256sum -c {SUMS}`.\nQuestions, or a wish to be taken out of it: {self.contact}.\n"
        )


def card_of(
    episodes: Sequence[Episode], title: str, licence: str, contact: str, rate_hz: float, is_lerobot: bool
) -> Card:
    """Return the card of some episodes.

    Raises:
        ConfigError: when a question is not answered.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+ -]{0,63}", licence):
        raise ConfigError(f"licence: expected one of {', '.join(LICENCES)}, or another's name; got {licence!r}")
    if not contact.strip():
        raise ConfigError("contact: expected where people who are seen in it can turn to; got nothing")
    told = Counter(episode.sentence for episode in episodes)
    return Card(
        title=title,
        licence=licence,
        contact=" ".join(contact.split()),
        episodes=len(episodes),
        steps=sum(int(episode.complete.sum()) for episode in episodes),
        successes=sum(episode.outcome == SUCCESS for episode in episodes),
        rate_hz=rate_hz,
        sentences=tuple(sorted(told.items())),
        cameras=tuple(sorted({camera for episode in episodes for camera in episode.images})),
        is_lerobot=is_lerobot,
    )


def run_files(run: Path) -> list[Path]:
    """Return what of a run goes to other people: the episodes that were not dropped, and what is said of them."""
    return [file for path in kept_paths(run) for file in (path, *sidecars(run, path.stem))]


def lerobot_files(folder: Path) -> list[Path]:
    """Return the files of a LeRobot folder, without what was set aside or is not whole."""
    found = [path for part in LEROBOT for path in sorted((Path(folder) / part).rglob("*")) if path.is_file()]
    return [path for path in found if not any(name.startswith(".") for name in path.relative_to(folder).parts)]


def publish(source: Path, files: Sequence[Path], card: Card, out: Path) -> Path:
    """Write a folder, or a ``.tar``, with some files of ``source``, the card and the checksums; whole, or not at all.

    Returns:
        What was written.

    Raises:
        ConfigError: for a packed archive, which we do not write.
        FileExistsError: when it is there already.
        OSError: when the disk refuses.
    """
    out = Path(out)
    if out.suffix in PACKED:
        raise ConfigError(f"{out}: expected a new folder or a .tar, got {out.suffix}; pack the .tar afterwards")
    if out.exists():
        raise FileExistsError(f"{out} is there already; choose another name, or move it away")
    named = {path.relative_to(source).as_posix(): path for path in files}
    if odd := next((path for path in files if not path.resolve().is_relative_to(Path(source).resolve())), None):
        raise ConfigError(f"{odd}: expected a file of {source}, got a link to {odd.resolve()}; it is not given away")
    text = card.text().encode()
    sums = {CARD: hashlib.sha256(text).hexdigest()} | {name: sha256(path) for name, path in named.items()}
    told = {CARD: text, SUMS: "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()}
    if out.suffix == ".tar":
        _tar(out, named, told)
        return out
    with whole_folder(out) as part:
        for name, path in named.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            copy_whole(path, part / name)
        for name, data in told.items():
            write_whole(part / name, data)
    return out


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _tar(out: Path, named: Mapping[str, Path], told: Mapping[str, bytes]) -> None:
    """Write a tar straight from the files: the same data, the same bytes."""
    with whole_file(out) as part, tarfile.open(part, "w") as tar:
        for name in sorted({**named, **told}):
            info = tarfile.TarInfo(f"{out.stem}/{name}")
            info.mtime, info.size = TAR_TIME_S, len(told[name]) if name in told else named[name].stat().st_size
            with io.BytesIO(told[name]) if name in told else open(named[name], "rb") as file:
                tar.addfile(info, file)
