"""A dataset that the ``lerobot`` package 0.4.4 wrote (``fixtures/lerobot_044``) is read, imported and learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.datasets.importing import import_folder
from armtune_policies.datasets.lerobot_read import LeRobotFolder
from armtune_policies.datasets.lerobot_write import export
from armtune_policies.learn.bc import PretrainParams, pretrain
from armtune_policies.learn.data import transitions
from armtune_policies.learn.sources import sources
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.labels import shown_labels

THEIRS = Path(__file__).parents[2] / "fixtures/lerobot_044"
SIZE, STEPS = 16, 12


def test_it_is_imported_with_the_numbers_it_was_given(tmp_path: Path) -> None:
    import_folder(THEIRS, tmp_path, "theirs", None, ObservationSpec())
    episodes = [read_episode(path) for path in list_episodes(tmp_path)]
    assert [(e.sentence, e.steps, e.outcome) for e in episodes] == [
        ("open it", 12, "success"),
        ("close it", 12, "success"),
    ]
    for index, one in enumerate(episodes):
        for step in range(STEPS):
            rng = np.random.default_rng([index, step])  # as the peer drew them
            np.testing.assert_array_equal(one.state[step], rng.normal(0, 0.1, 7).astype(np.float32))
            np.testing.assert_array_equal(one.allowed[step], rng.uniform(-0.04, 0.04, 7).astype(np.float32))
            want = rng.integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
            np.testing.assert_array_equal(one.images["front"][step], want)


def test_it_is_learnt_from_as_it_is() -> None:
    spec = ObservationSpec(height_px=SIZE, width_px=SIZE)
    episodes = [source.read() for source in sources(THEIRS, ActionSpec(), spec)]
    sentences = ("open it", "close it")
    rows = np.eye(2, 384, dtype=np.float32)
    data = transitions(episodes, ActionSpec(), spec, sentences)
    done = pretrain(
        data, dict(zip(sentences, rows)), ActionSpec(), spec, PretrainParams(updates=20, batch=8, shift_px=1)
    )
    assert len(data) == 2 * (STEPS - 1) and np.isfinite(done.loss)


def test_our_files_have_the_columns_and_types_of_theirs(tmp_path: Path) -> None:
    folder = LeRobotFolder.as_it_is(THEIRS)
    episodes = [folder.read(at) for at in folder.placed]
    root = export([(one, shown_labels(one)) for one in episodes], tmp_path / "ours").folder
    for file in ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"):
        ours, theirs = pq.read_schema(root / file), pq.read_schema(THEIRS / file)
        for field in theirs:
            if file == "meta/tasks.parquet" and field.name == "__index_level_0__":
                continue  # the sentences: lerobot 0.6 calls the column task, 0.4 not at all
            assert field.name in ours.names, field.name
            if not field.name.startswith("stats/"):
                assert str(ours.field(field.name).type) == str(field.type), field.name
