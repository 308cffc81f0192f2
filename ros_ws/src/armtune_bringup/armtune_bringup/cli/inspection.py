"""Commands that look: at the machine, the config, the speed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from armtune_policies.contract import ConfigError
from armtune_policies.contract.paths import config_root
from armtune_policies.store.files import write_whole

from .stack import Overrides, World

AsJson = Annotated[bool, typer.Option("--json", help="one JSON value")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, each with its example."""
    app.command(epilog="Example: armtune doctor")(doctor)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(context_settings=passed_on, epilog="Example: armtune bench latency --seconds 20")(bench)
    example = "Example: armtune config show task=lid experiment.seed=3"
    config = typer.Typer(help="What is configured.", epilog=example, no_args_is_help=True)
    config.command("show", epilog=example)(config_show)
    example = "Example: armtune config permissions robot policies.xml robot=wx250s"
    config.command("permissions", epilog=example)(config_permissions)
    app.add_typer(config, name="config")


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has and lacks. Exit code 1 when something needed is missing."""
    from armtune_bringup import doctor as checks

    findings = checks.examine()
    if as_json:
        typer.echo(json.dumps(checks.as_json(findings)))
    else:
        table(("check", "", "found", "what to do"), [(f.check, f.level, f.found, f.advice) for f in findings])
    raise typer.Exit(int(any(f.level == "missing" for f in findings)))


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="which; an unknown name lists them, NAME --help its arguments")],
) -> None:
    """Run one benchmark. Prints a table and, as its last line, one JSON object; more arguments go to it."""
    if name == "--help":  # of this command; after a name it is the benchmark's
        typer.echo(context.get_help())
        return
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


def config_permissions(
    world: Annotated[World, typer.Argument(help="sim or robot: whose nodes")],
    file: Annotated[Path, typer.Argument(help="SROS2 policy file to write")],
    overrides: Overrides = None,
) -> None:
    """Write what each node of a graph may say, hear, serve and ask, for `ros2 security`: docs/security.md."""
    from armtune_bringup.compose import compose, config_hash
    from armtune_bringup.graph import graph
    from armtune_bringup.permissions import granted, policy_file
    from armtune_bringup.spec import RunFacts

    config = compose(overrides or [])
    grants = granted(
        graph(config, world.value, RunFacts("named", "runs/named", config_hash(config))), config.camera.names
    )
    write_whole(file, policy_file(grants).encode())
    typer.echo(f"{file}: {len(grants)} enclaves of /{config.robot.name}; next, docs/security.md")


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    texts = [head, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    for row in texts:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
