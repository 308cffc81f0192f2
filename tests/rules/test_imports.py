"""Importing is cheap and needs no more than it says."""

from __future__ import annotations

import subprocess
import sys

from rules.house import ROOT, product

WITHOUT_TORCH = """
import importlib, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "sentence_transformers"):
            raise ModuleNotFoundError(f"{name} is hidden", name=name)
sys.meta_path.insert(0, Hidden())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
# Ours that a robot never loads: learning, and what starts it.
WORKSTATION = ("armtune_policies.learn", "armtune_runtime.learner_process", "armtune_bringup.actions")


def test_contract_imports_in_half_a_second_without_site_packages() -> None:
    program = (
        "import sys, time; t = time.perf_counter(); import armtune_policies.contract; print(time.perf_counter() - t)"
    )
    command = [sys.executable, "-S", "-c", program]
    env = {"PYTHONPATH": str(ROOT / "policies"), "PATH": "/usr/bin:/bin"}
    seconds = [
        float(subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=60).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.5, f"took {min(seconds):.2f} s"


def test_robot_modules_import_when_torch_is_not_installed() -> None:
    names = [
        s.module
        for s in product()
        if not s.is_launch and s.name not in ("warden.py", "__main__.py") and not s.module.startswith(WORKSTATION)
    ]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *names], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
