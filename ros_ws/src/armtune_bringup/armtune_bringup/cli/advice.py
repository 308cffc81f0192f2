"""Commands that advise: which prior data to learn from, how to practise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from armtune_bringup.progress import Bars, shown_by

from .stack import Overrides

SELECT_EXAMPLE = (
    "armtune data select runs/shown runs/prior models/alike.json task=drawer; "
    "armtune pretrain runs/shown --prior models/alike.json task=drawer agent=calql policy.folder=models/calql"
)
ADVISE_EXAMPLE = (
    "armtune advise runs/shown task=drawer policy.folder=models/calql experiment.evaluations=20; "
    "armtune advise runs/shown task=drawer --run runs/practised offline.weight_failure=0"
)


def data_select(
    demos: Annotated[Path, typer.Argument(help="episodes of the task: a run folder or a LeRobot v3 folder")],
    prior: Annotated[Path, typer.Argument(help="episodes to choose from: the same")],
    out: Annotated[Path, typer.Argument(help="selection to write, .json; a histogram goes beside it")],
    overrides: Overrides = None,
    encoder: Annotated[
        Path | None, typer.Option(help="folder of the encoder or policy to see by; else one is fitted")
    ] = None,
    above: Annotated[float, typer.Option(min=0.0, max=1.0, help="least likeness of an episode that is kept")] = 0.75,
    most: Annotated[int | None, typer.Option(min=1, help="keep at most so many")] = None,
) -> None:
    """Choose the prior episodes that look and act like the task's (Behavior Retrieval).

    Prints a table, and one JSON object last; `armtune pretrain --prior` takes the file.
    """
    from armtune_bringup.advice import select_prior
    from armtune_bringup.agents import read_overrides
    from armtune_bringup.encoding import encoder_of

    learning = read_overrides(overrides or [])
    with Bars() as bar:
        shown = shown_by(bar)
        source = encoder or encoder_of(learning.config, demos, shown)
        value = select_prior(learning, demos, prior, source, out, above, most, shown)
    rows = value["episodes"]
    for sentence in sorted({row["sentence"] for row in rows}):
        found = [row for row in rows if row["sentence"] == sentence]
        kept, mean = sum(row["is_kept"] for row in found), sum(row["score"] for row in found) / len(found)
        typer.echo(f"{kept:>5} of {len(found):<5} kept, likeness {mean:.2f}  {sentence}")
    kept = [row for row in rows if row["is_kept"]]
    steps = sum(row["steps"] for row in kept)
    typer.echo(json.dumps({"selection": str(out), "kept": len(kept), "episodes": len(rows), "steps": steps}))


def advise(
    demos: Annotated[Path, typer.Argument(help="episodes of the task that the policy was trained on")],
    overrides: Overrides = None,
    run: Annotated[Path | None, typer.Option(help="take this run's outcomes; else the policy is evaluated")] = None,
) -> None:
    """Say which data to keep in practice. Compares policy.folder's successes with its data's (three regimes).

    Prints overrides for `armtune finetune`, and one JSON object last.
    """
    from armtune_bringup.advice import advise_practice, as_json
    from armtune_bringup.agents import read_overrides

    with Bars() as bar:
        found = advise_practice(read_overrides(overrides or []), demos, run, shown_by(bar))
    value = as_json(found)
    typer.echo(f"policy {found.policy_mean:.0%} of {found.policy_n}, data {found.data_mean:.0%} of {found.data_n}")
    typer.echo(f"{found.regime}: {found.why}")
    typer.echo(f"practise with: {' '.join(found.overrides)}")
    for caveat in value["caveats"]:
        typer.echo(f"but: {caveat}")
    typer.echo(json.dumps(value))


def add_to(app: typer.Typer) -> None:
    """Add ``advise``; ``inspection`` adds ``data select`` to the others about data."""
    app.command(epilog=f"Example: {ADVISE_EXAMPLE}")(advise)
