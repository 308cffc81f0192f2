from __future__ import annotations

import dataclasses

import pytest

from armtune_policies.contract import ActionSpec, ObservationSpec, contract_digest


def test_bounds_are_rates_times_the_period() -> None:
    assert ActionSpec(rate_hz=5.0).high == (0.05, 0.05, 0.05, 0.25, 0.25, 0.25, 1.0)
    assert ActionSpec(rate_hz=10.0).low == (-0.025, -0.025, -0.025, -0.125, -0.125, -0.125, 0.0)


@pytest.mark.parametrize("rate_hz", [4.99, 0.0, float("nan"), 51.0])
def test_a_rate_outside_bounds_is_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="rate_hz: expected"):
        ActionSpec(rate_hz=rate_hz)


def test_any_change_of_meaning_changes_the_digest() -> None:
    seen = {ObservationSpec().digest, ActionSpec().digest, ActionSpec(rate_hz=10.0).digest}
    for change in ({"cameras": ("wrist",)}, {"height_px": 64}, {"width_px": 64}):
        seen.add(dataclasses.replace(ObservationSpec(), **change).digest)
    assert len(seen) == 6
    assert contract_digest(ActionSpec(), ObservationSpec()) == contract_digest(ActionSpec(), ObservationSpec())


def test_an_observation_without_distinct_cameras_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct names"):
        ObservationSpec(cameras=("front", "front"))
