"""D4RL's and Minari's HDF5 files become the trajectories that their arrays make, and an agent learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from armtune_policies.datasets.hdf5 import is_arrays
from armtune_policies.learn.arrays import read_arrays
from armtune_policies.learn.trajectory import BadData, from_arrays

RNG = np.random.default_rng(0)
SEEN, ACTION = RNG.normal(size=(11, 3)).astype(np.float32), RNG.uniform(-1, 1, (10, 2)).astype(np.float32)
REWARD = np.where(np.arange(10) == 9, 0.0, -1.0)


def minari(root: Path, **changes: Any) -> Path:
    """Write a dataset's folder; ``changes`` of an episode's keys, None for none."""
    (root / "data").mkdir(parents=True)
    with h5py.File(root / "data/main_data.hdf5", "w") as file:
        for number in (10, 2):
            group = file.create_group(f"episode_{number}")
            arrays = {"observations": SEEN + number, "actions": ACTION, "rewards": REWARD,
                      "terminations": REWARD == 0, "truncations": np.zeros(10, bool), **changes}  # fmt: skip
            group.attrs["seed"] = number
            group["infos/success"] = REWARD == 0
            for key, value in arrays.items():
                if value is not None:
                    group[key] = value
    return root


def test_minari_episodes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    root = minari(tmp_path / "drawer-v0")
    assert is_arrays(root) and is_arrays(root / "data/main_data.hdf5") and not is_arrays(tmp_path)
    first, second = read_arrays(root)
    np.testing.assert_array_equal(first.state, SEEN[:10] + 2)  # it ends in a success: nothing after it counts
    assert second.state[0, 0] == SEEN[0, 0] + 10 and first.terminated[-1] and first.usable.sum() == 10


def test_a_truncated_minari_episode_keeps_its_last_observation(tmp_path: Path) -> None:
    first = read_arrays(minari(tmp_path / "a", terminations=np.zeros(10, bool), truncations=REWARD == 0))[0]
    np.testing.assert_array_equal(first.state, SEEN + 2)
    assert not first.terminated.any() and first.usable.sum() == 10


def test_d4rl_arrays_as_from_memory(tmp_path: Path) -> None:
    arrays = {"observations": SEEN[:10], "actions": ACTION, "rewards": REWARD, "terminals": REWARD == 0}
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for key, value in arrays.items():
            file[key] = value
        file["metadata/algorithm"], file["infos/qpos"] = "sac", SEEN
    (one,), (want,) = read_arrays(tmp_path / "a.hdf5"), from_arrays(arrays, "a")
    for name in ("state", "action", "reward", "terminated", "follows", "is_step"):
        np.testing.assert_array_equal(getattr(one, name), getattr(want, name))


@pytest.mark.parametrize(("changes", "says"), [
    ({"observations": SEEN[:10]}, r"episode_2: observations: expected 11 rows for 10 actions, got 10"),
    ({"actions": None}, r"actions: expected one array .*, got none"),
    ({"actions": 3 * np.ones((10, 2))}, r"action: expected numbers in -1..1, got 3.0"),
    ({"costs": REWARD}, r"main_data.hdf5 episode_2: costs: expected one of observations, .*infos.*, got this key"),
    ({"rewards": np.full(10, np.nan)}, r"reward: expected finite numbers, got nan"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_by_file_and_key(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadData, match=says):
        read_arrays(minari(tmp_path / "a", **changes))


def test_a_key_that_nobody_knows_is_refused_by_file_and_key(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["observations"], file["rewards_to_go"] = SEEN, REWARD
    with pytest.raises(BadData, match=r"a.hdf5: rewards_to_go: expected one of observations, .*, got this key"):
        read_arrays(tmp_path / "a.hdf5")
    root = minari(tmp_path / "b")
    with h5py.File(root / "data/main_data.hdf5", "a") as file:
        file["episodes_3/actions"] = ACTION
    with pytest.raises(BadData, match=r"main_data.hdf5: episodes_3: expected one of Minari's episode_0 .*, got this"):
        read_arrays(root)


def test_a_file_of_another_kind_says_what_is_in_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pictures"] = np.zeros(3)
    with pytest.raises(BadData, match=r"a.h5: observations: expected D4RL's arrays, or Minari's .*, got pictures"):
        read_arrays(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_text("no")
    with pytest.raises(BadData, match=r"b.h5: file: expected an HDF5 file"):
        read_arrays(tmp_path / "b.h5")
