"""``armtune reward audit``, ``finetune``, ``offer``: a person's look at the classifier, and the next one's way in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from armtune_bringup.progress import Bars, shown_by

from .stack import Overrides

AUDIT_EXAMPLE = (
    "armtune reward audit runs/practised; "
    "armtune reward audit runs/practised --say practised-00003/17=no --say practised-00007/31=yes"
)
FINETUNE_EXAMPLE = (
    "armtune reward finetune runs/bin models/siglip2 task=bin_sort reward.folder=models/bin-siglip; "
    "armtune reward finetune runs/bin models/smolvlm --tune lora --device cuda task=bin_sort fit.batch=8"
)
OFFER_EXAMPLE = "armtune reward offer models/reward-2"
WORDS = {"y": "yes", "n": "no", "u": "unsure"}


def add_to(group: typer.Typer) -> None:
    """Add these commands to ``armtune reward``."""
    group.command(epilog=f"Example: {AUDIT_EXAMPLE}")(audit)
    group.command(epilog=f"Example: {FINETUNE_EXAMPLE}")(finetune)
    group.command(epilog=f"Example: {OFFER_EXAMPLE}")(offer)


def audit(
    folder: Annotated[Path, typer.Argument(help="run folder with practice episodes")],
    say: Annotated[
        list[str] | None, typer.Option(help="an answer, EPISODE/STEP=yes|no|unsure; may be repeated")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="ask for each that is due, one by one")] = False,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="part of the decisions that is reviewed")] = 0.05,
    floor: Annotated[float, typer.Option(min=0.0, max=1.0, help="precision must be shown to lie above")] = 0.8,
    most: Annotated[int, typer.Option(min=1, help="show at most so many")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object last")] = False,
) -> None:
    """Review a fair sample of the classifier's decisions. Exit code 1 when there is an alarm.

    Lists what is due, each with its picture; takes answers; prints precision and recall so far, with intervals.
    Answers are kept beside the labels, and as the label set "audit", from which a classifier can be retrained.
    """
    from armtune_bringup.judging.audit import Auditing
    from armtune_policies.reward.audit import AuditParams

    auditing = Auditing(folder, AuditParams(share=share, floor=floor))
    if say:
        typer.echo(f"{auditing.answer(say)} answers kept")
    found = auditing.stand()
    if ask:
        for one in found.due[:most]:
            typer.echo(f"{one.name}  {one.picture}")
            word = typer.prompt(f"  {one.sentence!r}: done? y, n, u (unsure), q (enough)", default="u")
            if word == "q":
                break
            auditing.answer([f"{one.name}={WORDS.get(word, word)}"])
        found = auditing.stand()
    for one in found.due[:most]:
        typer.echo(f"due  {one.name:<24} said {one.decision.said.name.lower():<4} {one.sentence!r}  {one.picture}")
    typer.echo(f"{found.reviewed} reviewed, {len(found.due)} due")
    typer.echo(f"precision {found.precision}\nrecall    {found.recall}")
    for alarm in found.alarms:
        typer.echo(f"ALARM: {alarm}")
    if as_json:
        rates = {"precision": found.precision, "recall": found.recall}
        numbers = {name: {"hits": r.hits, "n": r.count, "ci95": r.interval} for name, r in rates.items()}
        value = {"due": [one.name for one in found.due], "reviewed": found.reviewed, "alarms": list(found.alarms)}
        typer.echo(json.dumps({**value, **numbers}))
    raise typer.Exit(int(bool(found.alarms)))


def finetune(
    run: Annotated[Path, typer.Argument(help="run folder with demonstrations and failures")],
    model: Annotated[Path, typer.Argument(help="transformers folder: CLIP, SigLIP, SmolVLM, PaliGemma, Qwen-VL")],
    overrides: Overrides = None,
    tune: Annotated[str, typer.Option(help="small: a head, or the projection; lora: adapters on attention")] = "small",
    device: Annotated[str, typer.Option(help="as torch names it")] = "cpu",
) -> None:
    """Fine-tune a vision-language model of your own as the judge, to reward.folder. Goes on where it was killed.

    Nothing is downloaded; docs/reward-models.md says how to get a folder, and what each kind needs.
    """
    from armtune_bringup.judging.finetune import finetune as finetune_judge
    from armtune_bringup.judging.frames import labelled
    from armtune_bringup.judging.settings import read_overrides

    judging = read_overrides(overrides or [])
    with Bars() as bar:
        frames = labelled(judging, run)
        manifest = finetune_judge(judging, frames, model, tune, device, shown_by(bar))
    typer.echo(f"{manifest.version} in {judging.config.reward.folder}")
    typer.echo(json.dumps({"model": manifest.version, "threshold": manifest.threshold, **manifest.metrics}))


def offer(
    folder: Annotated[Path, typer.Argument(help="folder of a reward model")],
    robot: Annotated[str, typer.Option(help="which graph, where several run")] = "",
) -> None:
    """Offer a retrained classifier to a running graph. It is verified there and judges from the next episode on."""
    from armtune_bringup.offering_node import OfferingClient
    from armtune_policies.store.manifest import load_model

    model = load_model(folder, kinds=("reward",))
    with OfferingClient(robot) as client:
        client.offer_reward(str(folder.resolve()), model.manifest.version, model.digest)
    typer.echo(f"{model.manifest.version} was verified; it judges from the next episode on")
