from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from armtune_policies.contract import digest, file_digest


def test_the_order_of_keys_does_not_matter_but_values_do() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})


def test_a_number_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError):
        digest({"a": float("nan")})


def test_a_files_digest_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc" * 1_000_000)
    assert file_digest(file) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
