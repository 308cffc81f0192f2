"""Reads a Dockerfile strictly: its stages, their steps, and what a reviewer would object to. Pure.

Only what ours uses is understood; the rest is refused, so that a step is never silently left out of a replay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

NAMES = ("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR")
TRAINS = frozenset({"torch", "torchvision", "jax", "tensorflow", "transformers", "sentence-transformers", "peft"})
"""Packages that train; none of them belongs on a robot."""


@dataclass(frozen=True)
class Step:
    """One instruction: ``COPY``, its flags ``{"from": "ros"}`` and the rest of its text."""

    line: int
    name: str
    flags: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The exec form's words, or those of the text."""
        return json.loads(self.text) if self.text.startswith("[") else self.text.split()

    @property
    def pairs(self) -> dict[str, str]:
        """``NAME=value`` words of ENV and ARG."""
        return {name: value for name, _, value in (word.partition("=") for word in self.text.split())}


@dataclass(frozen=True)
class Stage:
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Dockerfile:
    """``arguments`` are those before the first FROM; ``stages`` by name, in order."""

    arguments: dict[str, str]
    stages: dict[str, Stage]

    def steps(self, target: str) -> list[Step]:
        """Return all steps that make a target, its bases' first."""
        stage = self.stages[target]
        return [*(self.steps(stage.base) if stage.base in self.stages else []), *stage.steps]


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile.

    Raises:
        ValueError: naming the line that is not understood.
    """
    made = Dockerfile({}, {})
    stage: Stage | None = None
    for step in _steps(text):
        if step.name == "FROM":
            found = re.fullmatch(r"(\S+) AS ([a-z]+)", step.text)
            if not found:
                raise ValueError(f"line {step.line}: expected FROM image AS name, got {step.text!r}")
            stage = made.stages[found[2]] = Stage(found[2], found[1])
        elif stage is not None:
            stage.steps.append(step)
        elif step.name == "ARG":
            made.arguments.update(step.pairs)
        else:
            raise ValueError(f"line {step.line}: {step.name} before the first FROM")
    return made


def _steps(text: str) -> Iterator[Step]:
    whole, first = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        first = first if whole else number
        whole += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        name, _, rest = whole.partition(" ")
        whole = ""
        if name not in NAMES:
            raise ValueError(f"line {first}: expected one of {', '.join(NAMES)}, got {name!r}")
        flags = dict(re.findall(r"--([a-z-]+)=(\S+)", rest)) if name in ("COPY", "HEALTHCHECK", "FROM") else {}
        rest = re.sub(r"--[a-z-]+=\S+ *", "", rest) if flags else rest
        yield Step(first, name, flags, rest.strip())
    if whole:
        raise ValueError(f"line {first}: the step does not end")


def objections(made: Dockerfile) -> list[str]:
    """Return what is wrong with the images, a sentence each; the numbers in brackets are hadolint's rules."""
    return [f"{target}: {sentence}" for target in made.stages for sentence in _of_stage(made, target)]


def _of_stage(made: Dockerfile, target: str) -> Iterator[str]:
    stage, steps = made.stages[target], made.steps(target)
    image = re.sub(r"\$\{(\w+)\}", lambda found: made.arguments.get(found[1], ""), stage.base)
    if stage.base not in made.stages and (":" not in image or image.endswith(":latest")):
        yield f"expected a tagged base, got {image!r} (DL3006, DL3007)"
    for step in steps:
        if step.name == "RUN":
            yield from (f"line {step.line}: {sentence}" for sentence in _of_run(step.text))
        if step.name == "WORKDIR" and not step.text.startswith("/"):
            yield f"line {step.line}: expected an absolute WORKDIR (DL3000)"
        if step.name in ("CMD", "ENTRYPOINT") and not step.text.startswith("["):
            yield f"line {step.line}: expected {step.name} as a list, or signals do not arrive (DL3025)"
    if not stage.steps:
        return  # only copied from
    users = [step.text for step in steps if step.name == "USER"]
    if not users or users[-1] in ("root", "0"):
        yield "runs as root (DL3002)"
    if not any(step.name == "HEALTHCHECK" for step in steps):
        yield "has no HEALTHCHECK"


def _of_run(text: str) -> Iterator[str]:
    if re.search(r"\bsudo\b", text):
        yield "sudo (DL3004)"
    if "apt-get install" in text:
        if not text.startswith("apt-get update &&") or not text.endswith("rm -rf /var/lib/apt/lists/*"):
            yield "expected apt-get update, install and the lists' removal in one step (DL3009)"
        if "--no-install-recommends" not in text or " -y" not in text:
            yield "expected apt-get install -y --no-install-recommends (DL3014, DL3015)"
    if re.search(r"\b(curl|wget)\b[^|&;]*\|", text):
        yield "what is downloaded is run unseen (DL4006)"
