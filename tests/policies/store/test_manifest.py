from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.store.files import write_whole
from armtune_policies.store.manifest import (
    GOLDEN,
    SENTENCES,
    Manifest,
    ModelError,
    entry,
    load_manifest,
    load_model,
    write_manifest,
)

BLOBS = {"reward.onnx": b"graph", GOLDEN: b"golden", SENTENCES: b"words"}


def write(folder: Path, **change: Any) -> Manifest:
    for name, data in BLOBS.items():
        write_whole(folder / name, data)
    fields: dict[str, Any] = {
        "kind": "reward",
        "name": "r1",
        "action": ActionSpec(),
        "observation": ObservationSpec(cameras=("front", "wrist")),
        "files": {name: entry(data) for name, data in BLOBS.items()},
        "opset": 20,
        "licence": "Apache-2.0",
        "sentences": ("open",),
        "metrics": {"parity_max_error": 1e-7},
        "provenance": {"config": "abc", "data": ["e1"], "git": "dade471"},
    }
    manifest = Manifest(**{**fields, **change})
    write_manifest(folder, manifest)
    return manifest


def test_a_manifest_comes_back_as_it_went(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    assert load_manifest(tmp_path, manifest.contract) == manifest
    assert load_model(tmp_path).blobs == BLOBS
    assert load_model(tmp_path).digest == entry((tmp_path / "manifest.json").read_bytes()).sha256


def test_the_version_changes_when_a_weight_does(tmp_path: Path) -> None:
    one = write(tmp_path)
    two = write(tmp_path, files={**one.files, "reward.onnx": entry(b"grapf")})
    assert one.version != two.version and one.version.startswith("r1-")


def _gone(folder: Path) -> None:
    (folder / "reward.onnx").unlink()


def _cut(folder: Path) -> None:
    (folder / "reward.onnx").write_bytes(b"grap")


def _changed(folder: Path) -> None:
    (folder / "reward.onnx").write_bytes(b"grapf")


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _edit(**change: Any) -> Any:
    def edit(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    return edit


@pytest.mark.fault("F22")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_gone, "no such file: .*reward.onnx"),
        (_no_manifest, "no such file: .*manifest.json"),
        (_cut, "cut short: expected 5 bytes, got 4"),
        (_changed, "has SHA-256 .* the manifest says"),
        (_edit(format=2), "expected manifest format 1, got 2"),
        (_edit(contract="0" * 16), r"its own manifest states 0{16}"),
        (_edit(kind="dance"), "expected a kind out of"),
        (_edit(name="../x"), "model name"),
        (_edit(files={}), "must list reward.onnx"),
        (_edit(files={"../x": {"sha256": "", "size_bytes": 0}}), "must list"),
        (_edit(action=None), "does not read as a manifest"),
        (_edit(surprise=1), "does not read as a manifest"),
        (_edit(threshold=float("nan")), "does not read as a manifest"),
        (_edit(threshold=1.5), "threshold"),
    ],
)
def test_one_sentence_says_what_is_wrong_when_a_model_was_spoilt(tmp_path: Path, spoil: Any, says: str) -> None:
    write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ModelError, match=says) as caught:
        load_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_folder_is_named_when_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model's folder"):
        load_manifest(tmp_path / "nothing")


@pytest.mark.fault("F23")
def test_both_contracts_are_named_when_they_differ(tmp_path: Path) -> None:
    manifest = write(tmp_path)
    with pytest.raises(ModelError, match=f"contract {manifest.contract} .*front, wrist.* config has {'0' * 16}"):
        load_manifest(tmp_path, "0" * 16)


@pytest.mark.fault("F23")
def test_another_kind_is_refused_when_a_policy_is_wanted(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ModelError, match="expected a model of kind policy, got reward"):
        load_manifest(tmp_path, kinds=("policy",))


def test_nothing_is_written_when_a_metric_is_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not written"):
        write(tmp_path, metrics={"loss": float("nan")})
    assert not (tmp_path / "manifest.json").exists()


def test_a_policy_is_refused_when_the_encoder_digest_is_not_the_files(tmp_path: Path) -> None:
    files = {name: entry(b"") for name in ("encoder.onnx", "head.onnx", GOLDEN, SENTENCES)}
    with pytest.raises(ModelError, match="encoder_digest"):
        write(tmp_path, kind="policy", files=files, encoder_digest="ab")


@pytest.mark.fault("F22")
def test_model_is_refused_at_every_cut_and_for_every_flipped_bit(tmp_path: Path) -> None:
    write(tmp_path)
    files = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    rng = random.Random(0)
    for path in rng.choices(list(files), k=50):
        whole = files[path]
        path.write_bytes(whole[: rng.randrange(len(whole))])
        with pytest.raises(ModelError):
            load_model(tmp_path)
        path.write_bytes(whole)
    parsed = [path for path in files if path.name != "manifest.json"]  # its own digest is in the offer
    for path in rng.choices(parsed, k=200):
        whole = bytearray(files[path])
        whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(whole)
        with pytest.raises(ModelError, match="SHA-256"):
            load_model(tmp_path)
        path.write_bytes(files[path])
    assert load_model(tmp_path).blobs == BLOBS
