"""The ladder of modes and the order of sources: words every node shares."""

from __future__ import annotations

from enum import IntEnum


class Mode(IntEnum):
    """How far the gate lets the arm go; the highest active one wins."""

    RUN = 0
    SLOW = 1
    HOLD = 2
    STOP = 3


class Kind(IntEnum):
    """How the numbers of a proposal are read."""

    TOOL_DELTA = 0
    JOINT_TARGET = 1


class Verdict(IntEnum):
    """What the reward says of one observation; unknown is neither no nor zero."""

    UNKNOWN = 0
    NO = 1
    YES = 2


PRIORITY = {"policy": 0, "motion": 1, "teleop": 2}
"""Sources of proposals; a higher number takes the arm from a lower one."""
OPERATOR = "teleop"
"""The source that is a person."""
HOLD_REQUESTED, OPERATOR_LOST = "hold requested", "operator lost"
"""Reasons for HOLD that last until a person says otherwise: nothing has gone wrong meanwhile."""
WALL, SINGULAR = "pushing on the workspace", "heading into a singularity"
"""Reasons for HOLD that are the source's own doing."""
