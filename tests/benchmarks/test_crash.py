"""Killed ten times at random moments, every second time with the power: nothing finished is lost, a step at most."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import crash
from benchmarks._crash_disk import cut_power


@pytest.mark.fault("F35")
@pytest.mark.slow
def test_at_most_a_step_is_lost_in_ten_kills_of_the_recorder() -> None:
    found = crash.main(["n=10"])
    assert found["n"] == 10 and found["not_started"] == 0 and found["finished"] > 0
    assert (found["episodes_lost"], found["unsaid"]) == (0, 0)
    assert found["steps_lost_max_killed"] <= 1
    assert found["steps_lost_max_power"] <= 2  # at ten steps a second, with what else the disk does


@pytest.mark.fault("F34")
def test_a_disk_whose_power_is_cut_keeps_what_was_forced_to_it(tmp_path: Path) -> None:
    folder, journal = tmp_path / "episodes", tmp_path / "journal"
    folder.mkdir()
    for name in ("a.mcap.part", "b.mcap", "c.mcap.part"):
        (folder / name).write_bytes(b"0123456789")
    inode = {path.name: path.stat().st_ino for path in folder.iterdir()}
    names = {"a.mcap.part": inode["a.mcap.part"], "b.mcap.part": inode["b.mcap"]}
    journal.write_text(
        f'{{"inode": {inode["a.mcap.part"]}, "size": 4}}\n{{"inode": {inode["b.mcap"]}, "size": 10}}\n'
        f'{{"folder": "{folder}", "names": {str(names).replace(chr(39), chr(34))}}}\n{{"inode": 1, "si'
    )
    cut_power(folder, journal)
    # unforced bytes, the unforced rename and the file whose name was never forced are gone
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"a.mcap.part": b"0123", "b.mcap.part": b"0123456789"}
    (folder / "a.mcap.part").write_bytes(b"0123456789")
    cut_power(folder, journal, is_zeroed=True)
    assert (folder / "a.mcap.part").read_bytes() == b"0123\0\0\0\0\0\0"
