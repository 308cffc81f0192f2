"""A verified policy: images to features, features and state to a proposal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec, contract_digest
from armtune_policies.store.manifest import GOLDEN, SENTENCES, Manifest, ModelError, ModelFiles, load_model
from armtune_policies.store.tensors import load_tensors

from .ort_session import OrtSession
from .proving import prove
from .session import SENTENCE_SIZE, Arrays, OpenSession, Port, Session, check_ports, encoder_ports, finite, head_ports

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

GOLDEN_TOLERANCE = 1e-4
"""Largest difference from the outputs stored at export; other processors round otherwise."""
SCANNED = 16
"""Random observations run before a model is trusted."""


class Policy:
    """An encoder, a head and the sentences they know; made by ``load`` or ``with_head``."""

    def __init__(
        self,
        manifest: Manifest,
        encoder: Session,
        head: Session,
        sentences: Mapping[str, Floats],
        digest: str,
        open_session: OpenSession = OrtSession,
    ) -> None:
        self.manifest = manifest
        self.sentences = dict(sentences)
        self.manifest_digest = digest
        self._encoder, self._head, self._open_session = encoder, head, open_session
        self._low = np.asarray(manifest.action.low, dtype=np.float32)
        self._high = np.asarray(manifest.action.high, dtype=np.float32)

    @classmethod
    def load(
        cls, folder: Path, action: ActionSpec, observation: ObservationSpec, open_session: OpenSession = OrtSession
    ) -> Policy:
        """Verify, load, compare with the stored outputs and warm up.

        Raises:
            ModelError: in one sentence, when anything about the model will not do.
        """
        files = load_model(folder, contract_digest(action, observation), kinds=("policy",))
        prove(files, folder)
        manifest, golden = files.manifest, read_tensors(files, GOLDEN, folder, policy_ports(files.manifest))
        encoder = open_session(files.blobs["encoder.onnx"])
        try:
            check_ports(encoder, encoder_ports(observation, manifest.feature_size), f"{folder}/encoder.onnx")
            images = {port.name: golden_input(golden, port.name, folder) for port in encoder.inputs}
            agree(encoder.run(images), golden, f"{folder}/encoder.onnx", max(encoder.gap, manifest.precision))
            finite(encoder.run(_random_images(encoder)), f"{folder}/encoder.onnx")
            return cls(manifest, encoder, *_load_head(files, golden, folder, open_session), open_session)
        except BaseException:
            encoder.close()
            raise

    def with_head(self, folder: Path) -> Policy:
        """Return a policy with this one's encoder and another head, verified, its session opened the same way.

        Raises:
            ModelError: also when the head was trained on another encoder's features, or
                does not know a sentence that this one knows.
        """
        wanted = contract_digest(self.manifest.action, self.manifest.observation)
        files = load_model(folder, wanted, kinds=("head", "policy"))
        if files.manifest.encoder_digest != self.encoder_digest:
            raise ModelError(
                f"{folder}: head is for encoder {files.manifest.encoder_digest[:16]}, the running encoder is"
                f" {self.encoder_digest[:16]}; train the head on this encoder's features"
            )
        if files.manifest.feature_size != self.manifest.feature_size:
            got = files.manifest.feature_size
            raise ModelError(f"{folder}: expected a head of {self.manifest.feature_size} features, got {got}")
        if unknown := [sentence for sentence in self.sentences if sentence not in files.manifest.sentences]:
            raise ModelError(f"{folder}: head does not know the sentence {unknown[0]!r}; train it on both directions")
        prove(files, folder)
        golden, opened = read_tensors(files, GOLDEN, folder, policy_ports(files.manifest)), self._open_session
        return Policy(files.manifest, self._encoder, *_load_head(files, golden, folder, opened), opened)

    acts = True

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def observation_digest(self) -> str:
        """Of the observation spec it was made for."""
        return self.manifest.observation.digest

    @property
    def encoder_digest(self) -> str:
        return self.manifest.encoder_digest

    @property
    def provider(self) -> str:
        """The execution provider really in use."""
        return self._encoder.provider

    def features(self, images: Mapping[str, Image]) -> Floats:
        """Encode one observation.

        Args:
            images: By camera name, rgb8 at policy size, uint8, each (H, W, 3).

        Returns:
            Features, float32, shape (F,).
        """
        feeds = {f"image.{camera}": image[None] for camera, image in images.items()}
        return finite(self._encoder.run(feeds), self.version)["features"][0]

    def propose(self, features: Floats, state: npt.ArrayLike, sentence: str) -> Floats:
        """Return the tool delta to propose, float32, shape (7,), inside the action bounds.

        Args:
            features: Of this policy's encoder, shape (F,).
            state: Tool position [m], rotation vector [rad], gripper opening; in ``base_link``, shape (7,).
            sentence: What to do; one of the sentences stored with the model.

        Raises:
            ModelError: for a sentence the model does not know, or an answer that is not finite.
        """
        feeds = {
            "features": np.asarray(features, dtype=np.float32)[None],
            "state": np.asarray(state, dtype=np.float32)[None],
            "sentence": embedding(self.sentences, sentence)[None],
        }
        proposed = finite(self._head.run(feeds), self.version)["proposed"][0]
        # The tanh may round a hair past the bound; the gate would count that as a limit hit.
        return np.clip(proposed, self._low, self._high)

    def close(self) -> None:
        self._encoder.close()
        self._head.close()

    def close_head(self) -> None:
        """Let go of the head alone, when another policy goes on with the encoder."""
        self._head.close()


def read_tensors(files: ModelFiles, name: str, folder: Path, ports: Iterable[Port] = ()) -> Arrays:
    """Return the arrays of one safetensors file of a verified model; golden ones are of these ports only."""
    names = [f"{way}.{port.name}" for port in ports for way in ("in", "out")] if name == GOLDEN else ["embeddings"]
    try:
        return load_tensors(files.blobs[name], f"{folder}/{name}", names)
    except ValueError as why:
        raise ModelError(str(why)) from None


def policy_ports(manifest: Manifest) -> tuple[Port, ...]:
    """Return every input and output of a policy's graphs."""
    sides = (*encoder_ports(manifest.observation, 0), *head_ports(manifest.action, 0))
    return tuple(port for side in sides for port in side)


