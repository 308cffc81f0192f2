"""Data and a trained policy for the world of ``dots``, made once per session."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from armtune_policies.learn.bc import Pretrained, PretrainParams, pretrain
from armtune_policies.learn.data import Transitions, transitions
from armtune_policies.learn.export import About, export_policy
from armtune_policies.store.episode_reader import Episode

sys.path.insert(0, str(Path(__file__).parent))

from dots import ACTION, BACK, GO, SPEC, episode

Embeddings = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def embeddings() -> Embeddings:
    rows = np.random.default_rng(0).normal(size=(2, 384)).astype(np.float32)
    return {GO: rows[0] / np.linalg.norm(rows[0]), BACK: rows[1] / np.linalg.norm(rows[1])}


@pytest.fixture(scope="session")
def demos() -> list[Episode]:
    return [episode(seed, GO if seed % 2 else BACK) for seed in range(24)]


@pytest.fixture(scope="session")
def data(demos: list[Episode]) -> Transitions:
    return transitions(demos, ACTION, SPEC, (GO, BACK))


@pytest.fixture(scope="session")
def trained(data: Transitions, embeddings: Embeddings) -> Pretrained:
    return pretrain(data, embeddings, ACTION, SPEC, PretrainParams(updates=400, batch=32, shift_px=1))


@pytest.fixture(scope="session")
def policy_folder(trained: Pretrained, embeddings: Embeddings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "dots"
    export_policy(folder, trained.encoder, trained.head, About("dots", ACTION, SPEC, embeddings))
    return folder
