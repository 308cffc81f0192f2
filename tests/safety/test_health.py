"""Disk, memory, heat and clocks: what is fit, what is a warning, what keeps the arm from being armed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from gate_rig import gate_params
from hypothesis import given
from hypothesis import strategies as st

from armtune_safety.health import BEATS, UNKNOWN_LOOKS, Finding, Health, Level
from armtune_safety.settings import SupervisorParams

MS = 1_000_000


def health(system: Path, run_folder: Path | str = "", **params: object) -> Health:
    told = SupervisorParams(nodes=("policy",), safety=gate_params().safety, run_folder=str(run_folder), **params)
    return Health(told, system)


def found(one: Health, name: str) -> Finding:
    return {finding.name: finding for finding in one.look()}[name]


def hear(
    one: Health, sent_ms: float, came_ms: float, off_ms: float = 0.0, ours_off_ms: float = 0.0, node: str = "policy"
) -> None:
    """A heartbeat of a node and a supervisor whose wall clocks are so far off the steady clock of both."""
    one.heard(node, round((sent_ms + off_ms) * MS), round((came_ms + ours_off_ms) * MS), round(came_ms * MS))


Zone = tuple[str, str, dict[str, str]]
"""Type, millidegrees, and its trip points by kind."""


def system(folder: Path, memory_kb: int = 8_000_000, *zones: Zone) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable: {memory_kb} kB\n")
    for i, (kind, heat_mc, trips) in enumerate(zones):
        zone = folder / f"sys/class/thermal/thermal_zone{i}"
        zone.mkdir(parents=True)
        told = {"type": kind, "temp": heat_mc}
        for n, (trip, trip_mc) in enumerate(trips.items()):
            told |= {f"trip_point_{n}_type": trip, f"trip_point_{n}_temp": trip_mc}
        for name, text in told.items():
            (zone / name).write_text(f"{text}\n")
    return folder


@pytest.mark.fault("F33", "L11")
@pytest.mark.parametrize(("floor_mb", "level"), [(10, Level.OK), (10_000_000, Level.BAD)])
def test_disk_below_the_floor_is_bad(tmp_path: Path, floor_mb: int, level: Level) -> None:
    finding = found(health(tmp_path, tmp_path, disk_floor_mb=floor_mb), "disk")
    assert finding.level is level and f"{floor_mb} are wanted" in finding.text


@pytest.mark.parametrize(("kb", "level"), [(8_000_000, Level.OK), (300_000, Level.WARN), (100_000, Level.BAD)])
def test_memory_is_judged_by_what_is_available(tmp_path: Path, kb: int, level: Level) -> None:
    assert found(health(system(tmp_path, kb)), "memory").level is level


JETSON = {"passive": "99000", "critical": "104500"}
PMIC = ("PMIC-Die", "100000", {"critical": "120000"})


@pytest.mark.fault("L11")
@pytest.mark.parametrize(
    ("zones", "level", "says"),
    [
        ([("cpu-thermal", "60000", JETSON), PMIC], Level.OK, "cpu-thermal 60 °C, at most 100"),
        ([("cpu-thermal", "60000", JETSON), ("gpu-thermal", "96000", JETSON)], Level.WARN, "gpu-thermal 96"),
        ([("cpu-thermal", "99500", JETSON)], Level.BAD, "let the machine cool"),
        ([("a", "90000", {"critical": "125000"}), ("b", "79000", {"critical": "80000"})], Level.BAD, "b 79 °C"),
        ([("a", "x", JETSON), ("b", "50000", JETSON)], Level.OK, "b 50 °C"),
    ],
)
def test_zone_nearest_to_its_critical_heat_counts(tmp_path: Path, zones: list[Zone], level: Level, says: str) -> None:
    finding = found(health(system(tmp_path, 8_000_000, *zones)), "heat")
    assert finding.level == level and says in finding.text


def test_zone_that_ends_no_machine_is_not_judged(tmp_path: Path) -> None:
    """A desktop's package runs at 100 °C for hours and slows itself down."""
    told = system(
        tmp_path, 8_000_000, ("x86_pkg_temp", "100000", {"passive": "0"}), ("n", "99000", {"critical": "0"}), PMIC
    )
    assert "heat" not in {finding.name for finding in health(told).look()}


def test_margin_of_nothing_is_a_limit(tmp_path: Path) -> None:
    told = SupervisorParams(nodes=("policy",), safety=replace(gate_params().safety, heat_margin_c=0.0))
    assert found(Health(told, system(tmp_path, 8_000_000, ("cpu", "104500", JETSON))), "heat").level is Level.BAD


def test_what_the_machine_does_not_tell_is_not_judged(tmp_path: Path) -> None:
    assert {finding.name for finding in health(tmp_path).look()} == {"clock of policy"}


@pytest.mark.fault("F39")
def test_clock_is_unfit_until_it_is_known_for_so_many_looks_at_most(tmp_path: Path) -> None:
    one = health(tmp_path)
    for _ in range(UNKNOWN_LOOKS):
        assert found(one, "clock of policy").level is Level.UNKNOWN
    assert one.look() == (), "a spare node that never starts keeps nobody out"
    for beat in range(BEATS):
        hear(one, beat * 250, beat * 250)
    assert found(one, "clock of policy").level is Level.OK


