"""The doctor: each row has a level and, when not ok, something to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from armtune_bringup import doctor
from armtune_bringup.environment import profile


def test_every_row_that_is_not_ok_says_what_to_do() -> None:
    findings = doctor.examine()
    assert {"python", "ros", "onnxruntime", "rendering", "disk", "domain"} <= {row.check for row in findings}
    assert [row for row in findings if row.level != "ok" and not row.advice] == []
    assert json.loads(json.dumps(doctor.as_json(findings)))


def test_missing_back_ends_are_named_when_nothing_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "RENDER", "raise SystemExit(1)")
    (row,) = doctor.rendering()
    assert row.level == "missing" and "libegl1" in row.advice


def test_what_dead_processes_left_in_shared_memory_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SHARED", tmp_path)
    (row,) = doctor.shared_memory()
    assert "dead" not in row.found
    for name in ("fastrtps_0123456789abcdef", "fastrtps_0123456789abcdef_el"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0.0, 0.0))
    (row,) = doctor.shared_memory()
    assert "1 left by dead processes" in row.found


@pytest.mark.parametrize(("largest", "level"), ((212_992, "warn"), (4_194_304, "ok")))
def test_socket_buffers_too_small_for_pictures_are_reported(
    largest: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "RMEM_MAX", tmp_path / "rmem_max")
    assert doctor.socket_buffers()[0].level == "ok", "a container may not show it"
    doctor.RMEM_MAX.write_text(f"{largest}\n")
    (row,) = doctor.socket_buffers()
    assert row.level == level and ("net.core.rmem_max=4194304" in row.advice) == (level == "warn")
    assert f"<receiveBufferSize>{doctor.SOCKET_BUFFER}<" in profile().read_text()


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
