from __future__ import annotations

import json
import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from armtune_policies.runtime import worker

ARRAYS = hnp.arrays(st.sampled_from([np.uint8, np.int64, np.float32]), hnp.array_shapes(min_dims=0, max_side=5))


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4))
def test_a_frame_comes_back_as_it_went(arrays: dict[str, np.ndarray]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.send(ours, worker.pack({"op": "run"}, arrays), 1.0)
        header, got = worker.receive(theirs, 1.0)
    assert header["op"] == "run" and set(got) == set(arrays)
    for name, value in arrays.items():
        assert got[name].dtype == value.dtype and got[name].shape == value.shape
        np.testing.assert_array_equal(got[name], value)


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "header",
    [
        [],
        {"arrays": 3},
        {"arrays": [{"name": "a", "dtype": "object", "shape": [1]}]},
        {"arrays": [{"name": "a", "dtype": "float32", "shape": [-1]}]},
        {"arrays": [{"name": "a", "dtype": "float32", "shape": [1 << 30, 1 << 30]}]},
        {"arrays": [{"name": "a", "dtype": "float32", "shape": [True]}]},
        {"arrays": [{"name": 1, "dtype": "float32", "shape": [1]}]},
        {"arrays": [{"name": "a", "dtype": "uint8", "shape": [0]}] * 65},
    ],
)
def test_a_header_is_refused_before_memory_is_taken_when_it_is_not_allowed(header: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        text = json.dumps(header).encode()
        ours.sendall(struct.pack("<I", len(text)) + text)
        with pytest.raises(worker.FrameError):
            worker.receive(theirs, 1.0)


def test_the_wait_is_bounded_when_a_frame_stops_half_way() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack("<I", 100) + b"{")
        with pytest.raises(TimeoutError):
            worker.receive(theirs, 0.05)
        ours.close()
        with pytest.raises(EOFError):
            worker.receive(theirs, 0.05)


def test_an_array_is_refused_when_its_dtype_is_not_allowed() -> None:
    with pytest.raises(worker.FrameError, match="float64"):
        worker.pack({}, {"a": np.zeros(1)})
