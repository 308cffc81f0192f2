"""The learner's recipe ``bc``: refit the head on demonstrations and on the arm's own successes.

Filtered behaviour cloning: what worked is imitated, what did not is left out. The encoder
stays frozen, so a refit takes seconds and features recorded live are used as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from armtune_policies.contract import ActionSpec, ObservationSpec, contract_digest
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import named_sentences
from armtune_policies.runtime.proving import prove
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.manifest import Manifest, ModelError, load_model
from armtune_policies.store.nouns import SUCCESS
from armtune_policies.store.tensors import load_tensors

from .augment import random_light, random_shift
from .bc import RefitParams, refit_head
from .data import Transitions, concatenate, episode_rows
from .export import HEAD_WEIGHTS, About, export_head
from .loop import OnProgress, silent
from .networks import Head


class Refitter:
    """Gathers successes and makes heads for one frozen encoder.

    ::

        refitter = Refitter(policy_folder, action, observation)
        refitter.add(read_episode(path))
        refitter.offer(heads / "head-0001", "head-0001", seed=1)
    """

    def __init__(
        self, policy_folder: Path, action: ActionSpec, observation: ObservationSpec, params: RefitParams | None = None
    ) -> None:
        """Load encoder and head of a policy folder.

        Raises:
            ModelError: when the folder will not do, or lacks the weights to go on from.
        """
        files = load_model(policy_folder, contract_digest(action, observation), kinds=("policy",))
        if HEAD_WEIGHTS not in files.blobs:
            raise ModelError(f"{policy_folder} has no {HEAD_WEIGHTS}; export it again with this version to refit it")
        prove(files, policy_folder)
        self._action, self._observation = action, observation
        self._params = params or RefitParams()
        self._manifest = files.manifest
        self._encoder = OrtSession(files.blobs["encoder.onnx"])
        self._embeddings = named_sentences(files, policy_folder)
        self._head = Head(action, files.manifest.feature_size)
        weights = load_tensors(files.blobs[HEAD_WEIGHTS], f"{policy_folder}/{HEAD_WEIGHTS}")
        self._head.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        self._parts: list[Transitions] = []
        self._is_own: list[bool] = []

    @property
    def episode_ids(self) -> tuple[str, ...]:
        """The successes gathered so far."""
        return tuple(name for part in self._parts for name in part.episode_ids)

    def add(self, episode: Episode, is_own: bool = False) -> int:
        """Gather a finished episode; returns the rows it gave, 0 for a failure or one known already.

        Args:
            episode: As read from its file.
            is_own: The arm made it in practice; it is no demonstration.
        """
        if episode.outcome != SUCCESS or episode.episode_id in self.episode_ids:
            return 0
        digest = self._manifest.encoder_digest
        part = episode_rows(episode, self._action, self._observation, self._manifest.sentences, digest)
        if not len(part):
            return 0
        features = [part.features if part.features.shape[1] else self._encoded(part)]
        rng = np.random.default_rng(len(self._parts))
        features += [self._encoded(self._shaken(part, rng)) for _ in range(self._params.copies)]
        # The encoder knows the demonstrations' very pixels; shaken copies show how its features really vary.
        rows = part.with_features(features[0]).rows(np.tile(np.arange(len(part)), len(features)))
        self._parts.append(rows.with_features(np.concatenate(features)))
        self._is_own.append(is_own)
        return len(part)

    def fit(self, seed: int = 0, on_progress: OnProgress = silent) -> tuple[Head, float]:
        """Return a head fitted to everything gathered, and its last loss; starts at the policy's own head.

        Raises:
            ValueError: when nothing was gathered.
        """
        data = concatenate(self._parts)
        is_own = np.repeat(np.array(self._is_own, bool), [len(part) for part in self._parts])
        return refit_head(self._head, data.features, data, self._embeddings, is_own, self._params, seed, on_progress)

    def offer(
        self,
        folder: Path,
        name: str,
        seed: int = 0,
        provenance: Mapping[str, Any] | None = None,
        on_progress: OnProgress = silent,
    ) -> Manifest:
        """Fit and write a head folder, ready to be offered.

        Raises:
            ValueError: when nothing was gathered.
            ModelError: when ONNX and torch disagree.
        """
        head, loss = self.fit(seed, on_progress)
        data = concatenate(self._parts)
        about = About(
            name=name,
            action=self._action,
            observation=self._observation,
            embeddings=self._embeddings,
            provenance={**(provenance or {}), "data": [data.digest], "parent": self._manifest.version},
            metrics={"loss": loss, "episodes": float(len(self.episode_ids)), "rows": float(len(data))},
            licence=self._manifest.licence,
        )
        return export_head(folder, head, self._manifest.encoder_digest, data.features, about)

    def _shaken(self, part: Transitions, rng: np.random.Generator) -> Transitions:
        params = self._params
        return replace(
            part,
            images={
                camera: random_light(random_shift(images, params.shift_px, rng), params.light, rng)
                for camera, images in part.images.items()
            },
        )

    def _encoded(self, part: Transitions) -> npt.NDArray[np.float32]:
        feeds = {f"image.{camera}": images for camera, images in part.images.items()}
        return np.asarray(self._encoder.run(feeds)["features"], np.float32)
