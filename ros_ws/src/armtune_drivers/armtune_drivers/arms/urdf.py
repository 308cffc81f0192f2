"""Joint limits out of a robot description, which comes over the network: data, never more. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

_MOST_BYTES = 4_000_000


class Limit(NamedTuple):
    """Of one joint: positions and speed [rad, rad/s; m, m/s]."""

    low: float
    high: float
    speed: float


def limits_of(urdf: str, joints: Sequence[str]) -> tuple[Limit, ...]:
    """Return the limits of these joints, in this order.

    Raises:
        ValueError: when it is no URDF, or a joint is missing, has no limit or one that is no number.
    """
    if len(urdf) > _MOST_BYTES or "<!DOCTYPE" in urdf or "<!ENTITY" in urdf:
        raise ValueError("robot_description: expected a plain URDF below 4 MB")
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as why:
        raise ValueError(f"robot_description: not XML: {why}") from None
    found = {joint.get("name"): joint.find("limit") for joint in root.iter("joint") if joint.get("type")}
    return tuple(_limit(name, found.get(name)) for name in joints)


def _limit(name: str, limit: ElementTree.Element | None) -> Limit:
    if limit is None:
        raise ValueError(f"robot_description: no limit of joint {name}; give it lower, upper and velocity")
    try:
        made = Limit(*(float(limit.get(key, "nan")) for key in ("lower", "upper", "velocity")))
    except ValueError:
        made = Limit(math.nan, math.nan, math.nan)
    if not (all(map(math.isfinite, made)) and made.low < made.high and made.speed > 0.0):
        raise ValueError(f"robot_description: limit of joint {name} is {dict(limit.attrib)}; expected finite numbers")
    return made
