"""What stands where a frozen encoder would when an agent learns from pixels: no features, the images themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ObservationSpec

from .frozen import FrozenEncoder


class Unencoded(FrozenEncoder):
    """Images to no features at all; what has none keeps its images."""

    def __init__(self, observation: ObservationSpec) -> None:
        self.observation = observation
        self.digest, self.feature_size, self.parity, self.blobs = "pixels", 0, 0.0, {}

    def features(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        return np.zeros((len(images[self.observation.cameras[0]]), 0), np.float32)

    def kept(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[np.uint8]]:
        return {camera: images[camera] for camera in self.observation.cameras}
