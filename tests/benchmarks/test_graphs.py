"""The benchmarks of the node graph still meet what gate and policy ask of the other ends of the wire."""

from __future__ import annotations

import pytest

from benchmarks import gate, latency


@pytest.mark.slow
def test_proposals_become_setpoints_when_the_gate_is_measured() -> None:
    found = gate.main(["--seconds", "2"])
    assert found["ticks"] > 100 and found["proposals"] > 2


@pytest.mark.slow
def test_pictures_become_setpoints_when_the_whole_path_is_measured() -> None:
    assert latency.main(["--seconds", "3"])["steps"] > 2
