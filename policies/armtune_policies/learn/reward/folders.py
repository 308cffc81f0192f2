"""Image-text models out of a folder on this disk: nothing is downloaded, no pickle is read, no code of theirs runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import ModelError

TIMM = "timm_wrapper"
"""What transformers calls a model of timm's, whose folder does not say so itself."""
HELP = "give the folder that `hf download NAME --local-dir FOLDER` made; see docs/reward-models.md, docs/encoders.md"


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
        said = read_json(config)
        return str(said["model_type"] if "pretrained_cfg" not in said else TIMM)
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{config}: expected JSON with a model_type; {HELP}") from None


def open_tokenizer(folder: Path) -> Any:
    """Return the folder's tokenizer.

    Raises:
        ModelError: as ``open_model``.
    """
    from transformers import AutoTokenizer  # seconds to import, so only when used

    return _quietly(folder, AutoTokenizer.from_pretrained)


def open_model(folder: Path, auto_class: str, may_lack: str | None = None) -> Any:
    """Return the folder's model in float32, as one of transformers' auto classes makes it.

    The part ``may_lack`` is left out, being None, where its weights are not there.

    Raises:
        ModelError: in one sentence, when it cannot be loaded or weights are missing: the library would make them up.
    """
    import transformers

    make = getattr(transformers, auto_class).from_pretrained
    more = {"use_safetensors": True, "dtype": "float32", "output_loading_info": True}
    model, told = _quietly(folder, make, **more)
    missing = sorted(told["missing_keys"])
    if missing and may_lack and all(name.startswith(f"{may_lack}.") for name in missing):
        setattr(model, may_lack, None)
    elif missing:
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
    return mean_and_deviation(path, facts.get("image_mean", half), facts.get("image_std", half))


def mean_and_deviation(path: Path, mean: Any, std: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both as tuples.

    Raises:
        ModelError: when they are not three numbers each, deviations above 0.
    """
    try:
        means, deviations = tuple(map(float, mean)), tuple(map(float, std))
        if len(means) == len(deviations) == 3 and all(s > 0 for s in deviations):
            return means, deviations
    except (TypeError, ValueError):
        pass
    raise ModelError(f"{path}: expected three means and three positive deviations, got {mean} and {std}")
