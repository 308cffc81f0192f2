"""What a recording of someone else's robot means in ours: a YAML file that maps its keys to tool poses and deltas.

::

    rate_hz: 5.0
    sentence: {key: language_instruction}           # or {text: open the drawer}
    state:
      position: {key: observation/state, take: [0, 1, 2]}             # [m], in the robot's base
      rotation: {key: observation/state, take: [3, 4, 5], as: rpy}    # or rotvec, quat_xyzw, quat_wxyz, matrix
      opening: {key: observation/state, take: [6]}                    # 0 closed, 1 open, after scale and offset
    action:
      kind: delta                                   # or absolute (a target pose), or next_state (the pose one step on)
      position: {key: action, take: [0, 1, 2]}      # [m] over one step
      rotation: {key: action, take: [3, 4, 5], as: rpy}
      opening: {key: action, take: [6]}
    images: {front: observation/image_0}
    success: {key: reward, above: 0.5}              # may be left out

``value = scale * raw + offset``. Of a JointState in a bag ``joint: NAME`` takes one joint by its name.
Ready ones are in ``configs/dataset``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ConfigError
from armtune_policies.contract.paths import config_root
from armtune_policies.store.errors import BadData
from armtune_policies.store.files import read_yaml

Doubles = npt.NDArray[np.float64]
ROTATIONS = {"rotvec": 3, "rpy": 3, "quat_xyzw": 4, "quat_wxyz": 4, "matrix": 9}
KINDS = ("delta", "absolute", "next_state")
FRAMES = ("base", "tool")
SLACK = 0.05
"""So far an opening may be outside 0..1: fingers bend. What is further off has another scale."""
CAMERA = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Column:
    """Some numbers of one key."""

    key: str
    take: tuple[int, ...] = ()
    """Which numbers of a row; all of them when empty."""
    scale: float = 1.0
    offset: float = 0.0
    above: float | None = None
    as_: str = "rotvec"

    def of(self, arrays: Mapping[str, Any], width: int, source: str) -> Doubles:
        """Return the numbers, (T, width), scaled.

        Raises:
            BadData: when the key is missing, too narrow, or holds numbers that are not finite.
        """
        if self.key not in arrays:
            raise BadData(source, self.key, "this key", f"only {', '.join(sorted(arrays)) or 'none'}")
        try:
            rows = np.asarray(arrays[self.key], np.float64)
        except (TypeError, ValueError):
            raise BadData(source, self.key, "numbers", "something else") from None
        rows = rows.reshape(len(rows), -1)
        take = self.take or tuple(range(rows.shape[1]))
        if len(take) != width or max(take) >= rows.shape[1]:
            raise BadData(source, self.key, f"{width} numbers a row to take", f"{list(take)} of {rows.shape[1]}")
        made = rows[:, list(take)] * self.scale + self.offset
        if len(odd := np.flatnonzero(~np.isfinite(made).all(axis=1))):
            raise BadData(source, self.key, "finite numbers", f"{made[odd[0]]} in row {odd[0]}")
        return np.asarray(made)


@dataclass(frozen=True)
class Pose:
    """Where position, rotation and opening are found; what has no column is zero, an opening 1."""

    position: Column
    rotation: Column | None = None
    opening: Column | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(one for one in (self.position, self.rotation, self.opening) if one is not None)

    def of(self, arrays: Mapping[str, Any], source: str) -> tuple[Doubles, Any, Doubles]:
        """Return position (T, 3) [m], rotation (T), opening (T,) 0..1."""
        from scipy.spatial.transform import Rotation

        position = self.position.of(arrays, 3, source)
        count = len(position)
        turned = Rotation.identity(count) if self.rotation is None else _rotation(self.rotation, arrays, source)
        opening = np.ones(count) if self.opening is None else self.opening.of(arrays, 1, source)[:, 0]
        if len(turned) != count or len(opening) != count:
            raise BadData(source, self.position.key, f"{count} rows in each key", f"{len(turned)} and {len(opening)}")
        if self.opening is not None and not (opening.min() >= -SLACK and opening.max() <= 1 + SLACK):
            raise BadData(source, self.opening.key, "openings 0..1; see scale and offset",
                          f"{opening.min():.3g} to {opening.max():.3g}")  # fmt: skip
        return position, turned, np.clip(opening, 0.0, 1.0)


@dataclass(frozen=True)
class Contract:
    """What a recording means."""

    rate_hz: float
    state: Pose
    action: Pose | None
    kind: str
    frame: str = "base"
    images: Mapping[str, str] = field(default_factory=dict)
    """Key by camera."""
    sentence_key: str = ""
    sentence: str = ""
    success: Column | None = None
    max_age_s: float = 0.5
    """Of a bag: a message older than this does not count for a step."""
    text: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of numbers that is read."""
        columns = [*self.state.columns, *(self.action.columns if self.action else ())]
        return tuple(dict.fromkeys(c.key for c in (*columns, *((self.success,) if self.success else ()))))

    def rows(self, arrays: Mapping[str, Any], source: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return state (T, 7) and action (K, 7), K = T - 1 where the action is the way to the next state.

        An action is a tool delta in the base over one step, as ``ActionSpec`` says.
        """
        from scipy.spatial.transform import Rotation

        position, turned, opening = self.state.of(arrays, source)
        state = np.concatenate([position, turned.as_rotvec(), opening[:, None]], 1).astype(np.float32)
        if self.kind == "next_state" or self.action is None:
            if len(position) < 2:
                raise BadData(source, self.state.position.key, "at least two rows", len(position))
            moved, turn, open_to = np.diff(position, axis=0), turned[1:] * turned[:-1].inv(), opening[1:]
        else:
            to, to_turned, open_to = self.action.of(arrays, source)
            if len(to) != len(position):
                raise BadData(source, self.action.position.key, f"{len(position)} rows as of the state", len(to))
            if self.kind == "absolute":
                moved, turn = to - position, to_turned * turned.inv()
            elif self.frame == "tool":
                moved = turned.apply(to)
                turn = Rotation.from_rotvec(turned.apply(to_turned.as_rotvec()))
            else:
                moved, turn = to, to_turned
        action = np.concatenate([moved, turn.as_rotvec(), open_to[:, None]], 1).astype(np.float32)
        return state, action


def read_contract(name: str | Path) -> Contract:
    """Return a contract by its file, or by the name of a ready one.

    Raises:
        ConfigError: naming the file, the key, what was expected and what came.
    """
    path = Path(name)
    ready = config_root() / "dataset"
    if not path.suffix:
        path = ready / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in ready.glob("*.yaml"))) or "none"
        raise ConfigError(f"contract {name}: expected a .yaml file or one of {known}, got neither")
    value = read_yaml(path)
    try:
        return _contract(value, path.read_text(encoding="utf-8"))
    except (ConfigError, TypeError, ValueError) as why:
        raise ConfigError(f"{path}: {why}") from None


def _contract(value: Any, text: str) -> Contract:
    known = ("rate_hz", "sentence", "state", "action", "images", "success", "max_age_s")
    _only(value, known, "contract")
    if missing := [key for key in ("rate_hz", "state", "action", "sentence") if key not in value]:
        raise ConfigError(f"expected {missing[0]}, got none")
    action, sentence = dict(value["action"]), value["sentence"]
    _only(sentence, ("key", "text"), "sentence")
    kind, frame = action.pop("kind", "delta"), action.pop("frame", "base")
    if kind not in KINDS or frame not in FRAMES:
        raise ConfigError(f"action: expected kind of {', '.join(KINDS)}, frame of base, tool; got {kind}, {frame}")
    if not 0.0 < float(value["rate_hz"]) <= 1000.0:
        raise ConfigError(f"rate_hz: expected a number above 0, got {value['rate_hz']}")
    images = dict(value.get("images") or {})
    if odd := [camera for camera in images if not CAMERA.fullmatch(str(camera))]:
        raise ConfigError(f"images: expected camera names of a-z 0-9 _, got {odd[0]!r}")
    return Contract(
        rate_hz=float(value["rate_hz"]),
        state=_pose(value["state"], "state"),
        action=None if kind == "next_state" else _pose(action, "action"),
        kind=kind,
        frame=frame,
        images=images,
        sentence_key=sentence.get("key", ""),
        sentence=sentence.get("text", ""),
        success=_column(value["success"], "success") if value.get("success") else None,
        max_age_s=float(value.get("max_age_s", 0.5)),
        text=text,
    )


def _pose(value: Any, what: str) -> Pose:
    _only(value, ("position", "rotation", "opening"), what)
    if "position" not in value:
        raise ConfigError(f"{what}: expected position, got none")
    made = {key: _column(one, f"{what}.{key}") for key, one in value.items()}
    return Pose(**made)


def _column(value: Any, what: str) -> Column:
    more = ("as",) if what.endswith("rotation") else ("above",) if what == "success" else ()
    _only(value, ("key", "joint", "take", "scale", "offset", *more), what)
    if not isinstance(value.get("key"), str):
        raise ConfigError(f"{what}: expected key, got none")
    as_ = value.get("as", "rotvec")
    if as_ not in ROTATIONS:
        raise ConfigError(f"{what}: expected as: one of {', '.join(ROTATIONS)}; got {as_}")
    take = tuple(int(one) for one in value.get("take", ()))
    if any(one < 0 for one in take):
        raise ConfigError(f"{what}: expected places from 0, got {list(take)}")
    above = value.get("above")
    key = f"{value['key']}[{value['joint']}]" if value.get("joint") else value["key"]
    return Column(key, take, float(value.get("scale", 1.0)), float(value.get("offset", 0.0)),
                  None if above is None else float(above), as_)  # fmt: skip


def _only(value: Any, known: Sequence[str], what: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what}: expected {', '.join(known)}; got {value!r}")
    if unknown := sorted(str(key) for key in value if key not in known):
        raise ConfigError(f"{what}: unknown key {unknown[0]!r}; known: {', '.join(known)}")


def _rotation(column: Column, arrays: Mapping[str, Any], source: str) -> Any:
    from scipy.spatial.transform import Rotation

    rows = column.of(arrays, ROTATIONS[column.as_], source)
    try:
        if column.as_ == "rpy":  # fixed axes: roll about x, then pitch about y, then yaw about z (REP-103)
            return Rotation.from_euler("xyz", rows)
        if column.as_.startswith("quat"):
            return Rotation.from_quat(rows if column.as_ == "quat_xyzw" else rows[:, [1, 2, 3, 0]])
        if column.as_ == "matrix":
            return Rotation.from_matrix(rows.reshape(-1, 3, 3))
    except ValueError as why:
        raise BadData(source, column.key, column.as_, why) from None
    return Rotation.from_rotvec(rows)
