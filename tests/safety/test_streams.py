"""Ten thousand streams of anything at all through the gate's core: no bound is exceeded, nothing moves unarmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from streams import SOURCES, THEMES, run, run_many

from armtune_policies.contract import DIRECTIONS, Decision, Direction
from armtune_sim.experts import EXPERTS, make_expert
from armtune_sim.gated import GatedWorld

STREAMS, PARTS, USUAL = 500, 20, 1
"""In each part, which other processes may run; how many parts there are; how many without ``--every-phase``."""


@pytest.mark.slow
@pytest.mark.timeout(900)  # beside the tests in real time it has what processor time these leave
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.every_phase if part >= USUAL else []) for part in range(PARTS)]
)
def test_no_bound_is_exceeded_in_ten_thousand_streams_of_anything(part: int) -> None:
    bad, counts = run_many(range(part * STREAMS, (part + 1) * STREAMS))
    said = "\n".join(f"seed {o.seed} ({o.theme}): {'; '.join(v.text for v in o.violations)}" for o in bad[:10])
    assert not bad, f"{len(bad)} of {STREAMS} streams; streams.run(seed) plays one again\n{said}"
    assert counts["streams"] == STREAMS
    # A gate that refuses everything would be safe, too.
    assert counts["accepted"] > STREAMS and counts["moved"] > 0.8 * STREAMS, counts
    assert counts["refused"] > STREAMS / 2, counts
    assert all(counts[theme] > 0.5 * STREAMS / len(THEMES) for theme in THEMES), counts
    assert all(counts[f"by {source}"] > STREAMS / 10 for source in SOURCES), counts
    assert counts["nudged"] > STREAMS / len(THEMES), counts


def test_stream_is_the_same_when_its_seed_is() -> None:
    for seed in range(len(THEMES)):
        assert run(seed) == run(seed)


@pytest.mark.slow
def test_clean_proposals_pass_unlimited_and_are_followed_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions, errors_m = list[Decision](), list[float]()
    for task in EXPERTS:
        world = GatedWorld(task)
        monkeypatch.setattr(world.world, "tick", watched_tick(world, errors_m))
        for direction in DIRECTIONS:
            for seed in range(3):
                decisions += demonstrate(world, task, direction, seed)
        world.world.close()
    clean = [d for d in decisions if not d.limited_by and not d.refused and d.allowed == d.proposed]
    p50_mm, worst_mm = 1e3 * np.percentile(errors_m, [50, 100])
    said = f"{len(clean)} of {len(decisions)} unchanged; tracking error p50 {p50_mm:.2f} mm, max {worst_mm:.2f} mm"
    print(said)
    limited = Counter(name for d in decisions for name in d.limited_by)
    assert len(clean) >= 0.99 * len(decisions) and len(decisions) > 300, (said, limited)
    assert worst_mm < 1e3 * world.params.safety.tracking_lost_m, said


def demonstrate(world: GatedWorld, task: str, direction: Direction, seed: int, longest: int = 50) -> list[Decision]:
    """The decisions of one demonstration, up to its end."""
    world.reset(seed, direction)
    world.begin(f"clean-{seed}")
    expert = make_expert(task, direction, np.random.default_rng(seed))
    made: list[Decision] = []
    while not expert.done and len(made) < longest:
        made.append(world.step(expert.propose(world.world.scene)))
    return made


def watched_tick(world: GatedWorld, errors_m: list[float]) -> Callable[[NDArray[np.float64]], None]:
    """The world's tick, noting how far [m] the tool then is from where its setpoint has it."""
    tick = world.world.tick

    def watched(setpoint: NDArray[np.float64]) -> None:
        tick(setpoint)
        told, measured = (world.kinematics.tool_pose(q[:-1])[0] for q in (setpoint, world.world.joints_measured()))
        errors_m.append(float(np.linalg.norm(told - measured)))

    return watched
