"""Networks to a model folder: ONNX graphs, golden outputs, a parity report, the manifest last."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_weights
from torch import nn

from armtune_policies.contract import STATE_NAMES, ActionSpec, ObservationSpec
from armtune_policies.runtime.images import made_up_images
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.session import SENTENCE_SIZE
from armtune_policies.store.files import whole_folder, write_whole
from armtune_policies.store.manifest import GOLDEN, MANIFEST, SENTENCES, Manifest, ModelError, entry, write_manifest

from .networks import Encoder, Head

OPSET = 18
PARITY_LIMIT = 1e-5
"""Largest difference between ONNX and torch; over the largest output where that is above 1."""
PARITY_OBSERVATIONS = 1000
GOLDEN_ROWS = 4
HEAD_WEIGHTS, ENCODER_WEIGHTS = "head.safetensors", "encoder.safetensors"
"""What a learner needs to go on from a model; the robot reads the ONNX files only."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class About:
    """What a model's manifest says beside its files.

    ``provenance`` names the config's hash, the digests of the data and the git commit.
    """

    name: str
    action: ActionSpec
    observation: ObservationSpec
    embeddings: Mapping[str, npt.NDArray[np.float32]]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str = "Apache-2.0"


def export_policy(folder: Path, encoder: Encoder, head: Head, about: About) -> Manifest:
    """Write a policy folder: encoder.onnx, head.onnx, sentences, golden outputs, manifest.

    Raises:
        ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
    """
    trained = {ENCODER_WEIGHTS: weights(encoder), HEAD_WEIGHTS: weights(head)}
    return export_pair(folder, encoder, head, encoder.feature_size, about, trained)


def export_pair(
    folder: Path, encoder: nn.Module, head: nn.Module, feature_size: int, about: About, more: Mapping[str, bytes]
) -> Manifest:
    """Write a policy folder of any encoder and head that go together, with ``more`` files beside their graphs.

    Raises:
        ModelError: when ONNX and torch differ by more than ``PARITY_LIMIT``.
    """
    encoder_graph, head_graph = encoder_bytes(encoder, about.observation), head_bytes(head, feature_size)
    images = made_up_images(about.observation, PARITY_OBSERVATIONS)
    features, encoder_gap = parity(encoder, encoder_graph, images, "features")
    inputs = head_inputs(features, about)
    proposed, head_gap = parity(head, head_graph, inputs, "proposed")
    golden = golden_rows({**images, **inputs}, {"features": features, "proposed": proposed})
    return write_model(
        folder,
        about,
        {"encoder.onnx": encoder_graph, "head.onnx": head_graph, GOLDEN: save(golden), **more},
        max(encoder_gap, head_gap),
        kind="policy",
        feature_size=feature_size,
        encoder_digest=entry(encoder_graph).sha256,
    )


def export_head(folder: Path, head: Head, encoder_digest: str, features: npt.ArrayLike, about: About) -> Manifest:
    """Write a head folder to offer; it quotes the digest of the encoder it fits.

    Args:
        folder: Where to.
        head: The head.
        encoder_digest: SHA-256 of the encoder.onnx whose features it was trained on.
        features: Some of those features, float32, shape (N, F): parity is measured around them.
        about: What the manifest says.
    """
    pool = np.asarray(features, dtype=np.float32)
    graph = head_bytes(head, pool.shape[1])
    rows = np.random.default_rng(0).integers(len(pool), size=PARITY_OBSERVATIONS)
    inputs = head_inputs(pool[rows], about)
    proposed, gap = parity(head, graph, inputs, "proposed")
    golden = save(golden_rows(inputs, {"proposed": proposed}))
    return write_model(
        folder,
        about,
        {"head.onnx": graph, GOLDEN: golden, HEAD_WEIGHTS: weights(head)},
        gap,
        kind="head",
        feature_size=pool.shape[1],
        encoder_digest=encoder_digest,
    )


def encoder_bytes(encoder: nn.Module, spec: ObservationSpec) -> bytes:
    """Return the encoder as one ONNX file; inputs ``image.<camera>``, output ``features``."""
    images = made_up_images(spec, 2)
    return graph_bytes(encoder, images, "features")


def head_bytes(head: nn.Module, feature_size: int) -> bytes:
    """Return the head as one ONNX file; inputs ``features state sentence``, output ``proposed``."""
    sizes = {"features": feature_size, "state": len(STATE_NAMES), "sentence": SENTENCE_SIZE}
    return graph_bytes(head, {name: np.zeros((2, size), np.float32) for name, size in sizes.items()}, "proposed")


def refreshed(graph: bytes, net: nn.Module) -> bytes | None:
    """Return the graph of the same network with its weights of now; None where that needs an export anew.

    An export traces the network for seconds and makes the same graph each time, but for the weights: it names them as
    the network does. A weight that was folded or shared when it was exported is not to be found in it.
    """
    model = onnx.load_from_string(graph)
    weights_now = {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}
    held = {part.name: part for part in model.graph.initializer}
    trained = {name for name, _ in net.named_parameters() if not name.startswith("projection.sentence")}
    if not trained <= set(held):
        return None
    for name in set(held) & set(weights_now):
        if list(held[name].dims) != list(weights_now[name].shape):
            return None
        held[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(weights_now[name]), name))
    return bytes(model.SerializeToString())


