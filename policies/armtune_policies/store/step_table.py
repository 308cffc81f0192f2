"""The join: observation, decision and answer of one step become one row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from armtune_policies.contract import Decision, RewardAnswer, Verdict

from .nouns import Observation


@dataclass(frozen=True)
class Row:
    """One control step. A missing answer is unknown: neither no nor zero."""

    episode_id: str
    step: int
    observation: Observation | None = None
    decision: Decision | None = None
    answer: RewardAnswer | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it can be learnt from: observation and decision are both there."""
        return self.observation is not None and self.decision is not None

    @property
    def verdict(self) -> Verdict:
        return Verdict.UNKNOWN if self.answer is None else self.answer.verdict


class StepTable:
    """Rows of one episode by step, in whatever order their parts come.

    The first observation, decision and answer of a step win; a late answer patches its
    own row. Parts of another episode are refused by ``add``.
    """

    def __init__(self, episode_id: str) -> None:
        self.episode_id = episode_id
        self._rows: dict[int, Row] = {}
        self.last_step = -1
        """The newest step seen, -1 for none."""

    def add(self, part: Observation | Decision | RewardAnswer) -> Row | None:
        """Put ``part`` into its row.

        Returns:
            The row as it is now, or None when the part changed nothing: it is of another
            episode, or its place is taken.
        """
        if part.episode_id != self.episode_id:
            return None
        row = self._rows.get(part.step, Row(self.episode_id, part.step))
        if isinstance(part, Observation):
            changed = replace(row, observation=row.observation or part)
        elif isinstance(part, Decision):
            changed = replace(row, decision=row.decision or part)
        else:
            changed = replace(row, answer=row.answer or part)
        if changed == row:
            return None
        self._rows[part.step] = changed
        self.last_step = max(self.last_step, part.step)
        return changed

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows in step order, incomplete ones included."""
        return tuple(self._rows[step] for step in sorted(self._rows))

    def row(self, step: int) -> Row:
        """The row of ``step``; an empty one where nothing came."""
        return self._rows.get(step, Row(self.episode_id, step))

    def is_complete_through(self, step: int) -> bool:
        """Whether rows 0 to ``step`` are all complete."""
        return all(self.row(k).is_complete for k in range(step + 1))
