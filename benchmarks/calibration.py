"""How well the calibration finds a lens and a camera's place, and whether it knows how well.

Every picture is pixels: MuJoCo draws the board in the arm's hand above the simulated table, a warp bends it as a lens
does, blur, noise and the picture's edge spoil it; corners come from the detector. 15 poses a trial; camera, lens and
board are drawn anew each time. The arm's pose is exact in the first column, read through 12-bit encoders in the second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from armtune_calibration.board import BoardParams
from armtune_calibration.detect import Corners, detect
from armtune_calibration.hand_eye import best_start
from armtune_calibration.lens import Lens, Solved, solve_lens
from armtune_calibration.poses import apart
from armtune_calibration.refine import HandEye, refine

from ._seen_board import HEIGHT, TICK_RAD, WIDTH, Studio, Truth

MOST_TRIES = 60
SURE = 1e-5
"""Standard deviation of each number of a lens that is known."""
ROWS = (
    "focal_pct", "pictures_focal_pct", "hand_eye_mm", "sd_mm", "hand_eye_deg", "sd_deg", "lens_known_deg", "corner_px",
    "arm_mm",
)  # fmt: skip
LIMITS = {"focal_pct": 0.3, "hand_eye_mm": 1.0, "hand_eye_deg": 0.1}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and a JSON line, and return what the line says."""
    parser = argparse.ArgumentParser(prog="armtune bench calibration", description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--poses", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    chosen = parser.parse_args(argv)
    board = BoardParams()
    studio, began_s = Studio(board), time.process_time()
    rows: dict[str, list[dict[str, float]]] = {"exact": [], "encoder": []}
    corners: list[int] = []
    for trial in range(chosen.trials):
        rng = np.random.default_rng([chosen.seed + trial, 9])
        truth, views, joints = take(studio, board, chosen.poses, rng)
        corners += [len(view) for view in views]
        solved = solve_lens(views, board, (WIDTH, HEIGHT))
        for row, read in (("exact", joints), ("encoder", [np.round(q / TICK_RAD) * TICK_RAD for q in joints])):
            found = solve(studio, board, views, read, solved)
            known = solve(studio, board, views, read, solved, truth)
            rows[row].append(judge(truth, solved, found, known))
    result = {"bench": "calibration", "n": chosen.trials, "poses": chosen.poses, "seed": chosen.seed}
    result |= {"corners_mean": round(float(np.mean(corners)), 1), "corners_least": int(min(corners))}
    return result | table(rows) | {"cpu_s": round(time.process_time() - began_s)}


def take(
    studio: Studio, board: BoardParams, poses: int, rng: np.random.Generator
) -> tuple[Truth, list[Corners], list[np.ndarray]]:
    """Photograph until so many pictures show the board; return the truth, corners and joints."""
    truth, views, joints = studio.begin(rng), list[Corners](), list[np.ndarray]()
    for q in studio.candidates(rng, MOST_TRIES):
        seen = detect(studio.photograph(q, rng), board)
        if len(seen):
            views.append(seen)
            joints.append(q)
        if len(views) == poses:
            return truth, views, joints
    raise ValueError(f"expected {poses} pictures with the board among {MOST_TRIES} poses, got {len(views)}")


def solve(
    studio: Studio, board: BoardParams, views: Sequence[Corners], joints: Sequence[np.ndarray], solved: Solved,
    told: Truth | None = None,
) -> HandEye:  # fmt: skip
    """Return where the camera is by views and joints as read; ``told``: with the lens known beforehand."""
    moved = [studio.tool_pose(joints[i]) for i in solved.kept]
    _, x, z = best_start(moved, solved.poses)
    sure = None if told is None else Lens(told.lens, SURE**2 * np.eye(len(told.lens)), (WIDTH, HEIGHT), 0.0)
    return refine([views[i] for i in solved.kept], moved, board, x, z, sure or solved.lens, sure)


def judge(truth: Truth, solved: Solved, found: HandEye, known: HandEye) -> dict[str, float]:
    """Return errors, and whether the truth is where the calibration says it is.

    ``focal_pct`` is of the lens that is kept, which the arm's motion helped to find; ``pictures_focal_pct`` of the one
    that the pictures alone give. ``known`` is solved with the lens known: what is left of the error then.
    """
    off_m, off_rad = apart(found.x, truth.base_from_camera)
    gap = solved.lens.values[:2] - truth.lens[:2]
    return {
        "hand_eye_mm": 1e3 * off_m,
        "hand_eye_deg": float(np.degrees(off_rad)),
        "focal_pct": float(100 * np.abs(found.lens.values[:2] / truth.lens[:2] - 1).max()),
        "pictures_focal_pct": float(100 * np.abs(gap / truth.lens[:2]).max()),
        "in_region_95": float(found.distance(truth.base_from_camera) <= found.edge),
        "focal_in_95": float(abs(gap[0]) <= 1.96 * solved.lens.sd[0]),
        "lens_known_deg": float(np.degrees(apart(known.x, truth.base_from_camera)[1])),
        "sd_deg": float(np.degrees(np.linalg.norm(found.sd[3:]))),
        "sd_mm": float(1e3 * np.linalg.norm(found.sd[:3])),
        "corner_px": found.noise.corner_px,
        "arm_mm": 1e3 * found.noise.arm_m,
    }


def table(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Print medians and 95 % points, and return the exact arm's medians under their own names."""
    found: dict[str, Any] = {}
    print(f"{'':<22}" + "".join(f"{arm + ' median':>17}{'95 %':>8}" for arm in rows) + f"{'goal':>8}")
    for name in ROWS:
        cells = ""
        for arm, trials in rows.items():
            values = [trial[name] for trial in trials]
            middle, most = float(np.median(values)), float(np.quantile(values, 0.95))
            cells += f"{middle:>17.3f}{most:>8.3f}"
            prefix = "" if arm == "exact" else f"{arm}_"
            found |= {f"{prefix}{name}": round(middle, 4), f"{prefix}{name}_p95": round(most, 4)}
        print(f"{name:<22}{cells}{LIMITS.get(name, ''):>8}")
    for name in ("in_region_95", "focal_in_95"):
        counts = [int(sum(trial[name] for trial in trials)) for trials in rows.values()]
        print(f"{name:<22}" + "".join(f"{f'{c} of {len(rows[arm])}':>17}{'':>8}" for arm, c in zip(rows, counts)))
        found |= {(name if arm == "exact" else f"{arm}_{name}"): c for arm, c in zip(rows, counts)}
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
