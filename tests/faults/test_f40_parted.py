"""F40: the network parts for a moment, or for longer: all of a node's messages stop, and come at once when it heals."""

from __future__ import annotations

import signal
import time

import pytest
from casebook import Case
from layers import LOOK_MS, LOST_MS, signalled
from promises import PROPOSAL_MS, STALE, TICK_MS, WATCH_S, goes_on_by_itself, holds
from rig import FaultStack

from armtune_policies.contract import Mode

pytestmark = [pytest.mark.slow, pytest.mark.fault("F40")]
HOW = "SIGSTOP of the policy for 0.1 s and 2 s: nothing of it comes, then what was kept on the way"


def test_practice_goes_on_by_itself_when_the_line_was_away_for_a_moment(cycling: FaultStack, case: Case) -> None:
    case.by(HOW)
    graph = cycling
    graph.reach("acting")
    with signalled(graph, "policy_node", signal.SIGSTOP) as since_ns:
        graph.stays(since_ns, 0.1)
    goes_on_by_itself(graph, case)
    stopped = [m.reasons for _, m in graph.gate.since(since_ns) if m.mode == Mode.STOP]
    case.needless("stopped for a tenth of a second", stopped)


def test_episode_is_over_and_an_operator_resumes_when_it_was_away_for_longer(cycling: FaultStack, case: Case) -> None:
    case.by(HOW)
    graph = cycling
    graph.reach("acting")
    episode_id = graph.episodes.last.episode_id
    with signalled(graph, "policy_node", signal.SIGSTOP) as since_ns:
        holds(graph, case, since_ns, STALE, PROPOSAL_MS + TICK_MS)
        case.within("STOP", graph.says(since_ns, Mode.STOP, "stop requested") - since_ns, LOST_MS + LOOK_MS)
        over = graph.episodes.first(since_ns, lambda e: e.episode_id == episode_id and bool(e.outcome))[1]
        assert over.outcome == "aborted"
        graph.stays(since_ns, 2.0)
    graph.wait(graph.all_work, "the node is heard again")
    healed_ns = time.monotonic_ns()
    case.nothing("resumes by itself in mid-episode", graph.stays(healed_ns, WATCH_S) > 0.02 or graph.gate.last.armed)