def golden_input(golden: Arrays, name: str, folder: Path) -> npt.NDArray[Any]:
    if f"in.{name}" not in golden:
        raise ModelError(f"{folder}/{GOLDEN} has no input {name}; export the model again")
    return golden[f"in.{name}"]


def agree(
    outputs: Arrays,
    golden: Arrays,
    what: str,
    precision: float = 0.0,
    scale: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Refuse outputs that differ from those stored at export by more than ``GOLDEN_TOLERANCE``, or their precision.

    ``scale`` is what precision is a share of, by output and column; without one it is the largest answer stored.
    """
    for name, value in finite(outputs, what).items():
        want = golden.get(f"out.{name}")
        if want is None or want.shape != value.shape:
            raise ModelError(f"{what}: no stored output {name} of shape {value.shape}; export the model again")
        whole = (scale or {}).get(name, float(np.max(np.abs(want), initial=0.0)))
        allowed = np.maximum(GOLDEN_TOLERANCE, precision * np.asarray(whole))
        excess = np.abs(value - want) / allowed
        if not np.max(excess, initial=0.0) <= 1.0:
            at = np.unravel_index(int(np.argmax(excess)), excess.shape)
            gap, most = float(np.abs(value - want)[at]), float(np.broadcast_to(allowed, excess.shape)[at])
            raise ModelError(f"{what}: output {name} is off by {gap:.2g} from the stored one, allowed {most:g}")


def embedding(sentences: Mapping[str, Floats], sentence: str) -> Floats:
    """Return a stored sentence embedding, shape (384,)."""
    if sentence not in sentences:
        raise ModelError(
            f"the model does not know the sentence {sentence!r}; it knows {', '.join(map(repr, sentences))}"
        )
    return sentences[sentence]


def named_sentences(files: ModelFiles, folder: Path, size: int | None = SENTENCE_SIZE) -> dict[str, Floats]:
    """Return the embeddings of a model's sentences: rows of ``sentences.safetensors``, (S, size); None: any size."""
    rows = read_tensors(files, SENTENCES, folder).get("embeddings")
    names = files.manifest.sentences
    good = rows is not None and rows.dtype == np.float32 and rows.ndim == 2 and len(rows) == len(names) > 0
    if rows is None or not (good and rows.shape[1] == (size or rows.shape[1]) and np.all(np.isfinite(rows))):
        raise ModelError(f"{folder}/{SENTENCES}: expected finite float32 embeddings ({len(names)}, {size or 'D'})")
    return dict(zip(names, rows))


def _load_head(
    files: ModelFiles, golden: Arrays, folder: Path, open_session: OpenSession
) -> tuple[Session, dict[str, Floats], str]:
    manifest, what = files.manifest, f"{folder}/head.onnx"
    sentences = named_sentences(files, folder)
    head = open_session(files.blobs["head.onnx"])
    try:
        check_ports(head, head_ports(manifest.action, manifest.feature_size), what)
        said = head.run({p.name: golden_input(golden, p.name, folder) for p in head.inputs})
        agree(said, golden, what, max(head.gap, manifest.precision), {"proposed": manifest.action.half_range})
        _scan_head(head, manifest, np.stack(list(sentences.values())), what)
    except BaseException:
        head.close()
        raise
    return head, sentences, files.digest


def _scan_head(head: Session, manifest: Manifest, sentences: Floats, what: str) -> None:
    """Run random observations, also absurd ones: every answer finite and inside the bounds."""
    rng = np.random.default_rng(0)
    scale = np.logspace(-1, 2, SCANNED, dtype=np.float32)[:, None]
    feeds = {
        "features": rng.normal(size=(SCANNED, manifest.feature_size)).astype(np.float32) * scale,
        "state": rng.normal(size=(SCANNED, len(STATE_NAMES))).astype(np.float32) * scale,
        "sentence": sentences[rng.integers(len(sentences), size=SCANNED)],
    }
    proposed = finite(head.run(feeds), what)["proposed"]
    low, high = np.asarray(manifest.action.low), np.asarray(manifest.action.high)
    if not np.all((proposed >= low - 1e-5) & (proposed <= high + 1e-5)):
        raise ModelError(f"{what}: proposes beyond the action bounds; export it with the bounds of its contract")


def _random_images(encoder: Session) -> Arrays:
    rng = np.random.default_rng(0)
    feeds = {p.name: rng.integers(0, 256, (SCANNED, *p.shape[1:]), dtype=np.uint8) for p in encoder.inputs}
    for images in feeds.values():
        images[0], images[1] = 0, 255
    return feeds
