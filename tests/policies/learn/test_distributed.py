"""Two processes with half the data each train the agent that one process with all of it trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import crew_run
from crew_run import training

from armtune_policies.learn.saved import load_training

UPDATES = 20
CASES = ("calql", "rlpd", "iql", "bc", "td3bc-weighted", "rlpd-uneven", "calql-pixels")


def torchrun(folder: Path, updates: int, *cases: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [crew_run.__file__, str(folder), str(updates), *cases]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes trained, by case; one process had begun on rlpd."""
    found = tmp_path_factory.mktemp("crew")
    training("rlpd", UPDATES // 2, found / "rlpd").run()
    done = torchrun(found, UPDATES, *CASES)
    assert done.returncode == 0, done.stderr[-2000:]
    return found


def gap(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of weights, targets, temperature and scales."""
    names = [name for name in ours if name.startswith(("nets.", "targets.", "log_alpha", "scales"))]
    return max(float((ours[name] - theirs[name]).abs().max()) for name in names if ours[name].numel())


@pytest.mark.parametrize("case", CASES)
def test_two_processes_end_where_one_does_at_the_same_batches(folder: Path, case: str) -> None:
    one = training(case, UPDATES, None)
    start = {name: tensor.clone() for name, tensor in one.agent.state().items()}
    one.run()
    found = load_training(folder / case, case)
    assert found is not None
    assert gap(one.agent.state(), found[0]) <= 1e-5 < 1e-3 < gap(one.agent.state(), start)
    assert torch.equal(one.agent.state()["counters"], found[0]["counters"])


def test_one_process_goes_on_where_two_stopped_that_went_on_where_one_did(folder: Path) -> None:
    resumed, whole = training("rlpd", UPDATES + 5, folder / "rlpd"), training("rlpd", UPDATES + 5, None)
    assert resumed.agent.updates == UPDATES
    resumed.run()
    whole.run()
    assert gap(whole.agent.state(), resumed.agent.state()) <= 1e-5


def test_a_killed_process_ends_all_with_a_word_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    died = torchrun(tmp_path, UPDATES, "rlpd", CREW_DIES_AT="15")
    assert died.returncode != 0
    assert "process 0 of 2 lost another one, whose own message says why; start the same command again" in died.stderr
    found = load_training(tmp_path / "rlpd", "rlpd")
    assert found is not None and int(found[0]["counters"][0]) == 10
