"""Updates per second of the learner beside d3rlpy's and a JAX update, one pinned core each.

Cells: an observation of 24 numbers, and the real one (image features, state and sentence); SAC as RLPD has it, and
Cal-QL with ten actions a kind; 2 and 10 critics. An update is a batch of 256 out of the program's own replay, one step
of critics, actor and temperature, and targets that follow; hidden layers 256x256 with LayerNorm, 7 actions, float32.
Programs stay up and take short turns, counted per second of processor time: what else runs on the machine disturbs all
alike. ``compiled`` is ours by torch.compile, as JAX compiles its own; ``ratio`` is the faster of our two float32
columns over the faster peer. Peers live in environments of their own, ``benchmarks/peers/<name>/.venv``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from armtune_policies.learn.networks import has_bf16

HERE = Path(__file__).resolve().parent
MAKE = "armtune bench learner --make-peers"
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483648", "MALLOC_TOP_PAD_": "67108864"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SIZES = {"24d": (24, 0, 0), "real": (7, 96, 384)}
"""State, image features (the default encoder's of a camera), sentence embedding."""
ENSEMBLES = (2, 10)
PEERS = {"d3rlpy": ("sac", "calql"), "jax": ("sac",)}
"""What each peer can do."""
OURS = {"eager": {"bf16": False, "compiled": False}, "compiled": {"bf16": False, "compiled": True},
        "bf16": {"bf16": True, "compiled": False}}  # fmt: skip
DIFFERENCES = """\
What differs. 24d: nobody projects what is seen. real: ours projects features, state and sentence onto 128 numbers, once
for the actor and once for all critics; the peers have no such layer, each reads all 487. d3rlpy: LayerNorm comes
after the ReLU, all target critics are asked (ours and JAX: two, in SAC), Cal-QL's target is of the mean action. Cal-QL:
the state's part of the first layer is made once for all 30 actions in ours. Nobody's draw of a batch is left out."""


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench learner", description=__doc__)
    parser.add_argument("--make-peers", action="store_true", help="make the peers' environments first (2 GB)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program in each cell; the median counts")
    parser.add_argument("--seconds", type=float, default=1.5, help="processor time of a turn, after its warm-up")
    parser.add_argument("--core", type=int, default=0, help="processor that all are pinned to")
    parser.add_argument("--pixels", action="store_true", help="updates from pixels only, on a GPU where there is one")
    chosen = parser.parse_args(argv)
    if chosen.pixels:
        return from_pixels(chosen)
    if chosen.make_peers:
        make_peers()
    check_peers()
    print(f"{'updates/s of processor time':<28}{''.join(f'{who:>10}' for who in (*OURS, *PEERS, 'ratio'))}")
    found: dict[str, Any] = {"bench": "learner", "batch": 256, "has_bf16": has_bf16(torch.device("cpu"))}
    for method in ("sac", "calql"):
        for size in SIZES:
            for critics in ENSEMBLES:
                name = f"{method}_{size}_{critics}"
                row = cell(method, size, critics, chosen)
                _print_row(name, row)
                found |= {f"{name}_{key}": round(value, 3) for key, value in row.items()}
    print(DIFFERENCES)
    if not found["has_bf16"]:
        print("This processor does not multiply bfloat16: the column of that name is float32.")
    for key, short in (("ratio", "ratio_to_best_peer"), ("ratio_eager", "ratio_eager"), ("ratio_bf16", "ratio_bf16")):
        found[short] = min(value for name, value in found.items() if name.endswith(f"_{key}"))
    return found


def cell(method: str, size: str, critics: int, chosen: argparse.Namespace) -> dict[str, float]:
    """Return updates per second of processor time by program, the median of alternating turns, and ratios to peers."""
    state, features, sentence = SIZES[size]
    job = {"method": method, "state": state, "features": features, "sentence": sentence, "critics": critics,
           "seconds": chosen.seconds}  # fmt: skip
    programs: dict[str, Program] = {}
    try:
        for who, how in OURS.items():
            programs[who] = Program(Path(sys.executable), "_learner_ours.py", {**job, **how}, chosen.core)
        for peer, methods in PEERS.items():
            if method in methods:
                programs[peer] = Program(python_of(peer), f"_learner_{peer}.py", job, chosen.core)
        ready = {who: program.read("ready_s") for who, program in programs.items()}
        turns = [{who: program.turn() for who, program in programs.items()} for _ in range(chosen.rounds)]
    finally:
        for program in programs.values():
            program.end()
    speeds = {who: statistics.median(turn[who] for turn in turns) for who in programs}
    best = max(speeds[peer] for peer in PEERS if peer in speeds)
    ratios = {"ratio": max(speeds["eager"], speeds["compiled"]) / best, "ratio_eager": speeds["eager"] / best,
              "ratio_bf16": speeds["bf16"] / best}  # fmt: skip
    return {**speeds, **ratios, "compiled_ready_s": ready["compiled"]}


class Program:
    """One program, up and pinned to a core; it runs only while it is its turn."""

    def __init__(self, python: Path, script: str, job: dict[str, Any], core: int) -> None:
        command = ["taskset", "-c", str(core), str(python), str(HERE / script), json.dumps(job)]
        env = {**os.environ, **MALLOC, **ONE_THREAD}
        self.script, self.errors = script, tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=self.errors, text=True)

    def turn(self) -> float:
        """Return updates per second of one turn."""
        print(file=self.process.stdin, flush=True)
        return self.read("updates_s")

    def read(self, key: str) -> float:
        """Return the number of the next line that has it.

        Raises:
            RuntimeError: when the program ended instead.
        """
        for line in self.process.stdout or ():
            if line.startswith("{") and key in line:
                return float(json.loads(line)[key])
        self.errors.seek(0)
        raise RuntimeError(f"{self.script} ended with {self.process.wait()}: {self.errors.read().splitlines()[-1:]}")

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def from_pixels(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run ``_learner_pixels.py`` on one core, show its table and return its numbers."""
    command = ["taskset", "-c", str(chosen.core), sys.executable, str(HERE / "_learner_pixels.py"), str(chosen.seconds)]
    done = subprocess.run(command, env={**os.environ, **MALLOC, **ONE_THREAD}, stdout=subprocess.PIPE, text=True,
                          timeout=600, check=True)  # fmt: skip
    *table, numbers = done.stdout.splitlines()
    print("\n".join(table))
    return json.loads(numbers)


def python_of(peer: str) -> Path:
    return HERE / "peers" / peer / ".venv" / "bin" / "python"


def check_peers() -> None:
    """Refuse to compare with nobody.

    Raises:
        FileNotFoundError: naming the command that makes what is missing.
    """
    missing = [peer for peer in PEERS if not python_of(peer).exists()]
    if missing:
        raise FileNotFoundError(f"no environment for {', '.join(missing)}; make it by `{MAKE}`")


def make_peers() -> None:
    """Make each peer's environment, where there is none."""
    for peer in PEERS:
        if python_of(peer).exists():
            continue
        venv = HERE / "peers" / peer / ".venv"
        print(f"making {venv}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=300)
        install = [str(python_of(peer)), "-m", "pip", "install", "-q", "-r", str(HERE / "peers" / f"{peer}.txt")]
        subprocess.run(install, check=True, timeout=3600)


def _print_row(name: str, row: dict[str, float]) -> None:
    speeds = "".join(f"{row[who]:>10.1f}" if who in row else f"{'-':>10}" for who in (*OURS, *PEERS))
    print(f"{name:<28}{speeds}{row['ratio']:>10.2f}   (compiled in {row['compiled_ready_s']:.0f} s)", flush=True)


if __name__ == "__main__":
    print(json.dumps(main()))
