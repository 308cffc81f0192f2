"""Every ``armtune`` command that a page shows is one: its words parse, its settings compose. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from armtune_bringup.agents import read_overrides as read_learning
from armtune_bringup.cli import app, showing
from armtune_bringup.compose import compose
from armtune_bringup.judging.settings import read_overrides as read_judging

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
STARTS = re.compile(r"(?:^|(?<=[;|&] )|(?<=exec ))(?:\.venv/bin/|\w+=\S+ )*armtune (.+)")
INLINE = re.compile(r"`armtune ([^`]+)`")
READERS: dict[str, Callable[[list[str]], object]] = {
    "pretrain": read_learning,
    "finetune": read_learning,
    "advise": read_learning,
    "data select": read_learning,
    "collect": lambda words: compose(showing._split(words)[2]),
    "study": read_learning,
    "reward": read_judging,
    "reward collect": compose,
}
"""By the command's first words; the rest of the commands compose what they are given."""


def shown(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page's code blocks, then those named in its text; a tail ``...`` is left out."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks, prose = "", ""
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        is_code = fenced or line.startswith("    ")
        blocks, prose = (blocks + line + "\n", prose) if is_code else (blocks, prose + line + "\n")
    for line in blocks.splitlines():
        for part in re.split(r"(?<=[;|&]) ", re.split(r"\s+#|(?<=\S)\s{2,}(?=[^-\s])", line.strip() + " #")[0]):
            if found := STARTS.match(part.strip()):
                yield "block", found[1].rstrip(";|& ")
    for command in INLINE.findall(prose):
        yield "prose", command


def deployed() -> Iterator[tuple[str, str]]:
    """Each command that a container or a service starts, with the defaults of what is not said."""
    for name, service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].items():
        words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in service.get("command", [])]
        script = words[2].replace('"$$@"', " ".join(words[4:])) if words[:1] == ["sh"] else " ".join(words)
        yield from ((name, part.split("armtune ", 1)[1]) for part in script.split(" && ") if part)
    for unit in (ROOT / "deploy").glob("*.service"):
        for command in re.findall(r"^Exec\w+=\S+/bin/armtune (.+)$", unit.read_text(), flags=re.MULTILINE):
            yield unit.name, command.replace("$ROBOT_ARGUMENTS", "camera=realsense").replace("$ROBOT", "10.0.0.1")


CASES = [(page.name, kind, command) for page in PAGES for kind, command in dict.fromkeys(shown(page))]
CASES += [(name, "block", command) for name, command in deployed()]


@cache
def program() -> Any:
    return get_command(app)


@pytest.mark.parametrize(("page", "kind", "command"), CASES, ids=[f"{page}: {command}" for page, _, command in CASES])
def test_command_of_a_page_is_one(page: str, kind: str, command: str) -> None:
    words = shlex.split(command.split(" ...")[0])
    try:
        path, given = parsed(program(), words)
    except Exception as why:  # click's, wherever typer keeps it
        if type(why).__name__ == "MissingParameter" and (kind == "prose" or "..." in command):
            return  # named, not shown
        raise
    if path == ["bench"] and given["name"] != "NAME":
        assert (ROOT / "benchmarks" / f"{given['name']}.py").is_file()
    if overrides := given.get("overrides"):
        named = [name for name in (" ".join(path), path[0]) if name in READERS]
        composes(named[0] if named else "", tuple(overrides))


@cache
def composes(reader: str, overrides: tuple[str, ...]) -> None:
    READERS.get(reader, compose)(list(overrides))


def parsed(command: Any, words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Follow subcommands down and parse the last one's words; return their names and its parameters."""
    path: list[str] = []
    while subcommands := getattr(command, "commands", {}):
        name, *words = words or ["nothing"]
        if name not in subcommands:
            raise LookupError(f"no such command: {' '.join([*path, name])}")
        path, command = [*path, name], subcommands[name]
    with command.make_context(" ".join(path), list(words)) as context:
        return path, context.params


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("up nowhere", "'nowhere' is not one of"),
        ("practice --epsiodes 3", "--epsiodes"),
        ("practise", "no such command: practise"),
        ("config show task=drawr", "unknown task 'drawr'"),
        ("up sim experiment.sed=3", "unknown key 'sed'"),
    ],
)
def test_command_that_is_none_is_found(command: str, expected: str) -> None:
    with pytest.raises(Exception, match=expected):
        test_command_of_a_page_is_one("", "block", command)


def test_pages_show_commands_in_blocks_and_in_text() -> None:
    kinds = [kind for _, kind, _ in CASES]
    assert kinds.count("block") > 60 and kinds.count("prose") > 40
