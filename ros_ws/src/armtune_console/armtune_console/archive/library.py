"""Runs and models on the disk, asked for by name. A name is looked up among what is there, never put into a path."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from armtune_console.film import jpeg
from armtune_console.journal import counts
from armtune_policies.contract import STATE_NAMES, ActionSpec, Mode, Verdict
from armtune_policies.contract.paths import config_root
from armtune_policies.reward.audit import AuditParams, Rate, Review, alarms, due, false_stops, precision, recall
from armtune_policies.store.episode_reader import Episode, list_episodes, read_episode
from armtune_policies.store.files import NAME, read_json, read_yaml
from armtune_policies.store.manifest import MANIFEST, MAX_MANIFEST_BYTES
from armtune_policies.store.nouns import SUCCESS
from armtune_policies.store.rate import measured_hz
from armtune_policies.store.reviews import WORDS, add_reviews, decisions, read_reviews

from .progress import Row, difference, flat, progress, strip

TURN_S = 1.0
"""A question that reads many files answers after so long with what it has read; it is asked again for the rest."""
OPEN = 2
"""Episodes kept in memory with their pictures."""
DATASETS, CARD = "datasets", "README.md"
COUNTS = "practice.json"
"""What ``episode_node`` counts of a run."""
SHEET = 60
"""Most pictures on one contact sheet."""


class Unknown(LookupError):
    """Nothing here is called so."""


@dataclass(frozen=True)
class _Known:
    """What is kept of a file that was read once; files that are finished never change."""

    row: Row
    said: tuple[Any, ...]
    complete: tuple[bool, ...]


class Library:
    """What is in a folder of runs.

    Args:
        root: The folder of runs.
        models: Folders of models in use, whose neighbours are listed, too.
    """

    def __init__(self, root: Path, models: tuple[Path, ...] = ()) -> None:
        self._root, self._models = Path(root), models
        self._known: dict[tuple[str, int, int], _Known] = {}
        self._open: OrderedDict[Path, Episode] = OrderedDict()

    # -- runs --------------------------------------------------------------------------

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, newest first."""
        found = [(path, list_episodes(path)) for path in self._folders().values()]
        rows = [
            {"run": path.name, "episodes": len(files), "has_config": (path / "config.yaml").is_file(),
             "newest_ns": max((f.stat().st_mtime_ns for f in (*files, path)), default=0)}
            for path, files in found
        ]  # fmt: skip
        return sorted(rows, key=lambda row: -int(row["newest_ns"]))

    def run(self, run: str) -> dict[str, Any]:
        """Return a run's progress; ``read`` of ``of`` files are in it, ask again until they are all."""
        folder = self._run(run)
        known, of = self._summaries(folder)
        rows = [one.row for one in known]
        reviews = [review for row in rows for review in read_reviews(folder, row.episode_id)]
        counted = counts(folder)
        return {
            "run": run, "read": len(rows), "of": of, "episodes": strip(rows), **progress(rows),
            "events": dict(counted), "resets": _resets(folder),
            "precision": _rate(precision(reviews)), "reviewed": len(reviews),
            "false_stops": _rate(false_stops(reviews, {row.episode_id: row.end_step for row in rows if row.is_voted})),
        }  # fmt: skip

    def config(self, run: str) -> dict[str, Any]:
        """Return a run's config by dotted names."""
        path = self._run(run) / "config.yaml"
        if not path.is_file():
            raise Unknown(f"{run}: no config.yaml in this run")
        return flat(read_yaml(path) or {})

    def configs(self, a: str, b: str) -> dict[str, Any]:
        """Return how the configs of two runs differ."""
        first, second = self.config(a), self.config(b)
        return {"a": a, "b": b, "keys": len(set(first) | set(second)), "difference": difference(first, second)}

    # -- episodes ----------------------------------------------------------------------

    def episode(self, run: str, episode: str) -> dict[str, Any]:
        """Return an episode's numbers, one row a step."""
        one = self._episode(run, episode)
        rate_hz = measured_hz(one) or ActionSpec().rate_hz
        return {
            "run": run, "episode": episode, "sentence": one.sentence, "direction": one.direction,
            "outcome": one.outcome, "reason": one.about.reason, "steps": one.steps, "rate_hz": rate_hz,
            "cameras": list(one.images), "policy": one.policy_version, "config": one.about.config_hash,
            "reward": one.reward_digest, "complete": one.complete.tolist(),
            "probabilities": _numbers(one.probabilities), "modes": [Mode(int(m)).name for m in one.modes],
            "verdicts": [Verdict(int(v)).name.lower() for v in one.verdicts], "sources": list(one.sources),
            "limited_by": [list(names) for names in one.limited_by], "refused": list(one.refused),
            "actions": {name: _numbers(col) for name, col in zip(ActionSpec().names, one.allowed.T)},
            "tool": {name: _numbers(col) for name, col in zip(STATE_NAMES, one.state.T)},
        }  # fmt: skip

    def frame(self, run: str, episode: str, camera: str, step: int, width_px: int = 480) -> bytes:
        """Return what a camera saw at a step, as JPEG."""
        one = self._episode(run, episode)
        if camera not in one.images or not 0 <= step < one.steps or not one.complete[step]:
            raise Unknown(f"{episode}: no picture of camera {camera!r} at step {step}")
        return jpeg(one.images[camera][step], width_px, 85)

    def path(self, run: str, episode: str) -> Path:
        """Return an episode's file."""
        files = {path.stem: path for path in list_episodes(self._run(run))}
        if episode not in files:
            raise Unknown(f"{run}: no finished episode {episode!r}")
        if not _is_inside(files[episode], self._run(run)):
            raise Unknown(f"{run}: the file of {episode} is a link that leads out of the run")
        return files[episode]

    # -- the audit ---------------------------------------------------------------------

    def audit(self, run: str, share: float) -> dict[str, Any]:
        """Return what is due, the hardest first, and what the answers say so far."""
        params = AuditParams(share=share)
        folder = self._run(run)
        known, of = self._summaries(folder)
        waiting: list[dict[str, Any]] = []
        reviews, outcomes = list[Review](), list[bool]()
        for one in known:
            row, mine = one.row, read_reviews(folder, one.row.episode_id)
            reviews += mine
            outcomes.append(row.outcome == SUCCESS)
            said = {decision.step: probability for decision, probability in one.said}
            for decision in due((d for d, _ in one.said), mine, params.share):
                if one.complete[decision.step]:
                    waiting.append({
                        "episode": row.episode_id, "step": decision.step, "said": decision.said.name.lower(),
                        "sentence": row.sentence, "probability": said[decision.step],
                    })  # fmt: skip
        edge = border((d.said, probability) for one in known for d, probability in one.said)
        waiting.sort(key=lambda item: abs((item["probability"] or 0.0) - edge))
        return {
            "run": run, "read": len(known), "of": of, "due": waiting[:SHEET], "due_in_all": len(waiting),
            "reviewed": len(reviews), "precision": _rate(precision(reviews)), "recall": _rate(recall(reviews)),
            "alarms": alarms(reviews, outcomes, params),
        }  # fmt: skip

    def answer(self, run: str, episode: str, step: int, word: str) -> dict[str, Any]:
        """Keep a person's answer to one decision.

        Raises:
            ValueError: for a word or a step that is none.
        """
        one, folder = self._episode(run, episode), self._run(run)
        if word not in WORDS:
            raise ValueError(f"expected one of {', '.join(WORDS)}, got {word[:40]!r}")
        said = decisions(one)
        if not 0 <= step < len(said):
            raise ValueError(f"{episode}: expected a step below {len(said)}, got {step}")
        add_reviews(folder, one, [Review(said[step], WORDS[word])])
        return {"kept": f"{episode}/{step}={word}"}

    # -- models, datasets, the safety case -------------------------------------------------------

    def models(self) -> list[dict[str, Any]]:
        """Return the manifests of models in use, and of those in runs."""
        folders = {*self._models, *(p.parent for m in self._models for p in m.parent.glob(f"*/{MANIFEST}"))}
        folders |= {p.parent for run in self._folders().values() for p in run.glob(f"models/*/{MANIFEST}")}
        rows = []
        for folder in sorted(folders):
            path = folder / MANIFEST
            if not path.is_file() or path.stat().st_size > MAX_MANIFEST_BYTES:
                continue
            try:
                rows.append({"folder": folder.name, "of": folder.parent.name, **read_json(path)})
            except (OSError, ValueError, TypeError) as why:
                rows.append({"folder": folder.name, "of": folder.parent.name, "trouble": str(why)})
        return rows

    def datasets(self) -> list[dict[str, Any]]:
        """Return the LeRobot folders in ``datasets`` beside the folder of runs, each with its card where it has one."""
        rows = []
        for path in sorted(self._root.parent.glob(f"{DATASETS}/*/meta/info.json")):
            folder = path.parents[1]
            card = folder / CARD
            if any(file.is_file() and file.stat().st_size > MAX_MANIFEST_BYTES for file in (path, card)):
                continue
            row: dict[str, Any] = {"dataset": folder.name, "card": ""}
            try:
                if not all(_is_inside(file, folder) for file in (path, card)):  # came from elsewhere, may name our keys
                    raise ValueError("a link that leads out of the dataset")
                row["card"] = card.read_text(encoding="utf-8") if card.is_file() else ""
                about = read_json(path)
                row |= {"episodes": about["total_episodes"], "steps": about["total_frames"], "rate_hz": about["fps"]}
                row |= {"keys": list(about["features"]), "format": about["codebase_version"]}
            except (OSError, ValueError, KeyError, TypeError) as why:
                row["trouble"] = f"its {CARD} or its meta/info.json is none: {why}"
            rows.append(row)
        return rows

    def safety(self) -> str:
        """Return the safety case, as its page in the docs says it."""
        page = config_root().resolve().parent / "docs" / "safety-case.md"
        if not page.is_file():
            raise Unknown("the safety case is in docs/safety-case.md of a checkout, which is not here")
        return page.read_text(encoding="utf-8")

    # -- parts -------------------------------------------------------------------------

    def _folders(self) -> dict[str, Path]:
        if not self._root.is_dir():
            return {}
        return {path.name: path for path in self._root.iterdir() if NAME.fullmatch(path.name) and path.is_dir()}

    def _run(self, run: str) -> Path:
        if (folder := self._folders().get(run)) is None:
            raise Unknown(f"no run {run!r} here")
        return folder

    def _episode(self, run: str, episode: str) -> Episode:
        path = self.path(run, episode)
        if path not in self._open:
            self._open[path] = read_episode(path)
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(path)
        return self._open[path]

    def _summaries(self, folder: Path) -> tuple[list[_Known], int]:
        """Return what is known of a run's files in order, after reading for a turn, and how many there are."""
        end_s = time.monotonic() + TURN_S
        files, known = list_episodes(folder), []
        for path in files:
            about = path.stat()
            key = (str(path), about.st_size, about.st_mtime_ns)
            if key not in self._known:
                if time.monotonic() > end_s:
                    break
                self._known[key] = _known(read_episode(path))
            known.append(self._known[key])
        return known, len(files)


