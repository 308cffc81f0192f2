"""Whether this machine, and the clocks of its nodes, are fit for practice: readings in, findings out. No ROS.

What is too little, too hot or too far off keeps the arm from being armed and the next episode from beginning; an
episode that is on goes on, for whatever makes motion unsafe has a row of the gate's own table. What this machine does
not tell, as a virtual one its temperature, is not judged.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from .settings import HEARTBEAT_PERIOD_S, SupervisorParams

BEATS = 5
"""Heartbeats over which a clock is judged: by the one that was least under way, for delay makes any clock look late."""
UNKNOWN_LOOKS = 5
"""For so many looks a clock that is not known yet counts as unfit; a spare node that never starts keeps nobody out."""
COOLER_C, TWICE = 5.0, 2.0
"""A warning comes so far below the bound of heat, and below twice what is wanted free."""
NO_SENSOR = "pmic"
"""A zone whose type begins so tells a constant: 100 °C a Jetson's ``PMIC-Die``."""


class Level(IntEnum):
    """As ``DiagnosticStatus`` counts."""

    OK, WARN, BAD, UNKNOWN = 0, 1, 2, 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``text`` says how it is, and what to do where it is not well."""

    name: str
    level: Level
    text: str


class Health:
    """Looks at the system when asked to; ``heard`` keeps how far the nodes' clocks are off."""

    def __init__(self, params: SupervisorParams, system: Path = Path("/")) -> None:
        self._params, self._system, self._looks = params, system, 0
        self._off_s: dict[str, deque[float]] = {name: deque(maxlen=BEATS) for name in params.nodes}
        self._came_ns: dict[str, int] = {}

    def heard(self, node: str, stamp_ns: int, wall_ns: int, now_ns: int) -> None:
        """Note when a heartbeat was sent by its node's wall clock, and when it came by ours; ``now_ns`` is steady.

        One that comes less than half a period after the one before waited in a queue, while it was us who were
        stopped: it tells of our sleep, not of a clock. Setting either wall clock makes none look so.
        """
        before_ns, self._came_ns[node] = self._came_ns.get(node), now_ns
        waited = before_ns is not None and now_ns - before_ns < HEARTBEAT_PERIOD_S / 2 * 1e9
        if node in self._off_s and not waited:
            self._off_s[node].append((stamp_ns - wall_ns) / 1e9)

    def look(self) -> tuple[Finding, ...]:
        """Return how everything stands, in a fixed order."""
        self._looks += 1
        return tuple(self._looked())

    def _looked(self) -> Iterator[Finding]:
        p, s = self._params, self._params.safety
        if p.run_folder:
            yield _disk(p.run_folder, p.disk_floor_mb)
        if (left_mb := self._memory_mb()) is not None:
            yield _least("memory", left_mb, s.memory_floor_mb, "available; end what else runs here")
        if zones := self._zones_c():
            name, heat_c, critical_c = min(zones, key=lambda zone: zone[2] - zone[1])
            most_c = critical_c - s.heat_margin_c
            level = Level.BAD if not heat_c < most_c else Level(not heat_c < most_c - COOLER_C)
            yield Finding("heat", level, f"{name} {heat_c:.0f} °C, at most {most_c:.0f}; let the machine cool")
        if watts := self._watts():
            text = ", ".join(f"{rail} {power:.1f} W" for rail, power in watts.items())
            yield Finding("power", Level.OK, text)
        for node, off_s in self._off_s.items():
            if len(off_s) >= BEATS:
                off = max(off_s)
                level = Level.BAD if not abs(off) < s.clock_s else Level(not abs(off) < s.clock_warn_s)
                text = f"{1e3 * off:+.0f} ms off ours, at most {1e3 * s.clock_s:.0f}; synchronise them, as by chrony"
                yield Finding(f"clock of {node}", level, text)
            elif self._looks <= UNKNOWN_LOOKS:
                yield Finding(f"clock of {node}", Level.UNKNOWN, f"not known yet, {len(off_s)} of {BEATS} heartbeats")

    def _memory_mb(self) -> float | None:
        with suppress(OSError, ValueError, IndexError):
            lines = (self._system / "proc/meminfo").read_text(encoding="utf-8").splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 / 1e6
        return None

    def _zones_c(self) -> list[tuple[str, float, float]]:
        """Return each zone that ends this machine when it is too hot: type, temperature and that critical one.

        https://docs.kernel.org/driver-api/thermal/sysfs-api.html
        """
        found = []
        for zone in sorted((self._system / "sys/class/thermal").glob("thermal_zone*")):
            with suppress(OSError, ValueError):
                name, heat_c = _line(zone / "type"), int(_line(zone / "temp")) / 1e3
                kinds = [kind for kind in sorted(zone.glob("trip_point_*_type")) if _line(kind) == "critical"]
                trips_c = [int(_line(kind.with_name(f"{kind.name.removesuffix('type')}temp"))) / 1e3 for kind in kinds]
                if trips_c and min(trips_c) > 0.0 and not name.lower().startswith(NO_SENSOR):
                    found.append((name, heat_c, min(trips_c)))
        return found

    def _watts(self) -> dict[str, float]:
        """What each rail draws that is measured, as by a Jetson's INA3221: volts and amperes under one number.

        https://docs.kernel.org/hwmon/ina3221.html
        """
        found = {}
        for label in sorted((self._system / "sys/class/hwmon").glob("hwmon*/in*_label")):
            number = label.name.removeprefix("in").removesuffix("_label")
            with suppress(OSError, ValueError):
                mv, ma = (int(label.with_name(f"{kind}{number}_input").read_text()) for kind in ("in", "curr"))
                found[label.read_text(encoding="utf-8").strip()] = mv * ma / 1e6
        return found


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _disk(folder: str, floor_mb: float) -> Finding:
    try:
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError as why:
        return Finding("disk", Level.BAD, f"{folder}: {why.strerror}; begin a run anew once its disk is there")
    return _least("disk", free_mb, floor_mb, f"free for {folder}; free some space")


def _least(name: str, has: float, floor: float, what: str) -> Finding:
    level = Level.BAD if not has >= floor else Level(not has >= TWICE * floor)
    return Finding(name, level, f"{has:.0f} MB {what}, {floor:.0f} are wanted")
