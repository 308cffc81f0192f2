"""What one observation and one proposal mean: names, units, bounds, rate and a digest.

The digest travels with weights, recordings and every proposal; a mismatch is refused at
the gate instead of being reinterpreted by position.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

from .digest import digest

MAX_LINEAR_M_S = 0.25
MAX_ANGULAR_RAD_S = 1.25
MIN_RATE_HZ = 5.0

STATE_NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
STATE_UNITS = ("m", "m", "m", "rad", "rad", "rad", "1")


@dataclass(frozen=True)
class ActionSpec:
    """What a ``tool_delta`` proposal means, over one control period.

    ``p_target = p_ref + dp`` [m] and ``R_target = exp(dr) R_ref`` [rad], both in
    ``base_link``; the gripper is an absolute opening, 0 closed to 1 open. Bounds are
    rates times the period, so a slower policy may move further in one step.
    """

    rate_hz: float = MIN_RATE_HZ

    def __post_init__(self) -> None:
        if not MIN_RATE_HZ <= self.rate_hz <= 50.0:
            raise ValueError(f"rate_hz: expected a number in [{MIN_RATE_HZ}, 50], got {self.rate_hz}")

    @property
    def names(self) -> tuple[str, ...]:
        return ("dx", "dy", "dz", "drx", "dry", "drz", "gripper")

    @property
    def units(self) -> tuple[str, ...]:
        return STATE_UNITS

    @property
    def period_s(self) -> float:
        return 1.0 / self.rate_hz

    @property
    def high(self) -> tuple[float, ...]:
        """Upper bounds per period: metres, radians, opening; shape (7,)."""
        linear_m, angular_rad = MAX_LINEAR_M_S / self.rate_hz, MAX_ANGULAR_RAD_S / self.rate_hz
        return (linear_m,) * 3 + (angular_rad,) * 3 + (1.0,)

    @property
    def low(self) -> tuple[float, ...]:
        """Lower bounds per period: metres, radians, opening; shape (7,)."""
        return (*(-h for h in self.high[:6]), 0.0)

    @property
    def half_range(self) -> tuple[float, ...]:
        """Half of what lies between the bounds, shape (7,)."""
        return tuple((high - low) / 2 for low, high in zip(self.low, self.high))

    @cached_property
    def digest(self) -> str:
        rows = [list(row) for row in zip(self.names, self.units, self.low, self.high)]
        return digest({"kind": "tool_delta", "frame": "base_link", "rows": rows, "rate_hz": self.rate_hz})


@dataclass(frozen=True)
class ObservationSpec:
    """What a policy sees: images at policy size, and the tool's state.

    ``observation.state`` is tool position [m], rotation vector [rad] (both ``tool0`` in
    ``base_link``) and gripper opening 0..1; shape (7,). Images are rgb8, uint8, (H, W, 3).
    """

    cameras: tuple[str, ...] = ("front",)
    height_px: int = 96
    width_px: int = 96

    def __post_init__(self) -> None:
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras: expected distinct names, got {self.cameras}")
        if not (16 <= self.height_px <= 512 and 16 <= self.width_px <= 512):
            raise ValueError(f"image size: expected 16 to 512 pixels a side, got {self.height_px}x{self.width_px}")

    @cached_property
    def digest(self) -> str:
        return digest({**asdict(self), "cameras": list(self.cameras), "state": list(zip(STATE_NAMES, STATE_UNITS))})


def contract_digest(action: ActionSpec, observation: ObservationSpec) -> str:
    """The one digest a model's manifest quotes: what goes in and what comes out."""
    return digest({"action": action.digest, "observation": observation.digest})
