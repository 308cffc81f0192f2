"""What the machine itself says: disk and temperatures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psutil


def machine(folder: Path) -> dict[str, Any]:
    """Return free space where runs are kept [MB] and temperatures [degrees Celsius] by sensor, where there are any."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    disk = shutil.disk_usage(there)
    read: dict[str, Any] = getattr(psutil, "sensors_temperatures", dict)()
    hot = {f"{chip} {s.label or i}".strip(): s.current for chip, all_of in read.items() for i, s in enumerate(all_of)}
    return {
        "disk": {"free_mb": disk.free // 1_000_000, "total_mb": disk.total // 1_000_000},
        "temperatures": hot,
        "load": round(psutil.getloadavg()[0], 2),
    }
