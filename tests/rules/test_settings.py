"""Every setting is described, read by somebody, and configs are data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rules.house import ROOT, Source, dotted, product, report

CONFIGS = ROOT / "configs"
NOT_READERS = ("armtune_bringup.graph",)  # hands settings on by name


def settings() -> Iterator[tuple[Source, ast.ClassDef, ast.AnnAssign]]:
    """Each field of each ``Checked`` class."""
    for source in product():
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and _is_settings(node):
                yield from ((source, node, field) for field in node.body if isinstance(field, ast.AnnAssign))


def _is_settings(node: ast.ClassDef) -> bool:
    """``Config`` itself is left out: the table of nodes hands its groups on by name."""
    return "Checked" in [dotted(base) for base in node.bases] and node.name != "Config"


def read_names() -> set[str]:
    """Attributes read anywhere, and field names quoted in tables (``getattr`` over a list)."""
    names: set[str] = set()
    for source in product():
        if source.module in NOT_READERS:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                names.add(node.value)
    return names


def test_every_setting_is_read_somewhere() -> None:
    names = read_names()
    found = [source.at(field, f"{kind.name}.{dotted(field.target)} is never read") for source, kind, field in settings()
             if dotted(field.target) not in names]  # fmt: skip
    assert not found, report(found, "A setting that nothing reads misleads: remove it or read it.")


def test_every_setting_has_a_description() -> None:
    nested = re.compile(r"^[A-Z]\w*(Params|Pair)$")
    found = [
        source.at(field, f"{kind.name}.{dotted(field.target)} has no doc")
        for source, kind, field in settings()
        if not nested.match(dotted(field.annotation))
        and not (isinstance(field.value, ast.Call) and any(k.arg == "doc" for k in field.value.keywords))
    ]
    assert not found, report(found, "Each setting says in one line what it is: num/choice/text(..., doc=...).")


def test_every_number_has_a_range() -> None:
    found = [
        source.at(field, f"{kind.name}.{dotted(field.target)} has no range")
        for source, kind, field in settings()
        if dotted(field.annotation) in ("int", "float")
        and not (isinstance(field.value, ast.Call) and {"low", "high"} <= {k.arg for k in field.value.keywords})
    ]
    assert not found, report(found, "Each number has a range: num(default, low=..., high=...).")


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_config_file_is_data_and_fits_a_screen(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for number, line in enumerate(lines, 1)
             if re.search(r"(^|\s)_[a-z]+_\s*:|\$\{", line)]  # fmt: skip
    assert not found, report(found, "A config is data: no keys with _, no interpolation.")
    assert len(lines) <= 70, f"{path.name}: {len(lines)} lines; a config file fits one screen"
