"""Frozen settings that refuse bad values in the constructor: expected against got.

One dataclass describes a room's settings once; the config loader, the ROS parameters and
the docs are read off it. Units live in the field's name, ranges in its metadata.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T", bound="Checked")

AS_TRAINED = -1
"""Of a setting of practice that the training of its model has, too: the same."""


class ConfigError(ValueError):
    """A setting that will not do; the text says which, what was expected and what came."""


def num(default: Any = dataclasses.MISSING, *, low: float, high: float, doc: str = "") -> Any:
    """A number (or a tuple of numbers) within ``[low, high]``."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "doc": doc})


def choice(default: Any = dataclasses.MISSING, *, of: tuple[str, ...], doc: str = "") -> Any:
    """A string out of a closed list."""
    return dataclasses.field(default=default, metadata={"of": of, "doc": doc})


def text(default: Any = dataclasses.MISSING, *, doc: str = "") -> Any:
    """A free string, switch or tuple of strings, with its one-line description."""
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checked:
    """Base of all settings: types and ranges are checked when the value is made."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _as_declared(field.name, getattr(self, field.name), hints[field.name])
            object.__setattr__(self, field.name, value)
            _in_range(field.name, value, field.metadata)

    @classmethod
    def from_mapping(cls: type[T], values: Mapping[str, Any], at: str | None = None) -> T:
        """Build from a plain mapping; unknown and missing keys are refused.

        Args:
            values: Nested mappings for nested settings.
            at: How a user calls these settings, blank where keys have no group; the class's name if not given.

        Raises:
            ConfigError: naming the key, what was expected and what came.
        """
        place = cls.__name__ if at is None else at
        fields = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(str(key) for key in values if key not in fields):
            raise ConfigError(f"{place or 'settings'}: unknown key {unknown[0]!r}; known: {', '.join(sorted(fields))}")
        for name, field in fields.items():
            if field.default is dataclasses.MISSING and name not in values:
                raise ConfigError(f"{place or 'settings'}: missing key {name!r}")
        try:
            return cls(**values)
        except ConfigError as why:
            raise ConfigError(f"{place}.{why}" if place else str(why)) from None


def flatten(settings: Checked, prefix: str = "") -> dict[str, Any]:
    """Return dotted names and plain values, as ROS parameters want them.

    Empty lists are left out: ROS parameters cannot say what they would be lists of.
    """
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Checked):
            flat.update(flatten(value, f"{prefix}{field.name}."))
        elif value != ():
            flat[prefix + field.name] = list(value) if isinstance(value, tuple) else value
    return flat


def _as_declared(name: str, value: Any, hint: Any) -> Any:
    """Return ``value`` as the declared type; ints pass as floats, lists as tuples."""
    origin = typing.get_origin(hint)
    if isinstance(hint, type) and issubclass(hint, Checked) and isinstance(value, Mapping):
        return hint.from_mapping(value, name)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{name}: expected a list, got {value!r}")
        args = typing.get_args(hint)
        inner = args[:1] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        if len(inner) != len(value):
            raise ConfigError(f"{name}: expected {len(inner)} entries, got {len(value)}")
        return tuple(_as_declared(f"{name}[{i}]", v, h) for i, (v, h) in enumerate(zip(value, inner)))
    if origin in (typing.Union, types.UnionType):
        return value if value is None else _as_declared(name, value, typing.get_args(hint)[0])
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{name}: expected {hint.__name__}, got {value!r}")
    return value


def _in_range(name: str, value: Any, rule: Mapping[str, Any]) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise ConfigError(f"{name}: expected a finite number, got {number}")
        if "low" in rule and not rule["low"] <= number <= rule["high"]:
            raise ConfigError(f"{name}: expected a number in [{rule['low']}, {rule['high']}], got {number}")
    if "of" in rule and value not in rule["of"]:
        raise ConfigError(f"{name}: expected one of {', '.join(rule['of'])}; got {value!r}")
