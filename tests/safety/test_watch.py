"""Who is configured next, who is lost, whose restarts are spent."""

from __future__ import annotations

import math

import pytest
from gate_rig import gate_params

from armtune_safety.watch import ACTIVE, DOUBLE, GIVEN_UP, INACTIVE, LOST, UNCONFIGURED, Watch

S = 10**9
WORKS_S = {"gate": 2.0}
SAFETY = gate_params().safety


class World:
    """Two nodes that beat and answer as told."""

    def __init__(self, names: tuple[str, ...] = ("gate", "learner")) -> None:
        lost_s = SAFETY.heartbeat_lost_s
        self.watch = Watch(names, ("learner",), SAFETY, start_s=60.0, lost_s=lost_s, works_s=WORKS_S)
        self.t_ns, self.states = 0, {"gate": UNCONFIGURED, "learner": UNCONFIGURED}
        self.calls: list[tuple[str, str]] = []

    def run(self, seconds: float, silent: tuple[str, ...] = (), seq: int = 1, age_s: float = 0.1) -> World:
        for _ in range(round(seconds * 20)):
            self.t_ns += S // 20
            for name in self.states:
                if name not in silent:
                    self.watch.heard(name, 1, seq, age_s, self.t_ns)
            self.watch.look(self.t_ns)
            if ask := self.watch.due(self.t_ns):
                self.answer(ask)
        return self

    def answer(self, ask) -> None:
        if ask.what != "state":
            self.calls.append((ask.node, ask.what))
            self.states[ask.node] = {"configure": INACTIVE, "activate": ACTIVE}[ask.what]
        self.watch.answered(ask, self.states[ask.node], self.t_ns)

    def phase(self, name: str) -> str:
        return self.watch.nodes[name].phase


@pytest.fixture
def world() -> World:
    return World().run(2.0)


def test_nodes_come_up_in_table_order(world: World) -> None:
    assert world.watch.all_active() and not world.watch.faults
    assert world.calls == [(n, what) for n in ("gate", "learner") for what in ("configure", "activate")]


def test_later_node_waits_for_an_earlier_one_at_the_start() -> None:
    world = World().run(2.0, silent=("gate",))
    assert world.calls == []


def test_spare_node_that_never_comes_is_waited_for_no_longer_than_a_start_may_take() -> None:
    world = World(("learner", "gate")).run(59.0, silent=("learner",))
    assert world.calls == []
    world.run(3.0, silent=("learner",))
    assert world.phase("gate") == ACTIVE and not world.watch.missing() and not world.watch.faults
    world.run(2.0)
    assert world.watch.all_active(), "once it comes it is brought up"


def test_silent_node_is_lost_within_its_bound_and_comes_back(world: World) -> None:
    world.run(0.9, silent=("gate",))
    assert world.phase("gate") == ACTIVE
    world.run(0.3, silent=("gate",))
    assert world.phase("gate") == LOST and "gate: silent" in world.watch.faults[0]
    world.states["gate"] = UNCONFIGURED
    world.run(1.0)
    assert world.phase("gate") == ACTIVE and world.calls[-2:] == [("gate", "configure"), ("gate", "activate")]


def test_loss_of_a_spare_node_is_no_fault(world: World) -> None:
    world.run(1.5, silent=("learner",))
    assert world.phase("learner") == LOST and not world.watch.faults


def test_fast_restart_is_seen_when_the_count_goes_back(world: World) -> None:
    world.run(0.5, seq=9)
    world.watch.heard("gate", 2, 0, -1.0, world.t_ns)
    assert world.phase("gate") == LOST and "restarted" in world.watch.faults[0]


def test_fast_restart_is_seen_when_an_active_node_turns_out_unconfigured(world: World) -> None:
    world.states["gate"] = UNCONFIGURED
    world.run(3.0)
    assert "found unconfigured" in world.watch.faults[0] and world.phase("gate") == ACTIVE


def test_node_is_given_up_when_its_restarts_are_spent(world: World) -> None:
    for _ in range(SAFETY.restarts + 1):
        world.run(1.2, silent=("gate",))
        world.states["gate"] = UNCONFIGURED
        world.run(1.0)
    assert world.phase("gate") == GIVEN_UP and "lost 4 times in 60 s" in world.watch.faults[-1]
    assert world.watch.missing() == "gate"


