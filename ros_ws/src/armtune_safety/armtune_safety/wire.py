"""Dataclasses to messages and back, field by field of like names; no message type is named here. Pure."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from enum import IntEnum
from typing import Any, TypeVar

M = TypeVar("M")
V = TypeVar("V")


def message_of(kind: type[M], value: Any, **others: Any) -> M:
    """Return a message of ``kind`` filled from a dataclass; ``stamp_ns`` fills ``stamp``, ``others`` come first."""
    message: Any = kind()
    for field in fields(value):
        name, v = field.name.removesuffix("_ns"), getattr(value, field.name)
        if name in others or not hasattr(message, name):
            continue
        if name != field.name:
            v = type(getattr(message, name))(sec=v // 1_000_000_000, nanosec=v % 1_000_000_000)
        setattr(message, name, int(v) if isinstance(v, IntEnum) else v)
    for name, v in others.items():
        setattr(message, name, v)
    return message


def value_of(kind: type[V], message: Any) -> V:
    """Return a dataclass filled from a message; ``stamp`` fills ``stamp_ns``, arrays become tuples.

    Raises:
        ValueError: for a number that an enumeration of the dataclass has no word for.
    """
    hints, given = typing.get_type_hints(kind), {}
    for field in fields(kind):  # type: ignore[arg-type]
        hint, name = hints[field.name], field.name.removesuffix("_ns")
        if not hasattr(message, name):
            continue
        v = getattr(message, name)
        if name != field.name:
            v = v.sec * 1_000_000_000 + v.nanosec
        given[field.name] = tuple(v) if typing.get_origin(hint) is tuple else hint(v)
    return kind(**given)


def failing(array: Any) -> dict[str, str]:
    """Return what is bad by name, of a ``DiagnosticArray``; a warning is not."""
    return {s.name: s.message for s in array.status if s.level not in (b"\0", b"\1")}


def sentence(named: Mapping[str, str]) -> str:
    """Return what is said of each name as one sentence."""
    return "; ".join(f"{name}: {text}" for name, text in named.items())


def unwell(array: Any) -> dict[str, str]:
    """Return what is wrong by name, of a ``DiagnosticArray``; blank for what is well, as is only level OK."""
    return {s.name: "" if s.level == b"\0" else s.message or "not well" for s in array.status}
