"""Three regimes by Welch's test with a margin; each with the overrides of its row in the source's table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.learn.advise import advise


def outcomes(won: int, n: int) -> list[float]:
    return [1.0] * won + [0.0] * (n - won)


@pytest.mark.parametrize(("policy", "data", "regime", "overrides"), [
    (outcomes(6, 20), outcomes(20, 20), "inferior",
     ("agent.offline_share=0.5", "agent.offline_share_end=0.5", "agent.warmup_steps=0")),
    (outcomes(20, 20), outcomes(8, 20), "superior",
     ("agent.offline_share=0", "agent.offline_share_end=0", "agent.warmup_steps=1000", "agent.penalty_online=true")),
    (outcomes(18, 20), outcomes(20, 20), "comparable",
     ("agent.offline_share=0.5", "agent.offline_share_end=0.5", "agent.warmup_steps=1000")),
    (outcomes(0, 20), outcomes(12, 12), "inferior",
     ("agent.offline_share=0.5", "agent.offline_share_end=0.5", "agent.warmup_steps=0")),
])  # fmt: skip
def test_regime_and_overrides(policy: list[float], data: list[float], regime: str, overrides: tuple[str, ...]) -> None:
    found = advise(policy, data, practice_steps=10_000)
    assert (found.regime, found.overrides) == (regime, overrides)
    assert (found.policy_n, found.data_n) == (len(policy), len(data)) and found.why


def test_p_is_welchs_by_hand() -> None:
    a, b = np.array([0.9, 0.8, 1.0, 0.7]), np.array([0.2, 0.4, 0.3])
    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 3
    t = (a.mean() - b.mean() - 0.05) / np.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    x = np.linspace(t, 400, 4_000_001)  # the tail of Student's density, by the trapezoid rule
    density = (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    whole = np.linspace(-400, 400, 8_000_001)
    norm = np.trapezoid((1 + whole**2 / freedom) ** (-(freedom + 1) / 2), whole)
    assert advise(a.tolist(), b.tolist(), 1000).p_superior == pytest.approx(np.trapezoid(density, x) / norm, rel=1e-4)


@settings(max_examples=100, deadline=None)
@given(a=st.lists(st.floats(0, 1), min_size=2, max_size=30), b=st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_exchange_turns_superior_into_inferior(a: list[float], b: list[float]) -> None:
    turned = {"superior": "inferior", "inferior": "superior", "comparable": "comparable"}
    assert advise(b, a, 100).regime == turned[advise(a, b, 100).regime]


@pytest.mark.parametrize(("policy", "says"), [
    ([1.0], "policy: expected at least 2 episodes to compare, got 1"),
    ([1.0, -7.0], r"policy: expected returns in 0..1, got -7 to 1"),
    ([1.0, float("nan")], r"policy: expected returns in 0..1, got nan"),
])  # fmt: skip
def test_returns_that_will_not_do_are_refused(policy: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        advise(policy, [0.0, 1.0], 100)
