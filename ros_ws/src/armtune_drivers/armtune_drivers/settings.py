"""Settings of the cameras: one group describes all cameras of a robot."""

from __future__ import annotations

from dataclasses import dataclass

from armtune_policies.contract import Checked, ConfigError, choice, num, text

SOURCES = ("sim", "files", "video", "uvc")


@dataclass(frozen=True, kw_only=True)
class CameraParams(Checked):
    """The cameras of one robot: names, full size, rate, and where frames come from.

    ``sim`` means that ``sim_node`` publishes them; otherwise one ``camera_node`` runs per
    name and reads the path of the same place in ``paths``.
    """

    names: tuple[str, ...] = text(("front",), doc="names as in topics and datasets")
    width_px: int = num(640, low=16, high=4096, doc="width of a frame as published")
    height_px: int = num(480, low=16, high=4096, doc="height of a frame as published")
    rate_hz: float = num(30.0, low=1.0, high=120.0, doc="frames per second")
    source: str = choice("sim", of=SOURCES, doc="who makes the frames")
    paths: tuple[str, ...] = text((), doc="one folder, video file or /dev/video* per name; none for sim")
    loop: bool = text(True, doc="files and video: start again at the end")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.names or len(set(self.names)) != len(self.names):
            raise ConfigError(f"names: expected distinct camera names, got {self.names}")
        if self.source != "sim" and len(self.paths) != len(self.names):
            raise ConfigError(
                f"paths: expected one per camera ({len(self.names)}) for source {self.source}, got {len(self.paths)}"
            )

    def path_of(self, name: str) -> str:
        """Return the path of one camera.

        Raises:
            ConfigError: when there is no such camera, naming those there are.
        """
        if name not in self.names:
            raise ConfigError(f"camera {name!r} is not in this robot's list; known: {', '.join(self.names)}")
        return self.paths[self.names.index(name)] if self.paths else ""


@dataclass(frozen=True, kw_only=True)
class CameraNodeParams(Checked):
    """What one ``camera_node`` is told: the cameras, and which of them it is."""

    camera: CameraParams
    name: str = text("front", doc="the one this node reads")
