"""When a proposal is considered at all. Refuse, then clamp: this is the refusing. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Kind, Proposal, StepTick

from . import limits
from .failsafe import Standing
from .leases import Lease
from .settings import SafetyParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the gate expects of the next proposal."""

    dof: int
    digest: str
    lease: Lease | None
    tick: StepTick | None
    answered: bool
    last_seq: int
    standing: Standing


def refusal(p: Proposal, want: Expected, stamp_age_s: float, safety: SafetyParams) -> tuple[str, str]:
    """Return (short name, one sentence) of the first thing wrong, or ("", "").

    Args:
        p: The proposal, as it came.
        want: What the gate expects.
        stamp_age_s: How long ago its observation was measured [s]; may be anything.
        safety: The bounds.
    """
    count = {Kind.TOOL_DELTA: 7, Kind.JOINT_TARGET: want.dof + 1}[p.kind]
    if why := limits.unreadable(p.values, count):
        return "unreadable", why
    if p.spec_digest != want.digest:
        return (
            "other spec",
            f"expected action spec {want.digest}, got {p.spec_digest[:64]!r}; export for this robot",
        )
    if want.standing.blocked:
        return "gate held", f"gate is in {want.standing.mode.name}: {', '.join(want.standing.reasons)}"
    if why := _not_now(p, want):
        return "not now", why
    if not p.seq > want.last_seq:
        return "sequence", f"expected a sequence number above {want.last_seq}, got {p.seq}"
    if p.observation_stamp_ns == 0 and p.source != "policy":
        return "", ""  # a person and homing act on no camera frame
    if not -safety.future_stamp_s <= stamp_age_s <= safety.observation_age_s:
        return (
            "stamp",
            f"expected an observation measured at most {safety.observation_age_s} s ago and at most "
            f"{safety.future_stamp_s} s ahead, got one of {stamp_age_s:.3f} s ago",
        )
    return "", ""


def _not_now(p: Proposal, want: Expected) -> str:
    """The lease, the episode and the step must be the ones of the open period."""
    if want.tick is None or want.lease is None:
        return "no step is open"
    if p.source != want.lease.source or p.lease != want.lease.id or want.tick.lease != want.lease.id:
        return f"{p.source} does not hold the arm in this step; {want.lease.source} does"
    if p.episode_id != want.lease.episode_id:
        return f"expected episode {want.lease.episode_id!r}, got {p.episode_id[:64]!r}"
    if p.step != want.tick.step:
        return f"expected step {want.tick.step}, got {p.step}"
    return "this step has its proposal" if want.answered else ""
