"""Lens, camera and board refined together over all views, with what is left unsure.

Least squares over the lens, X and Z (see ``hand_eye``) and one small error of the arm a view: corners in parts of
their noise, arm errors in parts of the arm's accuracy, both with Huber's loss. How noisy corners and arm are is
estimated from the residuals themselves (MacKay's fixed point: each sum of squares over what it could vary), so that
the covariance, the inverse of J'J, is in real units. Errors of a view's arm pose are common to all its corners: without
them the region would be much too small. Where leaving out a view changes more than the covariance says, it is enlarged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

from .board import BoardParams
from .detect import Corners
from .lens import Lens
from .poses import Array, exp, inverse, log, skew

LENS, POSE = 8, 6
SHARED = LENS + 2 * POSE + 1
"""Unknowns that all views share: the lens, X, Z, and the logarithm of the board's size over what it is said to be."""
AS_SAID, ANY_SIZE = 1e-9, 0.1
HUBER = 2.5
ROUNDS, STEADY = 6, 0.02
CORNER_PX, ARM_M, ARM_RAD = 0.2, 1e-3, 2e-3
"""What noise is taken for before the first round."""
LEAST_PX, LEAST_M, LEAST_RAD = 0.01, 2e-5, 5e-5


@dataclass(frozen=True)
class Noise:
    """Standard deviations: of a corner's coordinate, of the arm's position and orientation about each axis."""

    corner_px: float = CORNER_PX
    arm_m: float = ARM_M
    arm_rad: float = ARM_RAD

    @property
    def arm(self) -> Array:
        return np.repeat([self.arm_m, self.arm_rad], 3)


