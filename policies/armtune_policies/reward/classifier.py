"""A verified success classifier: images and a sentence to a probability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec, ObservationSpec, Verdict, contract_digest
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import agree, embedding, golden_input, named_sentences, read_tensors
from armtune_policies.runtime.session import OpenSession, Session, check_ports, finite, reward_ports
from armtune_policies.store.manifest import GOLDEN, ModelFiles, load_model

from .vote import verdict


class RewardModel:
    """Scores one observation; made by ``load``."""

    def __init__(self, files: ModelFiles, session: Session, sentences: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.manifest = files.manifest
        self.digest = files.digest
        self.sentences = dict(sentences)
        self._session = session

    @classmethod
    def load(
        cls, folder: Path, action: ActionSpec, observation: ObservationSpec, open_session: OpenSession = OrtSession
    ) -> RewardModel:
        """Verify, load, compare with the stored outputs and warm up.

        Raises:
            ModelError: in one sentence, when anything about the model will not do.
        """
        files = load_model(folder, contract_digest(action, observation), kinds=("reward",))
        what, golden = f"{folder}/reward.onnx", read_tensors(files, GOLDEN, folder)
        sentences = named_sentences(files, folder)
        session = open_session(files.blobs["reward.onnx"])
        try:
            check_ports(session, reward_ports(observation), what)
            agree(session.run({p.name: golden_input(golden, p.name, folder) for p in session.inputs}), golden, what)
        except BaseException:
            session.close()
            raise
        return cls(files, session, sentences)

    @property
    def threshold(self) -> float:
        return self.manifest.threshold

    @property
    def version(self) -> str:
        return self.manifest.version

    def score(self, images: Mapping[str, npt.NDArray[np.uint8]], sentence: str) -> float:
        """Return the probability that the sentence is fulfilled in the images.

        Args:
            images: By camera name, rgb8 at policy size, uint8, each (H, W, 3).
            sentence: One of the sentences stored with the model.

        Raises:
            ModelError: for an unknown sentence, wrong images, or an answer that is not finite.
        """
        feeds: dict[str, npt.NDArray[np.generic]] = {f"image.{camera}": image[None] for camera, image in images.items()}
        feeds["sentence"] = embedding(self.sentences, sentence)[None]
        return float(finite(self._session.run(feeds), self.version)["probability"][0])

    def verdict(self, probability: float) -> Verdict:
        """Read a probability by this model's own threshold."""
        return verdict(probability, self.threshold)

    def close(self) -> None:
        self._session.close()
