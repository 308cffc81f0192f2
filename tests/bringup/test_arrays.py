"""``armtune pretrain`` takes a file of flat arrays, and goes on where it was killed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from armtune_bringup.agents import read_overrides
from armtune_bringup.arrays import pretrain_arrays


def test_an_agent_learns_from_a_file_of_arrays_and_goes_on(tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), 60
    with h5py.File(tmp_path / "reach.hdf5", "w") as file:
        file["observations"] = rng.normal(size=(count, 5))
        file["actions"] = rng.uniform(-1, 1, (count, 3))
        file["terminals"] = np.arange(count) % 20 == 19
        file["rewards"] = np.where(np.arange(count) % 20 == 19, 0.0, -1.0)

    def run(updates: int) -> dict[str, object]:
        small = ["agent=iql", "agent.hidden=[8]", "agent.batch=8", f"offline.updates={updates}"]
        return pretrain_arrays(read_overrides([*small, f"policy.folder={tmp_path}/agent"]), tmp_path / "reach.hdf5")

    first = run(4)
    assert (first["trajectories"], first["transitions"], first["state"], first["action"]) == (3, 60, 5, 3)
    assert (run(6)["resumed_from"], (tmp_path / "agent.training/result.json").is_file()) == (4, True)
