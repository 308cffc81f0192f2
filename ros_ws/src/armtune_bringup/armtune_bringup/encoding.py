"""The encoder that fits some episodes, fitted when it is first asked for, then read; or a vision model of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from armtune_policies.contract import ConfigError, contract_digest, digest
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import MANIFEST

from .compose import config_hash
from .settings import Config


def encoder_of(
    config: Config,
    demos: Path,
    on_step: Callable[[str, int, int], None] = lambda what, done, total: None,
    may_fit: bool = True,
) -> Path:
    """Return the folder of the encoder for demonstrations, beside them.

    Its name says which files, settings and seed it is of: agents that learn from the same see by the same. Episodes of
    other tasks are seen by it, too, and change nothing of it: with a prior and without one differ in that alone.

    Raises:
        ConfigError: when it is not there and ``may_fit`` is False: several processes would make it at once.
        ValueError: when the episodes will not do.
    """
    from armtune_policies.learn.encoders import EncoderParams, export_encoder, fit_encoder, some_frames
    from armtune_policies.learn.export import About
    from armtune_policies.learn.sources import sources

    params, policy, seed = EncoderParams(), config.policy, config.experiment.seed
    files = sources(demos, policy.action, policy.observation)
    contract = contract_digest(policy.action, policy.observation)
    named = digest([[[one.name, one.digest()] for one in files], asdict(params), seed, contract])
    folder = demos / "models" / f"encoder-{named[:12]}"
    if (folder / MANIFEST).is_file():
        return folder
    if not may_fit:
        raise ConfigError(
            "several processes need an encoder that is there already: name its folder by --encoder, or let one process"
            " run this first with offline.updates=1"
        )

    def read(index: int) -> Episode:
        on_step("fitting the encoder", index + 1, len(files))
        return files[index].read()

    frames = some_frames(read, len(files), policy.observation, params.frames)
    provenance = {"config": config_hash(config), "seed": seed, "data": named, "encoder": asdict(params)}
    about = About("encoder", policy.action, policy.observation, {}, provenance)
    export_encoder(folder, fit_encoder(frames, params, seed), about)
    return folder


SEEN = 64
"""Recorded pictures that an encoder and its model are compared on."""


def adopt_encoder(
    config: Config, source: Path, folder: Path, run: Path | None, size_px: int | None, output: str | None, licence: str
) -> dict[str, Any]:
    """Write a vision model of the user's own as an encoder folder, and return what was measured.

    Args:
        config: Says the cameras, and their images' size.
        source: An ``.onnx`` file, or a folder of transformers or timm.
        folder: Where to.
        run: A run folder whose pictures are tried, too.
        size_px: Side of the picture the model is shown; None for what it was trained with.
        output: One of the model's outputs; None for the pooled one.
        licence: Of its weights.

    Raises:
        ModelError: when the model will not do.
        ConfigError: when the run has no pictures for it.
    """
    from armtune_policies.learn.export import About
    from armtune_policies.learn.vision_export import adopt

    from .exporting import recorded, took_ms

    seen = config.policy.observation
    shape = (seen.height_px, seen.width_px, 3)
    pictures = recorded(run, seen.cameras, shape, SEEN) if run else None
    provenance = {"config": config_hash(config)}
    about = About("encoder", config.policy.action, seen, {}, provenance, licence=licence)
    manifest = adopt(folder, source, about, size_px, output, pictures)
    graph = (folder / "encoder.onnx").read_bytes()
    return {
        "encoder": str(folder), "features": manifest.feature_size, "cameras": list(seen.cameras),
        **manifest.provenance["encoder"], "off_by": manifest.metrics["parity_max_error"],
        "pictures": int(manifest.metrics["parity_observations"]), "mb": round(len(graph) / 1e6, 1),
        "p50_ms": took_ms(graph),
    }  # fmt: skip
