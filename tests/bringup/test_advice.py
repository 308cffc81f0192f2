"""Prior data chosen by likeness, and advice on practice; LeRobot folders in place of run folders throughout."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from armtune_bringup.advice import ADVICE_SEED, advise_practice
from armtune_bringup.agents import pretrain_agent, read_overrides, training_folder
from armtune_bringup.cli import app
from armtune_bringup.compose import compose
from armtune_bringup.stages import EVALUATION_SEED
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import read_json, write_json
from fixtures.tiny_models import tiny_policy

sys.path.insert(0, str(Path(__file__).parents[1] / "policies/learn"))

from dots import BACK, GO, episode
from lerobot_writer import write_folder

CONFIG = ["task=drawer", "policy.height_px=32", "policy.width_px=32", "task.episode_steps=4"]
SMALL = ["agent=calql", "agent.batch=8", "agent.hidden=[8,8]", "agent.cql_actions=2", "offline.copies=0"]


def told(seed: int, sentence: str, fails: bool = False, unlike: bool = False) -> Episode:
    one = episode(seed, GO if sentence.startswith("open") else BACK, fails)
    if unlike:
        one = replace(one, images={"front": 255 - one.images["front"]}, allowed=-one.allowed + np.eye(7)[6])
    return replace(one, about=replace(one.about, sentence=sentence))


def folder(root: Path, episodes: list[Episode]) -> Path:
    won = [[float(one.outcome == "success" and row == one.steps - 1) for row in range(one.steps)] for one in episodes]
    return write_folder(root, episodes, columns={"next.success": won})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, config = tmp_path_factory.mktemp("world"), compose(CONFIG)
    tiny_policy(root / "encoder", config.policy.action, config.policy.observation)
    pair = (config.task.forward, config.task.backward)
    folder(root / "shown", [told(seed, pair[seed % 2], fails=seed > 5) for seed in range(8)])
    folder(root / "prior", [told(20 + i, "open something else", unlike=i % 2 == 0) for i in range(8)])
    return root


def test_planted_episodes_are_kept_and_pretrain_takes_the_selection(world: Path, tmp_path: Path) -> None:
    arguments = [str(world / "shown"), str(world / "prior"), str(tmp_path / "alike.json"), *CONFIG]
    done = CliRunner().invoke(app, ["data", "select", *arguments, "--encoder", str(world / "encoder"), "--most", "4"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output.splitlines()[-1])
    assert (said["kept"], said["episodes"]) == (4, 8) and "4 of 8" in done.output
    rows = read_json(tmp_path / "alike.json")["episodes"]
    assert all(int(row["name"][-6:]) % 2 == 1 for row in rows if row["is_kept"])
    assert (tmp_path / "alike.png").read_bytes().startswith(b"\x89PNG")

    learning = read_overrides([*CONFIG, *SMALL, "offline.updates=2", "offline.weight_prior=0.5",
                               f"policy.folder={tmp_path / 'calql'}"])  # fmt: skip
    text: list[str] = []
    made = pretrain_agent(learning, world / "shown", tmp_path / "alike.json", world / "encoder", say=text.append)
    assert made["episodes"] == 12 and made["sets"]["prior"]["trajectories"] == 4
    assert made["sets"]["prior"]["weight"] == 0.5 and made["sets"]["failure"]["trajectories"] == 2
    assert "replay memory" in text[0] and "failure" in text[0]
    kept = training_folder(tmp_path / "calql")
    assert read_json(kept / "result.json") == made and (kept / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_compare_with_is_refused(world: Path, tmp_path: Path) -> None:
    failed = folder(tmp_path / "failed", [told(1, compose(CONFIG).task.forward, fails=True)])
    arguments = [str(failed), str(world / "prior"), str(tmp_path / "a.json"), *CONFIG]
    done = CliRunner().invoke(app, ["data", "select", *arguments, "--encoder", str(world / "encoder")])
    assert isinstance(done.exception, ValueError) and "expected successes of" in str(done.exception)
    assert not (tmp_path / "a.json").exists()


def test_advice_is_made_of_a_runs_outcomes(world: Path, tmp_path: Path) -> None:
    rate = {"successes": 1, "n": 10, "ci95": [0.0, 0.4]}
    write_json(tmp_path / "evaluation" / "before.json", {"policy": "x", "success": {"forward": rate, "backward": rate}})
    given = ["advise", str(world / "shown"), *CONFIG, "offline.weight_failure=0", "--run", str(tmp_path)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    said = json.loads(done.output.splitlines()[-1])
    assert (said["regime"], said["policy_mean"], said["data_mean"], said["data_n"]) == ("inferior", 0.1, 1.0, 6)
    assert "agent.offline_share=0.5" in done.output and said["caveats"]
    read_overrides([*said["overrides"], *CONFIG])  # they are overrides that the commands take
    whole = json.loads(CliRunner().invoke(app, [*given[:-3], *given[-2:]]).output.splitlines()[-1])
    assert (whole["data_mean"], whole["data_n"]) == (0.75, 8)


def test_advice_evaluates_the_policy_on_scenes_of_its_own(world: Path) -> None:
    assert ADVICE_SEED != EVALUATION_SEED
    few = read_overrides([*CONFIG, "experiment.evaluations=2", f"policy.folder={world / 'encoder'}"])
    found = advise_practice(few, world / "shown", None)
    assert (found.policy_n, found.policy_mean, found.regime) == (4, 0.0, "inferior")