def border(said: Iterable[tuple[Verdict, float | None]]) -> float:
    """Return the probability about which a reward's word turns, as it spoke; what is nearest to it is hardest."""
    heard = [(verdict, probability) for verdict, probability in said if probability is not None]
    yes = min((p for verdict, p in heard if verdict is Verdict.YES), default=None)
    no = max((p for verdict, p in heard if verdict is Verdict.NO), default=None)
    return 0.5 if yes is None or no is None else (yes + no) / 2


def _known(one: Episode) -> _Known:
    about = one.about
    row = Row(
        episode_id=about.episode_id, index=about.index, direction=about.direction, sentence=about.sentence,
        outcome=about.outcome, reason=about.reason, steps=one.steps,
        seconds=one.steps / (measured_hz(one) or ActionSpec().rate_hz), policy_version=one.policy_version,
        end_step=one.end_step, mark=about.mark, held_steps=int(one.intervention.sum()),
        limited_steps=sum(bool(names) for names in one.limited_by),
    )  # fmt: skip
    said = tuple(zip(decisions(one), _numbers(one.probabilities)))
    return _Known(row, said, tuple(bool(whole) for whole in one.complete))


def _resets(folder: Path) -> int | None:
    """How often the scene was reset; None where nobody counted."""
    try:
        plain = read_json(folder / COUNTS, MAX_MANIFEST_BYTES)
    except (OSError, ValueError):
        return None
    found = plain.get("resets") if isinstance(plain, dict) else None
    return found if isinstance(found, int) else None


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a file is one of a folder's own, and no link to another."""
    return path.resolve().is_relative_to(folder.resolve())


def _numbers(values: np.ndarray) -> list[float | None]:
    return [round(float(x), 5) if math.isfinite(x) else None for x in values]


def _rate(rate: Rate) -> dict[str, Any]:
    return {"hits": rate.hits, "n": rate.count, "ci95": list(rate.interval), "says": str(rate)}


_ASKED = "runs run config configs episode frame path audit answer models datasets safety"
QUESTIONS: dict[str, Callable[..., Any]] = {name: getattr(Library, name) for name in _ASKED.split()}
