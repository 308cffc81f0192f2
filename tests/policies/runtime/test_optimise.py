"""ONNX Runtime's own tools on graphs of ours: ports stay, operators are plain, answers stay near."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import ObservationSpec
from armtune_policies.runtime.images import made_up_images
from armtune_policies.runtime.optimise import BOUNDS, answers, off_by, optimised
from armtune_policies.runtime.ort_session import OrtSession
from armtune_policies.runtime.trial import try_graph
from armtune_policies.store.manifest import ModelError

SHIPPED = Path(__file__).parents[3] / "policies/shipped/drawer"
ENCODER, HEAD = ((SHIPPED / f"policy/{name}.onnx").read_bytes() for name in ("encoder", "head"))


@pytest.mark.parametrize("how", BOUNDS)
@pytest.mark.parametrize("graph", (ENCODER, HEAD), ids=("encoder", "head"))
def test_an_optimised_graph_passes_the_trial_of_one_from_outside_and_has_the_same_ports(graph: bytes, how: str) -> None:
    made = optimised(graph, how)
    try_graph(made)
    old, new = OrtSession(graph), OrtSession(made)
    assert (old.inputs, old.outputs) == (new.inputs, new.outputs)


def test_halves_are_half_as_large_and_answer_alike() -> None:
    images = made_up_images(ObservationSpec(), 40)
    made = optimised(ENCODER, "half")
    assert len(made) < 0.6 * len(ENCODER)
    want, got = answers(ENCODER, images)["features"], answers(made, images)["features"]
    assert want.shape[0] == 40 and 0 < off_by(want, got, 1.0) < 0.01


def test_a_folded_graph_answers_the_same_and_lost_what_is_constant() -> None:
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in "xy")
    weights = [
        onnx.numpy_helper.from_array(np.full(2, value, np.float32), name) for name, value in (("a", 2), ("b", 3))
    ]
    nodes = [onnx.helper.make_node("Add", ["a", "b"], ["c"]), onnx.helper.make_node("Mul", ["x", "c"], ["y"])]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [x], [y], weights))
    model.ir_version = 10
    made = optimised(model.SerializeToString(), "graph")
    assert [node.op_type for node in onnx.load_from_string(made).graph.node] == ["Mul"]
    assert answers(made, {"x": np.ones((3, 2), np.float32)})["y"].tolist() == [[5.0, 5.0]] * 3


@pytest.mark.parametrize("how", BOUNDS)
def test_bytes_that_are_no_graph_are_refused_in_one_sentence(how: str) -> None:
    with pytest.raises(ModelError, match=f"cannot make the graph {how}: ") as caught:
        optimised(b"junk", how)
    assert "\n" not in str(caught.value)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5), st.floats(0, 1), st.floats(0.1, 10))
def test_off_by_is_a_share_of_the_scale(values: list[float], gap: float, scale: float) -> None:
    want = np.array(values)
    assert off_by(want, want + gap, scale) == pytest.approx(gap / scale, abs=1e-9)
    assert off_by(want, want + np.nan, scale) == float("inf")
