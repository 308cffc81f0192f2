"""A frozen encoder out of its folder, or a policy's: features for learning, and its files for what is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec, ObservationSpec, contract_digest
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.proving import prove
from armtune_policies.store.manifest import load_model

from .export import ENCODER_WEIGHTS

BATCH, BATCH_IF_LARGE, LARGE_BYTES = 64, 8, 8 << 20
"""Frames encoded at once; a large graph takes much memory for each, and is not quicker with more."""


class FrozenEncoder:
    """Images to features, as the encoder or the policy of that folder computes them.

    Raises:
        ModelError: when the folder will not do, or is of another contract.
    """

    def __init__(self, folder: Path, action: ActionSpec, observation: ObservationSpec) -> None:
        files = load_model(folder, contract_digest(action, observation), kinds=("encoder", "policy"))
        prove(files, folder)
        self.digest, self.feature_size = files.manifest.encoder_digest, files.manifest.feature_size
        self.parity = files.manifest.metrics.get("parity_max_error", 0.0)
        self.precision, self.licence, self.opset = (
            getattr(files.manifest, n) for n in ("precision", "licence", "opset")
        )
        self.blobs = {name: files.blobs[name] for name in ("encoder.onnx", ENCODER_WEIGHTS) if name in files.blobs}
        self.observation = observation
        self._session = OrtSession(files.blobs["encoder.onnx"])
        self._batch = BATCH if len(files.blobs["encoder.onnx"]) < LARGE_BYTES else BATCH_IF_LARGE

    def features(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return features float32 (N, F) of uint8 images (N, H, W, 3) by camera, at policy size."""
        cameras = self.observation.cameras
        count = len(images[cameras[0]])
        parts = [
            self._session.run({f"image.{c}": images[c][start : start + self._batch] for c in cameras})["features"]
            for start in range(0, count, self._batch)
        ]
        return np.concatenate(parts)

    def kept(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.uint8]]:
        """Return the images that a learner needs beside their features, by camera: none."""
        return {}
