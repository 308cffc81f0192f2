from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.learn import sentences


def test_alike_sentences_are_nearer_than_others() -> None:
    said = sentences.embed(["open the drawer", "pull the drawer open", "a cat sleeps"])
    rows = list(said.values())
    assert all(row.shape == (384,) and row.dtype == np.float32 for row in rows)
    assert rows[0] @ rows[1] > 0.7 > 0.3 > rows[0] @ rows[2]


def test_a_sentence_says_what_to_install_when_the_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "WHEEL", "no_such_wheel")
    with pytest.raises(ValueError, match="make setup"):
        sentences.embed(["x"])
