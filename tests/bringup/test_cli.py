"""The command line: what a user gets wrong is one sentence and exit code 2, never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.nouns import EVALUATIONS
from fixtures.tiny_models import tiny_policy

ROOT = Path(__file__).resolve().parents[2]


def armtune(*arguments: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "armtune_bringup.cli", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)


def test_help_shows_examples() -> None:
    done = armtune("--help")
    assert done.returncode == 0 and "armtune up sim policy=shipped" in done.stdout


def test_help_of_every_command_says_what_it_does_and_shows_an_example() -> None:
    from typer.main import get_command

    from armtune_bringup.cli import app

    todo = [("armtune", get_command(app))]
    while todo:
        name, command = todo.pop()
        assert command.help and re.search(rf"Examples?:\s+{name}\b", (command.epilog or "").replace("\b", "")), name
        assert all(getattr(p, "help", "") for p in command.params), name
        todo += [(f"{name} {sub}", inner) for sub, inner in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize(
    ("arguments", "says"),
    (
        (("config", "show", "task=nope"), "unknown task 'nope'; known: "),
        (("config", "show", "experiment.seed=x"), "seed: expected int"),
        (("up", "robot"), "expected real cameras on a robot"),
        (("up", "sim"), "policy.folder: no manifest.json in models/policy"),
        (("bench", "nope"), "unknown benchmark 'nope'; known: "),
        (("data", "ls", "nowhere"), "nowhere: expected a folder of runs, got none"),
        (("fault", "camera.melt"), "unknown fault 'camera.melt'; known: camera.stall"),
        (("fault", "policy.slow", "--value", "nan"), "policy.slow: expected seconds late in [0.001, 10], got nan"),
        (("fault", "camera.stall"), "no graph found on ROS domain 197"),
    ),
)
def test_mistake_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = armtune(*arguments, cwd=tmp_path if arguments[0] != "bench" else ROOT, ROS_DOMAIN_ID="197")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and says in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_faults_are_listed_without_a_graph() -> None:
    done = armtune("fault", "--list")
    assert done.returncode == 0 and "policy.wrong_spec" in done.stdout and "arm.wall" in done.stdout


def test_bad_domain_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    done = armtune("up", "sim", cwd=tmp_path, ROS_DOMAIN_ID="999")
    assert done.returncode == 2 and "ROS_DOMAIN_ID: expected a number from 0 to 232, got '999'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_asking_a_graph_that_is_not_there_says_how_to_start_one() -> None:
    done = armtune("status", ROS_DOMAIN_ID="197")
    assert done.returncode == 2 and "no graph found on ROS domain 197; start one: armtune up sim" in done.stderr


def test_config_show_prints_what_was_composed() -> None:
    shown = json.loads(armtune("config", "show", "task=lid", "--json").stdout)
    assert shown["task"]["name"] == "lid" and len(shown["hash"]) == 16


def test_an_evaluation_in_one_process_ends_with_json_and_tries_only_what_it_has_not(tmp_path: Path) -> None:
    config = compose(few := ["task.episode_steps=4", "policy.height_px=32", "policy.width_px=32"])
    tiny_policy(tmp_path / "p", config.policy.action, config.policy.observation)
    said = [armtune("evaluate", "p", "--in-process", *few, f"experiment.evaluations={n}", cwd=tmp_path) for n in (1, 2)]
    first, second = (json.loads(one.stdout.splitlines()[-1]) for one in said)
    assert [found["forward"]["n"] for found in (first, second)] == [1, 2]
    (kept,) = (tmp_path / "runs" / EVALUATIONS).glob("*.json")
    rows = read_json(kept)
    assert {way: len(rows[way]) for way in rows} == {"forward": 2, "backward": 2}
    write_json(kept, {way: [[seed, True, 1] for seed, *_ in rows[way]] for way in rows})  # known, so believed
    done = armtune("evaluate", "p", "--in-process", *few, "experiment.evaluations=2", cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1])["backward"]["successes"] == 2


def test_data_ls_lists_runs(tmp_path: Path) -> None:
    from armtune_bringup.compose import compose
    from armtune_bringup.runs import begin

    begin(compose([f"experiment.folder={tmp_path}", "experiment.name=one"]))
    (row,) = json.loads(armtune("data", "ls", str(tmp_path), "--json").stdout)
    assert row["run"] == "one" and row["task"] == "drawer" and row["episodes"] == 0


def test_doctor_exits_0_where_everything_needed_is_there() -> None:
    done = armtune("doctor", "--json", ROS_DOMAIN_ID="197")
    rows = json.loads(done.stdout)
    assert done.returncode == int(any(row["level"] == "missing" for row in rows))


def test_bench_prints_one_json_object_last(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/toy.py").write_text("def main(argv):\n    print('a table')\n    return {'given': argv}\n")
    assert "armtune bench latency" in armtune("bench", "--help", cwd=tmp_path).stdout
    helped = armtune("bench", "toy", "--help", cwd=tmp_path)
    assert json.loads(helped.stdout.splitlines()[-1]) == {"given": ["--help"]}, "the benchmark's own"
    done = armtune("bench", "toy", "--quick", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "a table"
    assert json.loads(done.stdout.splitlines()[-1]) == {"given": ["--quick"]}
