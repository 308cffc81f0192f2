"""A camera that was moved is told by what stands still, and an arm, other light or other colours are not mistaken."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from armtune_policies.learn.augment import random_light
from armtune_policies.learn.export import graph_bytes, parity
from armtune_policies.learn.reward.background import Background
from armtune_policies.reward.calibrate import distance_bound

Images = npt.NDArray[np.uint8]
SIZE = 96


def pictures(count: int, seed: int, move_px: float = 0.0, turn_deg: float = 0.0) -> Images:
    """Return a table with a tray, seen with half a pixel of jitter, in other light; an arm is somewhere before it."""
    rng = np.random.default_rng(seed)
    table = np.full((SIZE, SIZE, 3), 60, np.uint8)
    for corners, colour in (
        ([(0, 20), (70, 8), (95, 60), (95, 95), (0, 95)], (190, 150, 110)),
        ([(12, 40), (66, 26), (90, 68), (10, 92)], (120, 80, 50)),
        ([(16, 44), (64, 30), (84, 66), (14, 86)], (225, 220, 210)),
        ([(46, 44), (62, 38), (70, 54), (52, 60)], (60, 90, 190)),
        ([(34, 10), (46, 10), (48, 32), (34, 34)], (30, 30, 34)),
    ):
        cv2.fillPoly(table, [np.array(corners, np.int32)], colour)
    out = []
    for _ in range(count):
        turned = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn_deg + rng.uniform(-0.5, 0.5), 1.0)
        turned[:, 2] += rng.uniform(-0.5, 0.5, 2) + np.array((move_px, 0.0))
        image = cv2.warpAffine(table, turned, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        hand = rng.integers(10, 86, 2)
        cv2.line(image, (int(rng.integers(30, 60)), 0), (int(hand[0]), int(hand[1])), (25, 25, 28), 8)
        out.append(image)
    return random_light(np.stack(out), 0.3, rng)


@pytest.fixture(scope="module")
def background() -> Background:
    return Background.fitted([pictures(300, 0)], [pictures(100, 1)], 2.0, 0.01)


def distances(background: Background, images: Images) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        found: npt.NDArray[np.float32] = background([torch.from_numpy(images)]).numpy()
    return found


def test_a_moved_or_turned_camera_is_beyond_the_bound_and_a_moving_arm_is_not(background: Background) -> None:
    bound = distance_bound(distances(background, pictures(100, 1)), 0.01)
    assert (distances(background, pictures(100, 2)) > bound).mean() <= 0.05
    for move_px, turn_deg in ((7.0, 0.0), (-7.0, 0.0), (0.0, 7.0), (0.0, -7.0)):
        assert (distances(background, pictures(40, 3, move_px, turn_deg)) > bound).mean() >= 0.95


def test_a_little_less_light_is_no_distance_and_a_quarter_of_it_is(background: Background) -> None:
    seen = pictures(50, 4)
    bound = distance_bound(distances(background, pictures(100, 1)), 0.01)
    assert (distances(background, (0.7 * seen).astype(np.uint8)) > bound).mean() <= 0.05
    assert (distances(background, seen // 4) > bound).mean() >= 0.95 and (distances(background, seen * 0) > bound).all()


def test_its_level_is_the_distance_of_the_usual_picture(background: Background) -> None:
    held = distances(background, pictures(100, 1))
    assert np.quantile(held, 0.99) == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("size", [(32, 32), (96, 128), (60, 47)])
def test_other_sizes_and_pictures_without_an_edge_give_finite_distances_in_the_graph(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    plain = np.zeros((20, *size, 3), np.uint8)
    plain[:, 5:9, 5:9] = 200
    made = Background.fitted([plain], [plain], 1.0, 0.01)
    noise = rng.integers(0, 256, (8, *size, 3), np.uint8)
    images = {"front": np.concatenate([plain[:1], plain[:1] * 0, noise])}
    one = _Alone(made)
    values, gap = parity(one, graph_bytes(one, {"front": noise[:2]}, "distance"), images, "distance", 1e-4)
    assert np.isfinite(values).all() and gap <= 1e-4
    assert (values[2:] > values[0] + 0.1).all()


class _Alone(torch.nn.Module):
    def __init__(self, background: Background) -> None:
        super().__init__()
        self.background = background

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.background([image])
