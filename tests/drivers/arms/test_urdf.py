"""Limits out of a robot description."""

from __future__ import annotations

import pytest

from armtune_drivers.arms.urdf import Limit, limits_of

pytestmark = pytest.mark.unhurried

URDF = """<robot name="x">
  <joint name="a" type="revolute"><limit lower="-1" upper="2.5" velocity="3" effort="1"/></joint>
  <joint name="b" type="prismatic"><limit lower="0.015" upper="0.037" velocity="{v}"/></joint>
  <joint name="c" type="fixed"/><transmission><joint name="a"/></transmission>
</robot>"""


def test_limits_come_in_the_order_asked_for() -> None:
    assert limits_of(URDF.format(v=1), ["b", "a"]) == (Limit(0.015, 0.037, 1.0), Limit(-1.0, 2.5, 3.0))


@pytest.mark.parametrize(
    ("urdf", "says"),
    [
        (URDF.format(v="nan"), "limit of joint b is"),
        (URDF.format(v="fast"), "limit of joint b is"),
        (URDF.format(v=0), "limit of joint b is"),
        (URDF.format(v=1).replace('"b"', '"d"'), "no limit of joint b"),
        ("<robot>", "not XML"),
        ("<!DOCTYPE x [<!ENTITY a 'aa'>]><robot/>", "expected a plain URDF"),
    ],
)
def test_description_without_sound_limits_is_refused(urdf: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        limits_of(urdf, ["a", "b"])
