"""A soak: random faults one after another, judged as an hour of ``armtune bench soak`` is.

Seconds of the gentlest, and nearly a minute of all of them; with ``--every-phase`` three minutes.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from casebook import Case
from rig import FaultStack
from stage import Stage

from armtune_policies.contract import Decision, Kind, Mode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.nouns import EpisodeState, Observation
from armtune_policies.store.salvage import salvage
from benchmarks._upsets import upsets
from benchmarks.soak import ATTENDED, GENTLE, KINDS, ROBUST, judged, lost, soak
from fixtures.teleop import JoyHand

SOAK_S, ALL_S, LONG_S = 12.0, 50.0, 180.0
SEED = 28
"""Its first few: a node hangs, a person takes over, a node is killed, the e-stop is pressed."""


def test_step_that_was_acted_and_left_no_trace_is_lost(tmp_path) -> None:
    steps, missing = lost(tmp_path, [("run-00000", 0), ("run-00000", 1), ("run-00001", 0), ("run-00002", 0)], ())
    assert (steps, missing) == (0, ["run-00000: no file, 2 steps"]), "one in flight is no loss, the newest may be on"


def test_file_that_was_cut_short_has_lost_what_was_acted_after_its_end(tmp_path) -> None:
    about = EpisodeState(episode_id="run-00000", run_id="run", direction="forward", purpose="practice")
    writer, zeros = EpisodeWriter(tmp_path / "episodes", about), (0.0,) * 7
    images = {"front": np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)}
    for step in range(8):
        seen = Observation("run-00000", step, step, images, np.zeros(7, np.float32))
        told = Decision(
            step, 1, "run-00000", step, "policy", step, "v", step, Kind.TOOL_DELTA, zeros, zeros, (), "", Mode.RUN
        )
        writer.add_step(observation=seen, decision=told)
    writer.abandon()
    os.truncate(writer.part, writer.part.stat().st_size // 2)
    salvaged = salvage(writer.part)
    assert salvaged.path is not None and 0 < salvaged.steps < 7
    acted = [("run-00000", step) for step in range(8)] + [("run-00001", 0)]
    steps, missing = lost(tmp_path, acted, ())
    assert steps == salvaged.steps and missing == [
        f"run-00000: cut short, {8 - salvaged.steps} steps were acted after its end"
    ]
    assert lost(tmp_path, acted, {"run-00000"}) == (steps, []), "what episode_node ended there, ended there"


@pytest.mark.slow
@pytest.mark.fault("O9")
def test_no_limit_is_broken_and_no_step_lost_under_random_faults(graph: FaultStack, case: Case) -> None:
    case.by(f"{SOAK_S:g} s of cameras, proposals, the reward and the learner failing in turn")
    soaked = soak(graph, upsets(15, GENTLE), SOAK_S, lambda line: None)
    assert sum(soaked.counts.get(kind, 0) for kind in GENTLE) >= 2
    sound(judged(graph, soaked, ended=False), case)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("O9")
def test_no_limit_is_broken_with_every_source_alive_under_every_fault(
    stage: Stage, case: Case, pytestconfig: pytest.Config
) -> None:
    lasts_s = LONG_S if pytestconfig.getoption("every_phase") else ALL_S
    case.by(f"{lasts_s:g} s of any fault, any node killed or stopped, a gamepad, an e-stop and a console beside it")
    graph = stage.fresh(*ROBUST, *ATTENDED)
    hand = JoyHand(graph)
    try:
        graph.moving()
        soaked = soak(graph, upsets(SEED, KINDS), lasts_s, print, hand)
    finally:
        hand.close()
    found = judged(graph, soaked, ended=False)
    sound(found, case)
    assert {"policy", "teleop", "motion"} <= set(found["sources"]), "every source had the arm"


def sound(found: dict[str, Any], case: Case) -> None:
    case.nothing("a limit broken, a motion unarmed, a rule of the oracle", found["violations"] + found["broken"])
    case.needless("a step lost", found["lost"])
    assert found["steps"] > 0, found
