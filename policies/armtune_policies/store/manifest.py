"""The manifest of a model folder: what is in it, by digest, and what it is for.

Weights are checked like a download: size and SHA-256 of every file before any parser sees
a byte. ``load_model`` hands out the very bytes it hashed, so nothing can change in between.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from armtune_policies.contract import ActionSpec, ObservationSpec, contract_digest

from .files import checked_name, read_capped, read_json, write_json

MANIFEST = "manifest.json"
GOLDEN = "golden.safetensors"
SENTENCES = "sentences.safetensors"
FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30
MAX_PRECISION = 0.1
"""Most that an optimised model may say of itself, so that one from elsewhere cannot talk the comparison away."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "encoder": ("encoder.onnx", GOLDEN),
    "head": ("head.onnx", GOLDEN, SENTENCES),
    "policy": ("encoder.onnx", "head.onnx", GOLDEN, SENTENCES),
    "reward": ("reward.onnx", GOLDEN, SENTENCES),
}
"""The files each kind of model must have."""


class ModelError(ValueError):
    """A model that will not do; one sentence: expected against got, and how to mend it."""


class SessionLost(ModelError):
    """What ran a model is gone and does not come back by itself: begin anew."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a model, as its maker wrote it."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a model says of itself.

    ``encoder_digest`` is the SHA-256 of the encoder the features come from: a head fits
    that encoder and no other. ``threshold`` is the probability above which a reward model
    says yes; above ``unsure_above`` and not above the threshold it does not know. Where
    ``distance_bound`` is given, its graph says how unlike the training's a picture is, and
    beyond the bound it does not know either. ``metrics`` holds finite numbers only, among
    them ``parity_max_error``: ONNX against torch over so many random observations as
    ``parity_observations`` says, over the largest output where that is above 1; of an encoder with a
    ``precision`` over its largest feature always. The
    answers of an optimised model, or of an encoder made of another's vision model, may be off by
    ``precision`` from those stored, over their range; 0.0: as well as they were exported.
    """

    kind: str
    name: str
    action: ActionSpec
    observation: ObservationSpec
    files: Mapping[str, FileEntry]
    opset: int
    licence: str
    sentences: tuple[str, ...] = ()
    feature_size: int = 0
    encoder_digest: str = ""
    threshold: float = 0.5
    unsure_above: float | None = None
    distance_bound: float | None = None
    precision: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def contract(self) -> str:
        return contract_digest(self.action, self.observation)

    @property
    def version(self) -> str:
        """The name and the first digits of all file digests: says exactly which weights."""
        text = json.dumps({name: entry.sha256 for name, entry in self.files.items()}, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class ModelFiles:
    """A verified model: its manifest, the bytes of its files, the manifest's own SHA-256."""

    manifest: Manifest
    blobs: Mapping[str, bytes]
    digest: str


def entry(data: bytes) -> FileEntry:
    """Describe a file's bytes."""
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``; write it last, its presence says that the model is whole."""
    _check(Path(folder), manifest)
    plain = asdict(manifest)
    write_json(Path(folder) / MANIFEST, {**plain, "format": FORMAT, "contract": manifest.contract})


def load_manifest(folder: Path, contract: str | None = None, kinds: tuple[str, ...] = tuple(PARTS)) -> Manifest:
    """Read a model's manifest and verify size and SHA-256 of each file it names.

    Args:
        folder: The model's folder.
        contract: Digest of the action and observation specs in use; None leaves it unchecked.
        kinds: The kinds that will do.

    Raises:
        ModelError: in one sentence, for anything missing, cut short, changed or meant for
            another contract.
    """
    return load_model(folder, contract, kinds).manifest


def load_model(folder: Path, contract: str | None = None, kinds: tuple[str, ...] = tuple(PARTS)) -> ModelFiles:
    """As ``load_manifest``, and return the bytes that were verified."""
    folder = Path(folder)
    raw = _read(folder, MANIFEST, MAX_MANIFEST_BYTES)
    manifest = _parse(folder, contract)
    if manifest.kind not in kinds:
        raise ModelError(f"{folder}: expected a model of kind {' or '.join(kinds)}, got {manifest.kind}")
    blobs = {name: _verified(folder, name, wanted) for name, wanted in manifest.files.items()}
    return ModelFiles(manifest, blobs, hashlib.sha256(raw).hexdigest())


def _parse(folder: Path, contract: str | None) -> Manifest:
    try:
        plain = read_json(folder / MANIFEST, MAX_MANIFEST_BYTES)
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            got = plain.get("format") if isinstance(plain, dict) else type(plain).__name__
            raise ModelError(f"{folder}: expected manifest format {FORMAT}, got {got}; export the model again")
        plain.pop("format")
        stated = plain.pop("contract")
        observation = plain.pop("observation")
        manifest = Manifest(
            **{
                **plain,
                "action": ActionSpec(**plain["action"]),
                "observation": ObservationSpec(**{**observation, "cameras": tuple(observation["cameras"])}),
                "files": {name: FileEntry(**row) for name, row in plain["files"].items()},
                "sentences": tuple(plain["sentences"]),
            }
        )
    except ModelError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as why:
        raise ModelError(f"{folder / MANIFEST} does not read as a manifest: {why}; export the model again") from None
    for expected, whose in ((stated, "its own manifest states"), (contract or stated, "this robot's config has")):
        if manifest.contract != expected:
            raise ModelError(
                f"{folder}: model is for contract {manifest.contract} ({_words(manifest)}), {whose} {expected};"
                " use the policy config it was trained with, or export it again"
            )
    _check(folder, manifest)
    return manifest


def _check(folder: Path, manifest: Manifest) -> None:
    """Refuse a manifest whose parts do not fit together."""
    try:
        checked_name(manifest.name, "model name")
    except ValueError as why:
        raise ModelError(f"{folder}: {why}") from None
    if manifest.kind not in PARTS:
        raise ModelError(f"{folder}: expected a kind out of {', '.join(PARTS)}, got {manifest.kind!r}")
    for name in PARTS[manifest.kind]:
        if name not in manifest.files:
            raise ModelError(f"{folder}: the manifest of a {manifest.kind} must list {name}; export the model again")
    for name in manifest.files:
        if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
            raise ModelError(f"{folder}: file name {name!r} in the manifest is not a plain name")
    encoder = manifest.files.get("encoder.onnx")
    if encoder is not None and encoder.sha256 != manifest.encoder_digest:
        raise ModelError(
            f"{folder}: encoder_digest is {manifest.encoder_digest or 'blank'}, encoder.onnx is {encoder.sha256}"
        )
    if manifest.kind == "head" and not manifest.encoder_digest:
        raise ModelError(f"{folder}: a head must quote the digest of its encoder, got none")
    if not 0.0 <= manifest.precision <= MAX_PRECISION:
        raise ModelError(f"{folder}: expected a precision from 0 to {MAX_PRECISION:g}, got {manifest.precision}")
    if not 0.0 < manifest.threshold < 1.0:
        raise ModelError(f"{folder}: expected a threshold between 0 and 1, got {manifest.threshold}")
    unsure, bound = manifest.unsure_above, manifest.distance_bound
    if unsure is not None and not 0.0 <= unsure <= manifest.threshold:
        raise ModelError(f"{folder}: expected unsure_above from 0 to the threshold {manifest.threshold}, got {unsure}")
    if bound is not None and not 0.0 < bound < math.inf:
        raise ModelError(f"{folder}: expected a distance_bound above 0, got {bound}")


def _verified(folder: Path, name: str, wanted: FileEntry) -> bytes:
    path = folder / name
    size = path.stat().st_size if path.is_file() else None
    if size is not None and size != wanted.size_bytes:
        state = "cut short" if size < wanted.size_bytes else "too long"
        raise ModelError(f"{path} is {state}: expected {wanted.size_bytes} bytes, got {size}; copy the model again")
    data = _read(folder, name, MAX_FILE_BYTES)
    got = hashlib.sha256(data).hexdigest()
    if got != wanted.sha256:
        raise ModelError(f"{path} has SHA-256 {got}, the manifest says {wanted.sha256}; copy the model again")
    return data


def _read(folder: Path, name: str, limit_bytes: int) -> bytes:
    path = folder / name
    try:
        return read_capped(path, limit_bytes)
    except FileNotFoundError:
        what = "the model's folder" if not folder.is_dir() else str(path)
        raise ModelError(f"no such file: {what} (model {folder}); train one with `armtune pretrain`") from None
    except OSError as why:
        raise ModelError(f"cannot read {path}: {why.strerror}") from None
    except ValueError as why:
        raise ModelError(str(why)) from None


def _words(manifest: Manifest) -> str:
    seen = manifest.observation
    return f"cameras {', '.join(seen.cameras)} at {seen.width_px}x{seen.height_px}, {manifest.action.rate_hz:g} Hz"


def training_folder(policy_folder: Path) -> Path:
    """Return where the training of a policy folder keeps its checkpoint: beside it."""
    return policy_folder.with_name(f"{policy_folder.name}.training")
