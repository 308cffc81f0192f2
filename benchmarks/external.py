"""The agent on other people's tasks: does it do what the papers say, and what d3rlpy does on the same data?

``drawer-open`` (Meta-World) and ``fetch-pick-and-place`` (Gymnasium-Robotics), states, rewards -1
and 0 at success: updates on a trembling expert's data, then practice. Watched are success on
scenes apart from training's, the dip after the switch, and Q beside the returns of the data. A
killed call goes on where it was; worlds and d3rlpy live in ``benchmarks/peers/<name>/.venv``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from armtune_policies.contract import digest
from armtune_policies.learn.settings import anywhere
from armtune_policies.store.files import read_json, write_json
from benchmarks._external_plan import PLANS, agent_params, changes, named, plan_of
from benchmarks._external_report import Result, figure, summary, table

HERE = Path(__file__).resolve().parent
SCRIPTS = {"d3rlpy": "_external_d3rlpy.py"}
FAST = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_TOP_PAD_": "67108864",
}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run what is asked and not done yet, print a table of all that is done, return its numbers."""
    chosen = _parser().parse_args(argv)
    if chosen.make_peers:
        make_peers()
    asked = [
        (task, recipe, seed)
        for task, plan in PLANS.items()
        for recipe, seeds in plan.recipes.items()
        for seed in seeds
        if chosen.all or (chosen.task == task and chosen.recipe in (None, recipe) and chosen.seed in (None, seed))
    ]
    if not (asked or chosen.report):
        raise ValueError("nothing to run: expected --all, --report, or --task with a recipe and seed of its plan")
    for task, recipe, seed in asked:
        run_one(chosen.folder, task, recipe, seed)
    results = [Result(**read_json(path)) for path in sorted(chosen.folder.glob("*/*/result.json"))]
    if not results:
        raise ValueError(f"{chosen.folder}: expected results of `armtune bench external --all`, got none")
    print("\n".join(table(results)))
    if chosen.plot is not None:
        write_json(chosen.plot / "external.json", [asdict(result) for result in results])
        figure(results, chosen.plot / "external.png")
    return {"bench": "external", **summary(results)}


def run_one(folder: Path, task: str, recipe: str, seed: int) -> None:
    """Run one cell, or what is left of it, in a process of its own.

    Raises:
        RuntimeError: when it fails.
        ValueError: when the folder's result is of another plan.
    """
    plan, cell = plan_of(task, recipe), folder / task / f"{recipe}-{seed}"
    of = digest([named(plan), changes(recipe), recipe, seed])
    if (cell / "result.json").is_file():
        if read_json(cell / "result.json")["of"] != of:
            raise ValueError(f"{cell}: expected a result of this plan, got one of another; use another --folder")
        return
    data = folder / task / "data.npz"
    job = {"task": task, "recipe": recipe, "seed": seed, "data": str(data.resolve()), "folder": str(cell.resolve())}
    if recipe == "d3rlpy":
        if not data.is_file():
            raise ValueError(f"{data}: expected the task's data, got none; run one of our recipes first")
        job |= {"plan": named(plan), "agent": anywhere(agent_params("calql"))}
    began = time.monotonic()
    last = _run(recipe, job, plan.offline + plan.steps, f"{task} {recipe} {seed}")
    result = Result(task, recipe, seed, of, last["points"], last["world_cpu_s"], round(time.monotonic() - began, 1))
    write_json(cell / "result.json", asdict(result))


def _run(recipe: str, job: dict[str, Any], total: int, title: str) -> dict[str, Any]:
    script = HERE / SCRIPTS.get(recipe, "_external_run.py")
    python = _python_of("d3rlpy") if recipe == "d3rlpy" else Path(sys.executable)
    paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, **FAST, **({} if recipe == "d3rlpy" else {"PYTHONPATH": paths})}
    last: dict[str, Any] = {}
    with (
        subprocess.Popen(
            [str(python), str(script), json.dumps(job)], env=env, stdout=subprocess.PIPE, text=True
        ) as run,
        tqdm(total=total, desc=title, mininterval=1.0) as bar,
    ):
        for line in run.stdout or ():
            if not line.startswith("{"):
                continue
            last = json.loads(line)
            if "points" not in last:
                bar.n = min(last["step"] + total - PLANS[job["task"]].steps, total)
                bar.set_postfix_str(f"{last['successes']}/{last['trials']}, Q {last['q']:.1f}")
    if run.returncode or "points" not in last:
        raise RuntimeError(f"{title} ended with {run.returncode}; the same call goes on where it was")
    return last


def _python_of(peer: str) -> Path:
    python = HERE / "peers" / peer / ".venv" / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"{python} is missing; make it by `armtune bench external --make-peers`")
    return python


def make_peers() -> None:
    """Make the environments of the worlds and of d3rlpy, where there are none."""
    for peer in ("metaworld", "d3rlpy"):
        venv = HERE / "peers" / peer / ".venv"
        if (venv / "bin" / "python").exists():
            continue
        print(f"making {venv}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=300)
        install = [str(venv / "bin" / "pip"), "install", "-q", "-r", str(HERE / "peers" / f"{peer}.txt")]
        subprocess.run(install, check=True, timeout=3600)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="armtune bench external", description=__doc__)
    parser.add_argument("--make-peers", action="store_true", help="make the environments it needs first (2 GB)")
    parser.add_argument("--all", action="store_true", help="every run of the plan, an hour or two of one core")
    parser.add_argument("--report", action="store_true", help="run nothing; the table of what is done")
    parser.add_argument("--task", choices=list(PLANS))
    parser.add_argument("--recipe", help="one of the task's plan; all of them where it is not given")
    parser.add_argument("--seed", type=int, help="one of the recipe's plan; all of them where it is not given")
    parser.add_argument("--folder", type=Path, default=Path("runs/external"), help="checkpoints and results")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="write external.json and external.png there")
    return parser


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    print(json.dumps(main()))
