"""The benchmarks of the node graph still meet what gate and policy ask of the other ends of the wire."""

from __future__ import annotations

import pytest

from benchmarks import console, gate, latency, load, teleop


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


@pytest.mark.slow
def test_viewers_get_pictures_and_a_frozen_tab_none_when_they_are_measured() -> None:
    found = console.main(["viewers=2", "seconds=3"])
    assert found["frames"] > 2 and found["frozen_bytes"] == 0 and found["console_rss_mb"] > 0
    for beside in ("alone", "viewers"):
        assert found[f"jitter_p999_ms_{beside}"] > 0.0 and 150.0 < found[f"step_p50_ms_{beside}"] < 250.0


@pytest.mark.slow
def test_learner_learns_all_the_while_when_the_gate_beside_it_is_measured() -> None:
    found = load.main(["seconds=3", "episodes=2", "agent.critics=2"])
    assert found["updates"] > 0 and found["jitter_p999_ms_off"] > 0.0
    assert 150.0 < found["step_p50_ms_learning"] < 250.0


def test_step_that_was_not_heard_is_no_long_one() -> None:
    stamps = [(round(1e9 + number * 0.2e9), number) for number in range(60) if number != 40]
    found = gate.periods({"steps": stamps})
    assert found["step_max_ms"] == found["step_p50_ms"] == pytest.approx(200.0) and found["steps"] > 20


def test_growth_is_of_what_runs_and_not_of_its_start_or_of_one_reading() -> None:
    started = [*range(50), *[100.0] * 150]
    assert console.growth(started) == 0.0 and console.growth([*started, 300.0]) == 0.0
    assert console.growth([float(n) for n in range(200)]) == pytest.approx(80.0)
    assert console.growth([5.0]) == 0.0
