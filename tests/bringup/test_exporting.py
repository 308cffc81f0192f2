"""``armtune export``: what it writes loads and says what it is; what would answer otherwise is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from armtune_bringup import exporting
from armtune_bringup.cli import app
from armtune_bringup.exporting import export
from armtune_policies.contract import ActionSpec, ConfigError, ObservationSpec
from armtune_policies.reward.classifier import RewardModel
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.manifest import MANIFEST, ModelError, load_manifest
from fixtures.episodes import made

SHIPPED = Path(__file__).parents[2] / "policies/shipped/drawer"
POLICY, REWARD = SHIPPED / "policy", SHIPPED / "reward"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MADE_UP", 64)


@pytest.mark.parametrize("how", ("graph", "half"))
def test_a_policy_is_written_that_loads_and_acts_as_before(tmp_path: Path, how: str) -> None:
    found = export(POLICY, tmp_path / "out", how, bound=0.01)
    old, new = (Policy.load(at, ActionSpec(), ObservationSpec()) for at in (POLICY, tmp_path / "out"))
    about = new.manifest
    assert about.precision == 0.01 and about.provenance["optimised"] == how
    assert about.provenance["optimised_from"] == old.manifest_digest
    assert about.metrics["optimised_proposed"] == found["off_by"]["proposed"] <= 0.01
    assert about.encoder_digest != old.encoder_digest, "its features are its own"
    assert not [name for name in about.files if name.endswith(("head.safetensors", "encoder.safetensors"))]
    images = {"front": np.random.default_rng(5).integers(0, 256, (96, 96, 3), np.uint8)}
    said = [one.propose(one.features(images), np.zeros(7), "open the drawer") for one in (old, new)]
    assert np.all(np.abs(said[0] - said[1]) <= 0.01 * np.array(ActionSpec().half_range))


def test_a_success_classifier_is_written_that_loads_and_says_the_same(tmp_path: Path) -> None:
    found = export(REWARD, tmp_path / "out", "half", bound=0.01)
    new = RewardModel.load(tmp_path / "out", ActionSpec(), ObservationSpec())
    assert found["observations"] > 64 and found["off_by"]["probability"] <= 0.01
    assert new.threshold == load_manifest(REWARD).threshold


def test_what_answers_otherwise_is_refused_by_number_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"as int8, features would be off by 0\.\d+ of its range, allowed 0\.01 \(\d+ obs"
    ):
        export(POLICY, tmp_path / "out", "int8", bound=0.01)
    assert not list(tmp_path.iterdir())


def test_an_optimised_model_that_was_changed_since_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    export(POLICY, tmp_path / "out", "half", bound=0.01)
    path = tmp_path / "out" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": 1e-6}))
    with pytest.raises(ModelError, match="output features is off by"):
        Policy.load(tmp_path / "out", ActionSpec(), ObservationSpec())
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": 0.5}))
    with pytest.raises(ModelError, match=r"expected a precision from 0 to 0\.1, got 0\.5"):
        load_manifest(tmp_path / "out")


def test_pictures_of_a_run_are_tried_too(tmp_path: Path) -> None:
    for index in range(3):
        write_episode(tmp_path / "shown/episodes", made(index, cameras=("front",), size=96))
    found = export(POLICY, tmp_path / "out", "graph", 1e-5, tmp_path / "shown")
    assert found["observations"] == 64 + 4 + 3 * 11


@pytest.mark.parametrize(
    ("size", "says"), [(16, "expected pictures of front of 96x96 pixels, got 16x16"), (0, "no episodes")]
)
def test_a_run_without_pictures_for_it_is_refused(tmp_path: Path, size: int, says: str) -> None:
    if size:
        write_episode(tmp_path / "shown/episodes", made(size=size))
    with pytest.raises(ConfigError, match=says):
        export(POLICY, tmp_path / "out", "graph", 1e-5, tmp_path / "shown")


def test_the_command_says_sizes_times_and_one_json_object_and_writes_over_nothing(tmp_path: Path) -> None:
    words = ["export", str(REWARD), str(tmp_path / "out"), "--optimise", "half"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.output.splitlines()[-1])
    assert found["how"] == "half" and found["graphs"]["reward.onnx"]["kb_now"] < found["graphs"]["reward.onnx"]["kb"]
    assert "probability    off by at most" in done.output
    assert isinstance(CliRunner().invoke(app, words).exception, FileExistsError)