@dataclass(frozen=True)
class HandEye:
    """Where the camera is. ``covariance`` (6, 6) is of X's error in the camera's own frame: [m, m, m, rad, rad, rad].

    ``x`` and ``z`` are as in ``hand_eye``; ``residuals_px`` by view (N, 2); ``arm_errors`` (views, 6), tool frame.
    """

    x: Array
    z: Array
    lens: Lens
    covariance: Array
    noise: Noise
    arm_errors: Array
    residuals_px: tuple[Array, ...]
    scale: float
    """The board's size over what it is said to be."""
    without_one: Array
    """How X changes when one view is left out (views, 6), in the camera's frame."""

    @property
    def sd(self) -> Array:
        """Standard deviations of X (6,), in the camera's frame."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def jackknife_sd(self) -> Array:
        """Standard deviations of X (6,) by leaving one view out."""
        n = len(self.without_one)
        return np.sqrt((n - 1) / n * ((self.without_one - self.without_one.mean(axis=0)) ** 2).sum(axis=0))

    @cached_property
    def edge(self) -> float:
        """The squared Mahalanobis distance at which the 95 % region ends: F, since the noise is estimated, too."""
        freedom = max(POSE * len(self.arm_errors) - 2 * POSE, 1)
        return float(POSE * f_distribution.ppf(0.95, POSE, freedom))

    def distance(self, truth: Array) -> float:
        """Return the squared Mahalanobis distance of another X."""
        gap = log(inverse(self.x) @ truth)
        return float(gap @ np.linalg.solve(self.covariance, gap))

    @property
    def rms_px(self) -> float:
        every = np.concatenate(self.residuals_px)
        return float(np.sqrt((every**2).sum(axis=1).mean()))


class _Problem:
    """Residuals and their Jacobian about a start. The unknowns: lens (8), X (6), Z (6), an arm error (6) a view."""

    def __init__(
        self, views: Sequence[Corners], moved: Array, board: BoardParams, x: Array, z: Array, lens: Lens, noise: Noise,
        prior: Lens | None, size_sd: float,
    ) -> None:  # fmt: skip
        self.moved, self.x, self.z, self.lens, self.noise, self.prior = moved, x, z, lens, noise, prior
        self.weight = np.zeros((0, LENS)) if prior is None else np.linalg.inv(np.linalg.cholesky(prior.covariance))
        self.size_sd = size_sd
        self.view = np.repeat(np.arange(len(views)), [len(view) for view in views])
        self.points = np.concatenate([board.corners_m[view.ids] for view in views])
        self.seen = np.concatenate([view.px for view in views])
        self.size = SHARED + POSE * len(views)
        self.arm = slice(SHARED, self.size)

    def split(self, unknowns: Array) -> tuple[Lens, Array, Array, Array]:
        """Return lens, X, Z and arm errors (views, 6)."""
        lens = replace(self.lens, values=self.lens.values + unknowns[:LENS])
        x = self.x @ exp(unknowns[LENS : LENS + POSE])
        z = self.z @ exp(unknowns[LENS + POSE : LENS + 2 * POSE])
        return lens, x, z, unknowns[self.arm].reshape(-1, POSE)

    def _camera(self, unknowns: Array) -> tuple[Lens, Array, Array, Array, Array]:
        """Return the lens, points in the camera's frame (N, 3), in the tool's, and rotations camera from tool, Z's."""
        lens, x, z, errors = self.split(unknowns)
        wrong = np.array([exp(error) for error in errors])
        in_tool = np.exp(unknowns[SHARED - 1]) * self.points @ z[:3, :3].T + z[:3, 3]
        in_tool = np.einsum("nij,nj->ni", wrong[self.view, :3, :3], in_tool)
        ways = inverse(x) @ self.moved
        ahead = np.einsum("nij,nj->ni", ways[self.view, :3, :3], in_tool + wrong[self.view, :3, 3])
        turned = ways[self.view, :3, :3]
        return lens, ahead + ways[self.view, :3, 3], in_tool, turned, turned @ wrong[self.view, :3, :3] @ z[:3, :3]

    def errors_px(self, unknowns: Array) -> Array:
        lens, ahead, *_ = self._camera(unknowns)
        return lens.project(ahead) - self.seen

    def residuals(self, unknowns: Array) -> Array:
        arm = unknowns[self.arm] / np.tile(self.noise.arm, len(self.moved))
        values = self.lens.values + unknowns[:LENS]
        known = self.weight @ (values - self.prior.values) if self.prior else np.zeros(0)
        known = np.append(known, unknowns[SHARED - 1] / self.size_sd)
        return np.concatenate([self.errors_px(unknowns).ravel() / self.noise.corner_px, arm, known])

    def jacobian(self, unknowns: Array) -> Array:
        """Exact where X and Z have not moved far; they are taken up into the start before the last round."""
        lens, ahead, in_tool, from_tool, from_board = self._camera(unknowns)
        _, by = cv2.projectPoints(ahead, np.zeros(3), np.zeros(3), lens.matrix, lens.distortion)
        by_point = by[:, 3:6].reshape(-1, 2, 3)
        count = len(ahead)
        made = np.zeros((count, 2, self.size))
        made[:, :, :LENS] = by[:, 6 : 6 + LENS].reshape(-1, 2, LENS)
        made[:, :, LENS : LENS + 3] = -by_point
        made[:, :, LENS + 3 : LENS + 6] = by_point @ skew(ahead)
        by_board = by_point @ from_board
        made[:, :, LENS + 6 : LENS + 9] = by_board
        sized = np.exp(unknowns[SHARED - 1]) * self.points
        made[:, :, LENS + 9 : LENS + 12] = -by_board @ skew(sized)
        made[:, :, SHARED - 1] = np.einsum("nij,nj->ni", by_board, sized)
        by_tool = by_point @ from_tool
        columns = SHARED + POSE * self.view[:, None] + np.arange(POSE)
        local = np.concatenate([by_tool, -by_tool @ skew(in_tool)], axis=2)
        made[np.arange(count)[:, None, None], np.arange(2)[None, :, None], columns[:, None, :]] = local
        arm = np.zeros((POSE * len(self.moved), self.size))
        arm[:, self.arm] = np.diag(1.0 / np.tile(self.noise.arm, len(self.moved)))
        known = np.zeros((len(self.weight) + 1, self.size))
        known[:-1, :LENS] = self.weight
        known[-1, SHARED - 1] = 1.0 / self.size_sd
        return np.concatenate([made.reshape(2 * count, -1) / self.noise.corner_px, arm, known])

    def solved(self, start: Array) -> tuple[Array, Array]:
        """Return the unknowns and the Jacobian, weighted as the loss has it."""
        found = least_squares(
            self.residuals, start, self.jacobian, x_scale="jac", loss="huber", f_scale=HUBER, max_nfev=60
        )
        return found.x, found.jac

    def without_each(self, unknowns: Array) -> tuple[Array, Array]:
        """Return what all views say of the shared unknowns, and how these change without each view in turn.

        One Newton step each: a view's own arm error is eliminated (Schur complement), its part taken off the sum.

        Returns:
            Information (SHARED, SHARED); changes (views, SHARED).
        """
        left, jacobian = self.residuals(unknowns), self.jacobian(unknowns)
        weight = np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(left), 1e-12)))  # Huber's
        left, jacobian = weight * left, weight[:, None] * jacobian
        corners, count = 2 * len(self.points), len(self.moved)
        owner = np.concatenate([np.repeat(self.view, 2), np.repeat(np.arange(count), POSE)])
        known = jacobian[corners + POSE * count :, :SHARED]
        parts, pulls = [], []
        for view in range(count):
            rows = np.nonzero(owner == view)[0]
            shared = jacobian[rows, :SHARED]
            own = jacobian[rows][:, SHARED + POSE * view : SHARED + POSE * (view + 1)]
            free = shared - own @ np.linalg.lstsq(own, shared, rcond=None)[0]
            parts.append(free.T @ free)
            pulls.append(free.T @ left[rows])
        information = np.sum(parts, axis=0) + known.T @ known
        changes = [_inverse(information - part) @ pull for part, pull in zip(parts, pulls)]
        return information, np.array(changes)

    def noise_of(self, unknowns: Array, jacobian: Array, covariance: Array) -> Noise:
        """Return how noisy corners and arm are, going by what is left over and how much it could vary."""
        left, freedom = self.residuals(unknowns), 1.0 - np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
        corners, arm = 2 * len(self.points), np.tile(np.repeat([True, False], 3), len(self.moved))

        def grown(which: NDArray[Any]) -> float:
            return float(np.sqrt((np.clip(left[which], -HUBER, HUBER) ** 2).sum() / max(freedom[which].sum(), 1.0)))

        every = np.arange(len(left))
        of_arm = every[corners : corners + len(arm)]
        return Noise(
            max(LEAST_PX, self.noise.corner_px * grown(every[:corners])),
            max(LEAST_M, self.noise.arm_m * grown(of_arm[arm])),
            max(LEAST_RAD, self.noise.arm_rad * grown(of_arm[~arm])),
        )


