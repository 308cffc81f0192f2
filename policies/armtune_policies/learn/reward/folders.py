"""Image-text models out of a folder on this disk: nothing is downloaded, no pickle is read, no code of theirs runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import ModelError

HELP = "give the folder that `hf download NAME --local-dir FOLDER` made; see docs/reward-models.md"


def model_type(folder: Path) -> str:
    """Return which architecture a transformers folder says it holds.

    Raises:
        ModelError: when it is no such folder, or its weights are not safetensors.
    """
    folder = Path(folder)
    config = folder / "config.json"
    if not config.is_file():
        raise ModelError(f"{folder}: expected a transformers folder with config.json, found none; {HELP}")
    weights = list(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder}: expected weights as .safetensors, found none; pickled weights are never read")
    for path in weights:
        if path.stat().st_size == 0:
            raise ModelError(f"{path} is empty; copy the model again")
    try:
        return str(read_json(config)["model_type"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{config}: expected JSON with a model_type; {HELP}") from None


def open_tokenizer(folder: Path) -> Any:
    """Return the folder's tokenizer.

    Raises:
        ModelError: as ``open_model``.
    """
    from transformers import AutoTokenizer  # seconds to import, so only when used

    return _quietly(folder, AutoTokenizer.from_pretrained)


def open_model(folder: Path, auto_class: str) -> Any:
    """Return the folder's model in float32, as one of transformers' auto classes makes it.

    Raises:
        ModelError: in one sentence, when it cannot be loaded or weights are missing: the library would make them up.
    """
    import transformers

    make = getattr(transformers, auto_class).from_pretrained
    more = {"use_safetensors": True, "dtype": "float32", "output_loading_info": True}
    model, told = _quietly(folder, make, **more)
    if missing := sorted(told["missing_keys"]):
        raise ModelError(f"{folder}: the weights lack {missing[0]} and {len(missing) - 1} more; {HELP}")
    return model


def _quietly(folder: Path, make: Callable[..., Any], **more: Any) -> Any:
    """Call a ``from_pretrained`` offline and without its bars and warnings."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return make(str(folder), local_files_only=True, trust_remote_code=False, **more)
    except Exception as why:  # the library raises what it likes
        raise ModelError(f"{folder}: transformers cannot load it: {' '.join(str(why).split())[:300]}; {HELP}") from None
    finally:
        logging.set_verbosity(verbosity)


def pixel_facts(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per colour, of pixels in 0..1, that the model was trained with."""
    path = Path(folder) / "preprocessor_config.json"
    facts = read_json(path) if path.is_file() else {}
    half = (0.5, 0.5, 0.5)
    mean, std = tuple(facts.get("image_mean", half)), tuple(facts.get("image_std", half))
    if len(mean) != 3 or len(std) != 3 or not all(s > 0 for s in std):
        raise ModelError(f"{path}: expected three means and three positive deviations, got {mean} and {std}")
    return mean, std
