"""The house rules, held over every file of the product."""

from __future__ import annotations

import pytest
from rules import arrows, calls
from rules.house import Source, product, report

pytestmark = pytest.mark.unhurried

RULES = (
    arrows.ros_only_in_nodes,
    arrows.one_way,
    arrows.contract_is_standard_library,
    arrows.learning_stays_home,
    arrows.nodes_do_not_import_nodes,
    arrows.practice_is_blind,
    calls.sizes,
    calls.forbidden_calls,
    calls.waits_are_bounded,
    calls.writes_only_in_store,
    calls.names_are_constants,
    calls.all_is_true,
    calls.annotated,
)


@pytest.mark.fault("F53")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_product_keeps_the_rule(rule) -> None:
    found = [line for source in product() for line in rule(source)]
    assert not found, report(found, rule.__doc__)


SAFETY = "ros_ws/src/armtune_safety/armtune_safety/x.py"
NODE = "ros_ws/src/armtune_runtime/armtune_runtime/x_node.py"
CORE = "ros_ws/src/armtune_runtime/armtune_runtime/x.py"
STORE = "policies/armtune_policies/store/x.py"
CONTRACT = "policies/armtune_policies/contract/x.py"
CALIBRATION = "calibration/armtune_calibration/x.py"

BREACHES = (
    (arrows.ros_only_in_nodes, CORE, "import rclpy.node"),
    (arrows.ros_only_in_nodes, CORE, "def f():\n    from sensor_msgs.msg import Image"),
    (arrows.ros_only_in_nodes, CORE, "from launch import LaunchDescription"),
    (arrows.one_way, SAFETY, "from armtune_policies.runtime import session"),
    (arrows.one_way, SAFETY, "import armtune_sim"),
    (arrows.one_way, STORE, "import armtune_runtime.settings"),
    (arrows.one_way, CONTRACT, "from ..store import files"),
    (arrows.one_way, CORE, "import tests.harness"),
    (arrows.one_way, CALIBRATION, "from armtune_policies.store.episode_reader import read_episode"),
    (arrows.one_way, CALIBRATION, "import armtune_safety.kinematics"),
    (arrows.contract_is_standard_library, CONTRACT, "import numpy"),
    (arrows.learning_stays_home, CORE, "import torch.nn"),
    (arrows.learning_stays_home, CORE, "from armtune_policies import learn"),
    (arrows.learning_stays_home, NODE, "from armtune_policies.learn.agent import Agent"),
    (arrows.nodes_do_not_import_nodes, NODE, "from armtune_safety.gate_node import GateNode"),
    (arrows.nodes_do_not_import_nodes, NODE, "from .policy_node import PolicyNode"),
    (arrows.practice_is_blind, NODE, "from armtune_interfaces.msg import Truth"),
    (arrows.practice_is_blind, NODE, "topic = topics.TRUTH"),
    (calls.sizes, CORE, "x = 1\n" * 501),
    (calls.sizes, NODE, "x = 1\n" * 201),
    (calls.sizes, CORE, "def f():\n" + "    x = 1\n" * 60),
    (calls.forbidden_calls, CORE, "import pickle\npickle.loads(b'')"),
    (calls.forbidden_calls, CORE, "import numpy as np\nnp.load('x', allow_pickle=True)"),
    (calls.forbidden_calls, CORE, "from joblib import load"),
    (calls.forbidden_calls, CORE, "def f():\n    import shelve"),
    (calls.forbidden_calls, CORE, "import numpy as np\nnp.load('x')"),
    (calls.forbidden_calls, CORE, "import yaml\nyaml.safe_load('x')"),
    (calls.forbidden_calls, CORE, "import cv2\ncv2.imread('x')"),
    (calls.forbidden_calls, CORE, "import onnx\nonnx.load('x')"),
    (calls.forbidden_calls, CORE, "import time\ntime.time()"),
    (calls.forbidden_calls, CORE, "assert True"),
    (calls.forbidden_calls, CORE, "try:\n    pass\nexcept:\n    pass"),
    (calls.forbidden_calls, CORE, "import subprocess\nsubprocess.run('ls', shell=True, timeout=1)"),
    (calls.waits_are_bounded, CORE, "event.wait()"),
    (calls.waits_are_bounded, CORE, "thread.join()"),
    (calls.waits_are_bounded, CORE, "self.executor.spin_once()"),
    (calls.waits_are_bounded, CORE, "import subprocess\nsubprocess.run(['ls'])"),
    (calls.writes_only_in_store, CORE, "open('x', 'wb')"),
    (calls.writes_only_in_store, CORE, "path.open('w')"),
    (calls.writes_only_in_store, CORE, "path.write_text('x')"),
    (calls.names_are_constants, NODE, "self.create_publisher(Image, 'front/image', 1)"),
    (calls.all_is_true, CORE, "__all__ = ['missing']"),
    (calls.all_is_true, "policies/armtune_policies/store/__init__.py", "from .files import write\n__all__ = []"),
    (calls.annotated, CORE, "def f(x) -> None: ..."),
)


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES, ids=lambda part: getattr(part, "__name__", None))
def test_rule_catches_a_breach_when_there_is_one(rule, path: str, text: str) -> None:
    found = rule(Source(path, text))
    assert found and all(line.startswith(f"{path}:") for line in found)


KEPT = (
    (arrows.ros_only_in_nodes, NODE, "import rclpy"),
    (arrows.one_way, SAFETY, "from armtune_policies.contract import Mode"),
    (arrows.one_way, CORE, "from armtune_policies.runtime import session"),
    (arrows.one_way, CALIBRATION, "from armtune_policies.store.files import write_whole"),
    (arrows.nodes_do_not_import_nodes, NODE, "from armtune_safety.managed_node import run"),
    (calls.waits_are_bounded, CORE, "event.wait(1.0)\nthread.join(timeout=1)\n','.join(parts)"),
    (calls.writes_only_in_store, CORE, "open('x', 'rb')"),
    (calls.writes_only_in_store, STORE, "open('x', 'wb')"),
    (calls.names_are_constants, NODE, "self.create_publisher(Image, topics.STEP, 1)"),
)


@pytest.mark.parametrize(("rule", "path", "text"), KEPT, ids=lambda part: getattr(part, "__name__", None))
def test_rule_is_silent_when_it_is_kept(rule, path: str, text: str) -> None:
    assert rule(Source(path, text)) == []
