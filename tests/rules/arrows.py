"""Rule functions about who may import whom; each returns ``path:line: what`` per breach."""

from __future__ import annotations

import sys

from .house import Source

ROS = ("rclpy", "rcl_interfaces", "lifecycle_msgs", "builtin_interfaces", "std_srvs", "rosidl_runtime_py", "tf2_ros")
LAUNCH = ("launch", "launch_ros")
LAUNCH_FILES = ("ros_ws/src/armtune_bringup/armtune_bringup/actions.py",)
PURE = ("armtune_policies", "armtune_calibration")
TORCH = ("torch", "torchvision", "timm", "sentence_transformers", "transformers", "peft")
LEARN = "armtune_policies.learn"
LEARN_USERS = ("armtune_policies.learn", "armtune_bringup", "armtune_runtime.learner", "armtune_sim.collect")
BASES = ("managed_node", "client_node", "evaluating_node", "looking_node", "offering_node", "watching_node")
CALIBRATION_NEEDS = ("armtune_policies.contract", "armtune_policies.store.files", "armtune_policies.store.pictures")
TRUTH_USERS = ("armtune_sim.sim_node", "armtune_bringup.evaluating_node", "armtune_bringup.permissions")


def top(name: str) -> str:
    return name.split(".")[0]


def is_ros(name: str) -> bool:
    return top(name) in ROS or top(name).endswith("_msgs") or top(name) == "armtune_interfaces"


def ros_only_in_nodes(source: Source) -> list[str]:
    """rclpy and message packages are imported in ``*_node.py`` and launch files only."""
    found = [
        source.at(node, f"imports {name}; move it into a *_node.py")
        for node, name in source.imports()
        if is_ros(name) and not (source.is_node or source.is_launch)
    ]
    return found + [
        source.at(node, f"imports {name}; only launch files and actions.py may")
        for node, name in source.imports()
        if top(name) in LAUNCH and not (source.is_launch or source.path in LAUNCH_FILES)
    ]


def one_way(source: Source) -> list[str]:
    """The arrows of the house point one way."""
    return [
        source.at(node, f"{source.module} may not import {name}")
        for node, name in source.imports()
        if _against(source, name)
    ]


def _against(source: Source, name: str) -> bool:
    if top(name) == "tests":
        return True
    if not top(name).startswith("armtune_") or top(name) == "armtune_interfaces":
        return False
    if source.module.startswith("armtune_policies.contract"):
        return not name.startswith("armtune_policies.contract")
    if source.package == "armtune_calibration":
        return top(name) != "armtune_calibration" and not name.startswith(CALIBRATION_NEEDS)
    if "armtune_policies" in source.path.split("/"):
        return top(name) not in PURE
    if source.package == "armtune_safety" or "/armtune_safety/" in source.path:
        return top(name) != "armtune_safety" and not name.startswith("armtune_policies.contract")
    return False


def contract_is_standard_library(source: Source) -> list[str]:
    """The contract imports the standard library and itself only."""
    if not source.module.startswith("armtune_policies.contract"):
        return []
    return [
        source.at(node, f"imports {name}; the contract uses the standard library only")
        for node, name in source.imports()
        if top(name) not in sys.stdlib_module_names and not name.startswith("armtune_policies.contract")
    ]


def learning_stays_home(source: Source) -> list[str]:
    """torch and ``armtune_policies.learn`` are the learner's and the training commands' alone."""
    found = []
    for node, name in source.imports():
        if top(name) in TORCH and not source.module.startswith(LEARN):
            found.append(source.at(node, f"imports {name}; only {LEARN} may"))
        if f"{name}.".startswith(f"{LEARN}.") and not source.module.startswith(LEARN_USERS):
            found.append(source.at(node, f"imports {name}; only the learner process and training commands may"))
        if f"{name}.".startswith(f"{LEARN}.") and source.is_node:
            found.append(source.at(node, f"imports {name}; a node starts the learner as a process"))
    return found


def nodes_do_not_import_nodes(source: Source) -> list[str]:
    """Nodes talk by messages; ``managed_node`` is their base, ``client_node`` the command line's."""
    return [
        source.at(node, f"imports {name}; nodes talk by messages")
        for node, name in source.imports()
        if name.startswith("armtune_")
        and any(part.endswith("_node") and part not in BASES for part in name.split(".")[:3])
    ]


def practice_is_blind(source: Source) -> list[str]:
    """Ground truth is published by ``sim_node`` and read by evaluation and tests only."""
    if source.module in TRUTH_USERS or source.module.startswith("armtune_policies.contract"):
        return []
    found = [
        source.at(node, f"imports {name}; practice may not see truth")
        for node, name in source.imports()
        if name.endswith("msg.Truth")
    ]
    if "topics.TRUTH" in source.text or "sim/truth" in source.text:
        found.append(f"{source.path}:1: names the truth topic; practice may not see it")
    return found
