from __future__ import annotations

import numpy as np
from dots import GO, DotWorld, read

from armtune_policies.learn.evaluate import evaluate


class Still:
    def features(self, images: object) -> np.ndarray:
        return np.zeros(1, np.float32)

    def propose(self, features: np.ndarray, state: object, sentence: str) -> np.ndarray:
        return np.zeros(7, np.float32)


def test_a_policy_that_does_nothing_never_succeeds_and_takes_all_steps() -> None:
    told: list[int] = []
    result = evaluate(Still(), DotWorld(), read, GO, range(3), 5, on_episode=lambda seed, ok: told.append(seed))
    assert (result.successes, result.count, result.steps) == (0, 3, (5, 5, 5)) and told == [0, 1, 2]
    again = evaluate(Still(), DotWorld(), read, GO, range(3), 5, tried={1: (True, 2)})
    assert (again.successes, again.steps) == (1, (5, 2, 5))
    assert str(result).startswith("0% (0/3")
