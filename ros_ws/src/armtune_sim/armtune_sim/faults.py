"""Every fault that can be injected, as a table: name -> which messages it damages, and how. Pure.

A damage gets one message, duck-typed as ROS has it, and returns what is sent instead: pairs of
how much later [s] and which message. It may change the message it was given.
"""

from __future__ import annotations

import array
import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from armtune_policies.contract import ConfigError

IMAGE, INFO, JOINTS, PROPOSAL, CLOCK, ARM = "image", "camera_info", "joint_states", "proposal", "clock", "arm"
Sends = list[tuple[float, Any]]


@dataclass
class Switched:
    """One fault switched on for one topic: how much, how many messages ago, and what it keeps of them."""

    value: float
    count: int = 0
    kept: Any = None


Damage = Callable[[Any, Switched], Sends]


@dataclass(frozen=True)
class Fault:
    """A row of the table. ``value`` 0 stands for ``default``; the range is part of the table."""

    doc: str
    damages: Mapping[str, Damage]
    meaning: str = ""
    default: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def value(self, name: str, asked: float) -> float:
        """Return the value in force.

        Raises:
            ConfigError: when there is none, or it is outside the range; NaN is.
        """
        if asked == 0.0:
            return self.default
        if not self.meaning:
            raise ConfigError(f"{name}: expected no value, got {asked:g}")
        if not self.low <= asked <= self.high:
            raise ConfigError(f"{name}: expected {self.meaning} in [{self.low:g}, {self.high:g}], got {asked:g}")
        return asked


def _nothing(message: Any, on: Switched) -> Sends:
    return []


# -- cameras -----------------------------------------------------------------------------


def _freeze_image(image: Any, on: Switched) -> Sends:
    """The first frame goes on coming, each under the stamp of the one it replaces."""
    on.kept = image.data if on.kept is None else on.kept
    image.data = on.kept
    return [(0.0, image)]


def _black(image: Any, on: Switched) -> Sends:
    image.data = array.array("B", bytes(len(image.data)))
    return [(0.0, image)]


def _shift_picture(image: Any, on: Switched) -> Sends:
    """What a camera that was turned a little sees: everything further to the right; its left edge is drawn out."""
    by = min(round(on.value), image.width - 1)
    if by > 0 and len(image.data) == image.height * image.width * 3:
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        pixels = np.pad(pixels[:, :-by], ((0, 0), (by, 0), (0, 0)), mode="edge")
        image.data = array.array("B", pixels.tobytes())
    return [(0.0, image)]


def _cut_short(image: Any) -> None:
    image.data = image.data[: len(image.data) // 2]


def _one_byte_more(image: Any) -> None:
    image.data = image.data + array.array("B", b"\0")


def _without_data(image: Any) -> None:
    image.data = array.array("B")


def _without_size(image: Any) -> None:
    image.height = image.width = image.step = 0


def _huge(image: Any) -> None:
    image.height = image.width = 2**31


CORRUPTIONS: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("cut short", _cut_short),
    ("a byte too many", _one_byte_more),
    ("no data", _without_data),
    ("no size", _without_size),
    ("another height", lambda m: setattr(m, "height", m.height + 1)),
    ("another width", lambda m: setattr(m, "width", max(0, m.width - 1))),
    ("a row of another length", lambda m: setattr(m, "step", m.step + 1)),
    ("a huge size", _huge),
    ("an unknown encoding", lambda m: setattr(m, "encoding", "rgb7")),
    ("no encoding", lambda m: setattr(m, "encoding", "")),
)


def _corrupt(image: Any, on: Switched) -> Sends:
    """One kind of damage, or one after the other."""
    kind = int(on.value) - 1 if on.value else on.count % len(CORRUPTIONS)
    CORRUPTIONS[kind][1](image)
    return [(0.0, image)]


def _shift(stamp: Any, by_s: float) -> None:
    """Move a stamp, not before 0."""
    total_ns = max(0, stamp.sec * 1_000_000_000 + stamp.nanosec + round(by_s * 1e9))
    stamp.sec, stamp.nanosec = divmod(total_ns, 1_000_000_000)


