"""Practice that nobody attends: a minute of what ``armtune bench unattended`` does for hours; its judge bites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from armtune_policies.contract import ConfigError
from benchmarks import unattended
from benchmarks.unattended import KINDS, configured, pieces, violations
from harness import own_domain


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_broken_or_lost_and_the_judge_would_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with own_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        found = unattended.main(["minutes=0.4", "pause_s=1", "seed=1", f"folder={tmp_path}"])
    assert found["steps"] >= 120 and found["robot_minutes"] > 0.3 and len(found["success_by_third"]) == 3
    assert found["violations"] == found["lost"] == found["broken"] == found["grew"] == []
    assert sum(found[kind] for kind in KINDS if kind in found) >= 3, "somebody was upset"
    config, log = configured(1, tmp_path, []), tmp_path / "drawer-1" / "logs" / "arm.csv"
    slow = replace(config, safety=replace(config.safety, max_linear_m_s=config.safety.max_linear_m_s / 4))
    assert any("tool" in text for text in violations(slow, log))
    assert "success_by_third" in capsys.readouterr().out


def test_a_long_log_is_judged_in_pieces_that_share_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unattended, "ROWS", 2)
    log = tmp_path / "arm.csv"
    log.write_text("head\n" + "".join(f"{row}\n" for row in range(5)))
    assert [part.read_text().split() for part in pieces(log)] == [
        ["head", "0", "1"], ["head", "1", "2", "3"], ["head", "3", "4"]
    ]  # fmt: skip


def test_a_task_that_nothing_is_shipped_for_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.folder: nothing is shipped for task bin_sort"):
        configured(0, tmp_path, ["task=bin_sort"])
