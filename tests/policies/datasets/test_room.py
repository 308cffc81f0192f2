"""How much memory a file may ask for."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from armtune_policies.datasets import room
from armtune_policies.store.errors import BadData

GB = 10**9

pytestmark = pytest.mark.fault("F58")


@pytest.mark.parametrize(
    ("size", "available_kb", "claimed", "says"),
    [
        (1000, 8_000_000, 1 << 28, ""),
        (1000, 8_000_000, (1 << 28) + 1, "in a file of its size"),
        (GB, 8_000_000, 4 * GB, ""),
        (GB, 8_000_000, 5 * GB, "half of the free memory, 4096000000 bytes"),
        (1000, 1_000, 600_000, "half of the free memory, 512000 bytes"),
        (GB, None, 200 * GB, ""),
    ],
)
def test_a_claim_is_bounded_by_the_file_and_by_the_memory_there_is(
    size: int, available_kb: int | None, claimed: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MEMORY", tmp_path / "meminfo")
    if available_kb is not None:
        (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:  {available_kb} kB\n")
    (tmp_path / "x").touch()
    os.truncate(tmp_path / "x", size)
    with pytest.raises(BadData, match=says) if says else nullcontext():
        room.check_room(claimed, tmp_path / "x", "rows")
