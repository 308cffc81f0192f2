"""A vision model of one's own as a frozen encoder: the real libraries and runtime, tiny random weights."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from dots import ACTION, episode

from armtune_policies.contract import ObservationSpec
from armtune_policies.learn.export import About
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.reward.pixels import Pixels
from armtune_policies.learn.vision_export import PARITY, adopt
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import Manifest, ModelError
from fixtures import tiny_vision
from fixtures.tiny_vision import MEAN, SIDE_PX, STD, Cnn

ONE, TWO = (ObservationSpec(cameras=names, height_px=24, width_px=40) for names in (("front",), ("front", "wrist")))
IMAGES = {
    camera: np.random.default_rng(i).integers(0, 256, (5, 24, 40, 3), np.uint8) for i, camera in enumerate(TWO.cameras)
}
Net = Callable[[torch.Tensor], torch.Tensor]


def about(spec: ObservationSpec = TWO) -> About:
    return About("eyes", ACTION, spec, {}, {"config": "c"}, licence="MIT")


def shown(camera: str, size_px: int = SIDE_PX) -> torch.Tensor:
    """What a model is shown of the images above."""
    return Pixels(24, 40, size_px, tuple(MEAN), tuple(STD))(torch.from_numpy(IMAGES[camera]))


def model(folder: Path, output: str = "pooler_output") -> Net:
    """The original, opened as its library's users do."""
    from transformers import AutoModel

    net = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tower = getattr(net, "vision_model", net)
    return lambda pixels: tower(pixel_values=pixels)[output]


def check(source: Path, folder: Path, net: Net, size_px: int = SIDE_PX) -> Manifest:
    """The encoder's features are the original's: one camera's, then the other's."""
    with torch.no_grad():
        rows = np.concatenate([net(shown(camera, size_px)).numpy() for camera in TWO.cameras], axis=1)
    manifest = adopt(folder, source, about())
    frozen = FrozenEncoder(folder, ACTION, TWO)
    assert frozen.feature_size == manifest.feature_size == rows.shape[1]
    got = frozen.features(IMAGES)
    assert got.dtype == np.float32 and np.abs(got - rows).max() <= PARITY * np.abs(rows).max()
    assert (manifest.kind, manifest.licence, manifest.precision) == ("encoder", "MIT", PARITY)
    assert 0.0 < manifest.metrics["parity_max_error"] <= PARITY and frozen.digest == manifest.encoder_digest
    return manifest


@pytest.mark.parametrize("name", ("dinov2", "siglip", "clip"))
def test_a_transformers_folder_sees_as_the_model_in_it(tmp_path: Path, name: str) -> None:
    source = getattr(tiny_vision, name)(tmp_path / name)
    manifest = check(source, tmp_path / "eyes", model(source))
    facts = manifest.provenance["encoder"]
    assert manifest.provenance["config"] == "c" and facts.pop("weights")
    assert facts == {"source": name, "output": "pooler_output", "size_px": SIDE_PX}
    graph = onnx.load(tmp_path / "eyes" / "encoder.onnx").graph
    held = sum(np.prod(one.dims) for one in graph.initializer)
    own = sum(one.numel() for one in vision_weights(source))
    assert held < 1.5 * own, "one backbone's weights for two cameras"


def vision_weights(source: Path) -> list[torch.Tensor]:
    from transformers import AutoModel

    net = AutoModel.from_pretrained(source)
    return list(getattr(net, "vision_model", net).parameters())


def test_what_a_classifiers_checkpoint_lacks_is_left_out_and_tokens_are_averaged(tmp_path: Path) -> None:
    source = tiny_vision.vit(tmp_path / "vit", has_pooler=False)
    tokens = model(source, "last_hidden_state")
    manifest = check(source, tmp_path / "eyes", lambda pixels: tokens(pixels).mean(dim=1))
    assert manifest.provenance["encoder"]["output"] == "last_hidden_state"


