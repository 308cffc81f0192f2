"""Commands about recordings: list, look, check, replay, edit, merge, and to and from other formats."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.progress import Bars
from armtune_policies.contract import ConfigError, Verdict

from .advice import SELECT_EXAMPLE, data_select
from .inspection import AsJson, table
from .stack import Overrides

Run = Annotated[Path, typer.Argument(help="run folder")]
Named = Annotated[
    Path, typer.Argument(help="an episode file, <run folder>/<episode id>, or a run folder for its newest")
]
Labels = Annotated[str, typer.Option(help="label set that says what was a success; blank: the vote, else the outcome")]
PERSON = "person"
"""The label set that a person's judgement is written to."""


def add_to(app: typer.Typer) -> None:
    """Add ``armtune data ...``, each command with its example."""
    example = "Example: armtune data ls runs --json"
    data = typer.Typer(help="What was recorded.", epilog=example, no_args_is_help=True)
    for name, (command, one) in EXAMPLES.items():
        data.command(name, epilog=f"Example: {one}")(command)
    app.add_typer(data, name="data")


def data_ls(
    folder: Annotated[Path, typer.Argument(help="where runs are kept")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List runs with task, episodes and size."""
    from armtune_bringup.compose import config_hash, read

    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder of runs, got none; `armtune up` and `armtune demo` make it")
    rows = []
    runs = {path.parent for name in ("config.yaml", "episodes") for path in folder.glob(f"*/{name}")}
    for run in sorted(runs):
        episodes = sorted((run / "episodes").glob("*.mcap"))
        size_mb = sum(file.stat().st_size for file in episodes) / 1e6
        try:
            config = read(run / "config.yaml")
            task, name = config.task.name, config_hash(config)
        except FileNotFoundError:
            task, name = "-", "none: imported or merged"
        except ConfigError as why:
            task, name = "?", str(why)
        rows.append({"run": run.name, "task": task, "episodes": len(episodes), "mb": round(size_mb, 1), "config": name})
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        table(("run", "task", "episodes", "MB", "config"), [tuple(row.values()) for row in rows])


def data_show(
    episode: Named,
    out: Annotated[Path | None, typer.Option(help="folder for the page; the run's show/ without")] = None,
    labels: Labels = "",
    rerun: Annotated[
        bool, typer.Option("--rerun", help="write a Rerun recording, too (pip install rerun-sdk)")
    ] = False,
    opens: Annotated[bool, typer.Option("--open", help="open it on this machine's screen")] = False,
) -> None:
    """Write an episode as one HTML page: video, actions, rewards, interventions. It needs nothing but a browser."""
    from armtune_bringup.dataset.finding import episode_path
    from armtune_bringup.dataset.showing import page, rerun_file
    from armtune_policies.store.edits import read_kept
    from armtune_policies.store.files import write_whole
    from armtune_policies.store.labels import check_labels, read_labels, shown_labels

    path = episode_path(episode)
    one = read_kept(path)
    check_labels(path.parent.parent, labels)
    said = read_labels(path.parent.parent, one, labels) if labels else shown_labels(one)
    folder = out or path.parent.parent / "show"
    shown = folder / f"{one.episode_id}.html"
    write_whole(shown, page(one, said))
    typer.echo(str(shown))
    if rerun:
        shown = rerun_file(one, folder / f"{one.episode_id}.rrd")
        typer.echo(f"{shown}  (rerun {shown})")
    if opens:
        typer.launch(str(shown))


def data_check(
    run: Run,
    salvage: Annotated[bool, typer.Option("--salvage", help="first make unfinished files whole")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every file of a run and say what is wrong or doubtful. Exit code 1 when something is wrong."""
    from armtune_policies.store.integrity import check_run
    from armtune_policies.store.salvage import salvage_folder

    for done in salvage_folder(run / "episodes", finished=True) if salvage else ():
        typer.echo(done.text, err=True)
    found = check_run(run)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    else:
        rows = [(one.episode, one.steps, one.outcome, one.rate_hz, "; ".join(one.wrong + one.doubtful)
                 or ("dropped" if one.is_dropped else "good")) for one in found]  # fmt: skip
        table(("episode", "steps", "outcome", "Hz", "found"), rows)
        wrong, doubtful = sum(bool(one.wrong) for one in found), sum(bool(one.doubtful) for one in found)
        typer.echo(f"{len(found)} episodes, {wrong} wrong, {doubtful} doubtful")
        whole = [one.episode for one in found if one.wrong and (run / "episodes" / f"{one.episode}.mcap").is_file()]
        if whole:
            typer.echo(f"bring a copy that is right, or leave it out: armtune data edit {run} {' '.join(whole)} --drop")
    raise typer.Exit(int(any(one.wrong for one in found)))


def data_replay(
    episode: Named,
    overrides: Overrides = None,
    seed: Annotated[int | None, typer.Option(help="of the scene; the recording's own without")] = None,
    plot: Annotated[Path | None, typer.Option(help="write a PNG of both paths there")] = None,
) -> None:
    """Command an episode's actions once more on the simulated arm, through the gate, and say how far off it went."""
    import numpy as np

    from armtune_bringup.compose import compose
    from armtune_bringup.dataset.finding import episode_path
    from armtune_bringup.dataset.replaying import figure, replay
    from armtune_policies.store.edits import read_kept
    from armtune_policies.store.files import write_whole

    config, one = compose(overrides or []), read_kept(episode_path(episode))
    with Bars(transient=True) as bar:
        task = bar.add_task(f"replaying {one.episode_id}", total=None)
        found = replay(config, one, seed, lambda done, total: bar.update(task, completed=done, total=total))
    off_mm, off_deg = 1000 * found.position_m, np.degrees(found.rotation_rad)
    table(("replayed against recorded", "mean", "p95", "max", "at the end"), [
        (name, *(f"{v:.2f}" for v in (x.mean(), np.percentile(x, 95), x.max(), x[-1])))
        for name, x in (("position [mm]", off_mm), ("rotation [deg]", off_deg))
    ])  # fmt: skip
    if not found.approached:
        typer.echo("but: the arm did not come where the recording begins; the first errors are from there", err=True)
    if plot:
        write_whole(plot, figure(found, config.policy.action.period_s))
    value: dict[str, Any] = {
        "episode": one.episode_id, "steps": len(off_mm), "seed": found.seed, "limited": found.limited,
        "position_mean_mm": round(float(off_mm.mean()), 3), "position_max_mm": round(float(off_mm.max()), 3),
        "rotation_max_deg": round(float(off_deg.max()), 3), "approached": found.approached,
        "is_success": found.is_success,
    }  # fmt: skip
    typer.echo(json.dumps(value))


def data_edit(
    run: Run,
    episode: Annotated[list[str], typer.Argument(help="episode ids")],
    drop: Annotated[bool, typer.Option("--drop", help="leave it out from now on")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="take edits back: all of it counts")] = False,
    trim: Annotated[str, typer.Option(help="FIRST:LAST: only these steps count; either may be left away")] = "",
    success: Annotated[int | None, typer.Option(help="it succeeded at this step", min=0)] = None,
    failure: Annotated[bool, typer.Option("--failure", help="it did not succeed")] = False,
    label_set: Annotated[str, typer.Option(help="where --success and --failure go")] = PERSON,
    why: Annotated[str, typer.Option(help="a note for whoever reads it later")] = "",
) -> None:
    """Drop, trim or relabel episodes. Sidecars say so; the recorded files stay as they are."""
    from armtune_policies.store.edits import Edit, check_edit, read_edit, write_edit
    from armtune_policies.store.episode_reader import read_episode
    from armtune_policies.store.labels import LabelSet, chosen_labels, write_labels

    asked = sum((drop, keep, bool(trim), success is not None, failure))
    if asked != 1:
        raise ConfigError(f"expected one of --drop, --keep, --trim, --success, --failure; got {asked} of them")
    paths = [run / "episodes" / f"{name}.mcap" for name in episode]
    if missing := [path for path in paths if not path.is_file()]:
        raise ConfigError(f"{missing[0]}: expected an episode of the run, got none; see armtune data check {run}")
    edits, said = [], []
    for name, path in zip(episode, paths):
        before = read_edit(run, name)
        if drop or keep:
            edits.append(Edit(name, why=why) if keep else replace(before, is_dropped=True, why=why))
            continue
        one = read_episode(path)
        labels, edit = chosen_labels(run, one, label_set), before
        if trim:
            first, last = _range(trim)
            edit = Edit(name, before.is_dropped, first, last, why)
            edits.append(edit)
        else:
            if success is not None and success >= one.steps:
                raise ConfigError(f"{name}: expected a step below {one.steps}, got {success}")
            verdicts = [Verdict.YES if success is not None and k >= success else Verdict.NO for k in range(one.steps)]
            labels = LabelSet(label_set, name, tuple(verdicts), success, PERSON)
            said.append(labels)
        check_edit(one, edit, labels)
    for path in (*(write_edit(run, edit) for edit in edits), *(write_labels(run, labels) for labels in said)):
        typer.echo(str(path))


def data_merge(
    runs: Annotated[list[Path], typer.Argument(help="run folders")],
    into: Annotated[Path, typer.Option(help="new run folder")],
) -> None:
    """Make one run of several, labels and edits included. Ids used twice and unlike rates or cameras are refused."""
    from armtune_policies.store.combine import merge

    with Bars(transient=True) as bar:
        task = bar.add_task("looking at episodes", total=None)
        count = merge(runs, into, lambda done, total: bar.update(task, completed=done, total=total))
    typer.echo(json.dumps({"run": str(into), "episodes": count}))


def data_export(
    run: Run,
    out: Annotated[Path, typer.Argument(help="new folder")],
    pictures: Annotated[str, typer.Option(help="png: exact, in parquet; h264 or hevc: video, smaller")] = "png",
    labels: Labels = "",
    full: Annotated[
        bool, typer.Option("--full-size", help="the full-size views instead of what the policy saw")
    ] = False,
) -> None:
    """Write a run as a LeRobot v3 folder. With png, `armtune data import` gets the same episodes back."""
    from armtune_bringup.dataset.finding import full_size, judged
    from armtune_policies.datasets.lerobot_write import PNG, export
    from armtune_policies.datasets.video import CODECS

    if pictures not in (PNG, *CODECS):
        raise ConfigError(f"--pictures: expected {', '.join((PNG, *CODECS))}; got {pictures}")
    with Bars(transient=True) as bar:
        task = bar.add_task("exporting", total=len(list((run / "episodes").glob("*.mcap"))))
        shown = ((full_size(one) if full else one, said) for one, said in judged(run, labels))
        done = export(_counted(shown, lambda: bar.advance(task)), out, pictures)
    if done.left_out:
        typer.echo(f"left out: {done.left_out} steps that lack a part", err=True)
    if done.empty:
        typer.echo(f"left out: {done.empty} episodes that have no whole step", err=True)
    value = asdict(done)
    del value["sentences"]
    typer.echo(json.dumps({**value, "folder": str(out)}))


def data_import(
    source: Annotated[Path, typer.Argument(help="LeRobot v3 folder, RLDS folder, robomimic .hdf5, or a bag")],
    run: Run,
    overrides: Overrides = None,
    contract: Annotated[str, typer.Option(help="what its keys mean: a .yaml, or bridge, robomimic, ...")] = "",
    name: Annotated[str, typer.Option(help="what its episodes are called; the run's name without")] = "",
) -> None:
    """Write someone else's recording as episode files. Goes on where it was killed."""
    from armtune_bringup.compose import compose
    from armtune_policies.datasets.contract_file import read_contract
    from armtune_policies.datasets.importing import import_folder

    said = read_contract(contract) if contract else None
    observation = compose(overrides or []).policy.observation
    with Bars(transient=True) as bar:
        task = bar.add_task(f"importing {source.name}", total=None)
        done = import_folder(source, run, name or run.name, said, observation, lambda _: bar.advance(task))
    typer.echo(json.dumps({**asdict(done), "run": str(done.run)}))


def data_publish(
    run: Annotated[Path, typer.Argument(help="run folder, or a LeRobot v3 folder")],
    out: Annotated[Path, typer.Argument(help="new folder, or a .tar")],
    licence: Annotated[str, typer.Option(help="apache-2.0, cc-by-4.0, cc0-1.0, ...; asked for without")] = "",
    contact: Annotated[str, typer.Option(help="whom people who are seen in it can ask; asked for without")] = "",
    title: Annotated[str, typer.Option(help="its name; the folder's without")] = "",
) -> None:
    """Put a dataset together for other people: data, card, checksums, licence."""
    import sys

    from armtune_policies.datasets.lerobot_files import is_lerobot
    from armtune_policies.datasets.lerobot_read import LeRobotFolder
    from armtune_policies.datasets.publish import LICENCES, card_of, lerobot_files, publish, run_files
    from armtune_policies.store.edits import kept_paths, read_kept
    from armtune_policies.store.lacking import lacking
    from armtune_policies.store.rate import OneRate

    if sys.stdin.isatty():
        licence = licence or typer.prompt(f"Under which licence may others use it ({', '.join(LICENCES)})")
        contact = contact or typer.prompt("Whom can people ask who are seen in it")
    if is_lerobot(run):
        folder = LeRobotFolder.as_it_is(run)
        episodes, files = [folder.read(at) for at in folder.placed], lerobot_files(run)
    else:
        episodes, files = [read_kept(path) for path in kept_paths(run)], run_files(run)
    if not episodes:
        raise lacking(run)
    rate = OneRate()
    for one in episodes:
        rate.check(one)
    card = card_of(episodes, title or run.name, licence, contact, rate.nominal_hz or 0.0, is_lerobot(run))
    typer.echo(str(publish(run, files, card, out)))


def data_make_prior(
    folder: Annotated[Path, typer.Argument(help="where to; `armtune pretrain --prior` takes it")],
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="control steps of each variant, at least")] = 1000,
) -> None:
    """Collect episodes of other tasks than the one practised. Scripted experts; a second call continues."""
    from armtune_bringup.compose import compose
    from armtune_bringup.prior import Made, Variant, make_prior, variants

    config = compose(overrides or [])
    with Bars() as bar:
        tasks = {v: bar.add_task(v.run_id, total=steps) for v in variants(config.task.name)}

        def show(variant: Variant, made: Made) -> None:
            bar.update(tasks[variant], completed=min(made.steps, steps))

        found = make_prior(config, folder, steps, show)
    rows = {variant.run_id: asdict(made) for variant, made in found.items()}
    typer.echo(json.dumps({"folder": str(folder), "steps": sum(m.steps for m in found.values()), "variants": rows}))


