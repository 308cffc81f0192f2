"""Whether who was asked to practise is still the one that practises."""

from __future__ import annotations

import pytest

from armtune_bringup.lives import Lives
from armtune_interfaces.msg import EpisodeState


@pytest.mark.parametrize(
    ("phases", "is_another"),
    [
        (["idle"], False),  # not begun yet
        (["finished", "homing", "ready", "acting", "finished"], False),
        (["idle", "homing", "acting", "idle"], True),
    ],
)
def test_an_idle_node_after_a_busy_one_is_another(phases: list[str], is_another: bool) -> None:
    lives = Lives()
    for phase in phases:
        lives.heard(EpisodeState(phase=phase))
    assert bool(lives.why) is is_another