def _shift_header(message: Any, on: Switched) -> Sends:
    _shift(message.header.stamp, on.value)
    return [(0.0, message)]


# -- joints ------------------------------------------------------------------------------

_PER_JOINT = ("name", "position", "velocity", "effort")


def _freeze_joints(joints: Any, on: Switched) -> Sends:
    """Fresh stamps on positions that no longer change."""
    on.kept = on.kept or copy.deepcopy((joints.position, joints.velocity))
    joints.position, joints.velocity = on.kept
    return [(0.0, joints)]


def _nan_joint(joints: Any, on: Switched) -> Sends:
    joints.position[(int(on.value) - 1) % max(1, len(joints.position))] = math.nan
    return [(0.0, joints)]


def _drop_joint(joints: Any, on: Switched) -> Sends:
    i = (int(on.value) - 1) % max(1, len(joints.name))
    for part in _PER_JOINT:
        values = list(getattr(joints, part))
        setattr(joints, part, values[:i] + values[i + 1 :])
    return [(0.0, joints)]


def _shuffle_joints(joints: Any, on: Switched) -> Sends:
    """Another order every time, numbers with their names: it must work."""
    for part in _PER_JOINT:
        values = list(getattr(joints, part))
        turn = on.count % max(1, len(values))
        setattr(joints, part, (values[turn:] + values[:turn])[::-1])
    return [(0.0, joints)]


# -- proposals ---------------------------------------------------------------------------


def _nan_value(proposal: Any, on: Switched) -> Sends:
    proposal.values[(int(on.value) - 1) % max(1, len(proposal.values))] = math.nan
    return [(0.0, proposal)]


def _huge_values(proposal: Any, on: Switched) -> Sends:
    proposal.values = [math.copysign(on.value, value) for value in proposal.values]
    return [(0.0, proposal)]


def _slow(proposal: Any, on: Switched) -> Sends:
    return [(on.value, proposal)]


def _repeat(proposal: Any, on: Switched) -> Sends:
    return [(0.0, proposal)] * int(on.value)


def _reorder(proposal: Any, on: Switched) -> Sends:
    """Each is followed by one that is older: nothing is missing, in lockstep either."""
    before, on.kept = on.kept, copy.deepcopy(proposal)
    return [(0.0, proposal)] + ([(0.0, before)] if before is not None else [])


def _future_observation(proposal: Any, on: Switched) -> Sends:
    _shift(proposal.stamp, on.value)
    _shift(proposal.observation_stamp, on.value)
    return [(0.0, proposal)]


def _wrong_spec(proposal: Any, on: Switched) -> Sends:
    proposal.spec_digest = "f" * max(1, len(proposal.spec_digest))
    return [(0.0, proposal)]


# -- the clock ---------------------------------------------------------------------------


def _clock_back(clock: Any, on: Switched) -> Sends:
    _shift(clock.clock, -on.value)
    return [(0.0, clock)]


_WHICH = {"meaning": "which element, from 1", "default": 1.0, "low": 1.0, "high": 16.0}
_AHEAD = {"meaning": "seconds ahead", "default": 10.0, "low": -3600.0, "high": 3600.0}

