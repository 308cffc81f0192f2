"""A verified success classifier: images and a sentence to a probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import ActionSpec, ObservationSpec, contract_digest
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.policy import agree, embedding, golden_input, named_sentences, read_tensors
from armtune_policies.runtime.proving import prove
from armtune_policies.runtime.session import OpenSession, Session, check_ports, finite, reward_ports
from armtune_policies.store.manifest import GOLDEN, ModelError, ModelFiles, load_model

from .calibrate import Limits, verdicts

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Answers to N questions: ``probability`` (N,), ``distance`` (N,) where the model says it, ``verdict`` (N,)."""

    probability: Floats
    distance: Floats | None
    verdict: npt.NDArray[np.uint8]


class RewardModel:
    """Scores one observation; made by ``load``."""

    def __init__(self, files: ModelFiles, session: Session, sentences: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self.manifest = files.manifest
        self.digest = files.digest
        self.sentences = dict(sentences)
        self._session = session

    @classmethod
    def load(
        cls,
        folder: Path,
        action: ActionSpec,
        observation: ObservationSpec,
        open_session: OpenSession = OrtSession,
        asked: Iterable[str] = (),
    ) -> RewardModel:
        """Verify, load, compare with the stored outputs and warm up; ``asked`` are sentences that it has to know.

        Raises:
            ModelError: in one sentence, when anything about the model will not do.
        """
        files = load_model(folder, contract_digest(action, observation), kinds=("reward",))
        what = f"{folder}/reward.onnx"
        ports = [port for side in reward_ports(observation, says_distance=True) for port in side]
        golden = read_tensors(files, GOLDEN, folder, ports)
        sentences = named_sentences(files, folder, size=None)
        for sentence in asked:
            embedding(sentences, sentence)
        prove(files, folder)
        size, says_distance = len(next(iter(sentences.values()))), files.manifest.distance_bound is not None
        session = open_session(files.blobs["reward.onnx"])
        try:
            check_ports(session, reward_ports(observation, says_distance, size), what)
            asked = {p.name: golden_input(golden, p.name, folder) for p in session.inputs}
            agree(session.run(asked), golden, what, max(session.gap, files.manifest.precision), {"probability": (1.0,)})
        except BaseException:
            session.close()
            raise
        return cls(files, session, sentences)

    @property
    def manifest_digest(self) -> str:
        """As an offer names it."""
        return self.digest

    @property
    def threshold(self) -> float:
        return self.manifest.threshold

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def provider(self) -> str:
        """The execution provider really in use."""
        return self._session.provider

    @property
    def limits(self) -> Limits:
        """How this model's probabilities and distances are read."""
        return Limits(self.manifest.threshold, self.manifest.unsure_above, self.manifest.distance_bound)

    def score(self, images: Mapping[str, npt.NDArray[np.uint8]], sentence: str) -> float:
        """Return the probability that the sentence is fulfilled in the images.

        Args:
            images: By camera name, rgb8 at policy size, uint8, each (H, W, 3).
            sentence: One of the sentences stored with the model.

        Raises:
            ModelError: for an unknown sentence, wrong images, images too unlike those of the training, or an answer
                that is not finite.
        """
        found = self.score_many({camera: image[None] for camera, image in images.items()}, [sentence])
        if found.distance is not None and not self.limits.is_familiar(found.distance)[0]:
            raise ModelError(
                "the picture is unlike those the reward model was trained on "
                f"(distance {found.distance[0]:.2f}, at most {self.limits.distance_bound:.2f}); "
                "see whether the camera was moved, covered or is dark, or train it on such"
            )
        return float(found.probability[0])

    def score_many(self, images: Mapping[str, npt.NDArray[np.uint8]], sentences: Sequence[str]) -> Scores:
        """Return the answers to N sentences about N frames, uint8 (N, H, W, 3) by camera.

        Raises:
            ModelError: as ``score``, but an unfamiliar picture is a verdict here.
        """
        feeds: dict[str, npt.NDArray[np.generic]] = {f"image.{camera}": part for camera, part in images.items()}
        feeds["sentence"] = np.stack([embedding(self.sentences, sentence) for sentence in sentences])
        outputs = finite(self._session.run(feeds), self.version)
        probability, distance = outputs["probability"], outputs.get("distance")
        return Scores(probability, distance, verdicts(probability, distance, self.limits))

    def close(self) -> None:
        self._session.close()
