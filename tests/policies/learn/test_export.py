from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from dots import ACTION, SPEC
from torch import nn

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.bc import Pretrained
from armtune_policies.learn.export import About, encoder_bytes, export_head, export_policy, graph_bytes, parity
from armtune_policies.learn.networks import Encoder, seed_everything
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.manifest import ModelError, load_manifest

Embeddings = dict[str, np.ndarray]


@pytest.mark.fault("L7")
def test_parity_over_1000_observations_is_in_the_manifest(policy_folder: Path) -> None:
    manifest = load_manifest(policy_folder)
    assert manifest.metrics["parity_max_error"] <= 1e-5 and manifest.metrics["parity_observations"] == 1000
    assert manifest.files["head.onnx"].size_bytes < 2_000_000


def test_the_runtime_proposes_what_torch_does(policy_folder: Path, trained: Pretrained, embeddings: Embeddings) -> None:
    policy, rng = Policy.load(policy_folder, ACTION, SPEC), np.random.default_rng(5)
    for sentence, said in embeddings.items():
        image, state = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), rng.normal(size=7).astype(np.float32)
        with torch.no_grad():
            features = trained.encoder(torch.from_numpy(image[None]))
            want = trained.head(features, torch.from_numpy(state[None]), torch.from_numpy(said[None]))[0]
        got = policy.propose(policy.features({"front": image}), state, sentence)
        np.testing.assert_allclose(got, want.numpy(), atol=1e-5)


def test_a_head_folder_swaps_into_the_policy_it_was_made_for(
    policy_folder: Path, trained: Pretrained, embeddings: Embeddings, tmp_path: Path
) -> None:
    policy = Policy.load(policy_folder, ACTION, SPEC)
    features = np.zeros((4, trained.encoder.feature_size), np.float32)
    export_head(tmp_path / "h", trained.head, policy.encoder_digest, features, About("h", ACTION, SPEC, embeddings))
    assert policy.with_head(tmp_path / "h").version.startswith("h-")


@pytest.mark.fault("L5")
def test_nothing_is_exported_when_onnx_and_torch_differ(trained: Pretrained) -> None:
    graph = encoder_bytes(trained.encoder, SPEC)
    seed_everything(1)
    image = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(ModelError, match="ONNX and torch differ"):
        parity(Encoder(SPEC), graph, {"image.front": image}, "features")


@pytest.mark.parametrize(("size", "off", "passes"), [(8.0, 8e-6, True), (8.0, 2e-5, False), (0.5, 3e-5, False)])
def test_large_outputs_may_differ_by_a_share_and_small_ones_by_as_much(size: float, off: float, passes: bool) -> None:
    class Times(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.tensor(by))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.by

    x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    graph = graph_bytes(Times(size), {"x": x[:2]}, "y")
    with nullcontext() if passes else pytest.raises(ModelError, match=r"differ by .* in y, allowed 1e-05"):
        assert 0.0 < parity(Times(size * (1 + off)), graph, {"x": x}, "y")[1] <= 1e-5


def test_a_graph_has_one_input_per_camera_and_says_nothing_of_this_machine() -> None:
    spec = ObservationSpec(cameras=("front", "wrist"), height_px=32, width_px=48)
    graph = encoder_bytes(Encoder(spec), spec)
    model = onnx.load_from_string(graph)
    assert [port.name for port in model.graph.input] == ["image.front", "image.wrist"]
    assert str(Path(__file__).parents[3]).encode() not in graph and b"site-packages" not in graph


@pytest.mark.fault("F34")
def test_the_manifest_comes_last(
    trained: Pretrained, embeddings: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armtune_policies.learn.export.write_manifest", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_policy(tmp_path / "x", trained.encoder, trained.head, About("x", ACTION, SPEC, embeddings))
    with pytest.raises(ModelError, match="no such file"):
        Policy.load(tmp_path / "x", ACTION, SPEC)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
