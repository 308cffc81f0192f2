"""What people said of the classifier's decisions: ``audit/<episode_id>.json`` beside ``labels``, whole or absent.

The same answers, but for "unsure", become the label set ``audit``, from which a classifier can be retrained.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from armtune_policies.contract import Verdict
from armtune_policies.reward.audit import Decision, Review

from .episode_reader import Episode
from .files import checked_name, read_json, write_json
from .labels import LabelSet, write_labels

AUDIT = "audit"
WORDS = {"yes": Verdict.YES, "no": Verdict.NO, "unsure": Verdict.UNKNOWN}
_SPOKEN = {verdict: word for word, verdict in WORDS.items()}


def decisions(episode: Episode) -> list[Decision]:
    """Return what was said of each step of an episode."""
    return [Decision(episode.episode_id, step, Verdict(int(v))) for step, v in enumerate(episode.verdicts)]


def review_path(run_folder: Path, episode_id: str) -> Path:
    return Path(run_folder) / AUDIT / f"{checked_name(episode_id, 'episode_id')}.json"


def read_reviews(run_folder: Path, episode_id: str) -> list[Review]:
    """Return an episode's reviews in step order; none where there is no file.

    Raises:
        ValueError: when the file is not what it should be.
    """
    path = review_path(run_folder, episode_id)
    if not path.exists():
        return []
    try:
        rows = read_json(path)["reviews"]
        return [Review(Decision(episode_id, int(r["step"]), WORDS[r["said"]]), WORDS[r["truth"]]) for r in rows]
    except (KeyError, TypeError) as why:
        raise ValueError(f"{path}: expected reviews of {', '.join(WORDS)}, got a file with or without {why}") from None


def add_reviews(run_folder: Path, episode: Episode, answers: Iterable[Review]) -> list[Review]:
    """Add answers to an episode's reviews, in place of older ones of the same steps; return all of them."""
    by_step = {review.decision.step: review for review in read_reviews(run_folder, episode.episode_id)}
    by_step.update({review.decision.step: review for review in answers})
    reviews = [by_step[step] for step in sorted(by_step)]
    rows = [{"step": r.decision.step, "said": _SPOKEN[r.decision.said], "truth": _SPOKEN[r.truth]} for r in reviews]
    value = {"episode_id": episode.episode_id, "model_digest": episode.reward_digest, "reviews": rows}
    write_json(review_path(run_folder, episode.episode_id), value)
    verdicts = [Verdict.UNKNOWN] * episode.steps
    for review in reviews:
        verdicts[review.decision.step] = review.truth
    write_labels(run_folder, LabelSet(AUDIT, episode.episode_id, tuple(verdicts), None, "person"))
    return reviews