FAULTS: Mapping[str, Fault] = {
    "camera.stall": Fault("frames no longer come", {IMAGE: _nothing, INFO: _nothing}),
    "camera.freeze": Fault("the same picture goes on coming, freshly stamped", {IMAGE: _freeze_image}),
    "camera.corrupt": Fault(
        "frames that are no frames: cut, of another size or encoding",
        {IMAGE: _corrupt},
        meaning="which kind of damage; without it one after the other",
        low=1.0,
        high=float(len(CORRUPTIONS)),
    ),
    "camera.black": Fault("all black", {IMAGE: _black}),
    "camera.shift": Fault(
        "all that is seen is further to the right, as when somebody bumps the camera",
        {IMAGE: _shift_picture},
        meaning="pixels",
        default=10.0,
        low=1.0,
        high=200.0,
    ),
    "camera.future": Fault(
        "frames stamped in the future",
        {IMAGE: _shift_header, INFO: _shift_header},
        **_AHEAD,  # type: ignore[arg-type]
    ),
    "joints.stall": Fault("joint states no longer come", {JOINTS: _nothing}),
    "joints.freeze": Fault("positions stand still, freshly stamped", {JOINTS: _freeze_joints}),
    "joints.nan": Fault("a position that is not a number", {JOINTS: _nan_joint}, **_WHICH),  # type: ignore[arg-type]
    "joints.drop_name": Fault("a joint is missing", {JOINTS: _drop_joint}, **_WHICH),  # type: ignore[arg-type]
    "joints.shuffle": Fault("joints in another order, which must work", {JOINTS: _shuffle_joints}),
    "policy.stall": Fault("proposals no longer come", {PROPOSAL: _nothing}),
    "policy.nan": Fault("a value that is not a number", {PROPOSAL: _nan_value}, **_WHICH),  # type: ignore[arg-type]
    "policy.huge": Fault(
        "every value is this large", {PROPOSAL: _huge_values}, "size of each value", 10.0, low=1.0, high=1e300
    ),
    "policy.slow": Fault("proposals come late", {PROPOSAL: _slow}, "seconds late", 0.5, low=0.001, high=10.0),
    "policy.repeat": Fault("each proposal comes again", {PROPOSAL: _repeat}, "times in all", 2.0, low=2.0, high=100.0),
    "policy.reorder": Fault("each proposal is followed by an older one", {PROPOSAL: _reorder}),
    "policy.future": Fault(
        "proposals for an observation in the future",
        {PROPOSAL: _future_observation},
        **_AHEAD,  # type: ignore[arg-type]
    ),
    "policy.wrong_spec": Fault("proposals for another action spec", {PROPOSAL: _wrong_spec}),
    "clock.stop": Fault("simulated time is no longer said", {CLOCK: _nothing}),
    "clock.back": Fault("simulated time goes back", {CLOCK: _clock_back}, "seconds back", 10.0, low=0.01, high=3600.0),
    "arm.wall": Fault(
        "something solid in the arm's way",
        {ARM: _nothing},
        meaning="metres from the tool along base x; without it just ahead in its direction of motion",
        low=0.02,
        high=0.5,
    ),
}


def known(name: str) -> Fault:
    """Return a fault by its name.

    Raises:
        ConfigError: naming all there are.
    """
    if name not in FAULTS:
        raise ConfigError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
    return FAULTS[name]


@dataclass
class Injector:
    """Which faults are on, and what becomes of a message under them."""

    on: dict[str, float] = field(default_factory=dict)
    _switched: dict[tuple[str, str], Switched] = field(default_factory=dict)

    def switch(self, name: str, on: bool, value: float = 0.0) -> float:
        """Switch a fault on (anew, if it is on) or off; return the value in force.

        Raises:
            ConfigError: for an unknown name or a value outside its range; nothing changes then.
        """
        fault = known(name)
        value = fault.value(name, value)
        self._switched = {key: state for key, state in self._switched.items() if key[0] != name}
        if on:
            self.on[name] = value
        else:
            self.on.pop(name, None)
        return value

    def touches(self, kind: str) -> bool:
        """Whether messages of a kind are damaged now."""
        return any(kind in FAULTS[name].damages for name in self.on)

    def damage(self, kind: str, topic: str, message: Any) -> Sends:
        """Return what is sent in place of a message, after all faults that are on, in the order of the table."""
        sends: Sends = [(0.0, message)]
        for name, fault in FAULTS.items():
            if name in self.on and kind in fault.damages:
                state = self._switched.setdefault((name, topic), Switched(self.on[name]))
                sends = [(later + more, m) for later, sent in sends for more, m in fault.damages[kind](sent, state)]
                state.count += 1
        return sends
