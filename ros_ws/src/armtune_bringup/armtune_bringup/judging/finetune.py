"""A judge out of a transformers folder, fine-tuned on a run's frames and written as any other reward model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError
from armtune_policies.reward.frameset import FrameSet
from armtune_policies.store.manifest import Manifest

from .frames import described
from .settings import Judging, OnStep, rule_of
from .writing import write_judge

SMALL = "small"
TUNES = (SMALL, "lora")


def finetune(judging: Judging, frames: FrameSet, model: Path, tune: str, device: str, on_step: OnStep) -> Manifest:
    """Fine-tune, calibrate and export the model of a folder to ``reward.folder``; goes on where it was killed.

    Args:
        judging: Config and settings; its experiment's seed is the training's.
        frames: What to learn from.
        model: Transformers folder of a dual encoder or a generative vision-language model.
        tune: ``small``: a head, or the projection between image tower and language model; or ``lora``.
        device: Of the model, as torch names it.
        on_step: Told of the progress.

    Raises:
        ConfigError: for an unknown ``tune`` or device.
        ModelError: when the folder will not do, or no graph can hold the model: before it is trained.
    """
    from armtune_policies.learn.networks import seed_everything
    from armtune_policies.learn.reward.export import check_exportable
    from armtune_policies.learn.reward.fit import fit, split

    if tune not in TUNES:
        raise ConfigError(f"tune: expected one of {', '.join(TUNES)}, got {tune!r}")
    if (members := judging.fit_params.members) != 1:
        raise ConfigError(
            f"fit.members: expected 1 with a model out of a folder, got {members}; students only are made"
        )
    config, seed = judging.config, judging.config.experiment.seed
    seed_everything(seed)
    asked = load_judge(model)(model, config.policy.observation, *(("lora",) if tune == "lora" else ()))
    check_exportable(asked.net)
    try:
        asked.net.to(device)
    except (RuntimeError, AssertionError) as why:
        raise ConfigError(f"device {device!r} does not work here: {str(why).splitlines()[0]}") from None
    folder = Path(config.reward.folder)
    fitted = fit(
        asked, *split(frames, judging.fit_params.held_out, seed), judging.fit_params, judging.calibration, seed,
        checkpoint=folder.with_name(f"{folder.name}.training.safetensors"),
        on_progress=lambda p: on_step(model.name, p.step, p.updates), rule=rule_of(config),
    )  # fmt: skip
    asked.net.cpu()
    asked.sentences(frames.questions)
    known = {question: asked.known[question] for question in frames.questions}
    return write_judge(judging, folder, fitted, known, {"data": described(frames), "model": model.name, "tune": tune})


def load_judge(model: Path) -> Callable[..., Any]:
    """Return what loads a folder, by its ``model_type``.

    Raises:
        ModelError: when nothing here can.
    """
    from armtune_policies.learn.reward.clip import FAMILIES as TOWERS
    from armtune_policies.learn.reward.clip import Towers
    from armtune_policies.learn.reward.families import FAMILIES
    from armtune_policies.learn.reward.folders import model_type
    from armtune_policies.learn.reward.generative import Generative
    from armtune_policies.store.manifest import ModelError

    kind = model_type(model)
    if kind in TOWERS:
        return Towers.load
    if kind in FAMILIES:
        return Generative.load
    raise ModelError(f"{model}: expected a model of type {', '.join((*TOWERS, *FAMILIES))}; got {kind}")