def test_arm_is_kept_down_while_a_node_it_needs_is_lost_and_until_it_works_again(world: World) -> None:
    assert world.watch.missing() == ""
    world.states["gate"] = UNCONFIGURED
    world.run(1.2, silent=("gate",))
    assert world.watch.missing() == "gate"
    world.run(2.0)
    assert world.phase("gate") == ACTIVE and world.watch.missing() == ""


def test_spare_node_that_is_given_up_does_not_keep_the_arm_down(world: World) -> None:
    for _ in range(SAFETY.restarts + 1):
        world.run(1.2, silent=("learner",))
        world.run(1.0)
    assert world.phase("learner") == GIVEN_UP and world.watch.missing() == ""


def test_old_restarts_are_forgotten(world: World) -> None:
    for _ in range(SAFETY.restarts + 2):
        world.run(1.2, silent=("gate",))
        world.run(61.0)
    assert world.phase("gate") == ACTIVE


def test_call_without_an_answer_ends_at_its_bound(world: World) -> None:
    world.states["gate"] = UNCONFIGURED
    world.run(1.2, silent=("gate",))
    world.watch.heard("gate", 1, 1, 0.1, world.t_ns)
    ask = world.watch.due(world.t_ns)
    assert ask is not None and world.watch.due(world.t_ns + S) is None
    world.t_ns += 3 * S
    world.watch.heard("gate", 1, 1, 0.1, world.t_ns)
    world.watch.due(world.t_ns)
    assert world.watch.nodes["gate"].reason == "state failed"


def test_watcher_that_slept_accuses_nobody(world: World) -> None:
    world.t_ns += 5 * S
    world.watch.look(world.t_ns)
    assert world.watch.all_active()


@pytest.mark.fault("F18")
def test_two_processes_under_one_name_are_told_from_a_restart(world: World) -> None:
    world.watch.heard("gate", 2, 1, 0.1, world.t_ns)
    assert world.watch.faults == ["gate: restarted by itself"]
    world.run(1.0, silent=("gate",))
    for _ in range(40):
        for boot_id in (2, 3):
            world.watch.heard("gate", boot_id, 1, 0.1, world.t_ns)
        world.run(0.25, silent=("gate",))
    assert any(DOUBLE in fault for fault in world.watch.faults)


@pytest.mark.fault("F42")
@pytest.mark.parametrize("age_s", [2.1, math.inf, math.nan])
def test_node_that_beats_and_does_not_work_is_lost_until_it_works_again(world: World, age_s: float) -> None:
    world.run(0.2, age_s=age_s)
    assert world.phase("gate") == LOST
    assert world.watch.faults == ["gate: at one piece of work for more than 2 s"] and world.watch.missing() == "gate"
    world.run(9.0, age_s=age_s)
    assert world.phase("gate") == LOST and len(world.watch.nodes["gate"].restarts_ns) == 1, "one loss, not one a look"
    world.run(1.0, seq=2)
    assert world.phase("gate") == ACTIVE and world.watch.missing() == ""


@pytest.mark.fault("F42")
@pytest.mark.parametrize("age_s", [1.9, 2.0, -1.0])
def test_node_is_left_alone_within_its_own_bound_and_while_it_is_idle(world: World, age_s: float) -> None:
    world.run(5.0, age_s=age_s)
    assert world.watch.all_active() and not world.watch.faults


def test_node_that_works_when_it_is_asked_to_has_no_bound(world: World) -> None:
    world.watch.heard("learner", 1, 1, 1e6, world.t_ns)
    world.watch.heard("learner", 1, 1, 1e6, world.t_ns)
    world.watch.look(world.t_ns)
    assert world.watch.all_active()


def test_node_that_was_stopped_from_outside_and_works_on_is_not_stuck(world: World) -> None:
    world.watch.heard("gate", 1, 7, 0.1, world.t_ns)
    world.watch.heard("gate", 1, 8, 9.0, world.t_ns)  # the beat came before its first piece of work
    world.watch.look(world.t_ns)
    assert world.watch.all_active()