def test_another_output_and_another_size_may_be_named(tmp_path: Path) -> None:
    source = tiny_vision.dinov2(tmp_path / "dinov2")
    tokens = model(source, "last_hidden_state")
    adopt(tmp_path / "eyes", source, about(ONE), size_px=42, output="last_hidden_state")
    with torch.no_grad():
        wanted = tokens(shown("front", 42)).mean(dim=1).numpy()
    got = FrozenEncoder(tmp_path / "eyes", ACTION, ONE).features(IMAGES)  # one camera: half as many
    assert np.abs(got - wanted).max() <= PARITY * np.abs(wanted).max()
    with pytest.raises(ModelError, match=r"expected an output out of last_hidden_state, pooler_output; got --output x"):
        adopt(tmp_path / "no", source, about(), output="x")


@pytest.mark.parametrize("gives", ("map", "tokens", "features"))
def test_an_onnx_file_sees_as_the_network_it_was_made_of(tmp_path: Path, gives: str) -> None:
    net = tiny_vision.cnn(tmp_path / "m" / "net.onnx", gives)
    plain = Cnn("features").eval()
    plain.load_state_dict(net.state_dict())
    check(tmp_path / "m" / "net.onnx", tmp_path / "eyes", plain)


def test_an_onnx_file_of_any_size_and_another_opset_is_shown_what_stands_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "m" / "onnx" / "net.onnx"
    net = tiny_vision.cnn(path)
    model = onnx.load(path)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"
    model = onnx.version_converter.convert_version(model, 20)
    onnx.save(model, path)
    (path.parent / "preprocessor_config.json").unlink()
    tiny_vision.say_pictures(path.parent.parent, size={"height": 33, "width": 33})
    manifest = check(path, tmp_path / "eyes", lambda pixels: net(pixels).mean((2, 3)), size_px=33)
    assert manifest.opset == 20


def refused(tmp_path: Path, source: Path) -> str:
    with pytest.raises(ModelError) as why:
        adopt(tmp_path / "eyes", source, about())
    assert not (tmp_path / "eyes").exists()
    return str(why.value)


def test_no_model_is_refused(tmp_path: Path) -> None:
    assert "no.onnx: no such file; expected an .onnx file or a transformers folder" in refused(
        tmp_path, tmp_path / "no.onnx"
    )
    assert "expected a transformers folder with config.json, found none" in refused(tmp_path, tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"no graph")
    tiny_vision.say_pictures(tmp_path)
    assert "net.onnx: expected" in refused(tmp_path, tmp_path / "net.onnx")


def test_pickled_weights_are_refused_unread(tmp_path: Path) -> None:
    source = tiny_vision.clip(tmp_path / "clip")
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    assert "expected weights as .safetensors, found none; pickled weights are never read" in refused(tmp_path, source)


