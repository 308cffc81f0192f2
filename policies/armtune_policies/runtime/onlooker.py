"""Stands where a policy would while there is none yet: it sees, and never acts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ObservationSpec
from armtune_policies.store.manifest import ModelError

from .policy import Floats, Image, Policy


class Onlooker(Policy):
    """What is recorded while a person shows the very first demonstrations: pictures and state, no features."""

    acts = False
    version = encoder_digest = observation_digest = ""  # type: ignore[assignment]
    provider = "none"  # type: ignore[assignment]

    def __init__(self, observation: ObservationSpec) -> None:
        self.observation_digest = observation.digest

    def features(self, images: Mapping[str, Image]) -> Floats:
        """No encoder, no features; float32, shape (0,)."""
        return np.zeros(0, np.float32)

    def propose(self, features: Floats, state: npt.ArrayLike, sentence: str) -> Floats:
        """Never proposed: ``acts`` is False. Zeros, shape (7,)."""
        return np.zeros(7, np.float32)

    def with_head(self, folder: Path) -> Policy:
        """Raises ModelError: there is no encoder to put a head on."""
        raise ModelError(f"{folder}: this graph runs without a policy; start it with policy.folder=... to take offers")

    def close_head(self) -> None: ...

    def close(self) -> None: ...
