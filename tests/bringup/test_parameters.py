"""Parameter files, read back by a real ROS node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from armtune_bringup.parameters import parameter_file
from armtune_bringup.spec import NodeSpec
from harness import own_domain

LOOKS_LIKE_A_NUMBER = ["0866014268888211", "12e4567890123456", "0x10", "1_000", "yes", ".nan", "~", "", "a: b", "é\n"]


def read_by_ros(file: Path) -> dict[str, Any]:
    """What a node that is started with this file is told."""
    context = Context()
    with own_domain() as domain:
        rclpy.init(args=["--ros-args", "--params-file", str(file)], context=context, domain_id=domain)
        node = Node("reader", context=context, automatically_declare_parameters_from_overrides=True)
        told = {name: p.value for name, p in node.get_parameters_by_prefix("").items()}
        node.destroy_node()
        rclpy.shutdown(context=context)
    return told


def test_text_stays_text_whatever_it_looks_like(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {f"text{i}": text for i, text in enumerate(LOOKS_LIKE_A_NUMBER)}
    wanted |= {"texts": LOOKS_LIKE_A_NUMBER, "rate_hz": 1e-06, "count": 3, "is_on": True}
    file = tmp_path / "node.yaml"
    file.write_bytes(parameter_file(NodeSpec("package", "program", "node", "robot", wanted)))
    told = read_by_ros(file)
    assert {name: told[name] for name in wanted} == wanted
