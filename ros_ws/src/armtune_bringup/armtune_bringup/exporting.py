"""``armtune export``: a model folder made smaller or quicker, only if it answers as before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from armtune_policies.contract import STATE_NAMES, ConfigError
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.runtime.images import made_up_images
from armtune_policies.runtime.optimise import answers, off_by, optimised
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import Policy, named_sentences, policy_ports, read_tensors
from armtune_policies.runtime.proving import prove
from armtune_policies.runtime.session import Arrays, reward_ports
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.files import whole_folder, write_whole
from armtune_policies.store.manifest import (
    GOLDEN,
    PARTS,
    ModelError,
    ModelFiles,
    entry,
    load_model,
    write_manifest,
)

MADE_UP, MADE_UP_IF_LARGE, LARGE_BYTES = 512, 32, 64 << 20
"""Observations that are tried beside the stored ones; large graphs take a second for each."""
PICTURES = 512
RUNS = 30


def export(folder: Path, out: Path, how: str, bound: float, run: Path | None = None) -> dict[str, Any]:
    """Write an optimised copy of a policy or reward model to a new folder, and return what was measured.

    Both answer the same questions: those stored with the model, made-up ones and, of ``run``, recorded pictures.

    Args:
        folder: The model.
        out: A folder that is not there yet.
        how: One of ``BOUNDS``.
        bound: Largest difference allowed, over the range of a proposal, 1 for a probability, else the largest answer.
        run: A run folder whose pictures are tried, too.

    Raises:
        ModelError: when an answer is off by more than the bound, or the model will not do; nothing is written then.
        ConfigError: when the run has no pictures for this model.
        FileExistsError: when ``out`` is there.
    """
    files = load_model(folder, kinds=("policy", "reward"))
    prove(files, folder)
    graphs = {name: data for name, data in files.blobs.items() if name.endswith(".onnx")}
    made = {name: optimised(data, how) for name, data in graphs.items()}
    tried = _questions(files, folder, run)
    compare = _policy if files.manifest.kind == "policy" else _reward
    gaps = compare(files, made, tried)
    count = len(tried["sentence"])
    for name, gap in gaps.items():
        if not gap <= bound:
            raise ModelError(
                f"{folder}: as {how}, {name} would be off by {gap:.2g} of its range, allowed {bound:g} "
                f"({count} observations); not exported"
            )
    _write(files, out, how, bound, made, {**gaps, "observations": float(count)})
    rows = {name: _row(graphs[name], made[name]) for name in graphs}
    return {"export": str(out), "how": how, "bound": bound, "observations": count, "off_by": gaps, "graphs": rows}


def _questions(files: ModelFiles, folder: Path, run: Path | None) -> Arrays:
    """Return the inputs of all graphs but features: rows of pictures, states and sentences."""
    manifest = files.manifest
    is_policy = manifest.kind == "policy"
    ports = (
        policy_ports(manifest) if is_policy else [p for side in reward_ports(manifest.observation, True) for p in side]
    )
    golden = read_tensors(files, GOLDEN, folder, ports)
    size = sum(len(data) for name, data in files.blobs.items() if name.endswith(".onnx"))
    made = made_up_images(manifest.observation, MADE_UP if size < LARGE_BYTES else MADE_UP_IF_LARGE)
    found = recorded(run, manifest.observation.cameras, next(iter(made.values())).shape[1:]) if run else {}
    pictures = {n: np.concatenate([golden[f"in.{n}"], v, *([found[n]] if found else [])]) for n, v in made.items()}
    count, rng = len(next(iter(pictures.values()))), np.random.default_rng(0)
    known = np.stack(list(named_sentences(files, folder, size=None).values()))
    state = rng.normal(scale=0.5, size=(count, len(STATE_NAMES))).astype(np.float32)
    return {**pictures, "state": state, "sentence": known[rng.integers(len(known), size=count)]}


def recorded(run: Path, cameras: tuple[str, ...], shape: tuple[int, ...], most: int = PICTURES) -> Arrays:
    """Return about ``most`` pictures of a run's episodes by input, spread over all of them.

    Raises:
        ConfigError: when the run has none of this shape.
    """
    files = list_episodes(run)
    each = -(-most // max(1, len(files)))
    parts: dict[str, list[np.ndarray]] = {camera: [] for camera in cameras}
    for file in files:
        episode = read_episode(file)
        rows = np.flatnonzero(episode.complete)
        rows = rows[:: max(1, len(rows) // each)][:each]
        for camera in cameras:
            seen = episode.images.get(camera)
            if seen is None or seen.shape[1:] != shape:
                got = "none" if seen is None else f"{seen.shape[2]}x{seen.shape[1]}"
                raise ConfigError(f"{file}: expected pictures of {camera} of {shape[1]}x{shape[0]} pixels, got {got}")
            parts[camera].append(seen[rows])
    if not files:
        raise ConfigError(f"{run}: no episodes in this run; leave --on out, or name one with recordings")
    return {f"image.{camera}": np.concatenate(part) for camera, part in parts.items()}


def _policy(files: ModelFiles, made: Mapping[str, bytes], tried: Arrays) -> dict[str, float]:
    """Return how far features and proposals are off, the new encoder's features going into the new head."""
    pictures = {name: value for name, value in tried.items() if name.startswith("image.")}
    rest = {name: tried[name] for name in ("state", "sentence")}
    seen = [answers(blobs["encoder.onnx"], pictures)["features"] for blobs in (files.blobs, made)]
    said = [
        answers(blobs["head.onnx"], {"features": features, **rest})["proposed"]
        for blobs, features in zip((files.blobs, made), seen)
    ]
    return {
        "features": off_by(seen[0], seen[1], float(np.abs(seen[0]).max())),
        "proposed": off_by(said[0], said[1], np.asarray(files.manifest.action.half_range)),
    }


