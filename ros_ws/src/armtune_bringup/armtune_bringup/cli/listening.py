"""What the measuring commands hear of a running graph: a camera's pictures, the joints."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armtune_policies.contract import ConfigError
from armtune_policies.store.pictures import read_picture

from .stack import connected

if TYPE_CHECKING:
    from armtune_bringup.watching_node import Joints

WAIT_S, DAY_S = 10.0, 86_400.0


def listen(
    camera: str, robot: str, seconds: float, enough: Callable[[], bool] = lambda: False, **told: Callable[..., None]
) -> None:
    """Hear a running graph for a while (0: until enough)."""
    with connected(robot, shares_memory=True) as client:
        robot = client.robot
    from armtune_bringup.watching_node import WatchingClient

    with WatchingClient(robot) as watching:
        for name, work in told.items():
            setattr(watching, name, work)
        watching.watch(camera)
        end_s = time.monotonic() + seconds if seconds else float("inf")
        watching.until(lambda: enough() or time.monotonic() > end_s, "enough views", max(2 * seconds, DAY_S))


def picture_of(file: Path | None, camera: str, robot: str) -> Any:
    """Return a picture of a file, or the newest one of a running graph; uint8 rgb (H, W, 3)."""
    if file is not None:
        try:
            return read_picture(file)
        except (ValueError, OSError) as why:
            raise ConfigError(f"{file}: not a picture that can be read ({why})") from None
    seen: list[Any] = []
    listen(camera, robot, WAIT_S, lambda: bool(seen), on_picture=lambda _, picture: seen.append(picture))
    if not seen:
        raise ConfigError(f"camera {camera!r}: no picture within {WAIT_S:g} s; see `armtune status`")
    return seen[-1]


def joints_of(robot: str) -> Joints:
    """Return a joint state of a running graph."""
    heard: list[Joints] = []
    listen("", robot, WAIT_S, lambda: bool(heard), on_joints=heard.append)
    if not heard:
        raise ConfigError(f"no joint states within {WAIT_S:g} s; see `armtune status`")
    return heard[-1]
