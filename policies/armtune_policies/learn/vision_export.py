"""A vision model of the user's own as an encoder folder: one graph, compared with the model it was made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from armtune_policies.contract import ObservationSpec
from armtune_policies.runtime.images import made_up_images
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.proving import try_graphs
from armtune_policies.runtime.session import Arrays, check_ports, encoder_ports, finite
from armtune_policies.store.manifest import GOLDEN, Manifest, ModelError, entry

from .export import About, golden_rows, write_model
from .vision import AT_ONCE, open_vision
from .vision_onnx import open_onnx

PARITY = 1e-4
"""Largest difference between graph and model, over the largest feature; the manifest's precision, too."""
PICTURES, PICTURES_IF_LARGE, LARGE_BYTES = 100, 16, 64 << 20
"""Made-up pictures they are compared on; a large model takes a second for each."""
FREE = "a graph made for one picture at a time must be exported with a free batch size"

Floats = npt.NDArray[np.float32]


def adopt(
    folder: Path,
    source: Path,
    about: About,
    size_px: int | None = None,
    output: str | None = None,
    seen: Arrays | None = None,
) -> Manifest:
    """Write the encoder's folder: encoder.onnx, golden outputs, manifest.

    Args:
        folder: Where to.
        source: An ``.onnx`` file, or a folder of transformers or timm.
        about: What the manifest says.
        size_px: Side of the picture the model is shown; None for what it was trained with.
        output: One of its outputs; None for the pooled one.
        seen: Recorded ``image.<camera>``, uint8 (N, H, W, 3), to compare on beside made-up ones.

    Raises:
        ModelError: in one sentence, when the model will not do, or the graph does not answer as it does.
    """
    spec, source = about.observation, Path(source)
    vision = (open_vision if source.is_dir() else open_onnx)(source, spec, size_px, output)
    graph = vision.graph(spec)
    try:
        try_graphs({"encoder.onnx": graph}, source)
    except ModelError as why:
        raise ModelError(f"{why}; {FREE}") from None
    images = made_up_images(spec, PICTURES if len(graph) < LARGE_BYTES else PICTURES_IF_LARGE)
    images = {name: np.concatenate([seen[name], value]) if seen else value for name, value in images.items()}
    features = vision.features(images)
    largest, gap = _compared(source, graph, spec, images, features)
    size_px = vision.pixels.rows.shape[0]
    facts = {"source": source.name, "weights": vision.weights, "output": vision.output, "size_px": size_px}
    return write_model(
        folder,
        replace(about, provenance={**about.provenance, "encoder": facts}, metrics={"largest_feature": largest}),
        {"encoder.onnx": graph, GOLDEN: save(golden_rows(images, {"features": features}))},
        gap,
        len(features),
        vision.opset,
        kind="encoder",
        feature_size=features.shape[1],
        encoder_digest=entry(graph).sha256,
        precision=PARITY,
    )


def _compared(
    source: Path, graph: bytes, spec: ObservationSpec, images: Arrays, features: Floats
) -> tuple[float, float]:
    """Return the largest feature and how far the graph is off, over that.

    Raises:
        ModelError: when features are not finite, all alike, or off by more than ``PARITY``.
    """
    finite({"features": features}, str(source))
    session = OrtSession(graph, ("CPUExecutionProvider",))
    check_ports(session, encoder_ports(spec, features.shape[1]), str(source))
    starts = range(0, len(features), AT_ONCE)
    try:
        parts = [session.run({n: value[at : at + AT_ONCE] for n, value in images.items()})["features"] for at in starts]
    except ModelError as why:
        raise ModelError(f"{source}: {why}; {FREE}") from None
    finally:
        session.close()
    got = np.concatenate(parts)
    largest = float(np.abs(features).max())
    if got.shape != features.shape:
        raise ModelError(f"{source}: expected {len(features)} rows of features, got {len(got)}; {FREE}")
    if not features.std(axis=0).max() > 0.0:
        raise ModelError(f"{source}: expected features that differ from picture to picture, got the same for each")
    gap = float(np.abs(got - features).max()) / largest
    if not gap <= PARITY:
        raise ModelError(f"{source}: the graph is off by {gap:.2g} of the largest feature, allowed {PARITY:g}")
    return largest, gap
