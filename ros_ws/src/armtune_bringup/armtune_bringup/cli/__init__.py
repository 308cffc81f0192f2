"""The command line: ``armtune``. Errors a person can mend are one sentence and exit code 2."""

from __future__ import annotations

import os
import sys

import typer

from . import (
    advice,
    calibrate,
    console,
    data,
    evaluation,
    exporting,
    inspection,
    learning,
    link,
    remote,
    reward,
    showing,
    stack,
    study,
)

EXAMPLES = """\b
Examples:
  armtune up sim policy=shipped reward=shipped    start the simulated graph with what comes along; Ctrl-C ends it
  armtune arm; armtune practice                   in a second terminal; armtune stop in a third
  armtune up sim policy=shipped reward=shipped console=local    ... or all of it from a browser
  armtune demo                                    the whole story, in one folder with a report
  armtune doctor                                  what this machine has and lacks
"""

app = typer.Typer(
    name="armtune",
    help="Fine-tune an arm by reset-free practice.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
stack.add_to(app)
console.add_to(app)
showing.add_to(app)
learning.add_to(app)
evaluation.add_to(app)
exporting.add_to(app)
remote.add_to(app)
advice.add_to(app)
study.add_to(app)
reward.add_to(app)
calibrate.add_to(app)
inspection.add_to(app)
link.add_to(app)
data.add_to(app)


def main() -> None:
    """Run one command; ``ARMTUNE_DEBUG=1`` shows where an error comes from."""
    try:
        app()
    except (ValueError, OSError) as why:  # ConfigError and TimeoutError among them
        if os.environ.get("ARMTUNE_DEBUG"):
            raise
        print(f"error: {_sentence(why)}", file=sys.stderr)
        sys.exit(2)


def _sentence(why: Exception) -> str:
    """Return what an error says, on one line and without the number that comes before an OSError's text."""
    text = str(why)
    if isinstance(why, OSError) and why.strerror:
        text = f"{why.filename}: {why.strerror}" if why.filename else why.strerror
    return " ".join(text.split())


__all__ = ["app", "main"]
