"""Where the configs are: the checkout's, or the installed copy."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def config_root() -> Path:
    """Return the folder of config groups.

    ``ARMTUNE_CONFIGS`` wins; then ``configs/`` of the checkout that holds the environment
    (``.venv/`` at its root) or this file, so that an edit counts at once; then the copy that
    installing ``armtune_policies`` put under ``share/``.

    Raises:
        FileNotFoundError: when there is none, saying where it looked.
    """
    named = os.environ.get("ARMTUNE_CONFIGS")
    if named:
        candidates = [Path(named)]
    else:
        parents = Path(__file__).resolve().parents
        beside = [Path(sys.prefix).parent / "configs"]
        candidates = beside + [p / tail for p in parents for tail in ("configs", "share/armtune_policies/configs")]
    for folder in candidates:
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"no config.yaml under {candidates[0]}; set ARMTUNE_CONFIGS to the folder of config groups"
        if named
        else "no configs/ found beside or above the installed packages; run `make build`, or set ARMTUNE_CONFIGS"
    )
