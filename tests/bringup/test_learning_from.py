"""A robot in trouble does not hold up the others, and one that began with another policy is told of at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.learning_from import Robot, learn_from
from armtune_policies.contract import ConfigError
from armtune_policies.store.shelf import Taken
from armtune_policies.transfer.app import Dock
from armtune_policies.transfer.remote import Remote, Unreachable
from armtune_policies.transfer.server import Server
from fixtures.untrained import untrained_policy, write_episode

WAIT_S, PATIENCE_S = 60.0, 600.0


@contextmanager
def served(run: Path, policy: Path, on_offer: Callable[[Any], None] = print) -> Iterator[Server]:
    """A robot's side."""
    server = Server(Dock(run, run.name, policy, "", on_offer, lambda said: None).app(), "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def learning(config: Any, robots: Sequence[Remote], folder: Path, said: list[str]) -> Iterator[None]:
    """A workstation's side, on a thread."""
    ends = threading.Event()
    thread = threading.Thread(target=learn_from, args=(config, robots, folder, ends.is_set, said.append), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join(timeout=10.0)
        assert not thread.is_alive(), said


def until(condition: Callable[[], bool], said: list[str]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, said
        time.sleep(0.01)


def test_trouble_is_said_once_and_what_made_it_is_not_asked_for_a_while() -> None:
    robot, said, asked = Robot(Remote("http://robot:8768")), list[str](), list[str]()

    def refuses() -> str:
        asked.append("heads")
        raise ValueError("it refuses")

    for _ in range(3):
        robot.ask("heads", refuses, said.append)
        robot.ask("episodes", lambda: asked.append("episodes") or "", said.append)
    assert asked == ["heads", *["episodes"] * 3] and said == ["it refuses"]
    robot.again_s.clear()
    robot.ask("episodes", lambda: "a label changed", said.append)
    robot.ask("heads", refuses, said.append)
    assert said == ["it refuses", "a label changed"], "the same trouble is said once"
    robot.again_s.clear()
    with pytest.raises(ValueError, match="refuses"):
        robot.ask("heads", refuses, said.append, (Unreachable,))

    def conflict() -> str:
        raise Taken("another file is called so")

    with pytest.raises(Taken):
        robot.ask("episodes", conflict, said.append)


def test_robot_that_began_with_another_policy_is_refused_before_anything_comes(tmp_path: Path) -> None:
    for name, text in (("robot/first", "{}"), ("here", "[]")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").write_text(text)
    run, far = tmp_path / "robot", tmp_path / "far"
    config = compose([f"policy.folder={tmp_path / 'here'}"])
    with served(run, run / "first") as server, pytest.raises(ConfigError, match="began with another policy"):
        learn_from(config, [Remote(f"http://127.0.0.1:{server.port}")], far, lambda: False)
    assert not far.exists()


def test_robot_that_hangs_from_the_start_holds_up_no_other_and_learning_ends_at_once(tmp_path: Path) -> None:
    policy, run, far, said = untrained_policy(tmp_path / "policy"), tmp_path / "live", tmp_path / "far", list[str]()
    write_episode(run, "live-00000")
    with socket.create_server(("127.0.0.1", 0)) as hangs, served(run, policy) as server:  # which takes no call
        urls = [f"http://127.0.0.1:{port}" for port in (hangs.getsockname()[1], server.port)]
        robots = [Remote(url, timeout_s=PATIENCE_S) for url in urls]
        with learning(compose([f"policy.folder={policy}"]), robots, far, said):
            for number in range(3):
                until((far / f"live/episodes/live-{number:05d}.mcap").is_file, said)
                write_episode(run, f"live-{number + 1:05d}")
    assert not any(urls[0] in line for line in said), "it is still waited for"


@pytest.mark.slow
def test_robot_that_hangs_later_does_not_keep_heads_from_the_others(tmp_path: Path) -> None:
    policy, far, said, offered = untrained_policy(tmp_path / "policy"), tmp_path / "far", list[str](), list[Any]()
    live, hung = tmp_path / "live", tmp_path / "hung"
    for run in (live, hung):
        write_episode(run, f"{run.name}-00000")
    sight = ["policy.height_px=32", "policy.width_px=32", f"policy.folder={policy}"]
    config = compose([*sight, "learner.updates=5", "learner.refit_every=1", "experiment.seed=3"])
    with served(live, policy, offered.append) as server, ExitStack() as works:
        other = works.enter_context(served(hung, policy))
        robots = [Remote(f"http://127.0.0.1:{one.port}", timeout_s=PATIENCE_S) for one in (other, server)]
        with learning(config, robots, far, said):
            until(lambda: len(offered) > 0, said)
            works.close()
            with socket.create_server(("127.0.0.1", other.port)):
                before = len(offered)
                write_episode(live, "live-00001")
                until(lambda: len(offered) > before, said)


def test_two_robots_with_a_run_of_one_name_are_refused_before_one_is_mixed_into_the_other(tmp_path: Path) -> None:
    policy = untrained_policy(tmp_path / "policy")
    for folder in ("a", "b"):
        write_episode(tmp_path / folder / "run", f"{folder}-00000")
    with served(tmp_path / "a/run", policy) as a, served(tmp_path / "b/run", policy) as b:
        robots = [Remote(f"http://127.0.0.1:{one.port}") for one in (a, b)]
        with pytest.raises(ConfigError, match="two robots record a run of one name, run; give one another"):
            learn_from(compose([f"policy.folder={policy}"]), robots, tmp_path / "far", lambda: False)
    assert len({path.name[0] for path in (tmp_path / "far/run/episodes").glob("*.mcap")}) <= 1
