"""The agent's eyes: an encoder fitted once to episodes, frozen from then on, so that practice costs it no learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save

from armtune_policies.contract import Checked, ObservationSpec, num
from armtune_policies.episode.nudge import shut_row
from armtune_policies.runtime.images import made_up_images
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import GOLDEN, Manifest, entry
from armtune_policies.store.nouns import SUCCESS

from .blobs import BlobEncoder, fit_blobs
from .export import PARITY_OBSERVATIONS, About, encoder_bytes, golden_rows, parity, write_model
from .networks import seed_everything
from .telling import Sights, telling
from .trajectory import BadData

LEAST = 8
"""Frames of an episode that are looked at."""
BATCH = 128


@dataclass(frozen=True)
class Frames:
    """Some frames of some episodes, those of an episode in order."""

    images: Mapping[str, npt.NDArray[np.uint8]]
    """By camera, uint8, shape (N, H, W, 3)."""
    episode: npt.NDArray[np.int64]
    """Which episode each is of, (N,)."""
    tool_m: npt.NDArray[np.floating]
    """Where the tool was, x and y, (N, 2)."""
    grasp_m: npt.NDArray[np.floating]
    """Where the hand then shut in a success, x and y, (N, 2); NaN once it had, and where it did not."""


@dataclass(frozen=True, kw_only=True)
class EncoderParams(Checked):
    """What an encoder is fitted to."""

    colours: int = num(8, low=1, high=80, doc="patches told apart per camera; each that is told gives three numbers")
    frames: int = num(900, low=1, high=4000, doc="frames looked at, as many of each episode")
    pixels: int = num(200, low=1, high=10_000, doc="pixels looked at per frame")


def some_frames(read: Callable[[int], Episode], count: int, observation: ObservationSpec, most: int) -> Frames:
    """Return about ``most`` frames of ``count`` episodes, evenly spread; of very many, some of every so manieth.

    An episode gives ``LEAST`` at least: what moves in it is seen by more than its first frame.

    Raises:
        BadData: when images are of another size than the policy's, naming the file.
        ValueError: when there is no whole frame.
    """
    found: dict[str, list[npt.NDArray[np.uint8]]] = {camera: [] for camera in observation.cameras}
    of: list[npt.NDArray[np.int64]] = []
    tools: list[npt.NDArray[np.floating]] = []
    grasps: list[npt.NDArray[np.floating]] = []
    each = max(-(-most // max(count, 1)), LEAST)
    for index in np.unique(np.linspace(0, count - 1, min(count, max(most // LEAST, 1))).astype(int)):
        episode = read(int(index))
        check_images(episode, observation)
        whole = np.flatnonzero(episode.complete)
        rows = whole[np.linspace(0, len(whole) - 1, min(each, len(whole))).astype(int)] if len(whole) else whole
        for camera, parts in found.items():
            parts.append(episode.images[camera][rows])
        of.append(np.full(len(rows), index))
        tools.append(episode.state[rows, :2])
        grasps.append(_grasps_m(episode)[rows])
    frames = {camera: np.concatenate(parts) for camera, parts in found.items() if parts}
    if not frames or not len(next(iter(frames.values()))):
        raise ValueError("no whole frame to fit an encoder to; collect demonstrations: armtune collect")
    return Frames(frames, *(np.concatenate(parts) for parts in (of, tools, grasps)))


def _grasps_m(episode: Episode) -> npt.NDArray[np.floating]:
    """Return for each row where the hand was to shut, (R, 2); NaN where it did not any more."""
    found = np.full((len(episode.state), 2), np.nan)
    shut = shut_row(episode.allowed[:, -1]) if episode.outcome == SUCCESS else None
    if shut is not None:
        found[: shut + 1] = episode.state[shut, :2]
    return found


def check_images(episode: Episode, observation: ObservationSpec) -> None:
    """Refuse an episode whose images are not of the policy's size.

    Raises:
        BadData: naming the file, the camera, what was expected and what came.
    """
    size = (observation.height_px, observation.width_px, 3)
    for camera in observation.cameras:
        got = episode.images[camera].shape[1:] if camera in episode.images else None
        if got != size:
            raise BadData(str(episode.path), f"image {camera}", f"{size}", got or "none")


def fit_encoder(frames: Frames, params: EncoderParams, seed: int = 0) -> BlobEncoder:
    """Return an encoder of the colours in the frames: some seconds' work.

    Of each camera's colours the one that tells where the hand takes hold, all where none does or nothing is known.
    """
    seed_everything(seed)
    cameras = []
    for images in frames.images.values():
        blobs = fit_blobs(images, frames.episode, params.colours, params.pixels, seed)
        with torch.no_grad():
            seen = np.concatenate([blobs(part).numpy() for part in torch.from_numpy(images).split(BATCH)])
        colour = telling(Sights(seen, frames.tool_m, frames.grasp_m, frames.episode))
        cameras.append(blobs if colour is None else blobs.only([colour]))
    return BlobEncoder(cameras)


def export_encoder(folder: Path, encoder: BlobEncoder, about: About) -> Manifest:
    """Write an encoder's folder: encoder.onnx, golden outputs, manifest.

    Raises:
        ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
    """
    graph, images = encoder_bytes(encoder, about.observation), made_up_images(about.observation, PARITY_OBSERVATIONS)
    features, gap = parity(encoder, graph, images, "features")
    blobs = {"encoder.onnx": graph, GOLDEN: save(golden_rows(images, {"features": features}))}
    return write_model(
        folder, about, blobs, gap, kind="encoder", feature_size=encoder.feature_size, encoder_digest=entry(graph).sha256
    )
