"""What a person may tune about episodes."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, num

from .course import Rules


@dataclass(frozen=True, kw_only=True)
class EpisodeParams(Checked):
    """When an episode succeeds, when the direction flips, and when a person is asked."""

    vote_need: int = num(2, low=1, high=100, doc="answers of yes that make a success ...")
    vote_window: int = num(3, low=1, high=100, doc="... among this many newest steps")
    vote_opening: float = num(0.0, low=0.0, high=1.0, doc="a yes counts with the gripper open this far; 0: always")
    answer_deadline_s: float = num(1.0, low=0.05, high=10.0, doc="no reward answer by then counts as unknown [s]")
    max_failures: int = num(5, low=1, high=1000, doc="failures in one direction before the other is tried all the same")
    nudge: int = num(1, low=0, high=1000, doc="failures without a success after which it nudges first; 0: never")
    stuck: int = num(12, low=0, high=1000, doc="failures without a success, both directions together, that mean stuck")
    recoveries: int = num(3, low=0, high=100, doc="tries after recovery moves, once stuck, before a person is asked")
    nudge_s: float = num(60.0, low=1.0, high=600.0, doc="longest nudge; what is left of it then is left out [s]")
    still_steps: int = num(5, low=1, high=1000, doc="steps without motion after which an episode has failed")
    still: float = num(0.01, low=0.0, high=1.0, doc="change of the tool's state that is motion [m, rad, 1]; 0: never")
    doubt: int = num(3, low=0, high=1000, doc="successes in a row without motion after which it asks; 0: never")
    max_aborts: int = num(3, low=1, high=100, doc="aborted episodes in a row before practice waits for a person")
    reset_every_episodes: int = num(0, low=0, high=100_000, doc="ask a person to reset the scene so often; 0: never")
    home_tolerance_rad: float = num(0.05, low=0.001, high=0.5, doc="at home when every joint is this near [rad]")
    home_tolerance_gripper: float = num(0.15, low=0.01, high=1.0, doc="and the gripper's opening this near [1]")
    home_s: float = num(30.0, low=1.0, high=600.0, doc="longest way home before practice waits for a person [s]")
    ready_s: float = num(0.1, low=0.02, high=60.0, doc="how long a new policy may be swapped in [s]")
    stall_s: float = num(10.0, low=2.0, high=600.0, doc="an episode without a step for so long is aborted [s]")
    held_s: float = num(2.0, low=0.5, high=10.0, doc="an episode whose arm the gate holds for so long is aborted [s]")
    shown_steps: int = num(1000, low=1, high=100_000, doc="longest demonstration by a person [control steps]")
    countdown: int = num(3, low=0, high=10, doc="seconds counted down before a person shows")
    lease_s: float = num(2.0, low=0.3, high=10.0, doc="expiry of the lease for the way home [s]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vote_need > self.vote_window:
            raise ConfigError(f"vote_need: expected at most vote_window ({self.vote_window}), got {self.vote_need}")
        if 0 < self.stuck <= self.max_failures:
            raise ConfigError(
                f"stuck: expected more than max_failures ({self.max_failures}), so that both directions were tried; "
                f"got {self.stuck}"
            )

    @property
    def rules(self) -> Rules:
        """What is done about failures."""
        return Rules(self.max_failures, self.nudge, self.stuck, self.recoveries, self.reset_every_episodes)
