"""The table, row by row."""

from __future__ import annotations

import dataclasses
import math

import pytest
from gate_rig import ROOT, gate_params

from armtune_policies.contract import Mode
from armtune_safety.failsafe import MOVED, RULES, SINGULAR, STALE, UNFIT, UNSTEADY, WALL, Facts, decide

SAFETY = gate_params().safety
GOOD = Facts(
    armed=True,
    lease_held=True,
    doubled=0,
    controller_fit=True,
    supervisor_age_s=0.0,
    cameras_unsure=0,
    unfit=0,
    joint_age_s=0.0,
    joints_steady_s=1.0,
    tracking_m=0.0,
    tracking_rad=0.0,
    proposal_age_s=0.0,
    proposals_missed=0.0,
    near_limits_ago_s=math.inf,
    missed_ago_s=math.inf,
    strained_ago_s=math.inf,
    barrier_age_s=0.0,
)
ROWS = [
    ("e-stop pressed", {"estop": True}, Mode.STOP),
    ("stop requested", {"stop_requested": True}, Mode.STOP),
    ("joint states stale", {"joint_age_s": 0.101}, Mode.STOP),
    ("joint states stale", {"joint_age_s": math.nan}, Mode.STOP),
    ("joint states unusable", {"joint_refusals": 3}, Mode.STOP),
    ("tracking lost for too long", {"tracking_lost_s": 0.51}, Mode.STOP),
    ("joint states frozen", {"joints_frozen_s": 0.2}, Mode.STOP),
    ("joint states frozen", {"joints_frozen_s": math.nan}, Mode.STOP),
    ("controller not read back", {"controller_fit": False}, Mode.STOP),
    (MOVED, {"cameras_unsure": 1}, Mode.STOP),
    (UNFIT, {"arming": True, "unfit": 1}, Mode.STOP),
    ("lockstep barrier", {"is_lockstep": True, "barrier_age_s": 5.1}, Mode.STOP),
    ("joint states not steady yet", {"arming": True, "joints_steady_s": 0.99}, Mode.STOP),
    ("supervisor not heard", {"arming": True, "supervisor_age_s": 1.1}, Mode.STOP),
    ("not armed", {"armed": False}, Mode.STOP),
    ("two publishers on one topic", {"doubled": 1}, Mode.HOLD),
    ("hold requested", {"hold_requested": True}, Mode.HOLD),
    ("operator lost", {"operator_lost": True}, Mode.HOLD),
    ("tracking lost", {"tracking_m": 0.07}, Mode.HOLD),
    ("tracking lost", {"tracking_rad": math.nan}, Mode.HOLD),
    ("nobody holds the arm", {"lease_held": False}, Mode.HOLD),
    ("supervisor silent", {"supervisor_age_s": 1.1}, Mode.HOLD),
    ("supervisor silent", {"supervisor_age_s": 5.1, "is_lockstep": True}, Mode.HOLD),
    (UNSTEADY, {"proposals_missed": 0.21}, Mode.HOLD),
    (UNSTEADY, {"proposals_missed": math.nan}, Mode.HOLD),
    (WALL, {"outside_in_a_row": 10}, Mode.HOLD),
    (SINGULAR, {"is_singular": True}, Mode.HOLD),
    ("near a limit of the arm", {"near_limits_ago_s": 1.0}, Mode.SLOW),
    ("proposals missed", {"missed_ago_s": 1.0}, Mode.SLOW),
    ("arm strained", {"strained_ago_s": 1.0}, Mode.SLOW),
    ("arm strained", {"strained_ago_s": math.nan}, Mode.SLOW),
    (STALE, {"proposal_age_s": 0.301}, Mode.HOLD),
    (STALE, {"proposal_age_s": 0.16, "period_s": 0.1}, Mode.HOLD),
    (STALE, {"proposal_age_s": math.nan}, Mode.HOLD),
]


def test_nothing_is_wrong_when_all_facts_are_good() -> None:
    assert decide(GOOD, SAFETY, frozenset()).mode is Mode.RUN


@pytest.mark.fault("F08")
@pytest.mark.parametrize(("name", "facts", "mode"), ROWS)
def test_row_acts_when_its_fact_is_bad(name: str, facts: dict, mode: Mode) -> None:
    standing = decide(dataclasses.replace(GOOD, **facts), SAFETY, frozenset())
    assert standing.mode is mode and name in standing.reasons


def test_every_row_of_the_table_is_tested() -> None:
    assert {rule.name for rule in RULES} == {name for name, _, _ in ROWS}


def test_never_seen_equals_stale() -> None:
    standing = decide(Facts(armed=True), SAFETY, frozenset())
    assert {"joint states stale", "tracking lost", STALE} <= set(standing.reasons)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.latched], ids=lambda rule: rule.name)
def test_latch_stays_when_its_cause_has_gone(rule) -> None:
    standing = decide(GOOD, SAFETY, frozenset({rule.name}))
    assert standing.mode is Mode.STOP and standing.reasons == (rule.name,)


def test_one_bound_holds_on_the_wall_when_time_is_simulated() -> None:
    slept = dataclasses.replace(GOOD, is_lockstep=True, supervisor_age_s=4.9, barrier_age_s=4.9)
    assert decide(slept, SAFETY, frozenset()).mode is Mode.RUN


def test_only_what_proposals_can_mend_lets_a_good_one_through() -> None:
    mended = {"proposal_age_s": 9.0, "proposals_missed": 0.5, "outside_in_a_row": 11, "is_singular": True}
    stale = decide(dataclasses.replace(GOOD, **mended), SAFETY, frozenset())
    held = decide(dataclasses.replace(GOOD, proposal_age_s=9.0, hold_requested=True), SAFETY, frozenset())
    assert not stale.blocked and held.blocked


def test_every_row_of_the_table_is_explained_to_the_user() -> None:
    page = (ROOT / "docs/safety.md").read_text()
    for rule in RULES:
        assert f"| {rule.name} | {rule.mode.name} |" in page, rule.name
