"""The WidowX gripper: a servo's horn pushes a finger along a rail. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Slider:
    """A crank and slider: a horn of one length on the servo, a link of another to the finger [m].

    Angle 0 has the horn across the rail. The geometry is the maker's (Interbotix,
    interbotix_xs_driver, ``convert_linear_position_to_radian`` and back). A horn of 0 stands for a
    jaw as long as the link on the servo's own shaft: the finger's place is the way of its tip.
    """

    horn_m: float
    link_m: float

    def finger_m(self, angle_rad: float) -> float:
        """Return where the finger is [m] at a servo angle [rad]."""
        if not self.horn_m:
            return angle_rad * self.link_m
        along, across = self.horn_m * math.sin(angle_rad), self.horn_m * math.cos(angle_rad)
        return along + math.sqrt(self.link_m**2 - across**2)

    def angle_rad(self, finger_m: float) -> float:
        """Return the servo angle [rad] that puts the finger at a position [m], by the cosine rule.

        Raises:
            ValueError: when horn and link do not reach there.
        """
        if not self.horn_m:
            return finger_m / self.link_m
        sine = (finger_m**2 + self.horn_m**2 - self.link_m**2) / (2.0 * finger_m * self.horn_m)
        if not -1.0 <= sine <= 1.0:
            raise ValueError(
                f"finger at {finger_m:g} m: out of reach of horn {self.horn_m:g} m, link {self.link_m:g} m"
            )
        return math.asin(sine)

    def gain_m(self, angle_rad: float) -> float:
        """Return how far the finger goes a radian there [m/rad]."""
        if not self.horn_m:
            return self.link_m
        sine, cosine = math.sin(angle_rad), math.cos(angle_rad)
        return self.horn_m * cosine + self.horn_m**2 * sine * cosine / math.sqrt(
            self.link_m**2 - (self.horn_m * cosine) ** 2
        )

    def fastest_m(self, low_rad: float, high_rad: float) -> float:
        """Return the largest gain between two angles [m/rad], by looking at 64 places."""
        return max(abs(self.gain_m(low_rad + (high_rad - low_rad) * i / 63)) for i in range(64))