def _range(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
        raise ConfigError(f"--trim: expected FIRST:LAST as in 3:40, got {text!r}")
    return int(first or 0), int(last) if last else None


def _counted(rows: Any, tell: Any) -> Any:
    for row in rows:
        yield row
        tell()


EXAMPLES: dict[str, tuple[Any, str]] = {
    "ls": (data_ls, "armtune data ls runs --json"),
    "show": (data_show, "armtune data show runs/shown --rerun"),
    "check": (data_check, "armtune data check runs/shown"),
    "replay": (data_replay, "armtune data replay runs/shown/shown-00003 task=drawer --plot replay.png"),
    "edit": (data_edit, "armtune data edit runs/shown shown-00003 --trim 4:31"),
    "merge": (data_merge, "armtune data merge runs/monday runs/tuesday --into runs/both"),
    "export": (data_export, "armtune data export runs/shown datasets/drawer --pictures h264"),
    "import": (data_import, "armtune data import bridge_dataset/1.0.0 runs/bridge --contract bridge"),
    "publish": (data_publish, "armtune data publish runs/shown drawer.tar --licence cc-by-4.0 --contact me@lab.org"),
    "make-prior": (data_make_prior, "armtune data make-prior runs/prior task=drawer"),
    "select": (data_select, SELECT_EXAMPLE),
}  # fmt: skip
