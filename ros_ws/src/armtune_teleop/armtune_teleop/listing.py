"""What `armtune teleop --list` says of one configured device: is it there, and what do its axes read."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import topics

from .devices import OPENERS, Gone
from .settings import TeleopParams
from .table import MOTIONS

HEARD = {
    "joy": f"heard on {topics.JOY}",
    "keyboard": "this terminal, by `armtune teleop`",
    "web": "a page in the browser, http://{host}:{port}/",
    "leader": f"heard on {topics.LEADER} and {topics.JOY}",
    "pose": f"heard on {topics.POSE} and {topics.JOY}",
}


@dataclass(frozen=True)
class Found:
    """One device of the configs: whether it is there, and its live axes as the table reads them."""

    name: str
    kind: str
    state: str
    axes: str = ""


def look(name: str, params: TeleopParams) -> Found:
    """Open a device that is read directly, read it once, and let go of it."""
    if params.kind not in OPENERS:
        return Found(name, params.kind, HEARD[params.kind].format(host=params.host, port=params.port))
    try:
        device = OPENERS[params.kind](params)
    except Gone as why:
        return Found(name, params.kind, f"not there: {why}")
    try:
        wish = params.table.read(device.poll() or {})
    except (Gone, ValueError) as why:
        return Found(name, params.kind, f"not readable: {why}")
    finally:
        device.close()
    moved = " ".join(f"{axis} {value:+.2f}" for axis, value in zip(MOTIONS, wish.motion.tolist()))
    return Found(name, params.kind, "plugged in", f"{moved} [{' '.join(sorted(wish.actions))}]")
