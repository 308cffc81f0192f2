"""A robot in trouble does not hold up the others, and one that began with another policy is told of at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.learning_from import Robot, learn_from
from armtune_policies.contract import ConfigError
from armtune_policies.store.shelf import Taken
from armtune_policies.transfer.app import Dock
from armtune_policies.transfer.remote import Remote, Unreachable
from armtune_policies.transfer.server import Server


def test_trouble_is_said_once_and_its_robot_left_alone_for_a_while() -> None:
    robot, said, asked = Robot(Remote("http://robot:8766")), list[str](), list[str]()

    def refuses() -> str:
        asked.append("heads")
        raise ValueError("it refuses")

    for _ in range(3):
        robot.ask("heads", refuses, said.append)
        robot.ask("episodes", lambda: asked.append("episodes") or "", said.append)
    assert asked == ["heads"] and said == ["it refuses"]
    robot.again_s = 0.0
    robot.ask("episodes", lambda: "a label changed", said.append)
    robot.ask("heads", refuses, said.append)
    assert said == ["it refuses", "a label changed"], "the same trouble is said once"
    robot.again_s = 0.0
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
    server = Server(Dock(run, "run", run / "first", "", print, print).app(), "127.0.0.1", 0)
    try:
        config = compose([f"policy.folder={tmp_path / 'here'}"])
        with pytest.raises(ConfigError, match="began with another policy"):
            learn_from(config, [Remote(f"http://127.0.0.1:{server.port}")], far, lambda: False)
    finally:
        server.close()
    assert not far.exists()
