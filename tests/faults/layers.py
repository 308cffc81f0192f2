"""What each node's death means for the arm, by layer, in each phase of practice; shared by F41 and F42."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from casebook import Case
from promises import BRAKING_MS, PROPOSAL_MS, STALE, TICK_MS, WATCH_S, holds, rests
from rig import FaultStack
from std_srvs.srv import SetBool

from armtune_policies.contract import Mode, topics
from armtune_safety.settings import SPARE
from fixtures.teleop import JoyHand

PHASES = ("acting", "homing", "ready", "resting", "idle", "paused")
NODES = ("policy_node", "reward_node", "recorder_node", "episode_node", "learner_node", "fault_node", "sim_node")
ATTENDED = ("teleop_node", "console_node")
"""Beside those, where somebody watches and steers (a camera's node: ``scenarios/test_real_arm.py``)."""
LOST_MS, LOOK_MS, JOINTS_MS = 1000.0, 150.0, 100.0
"""A silent node is lost after 1 s; the supervisor looks 20 times a second, then asks the gate."""
ASIDE_M = (0.0, 0.06, 0.02)
PROPOSES = {("policy_node", "acting"), ("episode_node", "homing")}
ON_THE_WIRE = ("fault_node", "sim_node")


def cases(acting_only: bool = False) -> list[Any]:
    """Every node in every phase; without ``--every-phase`` each while acting and, unless ``acting_only``, one more."""
    found = []
    for i, node in enumerate(NODES):
        for phase in PHASES:
            often = phase == "acting" or (phase == PHASES[1 + i % (len(PHASES) - 1)] and not acting_only)
            found.append(pytest.param(node, phase, marks=[] if often else [pytest.mark.every_phase]))
    return found


def attended_cases() -> list[Any]:
    """What a graph has only with a device and a console, in every phase, with ``--every-phase``."""
    every = ((node, phase) for node in ATTENDED for phase in PHASES)
    return [pytest.param(node, phase, marks=pytest.mark.every_phase) for node, phase in every]


def phases(*always: str) -> list[Any]:
    """Every phase; without ``--every-phase`` those named."""
    return [pytest.param(phase, marks=[] if phase in always else pytest.mark.every_phase) for phase in PHASES]


def promised(node: str, phase: str) -> tuple[Mode, str, float] | None:
    """Which mode follows a node's death, for which reason and within how many ms; None when nothing does."""
    if node in SPARE:
        return None
    if node in ON_THE_WIRE:
        return Mode.STOP, "joint states stale", JOINTS_MS + TICK_MS
    if (node, phase) in PROPOSES:
        return Mode.HOLD, STALE, PROPOSAL_MS + TICK_MS
    return Mode.STOP, "stop requested", LOST_MS + LOOK_MS


def arm_rests(graph: FaultStack, case: Case, node: str, phase: str, number: int) -> None:
    """Signal a node in a phase; the arm must be at rest as promised and stay so until cleared and armed."""
    graph.reach(phase)
    if phase == "paused":
        stays_paused(graph, case, node, number)
        return
    promise, saved = promised(node, phase), graph.saved()
    with signalled(graph, node, number) as since_ns:
        if promise is None:
            goes_on(graph, case, since_ns, node, phase)
            return
        mode, reason, bound_ms = promise
        said_ns, _ = graph.gate.first(
            since_ns, lambda s: s.mode >= mode and (s.mode == Mode.STOP or reason in s.reasons)
        )
        case.within(f"{node}: {mode.name}", said_ns - since_ns, bound_ms)
        if node != "sim_node":  # its log ends with it
            # Until the fault is noticed an arm that rests may still set out, as in an episode's first step.
            rested_ns = max(rests(graph, case, since_ns, bound_ms, f"{node} ({mode.name}): at rest"), said_ns)
            rested_ns = graph.rest_ns(rested_ns)
            case.within(f"{node} ({mode.name}): at rest for good", rested_ns - since_ns, bound_ms + BRAKING_MS)
            case.nothing(f"one dead node leaves motion ({phase})", graph.stays(rested_ns, WATCH_S) > 0.02)
        graph.says(since_ns, Mode.STOP, "" if node in ON_THE_WIRE else "stop requested")
    if node == "sim_node":
        graph.rest_ns(time.monotonic_ns())  # a world that stood still in mid-motion brakes first
    stays_stopped(graph, case)
    if node != "recorder_node":
        graph.wait(lambda: len(graph.saved() - saved) > 0, "what led to the STOP, saved by the recorder")


def stays_paused(graph: FaultStack, case: Case, node: str, number: int) -> None:
    """An arm that was stopped already stays where it is."""
    with signalled(graph, node, number) as since_ns:
        moved_rad = graph.stays(since_ns, (LOST_MS + LOOK_MS) / 1e3)
        if node != "sim_node":  # a world that begins anew begins at home
            case.nothing("motion of an arm that is stopped", moved_rad > 0.02)
    stays_stopped(graph, case)


def device_dies(graph: FaultStack, case: Case, number: int) -> None:
    """Signal the operator's device while it holds the arm: HOLD as for any source, STOP as for any node."""
    hand = JoyHand(graph)
    try:
        graph.reach("acting")
        hand.move(np.array(ASIDE_M))
        hand.engage(True)
        graph.decisions.first(time.monotonic_ns(), lambda d: d.source == "teleop" and d.mode < Mode.HOLD, 10.0)
        with signalled(graph, "teleop_node", number) as since_ns:
            holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
            stopped_ns = graph.says(since_ns, Mode.STOP, "stop requested")
            case.within("teleop_node in hand: STOP", stopped_ns - since_ns, LOST_MS + LOOK_MS)
            hand.engage(False)
        stays_stopped(graph, case)
        graph.call(SetBool, topics.HOLD, SetBool.Request(data=False))  # a person who was lost is waited for
    finally:
        hand.close()


def goes_on(graph: FaultStack, case: Case, since_ns: int, node: str, phase: str) -> None:
    """The death of one that only learns or shows is not noticed by the arm."""
    graph.stays(since_ns, 1.5)
    stopped = [m.reasons for _, m in graph.gate.since(since_ns) if m.mode == Mode.STOP]
    case.needless(f"the death of {node} stops the arm", stopped)
    if phase == "acting":
        assert graph.log.moved_rad(since_ns, time.monotonic_ns()) > 0.05


def stays_stopped(graph: FaultStack, case: Case) -> None:
    """The node is back, or goes on: that alone moves nothing."""
    graph.wait(graph.all_work, "the node works again")
    since_ns = time.monotonic_ns()
    case.nothing("motion after STOP until cleared and armed", graph.stays(since_ns, WATCH_S) > 0.02)
    assert not graph.gate.last.armed and graph.gate.last.latches


@contextmanager
def signalled(graph: FaultStack, node: str, number: int) -> Iterator[int]:
    """A signalled node; one that was stopped goes on after the block."""
    pid, since_ns = graph.up.nodes()[node], graph.signal(node, number)
    try:
        yield since_ns
    finally:
        if number == signal.SIGSTOP:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
