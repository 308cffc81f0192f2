"""Commands about graphs: a model made smaller or quicker for another machine, a vision model made an encoder."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .stack import Overrides

EXAMPLES = """\b
Examples:
  armtune export models/drawer models/drawer-half --optimise half --on runs/shown
  armtune export models/reward models/reward-int8 --optimise int8 --bound 0.02
"""
ENCODERS = """\b
Examples:
  armtune encoder models/dinov2-small models/eyes task=drawer --on runs/shown --licence Apache-2.0
  armtune encoder models/resnet18.onnx models/eyes task=drawer 'policy.cameras=[front,wrist]' --size 128
"""


class How(str, Enum):
    """What is done to each graph."""

    graph = "graph"
    half = "half"
    int8 = "int8"


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog=EXAMPLES)(export)
    app.command(epilog=ENCODERS)(encoder)


def export(
    model: Annotated[Path, typer.Argument(help="policy or reward folder")],
    out: Annotated[Path, typer.Argument(help="folder to write, not there yet")],
    optimise: Annotated[How, typer.Option(help="constants folded, float16, or 8-bit weights of matrix products")],
    bound: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.1, help="largest difference over an answer's range; 0.01, and 1e-5 for graph"),
    ] = None,
    on: Annotated[Path | None, typer.Option(help="run folder whose pictures are tried, too")] = None,
) -> None:
    """Write an optimised copy of a model to run on a robot. Refused when it does not answer as before.

    Its answers are compared with the original's; one that is off by more than the bound, and nothing is written. What
    was measured is one JSON object last, times on this machine's CPU among it. To learn on, keep the original.
    """
    from armtune_bringup.exporting import export as write
    from armtune_policies.runtime.optimise import BOUNDS

    allowed = BOUNDS[optimise.value] if bound is None else bound
    found = write(model, out, optimise.value, allowed, on)
    for name, row in found["graphs"].items():
        typer.echo(
            f"{name:<14}{row['kb']:>9.1f} -> {row['kb_now']:.1f} kB{row['p50_ms']:>9.3f} -> {row['p50_ms_now']:.3f} ms"
        )
    for name, gap in found["off_by"].items():
        typer.echo(f"{name:<14} off by at most {gap:.2g} of its range, allowed {allowed:g}")
    typer.echo(json.dumps(found))


def encoder(
    source: Annotated[Path, typer.Argument(help="an .onnx file, or a folder of transformers or timm, on this disk")],
    folder: Annotated[Path, typer.Argument(help="encoder folder to write")],
    overrides: Overrides = None,
    on: Annotated[Path | None, typer.Option(help="run folder whose pictures are tried, too")] = None,
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="side of the picture it is shown [px]; else as it was trained")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="one of its outputs, as last_hidden_state; else the pooled one")
    ] = None,
    licence: Annotated[str, typer.Option(help="of its weights, for the manifest")] = "unknown",
) -> None:
    """Make a frozen encoder of a vision model of your own, for `--encoder`. Nothing is downloaded.

    One graph for all cameras: resized, normalised, the model, its features pooled. It is compared with the model
    itself; one that is off by more than 1e-4 of the largest feature, and nothing is written. What was measured is one
    JSON object last, the time of a frame on this machine's CPU among it.
    """
    from armtune_bringup.compose import compose
    from armtune_bringup.encoding import adopt_encoder

    typer.echo(json.dumps(adopt_encoder(compose(overrides or []), source, folder, on, size, output, licence)))
