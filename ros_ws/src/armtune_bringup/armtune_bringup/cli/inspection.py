"""Commands that look: at the machine, the config, the data, the speed."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from armtune_policies.contract import ConfigError
from armtune_policies.contract.paths import config_root

from .advice import SELECT_EXAMPLE, data_select
from .stack import Overrides

AsJson = Annotated[bool, typer.Option("--json", help="one JSON value")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    app.command(epilog="Example: armtune doctor")(doctor)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(context_settings=passed_on, epilog="Example: armtune bench latency --seconds 20")(bench)
    example = "Example: armtune config show task=lid experiment.seed=3"
    config = typer.Typer(help="What is configured.", epilog=example, no_args_is_help=True)
    config.command("show", epilog=example)(config_show)
    app.add_typer(config, name="config")
    example = "Example: armtune data ls runs --json"
    data = typer.Typer(help="What was recorded.", epilog=example, no_args_is_help=True)
    data.command("ls", epilog=example)(data_ls)
    data.command("make-prior", epilog="Example: armtune data make-prior runs/prior task=drawer")(data_make_prior)
    data.command("select", epilog=f"Example: {SELECT_EXAMPLE}")(data_select)
    app.add_typer(data, name="data")


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has and lacks. Exit code 1 when something needed is missing."""
    from armtune_bringup import doctor as checks

    findings = checks.examine()
    if as_json:
        typer.echo(json.dumps(checks.as_json(findings)))
    else:
        _table(("check", "", "found", "what to do"), [(f.check, f.level, f.found, f.advice) for f in findings])
    raise typer.Exit(int(any(f.level == "missing" for f in findings)))


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="which; an unknown name lists them")],
) -> None:
    """Run one benchmark. Prints a table and, as its last line, one JSON object; more arguments go to it."""
    folder = _benchmarks()
    known = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if name not in known:
        where = ", ".join(known) or f"none in {folder}; benchmarks run from a checkout"
        raise ConfigError(f"unknown benchmark {name!r}; known: {where}")
    sys.path.insert(0, str(folder.parent))
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ConfigError(f"{folder / name}.py cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result: dict[str, Any] = module.main(context.args)
    typer.echo(json.dumps(result))


def _benchmarks() -> Path:
    """The checkout's folder of benchmarks: here, or above the configs in use."""
    here = Path.cwd()
    return next(
        (f for p in (here, *config_root().resolve().parents) if (f := p / "benchmarks").is_dir()), here / "benchmarks"
    )


def config_show(overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Compose and check a config; show it, hash first."""
    from armtune_bringup.compose import compose, config_hash, plain

    config = compose(overrides or [])
    if as_json:
        typer.echo(json.dumps({"hash": config_hash(config), **plain(config)}))
        return
    typer.echo(f"# hash {config_hash(config)}")
    typer.echo(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, default_flow_style=None).rstrip())


def data_ls(
    folder: Annotated[Path, typer.Argument(help="where runs are kept")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List runs with task, episodes and size."""
    from armtune_bringup.compose import config_hash, read

    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; runs are kept there once `armtune up` or `armtune demo` has run")
    rows = []
    for path in sorted(folder.glob("*/config.yaml")):
        episodes = sorted((path.parent / "episodes").glob("*.mcap"))
        size_mb = sum(file.stat().st_size for file in episodes) / 1e6
        try:
            config = read(path)
            task, name = config.task.name, config_hash(config)
        except ConfigError as why:
            task, name = "?", str(why)
        rows.append(
            {"run": path.parent.name, "task": task, "episodes": len(episodes), "mb": round(size_mb, 1), "config": name}
        )
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        _table(("run", "task", "episodes", "MB", "config"), [tuple(row.values()) for row in rows])


def data_make_prior(
    folder: Annotated[Path, typer.Argument(help="where to; `armtune pretrain --prior` takes it")],
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="control steps of each variant, at least")] = 1000,
) -> None:
    """Collect episodes of other tasks than the one practised. Scripted experts; a second call continues."""
    from rich.progress import Progress

    from armtune_bringup.compose import compose
    from armtune_bringup.prior import Made, Variant, make_prior, variants

    config = compose(overrides or [])
    with Progress() as bar:
        tasks = {v: bar.add_task(v.run_id, total=steps) for v in variants(config.task.name)}

        def show(variant: Variant, made: Made) -> None:
            bar.update(tasks[variant], completed=min(made.steps, steps))

        found = make_prior(config, folder, steps, show)
    rows = {variant.run_id: asdict(made) for variant, made in found.items()}
    typer.echo(json.dumps({"folder": str(folder), "steps": sum(m.steps for m in found.values()), "variants": rows}))


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    texts = [head, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    for row in texts:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
