"""Bad data is refused: source, key, expected, got."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_policies.learn.trajectory import KEYS, BadData, from_arrays


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    good = {"observations": np.zeros((3, 2)), "actions": np.zeros((3, 1)), "rewards": np.zeros(3),
            "terminals": np.zeros(3)}  # fmt: skip
    return {**good, **changes}


NAN = np.array([0.0, np.nan, 0.0])
BAD = [
    ({"rewards": NAN}, r"demo.hdf5 rows 0 to 2: reward: expected finite numbers, got nan in row 1"),
    ({"observations": np.stack([NAN, NAN], axis=1)}, r"state: expected finite numbers, got \[nan nan\] in row 1"),
    ({"actions": np.full((3, 1), 2.0)}, r"action: expected numbers in -1..1, got 2.0"),
    ({"actions": np.zeros((2, 1))}, r"demo.hdf5: actions: expected 3 rows, got 2"),
    ({"observations": np.zeros((0, 2))}, r"observations: expected shape \(N, D\) with N > 0, got \(0, 2\)"),
    ({"next_observations": np.zeros((3, 1))}, r"next_observations: expected shape \(3, 2\), got \(3, 1\)"),
    ({"actions": np.zeros(3)}, r"actions: expected shape \(N, D\) with N > 0, got \(3,\)"),
    ({"rewards": np.zeros((3, 1))}, r"rewards: expected shape \(N,\), got \(3, 1\)"),
    ({"terminals": NAN}, r"terminals: expected 0 or 1, got nan in row 1"),
    ({"timeouts": np.array([0, 2, 0])}, r"timeouts: expected 0 or 1, got 2 in row 1"),
    ({"rewards": np.array(["a", "b", "c"])}, r"rewards: expected numbers, got values of type <U1"),
    ({"observations": [[0.0], [0.0, 1.0], [0.0]]}, r"observations: expected an array in 2 dim.*, got rows of unlike"),
    ({"infos": np.zeros(3)}, r"demo.hdf5: infos: expected one of the keys observations, .*, got this one"),
]


@pytest.mark.parametrize(
    ("change", "text"), BAD, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_bad_arrays_are_refused_by_name(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadData, match=text):
        from_arrays(arrays(**change), "demo.hdf5")


def test_missing_key_is_refused() -> None:
    less = arrays()
    del less["terminals"]
    with pytest.raises(BadData, match=r"terminals: expected an array, got none"):
        from_arrays(less, "demo.hdf5")


@pytest.mark.fault("L5")
@settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(KEYS),
    row=st.integers(0, 4),
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    ends=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_one_bad_number_anywhere_is_refused_and_its_source_named(
    key: str, row: int, bad: float, ends: list[bool]
) -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(6, 2))
    good = {"observations": seen[:5].copy(), "next_observations": seen[1:].copy(), "actions": np.zeros((5, 1)),
            "rewards": np.zeros(5), "terminals": np.array(ends, float), "timeouts": np.zeros(5)}  # fmt: skip
    assert sum(int(one.is_step.sum()) for one in from_arrays(good, "x.npz")) == 5
    good[key][row] = bad
    if key == "next_observations" and ends[row]:  # what comes after a success is never read
        assert all(np.isfinite(one.state).all() for one in from_arrays(good, "x.npz"))
        return
    with pytest.raises(BadData, match=r"^x\.npz.*: expected .*, got "):
        from_arrays(good, "x.npz")


@pytest.mark.fault("L5")
@settings(max_examples=100, deadline=None)
@given(key=st.sampled_from(KEYS), shape=st.lists(st.integers(0, 4), max_size=3))
def test_another_shape_is_refused_by_name_or_is_the_right_one(key: str, shape: list[int]) -> None:
    given_ = arrays(**{key: np.zeros(shape)})
    try:
        made = from_arrays(given_, "x.npz")
    except BadData as why:
        assert str(why).startswith("x.npz")
    else:
        assert sum(int(one.is_step.sum()) for one in made) == 3
