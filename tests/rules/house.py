"""Reads the product's sources once, as syntax trees, for the rules to walk."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("policies/armtune_policies", "calibration/armtune_calibration", "ros_ws/src")
OUTSIDE = {"build", "install", "log", "__pycache__", ".venv", "runs", ".git", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Source:
    """One product file."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def package(self) -> str:
        """Import name of the package the file is in, ``armtune_safety``; blank for a launch file."""
        inside = [part for part in Path(self.path).parent.parts if part.startswith("armtune_")]
        return inside[-1] if inside and not self.is_launch and self.name != "setup.py" else ""

    @property
    def module(self) -> str:
        """Dotted import name."""
        parts = Path(self.path).with_suffix("").parts
        start = len(parts) - 1 - parts[::-1].index(self.package) if self.package else len(parts) - 1
        return ".".join(part for part in parts[start:] if part != "__init__")

    @property
    def is_launch(self) -> bool:
        return self.name.endswith(".launch.py")

    @property
    def is_node(self) -> bool:
        return self.name.endswith("_node.py")

    def at(self, node: ast.AST, what: str) -> str:
        """``path:line: what``, as an editor can jump to."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Each imported module, relative ones made absolute, with what is taken from it appended."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield from ((node, f"{base}.{alias.name}") for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        here = self.module.split(".")
        keep = here[: len(here) - node.level + (self.name == "__init__.py")]
        return ".".join([*keep, *([node.module] if node.module else [])])

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Each call with its dotted name: ``np.load``, ``.wait`` for a call on an expression."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, dotted(node.func)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name, ``.c`` when what is before the dot is not a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def parents_of(path: Path) -> set[str]:
    return set(path.relative_to(ROOT).parts)


@cache
def product() -> tuple[Source, ...]:
    """Every Python file of the product, launch files included, setup.py files not."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    kept = [path for path in files if not parents_of(path) & OUTSIDE and path.name != "setup.py"]
    return tuple(Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in kept)


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first keyword argument of one of these names."""
    return next((k.value for k in call.keywords if k.arg in names), None)


def report(found: list[str], rule: str) -> str:
    """What a failing rule prints: the rule, then a line per place."""
    return f"{rule}\n  " + "\n  ".join(found)
