"""Words ``name=value`` of a benchmark's command line: its own, and those that are none of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from armtune_policies.contract import ConfigError

KINDS: dict[type, str] = {int: "a whole number", float: "a number", list: "a list"}


def read_words(bench: str, words: Sequence[str], ours: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the value of each of ``ours``, of its default's type, and the words that are none of them, in order.

    Args:
        bench: Whose words they are.
        words: Of the command line.
        ours: Names with their defaults: text as it is written, anything else as YAML has it.

    Raises:
        ConfigError: for a word that is no ``name=value``, and a value of another type or below 0.
    """
    told, rest = dict(ours), list[str]()
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise ConfigError(
                f"armtune bench {bench}: expected name=value, as in {_example(ours)}, got {word!r}; "
                f"`armtune bench {bench} --help` lists the names"
            )
        if name in ours:
            told[name] = _value(name, text, ours[name])
        else:
            rest.append(word)
    return told, rest


def only_ours(bench: str, rest: Sequence[str], ours: Mapping[str, Any]) -> None:
    """Refuse what is left over, for a benchmark that takes no overrides.

    Raises:
        ConfigError: naming the word and what is known.
    """
    if rest:
        raise ConfigError(f"armtune bench {bench}: expected some of {', '.join(ours)}; got {rest[0]!r}")


def _value(name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    kind = type(default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name}: expected {KINDS[kind]}, as in '{name}={_shown(default)}', got {text!r}")
    if kind is not list and not 0 <= value < float("inf"):
        raise ConfigError(f"{name}: expected {KINDS[kind]} of at least 0, got {text}")
    return value


def _example(ours: Mapping[str, Any]) -> str:
    name, default = next(iter(ours.items()))
    return f"{name}={_shown(default)}"


def _shown(default: Any) -> str:
    return f"[{', '.join(map(str, default))}]" if isinstance(default, list) else str(default)
