"""Who holds the arm."""

from __future__ import annotations

import pytest

from armtune_safety.leases import Leases

S = 10**9


@pytest.fixture
def leases() -> Leases:
    return Leases(boot_id=7, longest_s=10.0)


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