def test_a_model_that_is_no_vision_model_or_of_another_size_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    small = {"vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    source = tiny_vision.write(tmp_path / "bert", BertModel, BertConfig(**small, intermediate_size=16), size=28)
    assert "bert: cannot see a picture of 28 px" in refused(tmp_path, source)


@pytest.mark.parametrize(
    ("value", "says"), [(np.nan, "holds NaN or infinity"), (0.0, "expected features that differ from picture to pict")]
)
def test_features_that_are_not_finite_or_always_the_same_are_refused(tmp_path: Path, value: float, says: str) -> None:
    path = tmp_path / "m" / "net.onnx"
    tiny_vision.cnn(path)
    model = onnx.load(path)
    for one in model.graph.initializer:
        weights = np.full_like(onnx.numpy_helper.to_array(one), value)
        one.CopyFrom(onnx.numpy_helper.from_array(weights, one.name))
    onnx.save(model, path)
    assert says in refused(tmp_path, path)


def test_pictures_nothing_is_said_of_or_that_are_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m" / "net.onnx"
    tiny_vision.cnn(path)
    said = path.parent / "preprocessor_config.json"
    plain = read_json(said)
    for change, says in (
        ({"do_flip_channel_order": True}, "expected pictures in RGB, scaled by 1/255"),
        ({"rescale_factor": 1.0}, "expected pictures in RGB, scaled by 1/255"),
        ({"image_mean": None}, "expected three means and three positive deviations, got None"),
        ({"image_std": [1, 1, 0]}, "expected three means and three positive deviations"),
    ):
        write_json(said, {**plain, **change})
        assert says in refused(tmp_path, path)
    said.unlink()
    assert 'got none; write one like {"image_mean": [0.485' in refused(tmp_path, path)


def test_a_graph_with_other_inputs_or_outputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m" / "net.onnx"

    def changed(change: Callable[[onnx.GraphProto], object]) -> str:
        tiny_vision.cnn(path)
        model = onnx.load(path)
        change(model.graph)
        onnx.save(model, path)
        return refused(tmp_path, path)

    def sides(*sizes: int) -> Callable[[onnx.GraphProto], object]:
        def change(graph: onnx.GraphProto) -> None:
            for dim, size in zip(graph.input[0].type.tensor_type.shape.dim, sizes):
                dim.dim_value = size

        return change

    assert "expected one input, a picture; got pixels, words" in changed(
        lambda graph: graph.input.append(onnx.helper.make_tensor_value_info("words", 7, [1, 4]))
    )
    assert "expected a float input (N, 3, S, S), N free or 1; got float (8, 3, 28, 28)" in changed(sides(8, 3, 28, 28))
    assert "expected a float input (N, 3, S, S), N free or 1; got float (1, 28, 28, 3)" in changed(sides(1, 28, 28, 3))
    assert "expected a square input of 40 px, got (1, 3, 28, 40)" in changed(sides(1, 3, 28, 40))
    more = onnx.helper.make_tensor_value_info("pixels", 1, None)
    assert "expected --output to be one out of seen, pixels; got none" in changed(lambda g: g.output.append(more))


def test_a_graph_that_mixes_the_pictures_of_a_batch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m" / "net.onnx"
    tiny_vision.cnn(path, "one row")
    assert "must be exported with a free batch size" in refused(tmp_path, path)


def test_a_folder_of_timm_is_read_where_timm_is_installed(tmp_path: Path) -> None:
    source = tmp_path / "mobile"
    if find_spec("timm") is None:
        write_json(source / "config.json", {"architecture": "mobilenetv3_small_050", "pretrained_cfg": {
            "mean": MEAN, "std": STD, "input_size": [3, 64, 64]}})  # fmt: skip
        (source / "model.safetensors").write_bytes(b"weights")
        assert "`pip install timm`" in refused(tmp_path, source)
        return
    import timm
    from timm.models import save_for_hf

    save_for_hf(timm.create_model("mobilenetv3_small_050"), source, safe_serialization=True)
    config = read_json(source / "config.json")
    config.pop("model_args", None)  # transformers 5.23 cannot read what timm 1.0.31 writes there
    config["pretrained_cfg"]["input_size"] = [3, 64, 64]
    write_json(source / "config.json", config)
    manifest = check(source, tmp_path / "eyes", model(source), size_px=64)
    assert manifest.provenance["encoder"]["size_px"] == 64


def test_recorded_pictures_are_compared_and_stored_too(tmp_path: Path) -> None:
    spec = ObservationSpec(height_px=32, width_px=32)
    tiny_vision.cnn(tmp_path / "m" / "net.onnx")
    seen = {"image.front": episode(1).images["front"]}
    manifest = adopt(tmp_path / "eyes", tmp_path / "m" / "net.onnx", about(spec), seen=seen)
    assert manifest.metrics["parity_observations"] == 100 + len(seen["image.front"])
    from safetensors.numpy import load_file

    golden = load_file(tmp_path / "eyes" / "golden.safetensors")
    np.testing.assert_array_equal(golden["in.image.front"][:2], seen["image.front"][:2])
