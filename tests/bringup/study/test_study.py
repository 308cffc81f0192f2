"""A whole small study: every cell by real training and real practice, kept, and gone on with after a stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armtune_bringup.agents import Learning, read_overrides
from armtune_bringup.stages import collect_demos, planned
from armtune_bringup.study.cells import CELLS, SeedStudy, Sizes, seeded
from armtune_bringup.study.run import run_study
from armtune_bringup.study.sights import Truth, demonstrated, named_demos
from armtune_policies.contract import ConfigError
from armtune_policies.learn.finetune import as_trajectory
from armtune_policies.learn.offline import Offline, OfflineParams
from armtune_policies.learn.trajectory import grasps
from armtune_policies.learn.tutor import Tutor

SMALL = (
    "task=drawer", "experiment.demos=2", "experiment.failures=1", "experiment.demo_noise=0.1", "agent=calql",
    "agent.hidden=[16]", "agent.critics=2", "agent.batch=16", "offline.updates=12", "practice.steps=40",
    "practice.checkpoint_every=1",
)  # fmt: skip
SIZES = Sizes(episodes=1, points=2, point_episodes=1)


def small() -> Learning:
    return read_overrides(SMALL)


def study(folder: Path, on_step: Any = lambda what, done, total: None, *more: str) -> SeedStudy:
    return SeedStudy(seeded(read_overrides([*SMALL, *more]), 7), folder, "truth", SIZES, None, on_step)


def test_a_study_makes_each_cell_once(tmp_path: Path) -> None:
    found = run_study(small(), tmp_path, (7,), CELLS, "truth", SIZES)
    cells = {path.name.split("-")[0]: path for path in (tmp_path / "drawer/seed-7/truth").glob("*.json")}
    assert set(cells) == set(CELLS) == set(found["cells"])
    assert (tmp_path / "drawer-truth.json").is_file() and (tmp_path / "drawer-truth.png").is_file()
    made = {name: path.stat().st_mtime_ns for name, path in cells.items()}
    assert run_study(small(), tmp_path, (7,), CELLS, "truth", SIZES) == found
    assert {name: path.stat().st_mtime_ns for name, path in cells.items()} == made


def test_a_prior_is_learnt_from_beside_the_task_through_the_same_encoder(tmp_path: Path) -> None:
    few = ("experiment.demos=1", "task.episode_steps=6", "policy.height_px=32", "policy.width_px=32")
    learning = read_overrides([*SMALL, *few])
    collect_demos(read_overrides(["task=lid", *few]).config, tmp_path / "prior", "prior")
    named = set()
    for prior in (None, tmp_path / "prior"):
        found = run_study(learning, tmp_path, (7,), ("offline",), "images", SIZES, prior)
        study = SeedStudy(seeded(learning, 7), tmp_path, "images", SIZES, prior, lambda what, done, total: None)
        named.add((found["study"], "prior" in {one.group for one in study.data.trajectories}, study.named("offline")))
        assert len(list(study.folder.glob("offline-*.json"))) == 1
    assert {name[:2] for name in named} == {("drawer-images", False), ("drawer-images-prior", True)}
    assert len({digest for *_, digest in named}) == 2
    assert len(list(tmp_path.glob("drawer/seed-7/demos-*/models/encoder-*"))) == 1


def test_a_prior_is_refused_where_the_truth_is_seen(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--prior: expected none with --sees truth"):
        run_study(small(), tmp_path / "study", (7,), ("bc",), "truth", SIZES, tmp_path)
    assert not (tmp_path / "study").exists()


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_demonstrated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got cuda"):
        run_study(read_overrides([*SMALL, "agent.device=cuda"]), tmp_path, (7,), ("bc",), "truth", SIZES)
    assert not any(tmp_path.iterdir())


def test_the_control_has_as_many_updates_as_practice_but_for_its_last_episode(tmp_path: Path) -> None:
    one = study(tmp_path)
    control, online = one.cell("control"), one.cell("online")
    assert control["updates"] == 12 + 40 and online["updates"] == 12 + online["steps"]
    assert 0 <= online["updates"] - control["updates"] < one.practice.episode_steps
    assert [point["steps"] for point in online["curve"]][-1] == online["steps"]


def test_a_stopped_practice_goes_on(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "practice":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, stop, "practice.steps=80").cell("online")
    online = study(tmp_path, lambda what, done, total: None, "practice.steps=80").cell("online")
    assert online["steps"] >= 80
    assert online["resets"] == 2  # a scene cannot be kept: it goes on in a fresh one


def test_a_cell_is_named_by_the_world_and_demonstrations_by_what_they_are_of(tmp_path: Path) -> None:
    def named(*more: str) -> tuple[str, str]:
        learning = seeded(read_overrides([*SMALL, *more]), 7)
        one = SeedStudy(learning, tmp_path, "truth", SIZES, None, lambda what, done, total: None)
        one.data = Offline((), (), 0, named_demos(learning.config), 0, 0)
        return one.named("offline"), one.data.digest

    cell, shown = named()
    assert named("practice.steps=80", "experiment.name=x", "agent.device=cuda", "task.scatter=backward") == (
        cell,
        shown,
    )
    for other in ("sim.variation=0.1", "sim.looks=0.7", "sim.table=0", "task.episode_steps=9"):
        assert named(other)[0] != cell, other
    assert named("sim.variation=0.1")[1] == shown, "demonstrations vary by their own settings"
    for other in ("experiment.demos=3", "experiment.demo_noise=0.2", "policy.width_px=64"):
        assert named(other)[1] != shown, other


def test_a_nudge_aims_where_practice_itself_took_hold() -> None:
    config = seeded(small(), 7).config
    arena = Truth(config).arena()
    arena.scene(3, "forward")
    assert not arena.nudge(0)
    shown = demonstrated(arena, config, planned(config.experiment)[0], 0)
    assert shown.imitate and arena.nudge(0)
    assert not arena.nudge(0, "scatter"), "nobody has shown where backward begins"
    arena.env.close()


def test_the_arm_knows_where_it_put_a_loose_thing_and_a_failure_there_is_labelled() -> None:
    config = seeded(read_overrides([*SMALL, "task=bin_sort"]), 7).config
    shown = Truth(config).data(OfflineParams(copies=0), lambda what, done, total: None).trajectories
    arena = Truth(config).arena(grasps(shown), carries=True)
    first = demonstrated(arena, config, planned(config.experiment)[0], 0)
    assert first.imitate and first.sentence == 0 and arena.stands_m == ()
    for move in ("carry", "nudge"):
        arena.env.direction = "forward" if move == "carry" else "backward"
        assert arena.nudge(0, move)
        begun = arena.begin("backward")
        peg = arena.env.gated.world.scene.position("peg")
        assert np.linalg.norm(arena.stands_m - peg[:2]) < 0.02
        seen, made = arena.step(np.zeros(7, np.float32))
        failed = as_trajectory([begun, seen], [made], 1, "a step")
        label = Tutor(shown, arena.scale).taught(failed, arena.stands_m).expert
        towards = np.array(arena.stands_m) - begun.state[:2]
        assert label is not None and arena.scale.to_physical(label[0])[:2] @ towards > 0
    arena.begin("backward")
    assert arena.stands_m == (), "nobody saw what the try did to it"
    arena.env.close()


def test_demonstrations_are_told_as_practice_is_and_take_turns() -> None:
    sight = Truth(seeded(small(), 7).config)
    first, second, *_ = sight.data(OfflineParams(copies=0), lambda what, done, total: None).trajectories
    arena = sight.arena()
    moment = arena.scene(3, "forward")
    arena.env.close()
    assert moment.features.shape == first.features.shape[1:] and moment.state.shape == first.state.shape[1:]
    assert (first.sentence, second.sentence) == (0, 1) and first.imitate and second.imitate
    opened, closed = first.features[-1, -4:-1], second.features[0, -4:-1]  # the drawer in its cabinet
    np.testing.assert_allclose(opened, closed, atol=0.02)
