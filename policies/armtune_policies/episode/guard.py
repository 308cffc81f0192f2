"""Whether learning has made the arm worse: a sequential test that may be looked at after every episode. Pure.

A wager against "the arm does as well as its reference" (Waudby-Smith and Ramdas, 2010.09686): per episode the stake is
multiplied by ``1 + bet (p0 - x)``, x being 1 for a success, and likewise by ``1 + bet (y - q0)``, y being the share of
steps that the gate limited. A stake below 1 begins again at 1, so that what went well before does not hide what goes
wrong now: an e-detector (CUSUM; Shin, Ramdas and Rinaldo, 2203.03532), which while the claim is true sounds at most
once in 1 / alpha episodes, in the mean. Then the reference acts again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .rate import wilson

BETS = (0.25, 0.5, 0.9)
"""Parts of the largest bet that cannot ruin; the stake is split among them, for nobody knows how much worse it is."""
ALPHA = 0.001
"""Of each of both wagers: a false alarm in a thousand episodes at most, in the mean."""
WINDOW = 20
"""Episodes that make a reference, or a rest after it was gone back to."""
SLACK = 0.05
"""Of the share of limited steps: less is no harm."""


@dataclass
class Reference:
    """The policy to go back to, and what the arm reached when it was chosen."""

    version: str
    folder: str
    success: float = 0.0
    """The least that is claimed of it: the lower 95 % bound (Wilson) of what was reached while it was chosen.

    Those are the newest ``WINDOW`` episodes, in which others acted, too: one policy acts in few.
    """
    limited: float = 1.0
    """The most that is claimed of its share of limited steps."""
    rate: float = 0.0
    """What it reached; another is the reference once its lower bound is above: it is better, not luckier."""


@dataclass
class Guard:
    """Feed it every judged episode in order; plain numbers, so that it can be kept and gone on with."""

    reference: Reference
    recent: list[tuple[bool, float]] = field(default_factory=list)
    """Success and share of limited steps of the newest episodes, ``WINDOW`` at most."""
    stakes: list[float] = field(default_factory=lambda: [1.0] * 2 * len(BETS))
    rest: int = WINDOW
    """Episodes to come before it is tested: the reference's own, or the first ones."""
    reverts: int = 0
    is_back: bool = False
    """Whether the newest episode since it was gone back from was the reference's."""

    @property
    def is_reverted(self) -> bool:
        """Whether the reference acts, and what is learnt meanwhile is not offered."""
        return self.reverts > 0 and self.rest > 0

    def note(self, version: str, folder: str, is_success: bool, limited: float) -> bool:
        """Take an episode in; return whether to go back to the reference now. A rest after that is the reference's own.

        Args:
            version: Of the policy that acted.
            folder: Where that policy is.
            is_success: By the vote.
            limited: Share 0..1 of its steps that the gate limited; what is not is refused.

        Raises:
            ValueError: for a share that is none.
        """
        if not 0.0 <= limited <= 1.0:
            raise ValueError(f"limited: expected a share of 0..1, got {limited}")
        self.is_back = self.is_reverted and version == self.reference.version
        if self.is_reverted and not self.is_back:
            return False
        self.recent = [*self.recent, (is_success, limited)][-WINDOW:]
        if self.rest:
            self.rest -= 1
            if not self.rest:
                self._claim(Reference(self.reference.version, self.reference.folder))
            return False
        self._wager(float(is_success), limited)
        if max(self.evidence) * ALPHA >= 1.0:
            self.reverts, self.rest, self.recent = self.reverts + 1, WINDOW, []
            return True
        if len(self.recent) == WINDOW and self._reached()[0] > self.reference.rate:
            self._claim(Reference(version, folder))
        return False

    @property
    def evidence(self) -> tuple[float, float]:
        """How many times the stakes have grown: against success as good as the reference's, against as few limits."""
        half = len(BETS)
        return sum(self.stakes[:half]) / half, sum(self.stakes[half:]) / half

    def _wager(self, success: float, limited: float) -> None:
        at_least, at_most = self.reference.success, self.reference.limited
        worse = (at_least - success) / max(1.0 - at_least, 1e-6), (limited - at_most) / max(at_most, 1e-6)
        factors = [1.0 + part * one for one in worse for part in BETS]
        self.stakes = [max(stake, 1.0) * factor for stake, factor in zip(self.stakes, factors)]

    def _claim(self, reference: Reference) -> None:
        """Take the newest episodes for what the reference can do, and begin to wager anew."""
        self.reference = reference
        self.reference.success, self.reference.limited, self.reference.rate = self._reached()
        self.stakes = [1.0] * 2 * len(BETS)

    def _reached(self) -> tuple[float, float, float]:
        won, count = sum(one for one, _ in self.recent), len(self.recent)
        limited = max(share for _, share in self.recent)
        return wilson(won, count)[0], min(limited + SLACK, 1.0), won / count
