"""Where the camera is: the algebra, on computed corners."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from board_views import BOARD, SIZE_PX, Made, made
from hypothesis import given, settings
from hypothesis import strategies as st

from armtune_calibration.hand_eye import best_start, check_motion, starts
from armtune_calibration.lens import solve_lens
from armtune_calibration.poses import apart, exp, inverse, log
from armtune_calibration.refine import ANY_SIZE, HandEye, _Problem, refine


def found(one: Made) -> HandEye:
    solved = solve_lens(one.views, BOARD, SIZE_PX)
    moved = [one.moved[i] for i in solved.kept]
    _, x, z = best_start(moved, solved.poses)
    return refine([one.views[i] for i in solved.kept], moved, BOARD, x, z, solved.lens)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_every_solver_finds_the_camera_when_nothing_is_noisy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, z = exp(rng.uniform(-1, 1, 6)), exp(rng.uniform(-0.3, 0.3, 6))
    moved = [exp(rng.uniform(-0.7, 0.7, 6)) for _ in range(8)]
    seen = [inverse(x) @ m @ z for m in moved]
    solved = starts(moved, seen)
    assert len(solved) == 4
    for name, (its_x, its_z) in solved.items():
        assert max(apart(its_x, x)) < 1e-5 and max(apart(its_z, z)) < 1e-5, name


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10_000))
def test_jacobian_is_the_derivative_of_the_residuals(seed: int) -> None:
    one, rng = made(seed, count=3), np.random.default_rng(seed)
    lens = solve_lens(made(1).views, BOARD, SIZE_PX).lens
    noise = dataclasses.replace(found(made(1)).noise, arm_m=1e-3, arm_rad=1e-3)
    problem = _Problem(one.views, np.array(one.moved), BOARD, one.x, one.z, lens, noise, lens, ANY_SIZE)
    at = np.zeros(problem.size)
    at[problem.arm] = rng.normal(0, 1e-4, 18)
    step = 1e-6
    by_hand = np.column_stack(
        [
            (problem.residuals(at + step * one_way) - problem.residuals(at - step * one_way)) / (2 * step)
            for one_way in np.eye(problem.size)
        ]
    )
    exact = problem.jacobian(at)
    assert np.abs(exact - by_hand).max() < 2e-3 * np.abs(by_hand).max(axis=0).max()


def test_truth_is_in_the_region_as_often_as_said_and_noise_is_told_from_the_arms() -> None:
    eyes = [(one, found(one)) for one in (made(s, arm_m=3e-4, arm_rad=5e-4) for s in range(6))]
    assert sum(eye.distance(one.x) <= eye.edge for one, eye in eyes) >= 5
    assert np.median([eye.noise.corner_px for _, eye in eyes]) == pytest.approx(0.1, rel=0.2)
    assert np.median([eye.noise.arm_m for _, eye in eyes]) == pytest.approx(3e-4, rel=0.4)


def test_one_wrong_arm_pose_hardly_matters() -> None:
    one = made(2)
    one.moved[4] = one.moved[4] @ exp([0.03, 0, 0, 0, 0.1, 0])
    off_m, off_rad = apart(found(one).x, one.x)
    assert off_m < 3e-3 and off_rad < 6e-3


def test_leaving_one_out_by_a_step_is_what_solving_again_gives() -> None:
    one = made(2, count=10, arm_m=2e-4, arm_rad=3e-4)
    eye = found(one)
    for out in (0, 4):
        kept = [i for i in range(10) if i != out]
        rest = ([one.views[i] for i in kept], [one.moved[i] for i in kept])
        again = refine(*rest, BOARD, eye.x, eye.z, eye.lens, noise=eye.noise)
        assert log(inverse(eye.x) @ again.x) == pytest.approx(eye.without_one[out], abs=0.15 * eye.sd.max())
    assert eye.jackknife_sd.shape == (6,) and (eye.jackknife_sd > 0).all()


def test_board_that_was_printed_too_large_is_told_by_the_arms_motion() -> None:
    one = made(5, arm_m=2e-4)
    eye = found(one)
    said = dataclasses.replace(BOARD, square_m=0.97 * BOARD.square_m, marker_m=0.97 * BOARD.marker_m)
    sized = refine(one.views, one.moved, said, eye.x, eye.z, eye.lens, size_sd=ANY_SIZE)
    assert sized.scale == pytest.approx(1 / 0.97, abs=0.004)
    assert refine(one.views, one.moved, BOARD, eye.x, eye.z, eye.lens).scale == pytest.approx(1.0, abs=1e-6)


def test_plane_motion_is_refused_with_what_to_do() -> None:
    one = made(0, one_axis=True)
    with pytest.raises(ValueError, match=r"turns about two axes, got .* a plane motion leaves the camera's place open"):
        check_motion(one.moved)


def test_too_few_arm_poses_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6 views with an arm pose, got 4"):
        check_motion(made(0, count=4).moved)
