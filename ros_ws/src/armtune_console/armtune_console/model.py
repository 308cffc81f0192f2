"""Where the success classifier says yes, and where it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import MANIFEST


def thresholds(folder: str, threshold: float) -> dict[str, Any]:
    """Return ``threshold`` and ``unsure_above`` of a reward model; a threshold that is set wins over the model's own.

    Between the two it abstains. None where there is no model.
    """
    path = Path(folder) / MANIFEST
    if not folder or not path.is_file():
        return {"threshold": None, "unsure_above": None}
    plain = read_json(path)
    own = plain if isinstance(plain, dict) else {}
    return {"threshold": threshold or own.get("threshold"), "unsure_above": own.get("unsure_above")}
