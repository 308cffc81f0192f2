"""Episodes out of run folders, LeRobot folders and selections; sets of them with weights."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dots import ACTION, BACK, GO, SPEC, episode
from lerobot_writer import write_folder

from armtune_policies.contract import Verdict
from armtune_policies.learn.encoded import once
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.offline import OfflineParams, gather, make_agent, training_digest
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.sources import sources
from armtune_policies.learn.tally import table, tally
from armtune_policies.learn.trajectory import BadData
from armtune_policies.store.labels import LabelSet, write_labels

SHOWN = [episode(1, GO), episode(2, GO, fails=True), episode(3, BACK), episode(4, GO)]
ELSE = "wave"
VALUES = [[1.0 if row == one.steps - 1 and i != 1 else 0.0 for row in range(one.steps)] for i, one in enumerate(SHOWN)]
PLAIN = OfflineParams(copies=0)


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "shown", SHOWN, columns={"next.success": VALUES})


@pytest.fixture
def encoder(policy_folder: Path) -> FrozenEncoder:
    return FrozenEncoder(policy_folder, ACTION, SPEC)


def test_a_lerobot_folder_and_prior_become_four_sets_with_weights(
    tmp_path: Path, shown: Path, encoder: FrozenEncoder, embeddings: dict[str, np.ndarray]
) -> None:
    prior = write_folder(tmp_path / "prior", [replace(one, about=replace(one.about, sentence=ELSE)) for one in SHOWN])
    weighted = OfflineParams(copies=0, weight_backward=3.0, weight_failure=0.5, weight_prior=0.0)
    data = gather([shown, prior], (GO, BACK), ACTION, encoder, weighted)
    assert data.sentences == (GO, BACK, ELSE) and (data.episodes, data.successes) == (8, 7)
    assert [one.group for one in data.trajectories] == ["forward", "failure", "backward", "forward", *["prior"] * 4]
    found = tally(data.trajectories)
    assert [t.weight for t in found.values()] == [3.0, 0.5, 1.0, 0.0] and found["prior"].share == 0.0
    assert sum(t.share for t in found.values()) == pytest.approx(1.0)
    text = table(found, 12_345)
    assert text.splitlines()[0].split() == ["set", "trajectories", "transitions", "weight", "share"]
    assert "replay memory: 12,345 bytes" in text and "backward" in text

    embedded = {**embeddings, ELSE: embeddings[GO]}
    _, replay = make_agent(data, AgentParams(hidden=(8,)), embedded, seed=0)
    drawn = replay.sample(np.random.default_rng(0), 20_000)
    backward = float((drawn.seen.sentence == 1).float().mean())
    assert backward == pytest.approx(found["backward"].share, abs=0.02)
    assert float((drawn.seen.sentence == 2).float().sum()) == 0.0
    assert float(drawn.imitate.mean()) == pytest.approx(1.0 - found["failure"].share, abs=0.02)


def test_weights_name_another_training_and_all_ones_the_same(shown: Path, encoder: FrozenEncoder) -> None:
    data, again = (gather([shown], (GO, BACK), ACTION, encoder, PLAIN) for _ in range(2))
    other = gather([shown], (GO, BACK), ACTION, encoder, replace(PLAIN, weight_failure=0.1))
    names = [training_digest(one, AgentParams(), 0) for one in (data, again, other)]
    assert names[0] == names[1] != names[2]


def test_a_named_label_set_says_what_was_a_success(shown: Path, encoder: FrozenEncoder) -> None:
    for source in sources(shown, ACTION, SPEC):
        one = source.read()
        write_labels(shown, LabelSet("mine", one.episode_id, (Verdict.NO,) * one.steps, 2))
    data = gather([shown], (GO, BACK), ACTION, encoder, replace(PLAIN, labels="mine"))
    assert [len(one) for one in data.trajectories] == [3] * 4 and data.successes == 4
    with pytest.raises(FileNotFoundError):
        gather([shown], (GO, BACK), ACTION, encoder, replace(PLAIN, labels="theirs"))


def test_a_selection_keeps_some_of_a_folder(tmp_path: Path, shown: Path) -> None:
    def write(**changes: object) -> Path:
        rows = [{"name": f"shown-{i:06d}", "score": 1.0, "is_kept": i in (0, 2)} for i in range(4)]
        (tmp_path / "some.json").write_text(
            json.dumps({"kind": "selection", "prior": "shown", "episodes": rows, **changes})
        )
        return tmp_path / "some.json"

    assert [one.name for one in sources(write(), ACTION, SPEC)] == ["shown-000000", "shown-000002"]
    with pytest.raises(BadData, match=r"some.json: kind: expected 'selection'.*, got another file"):
        sources(write(kind="else"), ACTION, SPEC)
    with pytest.raises(BadData, match=r"some.json: episodes: expected episodes of shown, got nobody, which is not"):
        sources(write(episodes=[{"name": "nobody", "is_kept": True}]), ACTION, SPEC)
    with pytest.raises(BadData, match=r"some.json: episodes: expected at least one that is kept, got none"):
        sources(write(episodes=[]), ACTION, SPEC)


def test_another_picture_or_row_is_another_digest(tmp_path: Path, shown: Path) -> None:
    other = write_folder(tmp_path / "other", [*SHOWN[:3], episode(5, GO)], columns={"next.success": VALUES})
    first, again, third = (sources(path, ACTION, SPEC)[0].digest() for path in (shown, shown, other))
    assert first == again != third


class Counted(FrozenEncoder):
    """Counts how often it is asked."""

    asked = 0

    def features(self, images: Mapping[str, np.ndarray]) -> np.ndarray:
        self.asked += 1
        return super().features(images)


def test_kept_features_are_made_once_and_are_those_that_would_be_made(
    tmp_path: Path, shown: Path, policy_folder: Path
) -> None:
    encoder, folder, shaken = Counted(policy_folder, ACTION, SPEC), tmp_path / "features", OfflineParams(copies=1)

    def gathered(params: OfflineParams, kept: Path | None = folder, seed: int = 0) -> tuple[int, list[np.ndarray]]:
        encoder.asked = 0
        data = gather([shown], (GO, BACK), ACTION, encoder, params, seed, kept=kept)
        return encoder.asked, [one.features for one in data.trajectories]

    def same(one: tuple[int, list[np.ndarray]]) -> int:
        assert len(one[1]) == len(wanted) and all(map(np.array_equal, one[1], wanted))
        return one[0]

    _, wanted = gathered(shaken, kept=None)
    assert [same(gathered(shaken)) for _ in range(2)] == [8, 0]
    assert gathered(shaken, seed=1)[0] == 8, "shaken otherwise"
    assert [gathered(PLAIN, seed=seed)[0] for seed in (0, 1)] == [4, 0], "plain ones are of any seed"
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-4])
    assert [same(gathered(shaken)) for _ in range(2)] == [8, 0], "what is cut short is made anew"


def test_reading_stops_where_memory_would_be_exceeded(shown: Path, encoder: FrozenEncoder) -> None:
    whole = gather([shown], (GO, BACK), ACTION, encoder, PLAIN)
    held = sum(one.features.nbytes for one in whole.trajectories)
    gather([shown], (GO, BACK), ACTION, encoder, replace(PLAIN, memory_mb=2.0 * held / 1e6))
    with pytest.raises(BadData, match=r"memory: expected at most .* MB \(offline.memory_mb.*, got .* MB with 4 of 4"):
        gather([shown], (GO, BACK), ACTION, encoder, replace(PLAIN, memory_mb=1.9 * held / 1e6))


def test_features_are_made_without_being_kept_where_the_disk_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("armtune_policies.learn.encoded.write_whole", full)
    (made,) = once(tmp_path / "a.safetensors", lambda: [np.ones((2, 3), np.float32)])
    assert made.shape == (2, 3) and not list(tmp_path.iterdir())
