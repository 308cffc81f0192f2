"""Hydra composes once, here; what comes out is plain, checked and hashed.

Configs are data: a key that starts with ``_`` (``_target_`` among them) and an
interpolation that runs a resolver (``${oc.env:...}``) are refused.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from armtune_policies.contract import ConfigError, digest
from armtune_policies.contract.paths import config_root
from armtune_policies.store.files import check_yaml, read_yaml, write_whole

from .settings import Config

BESIDE = ("console", "teleop", "flaws")
"""Groups that change no recording: who looks on, by which device one shows, which demonstrations count."""
_RESOLVER = re.compile(r"\$\{[^}]*:")


def compose(overrides: Sequence[str] = ()) -> Config:
    """Return the checked config for overrides like ``task=drawer experiment.seed=3``.

    Raises:
        ConfigError: one sentence that names what is wrong and what is known.
    """
    root = _root()
    checked = [_checked(override, root) for override in [*_paired(overrides), *overrides]]
    return Config.from_mapping(_plain(_hydra(root, checked)), at="")


def plain(config: Config) -> dict[str, Any]:
    """Return the config as nested dicts and lists, as its file and its hash see it."""
    return _listed(asdict(config))


def config_hash(config: Config) -> str:
    """Return 16 hex digits that name this config, but for the groups of ``BESIDE``."""
    return digest({name: value for name, value in plain(config).items() if name not in BESIDE})


def write(config: Config, folder: Path) -> Path:
    """Write ``config.yaml`` into a run's folder, whole; return its path."""
    path = folder / "config.yaml"
    text = f"# hash {config_hash(config)}\n{yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)}"
    write_whole(path, text.encode())
    return path


def read(path: Path) -> Config:
    """Return the config that ``write`` wrote.

    Raises:
        ConfigError: when the file is not such a config.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of groups, got {type(values).__name__}")
    try:
        return Config.from_mapping(values, at="")
    except ConfigError as why:
        raise ConfigError(f"{path}: {why}") from None


def options(group: str) -> list[str]:
    """Return the names a group can take: ``task`` gives ``drawer``, ``lid`` ..."""
    return sorted(path.stem for path in (config_root() / group).glob("*.yaml"))


def _paired(overrides: Sequence[str]) -> list[str]:
    """A robot and the arm file of its name bring each other, where there are both and no other was asked for."""
    asked = dict(override.split("=", 1) for override in overrides if "=" in override)
    pairs = (("robot", "arm"), ("arm", "robot"))
    return [f"{b}={asked[a]}" for a, b in pairs if asked.get(a, "") in options(b) and b not in asked]


def _root() -> Path:
    try:
        return config_root().resolve()
    except FileNotFoundError as why:
        raise ConfigError(str(why)) from None


def _checked(override: str, root: Path) -> str:
    """Return the override as Hydra takes it; refuse what Hydra would accept or explain at length."""
    name, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[a-z0-9][A-Za-z0-9_.]*", name):
        raise ConfigError(f"override {override!r}: expected name=value, as in task=drawer or experiment.seed=3")
    if _RESOLVER.search(value):
        raise ConfigError(f"override {override!r}: interpolation is not for configs; write the value itself")
    group, dot, key = name.partition(".")
    kinds = typing.get_type_hints(Config)
    if group not in kinds:
        raise ConfigError(f"override {override!r}: unknown group {group!r}; known: {', '.join(sorted(kinds))}")
    if not dot:
        if value not in (known := options(group)):
            raise ConfigError(f"unknown {group} {value!r}; known: {', '.join(known)}")
        return override
    if key not in (known := sorted(field.name for field in fields(kinds[group]))):
        raise ConfigError(f"override {override!r}: unknown key {key!r}; known: {', '.join(known)}")
    return f"++{override}"  # a value the group's file leaves at its default may be set, too


def set_apart(overrides: Sequence[str], *groups: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what ``<group>.<setting>=value`` says, by group and setting, for groups no config has; and the others.

    Raises:
        ConfigError: naming the override whose value cannot be read.
    """
    found: dict[str, dict[str, Any]] = {group: {} for group in groups}
    others = []
    for override in overrides:
        name, equals, _ = override.partition("=")
        group, _, setting = name.partition(".")
        if equals and setting and group in found:
            found[group][setting] = _value(override)
        else:
            others.append(override)
    return found, others


def _value(override: str) -> Any:
    """Return an override's value, read as Hydra reads all others: YAML takes ``3e-4`` for a word."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException:
        raise ConfigError(f"override {override!r}: expected a number, a word or a list") from None


def _hydra(root: Path, overrides: list[str]) -> Any:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        for path in sorted(root.rglob("*.yaml")):
            check_yaml(path.read_text(encoding="utf-8"), str(path))
        with initialize_config_dir(config_dir=str(root), version_base="1.3"):
            return hydra_compose(config_name="config", overrides=overrides)
    except (HydraException, OmegaConfBaseException) as why:
        cause = why.__cause__ or why
        raise ConfigError(f"config does not compose: {_first_line(cause)}") from None
    except (YAMLError, UnicodeDecodeError) as why:
        raise ConfigError(f"config does not compose: expected YAML, {_first_line(why)}") from None


def _plain(tree: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, value in _leaves(OmegaConf.to_container(tree, resolve=False), ""):
        if any(part.startswith("_") for part in key.split(".")):
            raise ConfigError(f"{key}: keys that start with '_' are refused; a config is data, it cannot name code")
        if isinstance(value, str) and _RESOLVER.search(value):
            raise ConfigError(f"{key}: {value!r} is refused; a config holds values, it does not ask the environment")
    try:
        return dict(OmegaConf.to_container(tree, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as why:
        raise ConfigError(f"config does not resolve: {_first_line(why)}") from None


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
        if not value:
            yield key, None
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{key}.{index}")
    else:
        yield key, value


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def _first_line(why: BaseException | None) -> str:
    return " ".join(line.strip() for line in str(why).strip().splitlines()[:2])
