"""Which head a run had learnt by then."""

from __future__ import annotations

from pathlib import Path

from armtune_bringup.study.practised import standing
from armtune_policies.store.manifest import MANIFEST
from fixtures.untrained import write_episode


def test_a_mark_has_the_newest_head_of_the_episodes_that_pass_it(tmp_path: Path) -> None:
    for number in range(4):
        write_episode(tmp_path, f"run-{number:05d}", steps=5)
    for number in (1, 3):  # of the second episode nothing was learnt, and the fourth is not paid for
        head = tmp_path / "models" / f"head-{number:04d}"
        head.mkdir(parents=True)
        (head / MANIFEST).write_text("{}")
    (tmp_path / "models" / "head-0004").mkdir()  # cut short
    names = [(steps, head.name) for steps, head in standing(tmp_path, [20, 3, 9, 1000])]
    assert names == [(5, "head-0001"), (10, "head-0001"), (20, "head-0003")]