def _reward(files: ModelFiles, made: Mapping[str, bytes], tried: Arrays) -> dict[str, float]:
    """Return how far probabilities are off, and distances where the model says them."""
    feeds = {name: value for name, value in tried.items() if name != "state"}
    want, got = (answers(blobs["reward.onnx"], feeds) for blobs in (files.blobs, made))
    scales = {name: 1.0 if name == "probability" else float(np.abs(want[name]).max()) for name in want}
    return {name: off_by(want[name], got[name], scale) for name, scale in scales.items()}


def _write(
    files: ModelFiles, out: Path, how: str, bound: float, made: Mapping[str, bytes], metrics: Mapping[str, float]
) -> None:
    """Write the folder: graphs, what was stored with the original, the manifest last; it loads before it has its name.

    Weights for learning on are left out: they are the original's.
    """
    old = files.manifest
    blobs = {name: made.get(name, files.blobs[name]) for name in PARTS[old.kind]}
    manifest = replace(
        old,
        files={name: entry(data) for name, data in blobs.items()},
        encoder_digest=entry(blobs["encoder.onnx"]).sha256 if "encoder.onnx" in blobs else old.encoder_digest,
        precision=bound,
        provenance={**old.provenance, "optimised": how, "optimised_from": files.digest},
        metrics={**old.metrics, **{f"optimised_{name}": value for name, value in metrics.items()}},
    )
    with whole_folder(out) as part:
        for name, data in blobs.items():
            write_whole(part / name, data)
        write_manifest(part, manifest)
        load = Policy.load if old.kind == "policy" else RewardModel.load
        load(part, old.action, old.observation).close()


def _row(old: bytes, new: bytes) -> dict[str, float]:
    """Return size and time of a graph before and after, on this machine's CPU, one row at a time."""
    took = [took_ms(graph) for graph in (old, new)]
    return {
        "kb": round(len(old) / 1e3, 1),
        "kb_now": round(len(new) / 1e3, 1),
        "p50_ms": took[0],
        "p50_ms_now": took[1],
    }


def took_ms(graph: bytes) -> float:
    """Return a graph's median time for one row on this machine's CPU [ms]."""
    session = OrtSession(graph, ("CPUExecutionProvider",))
    feeds = {p.name: np.zeros([max(1, n) for n in p.shape], p.dtype) for p in session.inputs}
    took = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        session.run(feeds)
        took.append(1e3 * (time.perf_counter() - start_s))
    session.close()
    return round(float(np.median(took)), 3)