def weights(net: nn.Module) -> bytes:
    """Return a network's weights as one safetensors file."""
    return save_weights({name: tensor.contiguous() for name, tensor in net.state_dict().items()})


def parity(
    net: nn.Module, graph: bytes, inputs: Arrays, output: str, limit: float = PARITY_LIMIT
) -> tuple[npt.NDArray[np.float32], float]:
    """Run both on the same inputs; return torch's output and the largest difference, as ``PARITY_LIMIT`` says.

    Raises:
        ModelError: when it is above ``limit``.
    """
    session = OrtSession(graph, ("CPUExecutionProvider",))
    count = len(next(iter(inputs.values())))
    ours, theirs = [], []
    with torch.no_grad():
        for start in range(0, count, 50):
            part = {name: value[start : start + 50] for name, value in inputs.items()}
            ours.append(net(*(torch.from_numpy(value) for value in part.values())).numpy())
            theirs.append(session.run(part)[output])
    want = np.concatenate(ours)
    gap = float(np.max(np.abs(want - np.concatenate(theirs))) / max(1.0, np.max(np.abs(want))))
    if not gap <= limit:
        raise ModelError(f"ONNX and torch differ by {gap:.2g} in {output}, allowed {limit}; not exported")
    return want, gap


def graph_bytes(net: nn.Module, inputs: Arrays, *outputs: str) -> bytes:
    """Return a network as one ONNX file, any batch size; ``inputs`` are two rows of each, by name."""
    batch = torch.export.Dim("n", min=1, max=1 << 16)
    net.eval()
    tensors = tuple(torch.from_numpy(value) for value in inputs.values())
    with _quiet():
        program = torch.onnx.export(
            net,
            tensors,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=_like_forward(net, [{0: batch} for _ in tensors]),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch exported nothing; is onnxscript installed?")
    return stripped(program.model_proto).SerializeToString()


def _like_forward(net: nn.Module, shapes: list[dict[int, Any]]) -> Any:
    """Shapes as torch.export wants them: one nested tuple where forward takes ``*args``."""
    takes = inspect.signature(net.forward).parameters.values()
    return (tuple(shapes),) if any(p.kind is p.VAR_POSITIONAL for p in takes) else tuple(shapes)


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out stack traces and source paths, which say much about the machine and nothing of the model."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.graph.doc_string = model.doc_string = ""
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    del model.functions[:]
    return model


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter prints its stages; keep them from the user's progress bar."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def write_model(
    folder: Path,
    about: About,
    blobs: Mapping[str, bytes],
    gap: float,
    observations: int = PARITY_OBSERVATIONS,
    opset: int = OPSET,
    **fields: Any,
) -> Manifest:
    """Write a model's files, sentences if it knows any, and the manifest last.

    ``gap`` is the parity found, over so many ``observations``. A model that is there already is never written over: it
    goes to ``.trash`` when this one is whole.
    """
    folder = Path(folder)
    if about.embeddings:
        rows = np.stack(list(about.embeddings.values())).astype(np.float32)
        blobs = {**blobs, SENTENCES: save({"embeddings": rows})}
    manifest = Manifest(
        name=about.name,
        action=about.action,
        observation=about.observation,
        files={name: entry(data) for name, data in blobs.items()},
        opset=opset,
        licence=about.licence,
        sentences=tuple(about.embeddings),
        provenance=dict(about.provenance),
        metrics={**about.metrics, "parity_max_error": gap, "parity_observations": float(observations)},
        **fields,
    )
    has_model = (folder / MANIFEST).is_file()
    with whole_folder(folder, is_renewed=True) if has_model else contextlib.nullcontext(folder) as part:
        for name, data in blobs.items():
            write_whole(part / name, data)
        write_manifest(part, manifest)
    return manifest


def head_inputs(features: npt.NDArray[np.float32], about: About) -> Arrays:
    """Return features (N, F) with random states (N, 7) and sentences of ``about`` (N, 384)."""
    rng = np.random.default_rng(2)
    state = rng.normal(scale=0.5, size=(len(features), len(STATE_NAMES))).astype(np.float32)
    return {"features": features, "state": state, "sentence": _random_sentences(about, len(features))}


def _random_sentences(about: About, count: int) -> npt.NDArray[np.float32]:
    rows = np.stack(list(about.embeddings.values())).astype(np.float32)
    return rows[np.random.default_rng(3).integers(len(rows), size=count)]


def golden_rows(inputs: Arrays, outputs: Arrays) -> Arrays:
    """Return the first and last rows, smooth scenes and noise, as ``in.<name>`` and ``out.<name>``."""
    pick = [*range(GOLDEN_ROWS // 2), *range(-(GOLDEN_ROWS // 2), 0)]
    golden = {f"in.{name}": np.ascontiguousarray(value[pick]) for name, value in inputs.items()}
    golden.update({f"out.{name}": np.ascontiguousarray(value[pick]) for name, value in outputs.items()})
    return golden