def refine(
    views: Sequence[Corners], moved: Sequence[Array], board: BoardParams, x: Array, z: Array, lens: Lens,
    prior: Lens | None = None, noise: Noise | None = None, size_sd: float = AS_SAID,
) -> HandEye:  # fmt: skip
    """Return the best X, Z and lens from a start, with covariance.

    Args:
        views: Corners, one a view; ``moved`` are M (4, 4) of the same views, as in ``hand_eye``.
        prior: What other views of the camera say of its lens, with covariance.
        noise: How noisy corners and arm are; None estimates it.
        size_sd: How far the board's size may be from what it is said to be, as a part of it.

    Raises:
        ValueError: when the views leave some of it open.
    """
    problem = _Problem(views, np.array(moved), board, x, z, lens, noise or Noise(), prior, size_sd)
    unknowns = np.zeros(problem.size)
    for _ in range(ROUNDS if noise is None else 2):
        unknowns, jacobian = problem.solved(unknowns)
        covariance = _inverse(jacobian.T @ jacobian)
        lens, x, z, errors = problem.split(unknowns)
        before, now = problem.noise, noise or problem.noise_of(unknowns, jacobian, covariance)
        problem = _Problem(views, np.array(moved), board, x, z, lens, now, prior, size_sd)
        unknowns = np.concatenate([np.zeros(SHARED - 1), unknowns[SHARED - 1 : SHARED], errors.ravel()])
        if np.allclose(np.log(now.arm / before.arm), 0.0, atol=STEADY) and noise is None:
            break
    information, changes = problem.without_each(unknowns)
    covariance = _inverse(information)
    of_lens, of_x = slice(0, LENS), slice(LENS, LENS + POSE)
    left, grown = problem.errors_px(unknowns), _grown(covariance[of_x, of_x], changes[:, of_x])
    covariance *= grown
    lens = replace(lens, covariance=covariance[of_lens, of_lens], rms_px=float(np.sqrt((left**2).sum(1).mean())))
    return HandEye(
        x, z, lens, covariance[of_x, of_x], problem.noise, errors,
        tuple(left[problem.view == i] for i in range(len(views))),
        float(np.exp(unknowns[SHARED - 1])), changes[:, of_x],
    )  # fmt: skip


def _grown(covariance: Array, changes: Array) -> float:
    """Return by how much more X varies when views are left out than the covariance says, at least 1.

    The jackknife sees what the model does not: errors that go together within a view. It is itself unsure, so it only
    ever adds.
    """
    n = len(changes)
    jackknife = (n - 1) / n * (changes - changes.mean(axis=0)).T @ (changes - changes.mean(axis=0))
    return max(1.0, float(np.trace(np.linalg.solve(covariance, jackknife))) / POSE)


def _inverse(information: Array) -> Array:
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    scaled = information * np.outer(scale, scale)
    if not np.linalg.cond(scaled) < 1e13:
        raise ValueError("the views leave the lens or the camera's place open; take more, turned about two axes")
    return np.linalg.inv(scaled) * np.outer(scale, scale)
