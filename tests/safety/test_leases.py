"""Who holds the arm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import PRIORITY
from armtune_safety.leases import Leases

S = 10**9


@pytest.fixture
def leases() -> Leases:
    return Leases(boot_id=7, longest_s=10.0)


@pytest.mark.fault("F51")
def test_higher_source_takes_the_arm_and_the_lower_may_not(leases: Leases) -> None:
    policy, _ = leases.acquire("policy", "e", 1.0, 0)
    motion, _ = leases.acquire("motion", "", 1.0, 0)
    assert policy and motion and leases.holder(0).source == "motion"
    assert leases.acquire("policy", "e", 1.0, 0) == (0, "motion holds the arm and comes before policy")
    assert leases.renew(policy, 1.0, 0)[0] == 0
    teleop, _ = leases.acquire("teleop", "", 1.0, 0)
    assert leases.holder(0).id == teleop


def test_lease_ends_when_it_is_not_renewed(leases: Leases) -> None:
    lease, _ = leases.acquire("policy", "e", 1.0, 0)
    assert leases.renew(lease, 1.0, S // 2) == (lease, "")
    assert leases.holder(S * 3 // 2 - 1).id == lease
    assert leases.holder(S * 3 // 2) is None
    assert leases.renew(lease, 1.0, S * 3 // 2)[0] == 0


def test_id_never_matches_when_the_gate_was_restarted() -> None:
    old, _ = Leases(7, 10.0).acquire("policy", "e", 1.0, 0)
    again = Leases(8, 10.0)
    again.acquire("policy", "e", 1.0, 0)
    assert again.renew(old, 1.0, 0)[0] == 0 and again.release(old, 0)[0] == 0


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 11.0, float("nan"), float("inf")])
def test_lease_is_refused_when_its_length_is_no_length(leases: Leases, duration_s: float) -> None:
    assert leases.acquire("policy", "e", duration_s, 0)[0] == 0


def test_lease_is_refused_when_the_source_is_unknown(leases: Leases) -> None:
    assert "unknown source" in leases.acquire("learner", "e", 1.0, 0)[1]


def test_released_arm_is_nobodys(leases: Leases) -> None:
    lease, _ = leases.acquire("teleop", "", 1.0, 0)
    assert leases.release(lease, 0) == (lease, "") and leases.holder(0) is None


ACTS = st.lists(
    st.tuples(st.sampled_from(["teleop", "motion", "policy", "release", "renew", "stop"]), st.floats(0.0, 2.0)),
    max_size=30,
)


@given(ACTS)
def test_operator_is_lost_exactly_when_their_newest_lease_ran_out(acts: list[tuple[str, float]]) -> None:
    leases, now_ns, number = Leases(boot_id=7, longest_s=10.0), 0, 0
    theirs, until_ns, is_lost = 0, 0, False
    for act, after_s in acts:
        now_ns += round(after_s * S)
        if theirs and now_ns >= until_ns:
            theirs, is_lost = 0, True
        if act in PRIORITY:
            got, _ = leases.acquire(act, "", 1.0, now_ns)
            number = got or number
            if act == "teleop":
                theirs, until_ns, is_lost = got, now_ns + S, False
        elif act == "release":
            theirs = 0 if leases.release(number, now_ns)[0] == theirs else theirs
        elif act == "renew":
            until_ns = now_ns + S if leases.renew(number, 1.0, now_ns)[0] == theirs else until_ns
        else:
            leases.end(now_ns)
            theirs = 0
        leases.holder(now_ns)
        assert leases.operator_lost == is_lost
