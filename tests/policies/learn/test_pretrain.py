"""Offline training: resumed to the very same weights, other trainings' checkpoints refused."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from reacher import make

from armtune_policies.learn import saved
from armtune_policies.learn.pretrain import Pretraining, Report
from armtune_policies.learn.saved import CHECKPOINT, load_training, save_training


def train(folder: Path | None, updates: int, digest: str = "a", checkpoint_every: int = 5) -> Pretraining:
    agent, replay = make("calql", batch=16)
    return Pretraining(agent, replay, updates, 0, folder, digest, report_every=5, checkpoint_every=checkpoint_every)


def same(one: Pretraining, other: Pretraining) -> bool:
    theirs = other.agent.state()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.agent.state().items())


def test_interrupted_training_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole = train(None, 12)
    whole.run()
    train(tmp_path, 10).run()
    resumed = train(tmp_path, 12)
    assert resumed.agent.updates == 10
    resumed.run()
    assert same(whole, resumed)


def test_ctrl_c_leaves_a_checkpoint_of_the_update_it_came_at(tmp_path: Path) -> None:
    def stop(report: Report) -> None:
        if report.update == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 12, checkpoint_every=100).run(stop)
    assert train(tmp_path, 12).agent.updates == 5


def test_ctrl_c_within_an_update_waits_for_its_end(tmp_path: Path) -> None:
    whole, stopped = train(None, 12), train(tmp_path, 12, checkpoint_every=100)
    whole.run()
    losses = stopped.agent.losses

    def interrupted(*args: Any) -> Any:
        if stopped.agent.updates == 4:
            signal.raise_signal(signal.SIGINT)
        return losses(*args)

    stopped.agent._losses = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = train(tmp_path, 12)
    assert resumed.agent.updates == 5
    resumed.run()
    assert same(whole, resumed)


def test_reports_name_the_losses() -> None:
    heard: list[Report] = []
    train(None, 10).run(heard.append)
    assert [report.update for report in heard] == [5, 10]
    assert set(heard[0].losses) == {"td", "conservative", "actor", "temperature"}


def test_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(tmp_path, 5, "a").run()
    with pytest.raises(ValueError, match="is of training a, this one is b"):
        train(tmp_path, 5, "b")


@pytest.mark.fault("F34")
def test_checkpoint_whose_file_was_touched_is_refused(tmp_path: Path) -> None:
    train(tmp_path, 5).run()
    (state,) = tmp_path.glob("*.safetensors")
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="names by its hash, got another"):
        train(tmp_path, 5)


@pytest.mark.fault("F34")
def test_kill_between_file_and_name_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    save_training(tmp_path, {"a": torch.ones(1)}, "d", 1, note="first")
    (tmp_path / "state-000000002.safetensors").write_bytes(b"half")  # the JSON was not written yet
    found = load_training(tmp_path, "d")
    assert found is not None and found[1]["note"] == "first"
    save_training(tmp_path, {"a": torch.ones(1)}, "d", 2)
    name, file = sorted(p.name for p in tmp_path.iterdir())
    assert name == CHECKPOINT and file.startswith("state-000000002-")


@pytest.mark.fault("F34")
def test_kill_while_a_checkpoint_of_the_same_number_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_training(tmp_path, {"a": torch.ones(1)}, "d", 1)
    with monkeypatch.context() as killed:
        killed.setattr(saved, "write_json", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            save_training(tmp_path, {"a": torch.zeros(1)}, "d", 1)
    found = load_training(tmp_path, "d")
    assert found is not None and float(found[0]["a"]) == 1.0
