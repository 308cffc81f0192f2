"""Which colour tells where the hand takes hold: the thing's, however much the arm's own say of where it goes."""

from __future__ import annotations

import numpy as np
import pytest

from armtune_policies.learn.telling import Sights, telling

COLOURS, EPISODES, ROWS = 4, 12, 8
TO_PX = np.array([[6.0, 2.0], [-1.0, 5.0]])


def sights(thing: int, hand: int, carried: bool, seed: int = 0, noise_m: float = 0.002) -> Sights:
    """A hand goes from far off to where it takes hold; ``thing`` and ``hand`` are colours, the others tell nothing.

    A camera that is ``carried`` sees things from the tool, and the hand always in the same place.
    """
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-1, 1, (EPISODES, ROWS, COLOURS, 2))
    grasp_m = rng.uniform(-0.1, 0.1, (EPISODES, 2))
    left = np.linspace(1.0, 0.1, ROWS)[:, None]
    tool_m = grasp_m[:, None] + left * (np.array([0.0, 0.25]) - grasp_m[:, None])
    origin_m = tool_m if carried else np.zeros_like(tool_m)
    middles[:, :, thing] = (grasp_m[:, None] - origin_m + rng.normal(0, noise_m, tool_m.shape)) @ TO_PX
    middles[:, :, hand] = (tool_m - origin_m) @ TO_PX
    seen = np.moveaxis(middles, 3, 2).reshape(EPISODES * ROWS, 2 * COLOURS)
    features = np.c_[seen, rng.normal(size=(len(seen), COLOURS))].astype(np.float32)
    places_m = np.repeat(grasp_m, ROWS, axis=0)
    return Sights(features, tool_m.reshape(-1, 2), places_m, np.repeat(np.arange(EPISODES), ROWS))


@pytest.mark.parametrize("carried", [False, True], ids=["camera stands", "hand carries it"])
@pytest.mark.parametrize("seed", range(5))
def test_the_colour_of_the_thing_is_found_and_not_that_of_the_hand(carried: bool, seed: int) -> None:
    assert telling(sights(2, 1, carried, seed)) == 2
    assert telling(sights(0, 3, carried, seed)) == 0


def test_no_colour_is_taken_where_none_tells_the_place() -> None:
    assert telling(sights(2, 1, carried=False, noise_m=1.0)) is None


def test_no_colour_is_taken_where_no_or_hardly_any_place_is_known() -> None:
    seen = sights(2, 1, carried=False)
    unknown = np.full_like(seen.grasp_m, np.nan)
    assert telling(Sights(seen.features, seen.tool_m, unknown, seen.episode)) is None
    unknown[: 3 * ROWS] = seen.grasp_m[: 3 * ROWS]
    assert telling(Sights(seen.features, seen.tool_m, unknown, seen.episode)) is None
    unknown[: 4 * ROWS] = seen.grasp_m[: 4 * ROWS]
    assert telling(Sights(seen.features, seen.tool_m, unknown, seen.episode)) == 2
