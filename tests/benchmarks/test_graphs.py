"""The benchmarks of the node graph still meet what gate and policy ask of the other ends of the wire."""

from __future__ import annotations

import pytest

from benchmarks import gate, latency, teleop


@pytest.mark.slow
def test_proposals_become_setpoints_when_the_gate_is_measured() -> None:
    found = gate.main(["--seconds", "2"])
    assert found["ticks"] > 100 and found["proposals"] > 2


@pytest.mark.slow
def test_pictures_become_setpoints_when_the_whole_path_is_measured() -> None:
    assert latency.main(["--seconds", "3"])["steps"] > 2


@pytest.mark.slow
def test_pushes_become_setpoints_when_the_way_of_a_hand_is_measured() -> None:
    found = teleop.main(["--pushes", "3", "--rates-hz", "20"])
    assert 0.0 < found["at_20_hz_after_tick_p50_ms"] < found["at_20_hz_p99_ms"] < 2000.0
