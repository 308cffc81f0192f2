"""The doctor: each row has a level and, when not ok, something to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armtune_bringup import doctor


def test_every_row_that_is_not_ok_says_what_to_do() -> None:
    findings = doctor.examine()
    assert {"python", "ros", "onnxruntime", "rendering", "disk", "domain"} <= {row.check for row in findings}
    assert [row for row in findings if row.level != "ok" and not row.advice] == []
    assert json.loads(json.dumps(doctor.as_json(findings)))


def test_missing_back_ends_are_named_when_nothing_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "RENDER", "raise SystemExit(1)")
    (row,) = doctor.rendering()
    assert row.level == "missing" and "libegl1" in row.advice


def test_leftovers_in_shared_memory_are_reported_when_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fastrtps_1").write_bytes(b"0" * 2_000_000)
    monkeypatch.setattr(doctor, "SHM", tmp_path)
    monkeypatch.setattr(doctor, "LEFTOVER_WARN_MB", 1.0)
    (row,) = doctor.shared_memory()
    assert row.level == "warn" and "fastdds shm clean" in row.advice


def test_port_that_keeps_answers_back_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DEV", tmp_path)
    monkeypatch.setattr(doctor, "SYS_TTY", tmp_path / "sys")
    assert [row.level for row in doctor.arms()] == ["ok"]
    (tmp_path / "ttyUSB0").touch()
    timer = tmp_path / "sys/ttyUSB0/device/latency_timer"
    timer.parent.mkdir(parents=True)
    timer.write_text("16\n")
    (row,) = doctor.arms()
    assert row.level == "warn" and "16 ms" in row.found and "udev" in row.advice


def test_bad_domain_is_a_row_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "four")
    monkeypatch.setattr(doctor, "CHECKS", (doctor.domain,))
    (row,) = doctor.examine()
    assert row.level == "missing" and "expected a number from 0 to 232, got 'four'" in row.found


def test_missing_onnxruntime_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    (row,) = doctor.inference()
    assert row.level == "missing" and "pip install onnxruntime" in row.advice


@pytest.mark.parametrize(("limit", "level"), ((30, "ok"), (-1, "ok"), (40, "ok"), (29, "warn"), (0, "warn")))
def test_priority_that_the_gate_asks_for_is_looked_for(limit: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """setrlimit(2): a limit of n allows niceness down to 20 - n."""
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    assert doctor.real_time()[-1].level == level