@pytest.mark.fault("F33", "L11")
def test_folder_of_the_run_that_is_gone_is_bad(tmp_path: Path) -> None:
    finding = found(health(tmp_path, tmp_path / "gone"), "disk")
    assert finding.level is Level.BAD and "No such file" in finding.text


@pytest.mark.fault("F39")
@pytest.mark.parametrize(("off_ms", "level"), [(1, Level.OK), (-70, Level.WARN), (250, Level.BAD), (-3.6e6, Level.BAD)])
def test_clock_is_judged_by_the_heartbeat_that_was_least_under_way(tmp_path: Path, off_ms: float, level: Level) -> None:
    one = health(tmp_path)
    for beat in range(BEATS):
        assert found(one, "clock of policy") == Finding(
            "clock of policy", Level.UNKNOWN, f"not known yet, {beat} of {BEATS} heartbeats"
        )
        under_way_ms = 0 if beat == 2 else 90
        hear(one, beat * 250, beat * 250 + under_way_ms, off_ms)
        hear(one, 0, 1e6, node="stranger")
    assert found(one, "clock of policy").level is level


@pytest.mark.fault("F39", "F42")
@pytest.mark.parametrize("stopped_ms", [600, 1500, 60_000])
def test_clocks_are_well_when_the_supervisor_was_stopped_and_goes_on(tmp_path: Path, stopped_ms: int) -> None:
    one = health(tmp_path)
    for beat in range(BEATS):
        hear(one, beat * 250, beat * 250 + 1)
    last_ms = BEATS * 250
    for waited_ms in range(0, stopped_ms, 250):
        hear(one, last_ms + waited_ms, last_ms + stopped_ms + waited_ms / MS)
        assert found(one, "clock of policy").level is Level.OK


@pytest.mark.fault("F39")
@pytest.mark.parametrize("is_ours", [False, True])
@pytest.mark.parametrize("by_ms", [-250, 250])
def test_clock_that_is_set_is_found_once_newer_heartbeats_say_so(tmp_path: Path, by_ms: int, is_ours: bool) -> None:
    one = health(tmp_path)
    for beat in range(2 * BEATS):
        off_ms = by_ms * (beat >= BEATS)
        hear(one, beat * 250, beat * 250, off_ms * (not is_ours), off_ms * is_ours)
    assert found(one, "clock of policy").level is Level.BAD


SET_MS = st.integers(-3_600_000, 3_600_000)


@pytest.mark.fault("F39")
@given(st.lists(st.tuples(SET_MS, SET_MS, st.integers(0, 120)), min_size=BEATS, max_size=3 * BEATS))
def test_no_heartbeat_is_passed_over_however_either_clock_is_set(beats: list[tuple[int, int, int]]) -> None:
    one = health(Path("no system"))
    for beat, (off_ms, ours_off_ms, under_way_ms) in enumerate(beats):
        hear(one, beat * 250, beat * 250 + under_way_ms, off_ms, ours_off_ms)
    off_ms = max(theirs - ours - under_way for theirs, ours, under_way in beats[-BEATS:])
    assert found(one, "clock of policy").text.startswith(f"{off_ms:+.0f} ms off ours")


@pytest.mark.fault("F39")
@pytest.mark.parametrize("off_ms", [(10.0, -250.0), (-250.0, 10.0), (150.0, -201.0), (0.0, 250.0)])
def test_clock_that_is_furthest_off_in_either_direction_keeps_the_arm_down(
    tmp_path: Path, off_ms: tuple[float, ...]
) -> None:
    nodes = ("policy", "reward")
    one = Health(SupervisorParams(nodes=nodes, safety=gate_params().safety), tmp_path)
    for beat in range(BEATS):
        for node, ms in zip(nodes, off_ms):
            hear(one, beat * 250, beat * 250, ms, node=node)
    worst = max(one.look(), key=lambda finding: finding.level)
    assert worst.level is Level.BAD and worst.text.startswith(f"{max(off_ms, key=abs):+.0f} ms off ours")


def test_power_of_each_rail_is_told_where_it_is_measured(tmp_path: Path) -> None:
    rails = {1: ("VDD_IN", "5032", "1184"), 2: ("VDD_CPU_GPU_CV", "5032", "312"), 3: ("VDD_SOC", "5032", "")}
    chip = tmp_path / "sys/class/hwmon/hwmon3"
    chip.mkdir(parents=True)
    for number, (label, millivolts, milliamperes) in rails.items():
        (chip / f"in{number}_label").write_text(f"{label}\n")
        (chip / f"in{number}_input").write_text(f"{millivolts}\n")
        (chip / f"curr{number}_input").write_text(f"{milliamperes}\n")
    assert found(health(tmp_path), "power") == Finding("power", Level.OK, "VDD_IN 6.0 W, VDD_CPU_GPU_CV 1.6 W")
    assert "power" not in {finding.name for finding in health(tmp_path / "other").look()}
