"""Who stands in for the person: lays a scene when practice asks for one, and for nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from armtune_bringup.runner import GraphStopped
from armtune_bringup.study.lockstep import Person, Told, as_row
from armtune_policies.episode.course import Counts
from armtune_safety.failsafe import FROZEN, LOST


class Client:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.laid: list[tuple[int, str]] = []
        self.latches: list[str] = []
        self.armed = self.lifts = 0
        self.told: list[str] = []

    def reset_world(self, seed: int, direction: str) -> None:
        if direction:
            self.laid.append((seed, direction))
        else:
            self.lifts += 1

    def gate(self) -> SimpleNamespace:
        return SimpleNamespace(latches=list(self.latches))

    def clear(self, latch: str) -> str:
        self.latches.remove(latch)
        return ""

    def arm_when_ready(self, timeout_s: float) -> None:
        assert not self.latches
        self.armed += 1

    def trigger(self, service: str) -> str:
        self.told.append(service)
        return ""


def state(phase: str, waits_for: str = "", reason: str = "", **more: str) -> SimpleNamespace:
    return SimpleNamespace(
        **{"phase": phase, "waits_for": waits_for, "reason": reason, "outcome": "", "episode_id": "", **more}
    )


@pytest.mark.fault("F52")
def test_scene_is_laid_once_when_practice_is_stuck_and_practice_resumed() -> None:
    counts, client = Counts(direction="backward"), Client()
    person = Person(0, lambda: counts)
    person.hear(state("acting"))
    assert not person.help(client) and not client.laid
    person.hear(state("paused", "scene"))
    person.help(client)
    person.help(client)
    assert [way for _, way in client.laid] == ["backward"] and client.told == ["practice/resume"]
    counts.resets, counts.episodes = 1, 4
    person.lay(client)
    assert client.laid[0][0] != client.laid[1][0]


def test_practice_that_waits_for_something_else_is_ended_with_its_reason() -> None:
    person = Person(0, Counts)
    person.hear(state("paused", "person", "5 episodes in a row were aborted, look and resume"))
    with pytest.raises(GraphStopped, match="5 episodes in a row"):
        person.help(Client())


def test_arm_that_does_not_come_home_is_lifted_there_and_counted() -> None:
    client, freed = Client(), list[str]()
    person = Person(0, Counts, freed.append)
    person.hear(state("paused", "arm", "home was not reached in 30.0 s"))
    person.help(client)
    assert client.lifts == 1 and freed == ["lifts"] and not client.laid and client.told == ["practice/resume"]


@pytest.mark.parametrize("latches", [[FROZEN], [FROZEN, LOST]])
def test_arm_that_pressed_against_something_is_armed_again_and_counted(latches: list[str]) -> None:
    client, freed = Client(), list[str]()
    person, client.latches = Person(0, Counts, freed.append), list(latches)
    person.hear(state("paused", "gate", "waits for the gate"))
    person.help(client)
    person.help(client)
    assert (client.armed, client.lifts, client.latches, client.laid, freed) == (1, 1, [], [], ["lifts"])


def test_arm_that_still_presses_is_cleared_once_it_has_settled() -> None:
    client, asked = Client(), list[str]()

    def clear(latch: str) -> str:
        asked.append(latch)
        return "still so" if len(asked) < 3 else Client.clear(client, latch)

    client.latches, client.clear = [LOST], clear  # type: ignore[method-assign]
    person = Person(0, Counts)
    person.hear(state("paused", "gate", "waits for the gate: tracking lost for too long"))
    person.help(client)
    assert asked == [LOST] * 3 and client.armed == 1


def test_stop_that_somebody_asks_for_while_the_arm_settles_stands() -> None:
    client = Client()

    def clear(latch: str) -> str:
        client.latches.append("stop requested")
        return "still so"

    client.latches, client.clear = [LOST], clear  # type: ignore[method-assign]
    person = Person(0, Counts)
    person.hear(state("paused", "gate", "waits for the gate: tracking lost for too long"))
    with pytest.raises(GraphStopped, match="tracking lost"):
        person.help(client)
    assert client.latches == [LOST, "stop requested"] and not client.armed


def test_arm_that_is_freed_in_vain_gets_another_scene_and_at_last_ends_practice() -> None:
    counts, client = Counts(steps=7), Client()
    person = Person(0, lambda: counts)

    def pressed() -> None:
        client.latches = [FROZEN]
        person.hear(state("paused", "gate", "waits for the gate: joint states frozen"))
        person.help(client)

    for _ in range(3):
        pressed()
    counts.steps = 8  # it acted since
    pressed()
    assert client.armed == 4
    pressed()
    pressed()
    assert client.armed == 6 and not client.laid
    for laid in (1, 2, 3):
        pressed()
        assert client.armed == 6 + laid and len(client.laid) == laid
    with pytest.raises(GraphStopped, match="joint states frozen"):
        pressed()


@pytest.mark.parametrize("latches", [[], ["stop requested"], [FROZEN, "e-stop pressed"]])
def test_gate_that_stopped_for_more_than_pressing_ends_practice(latches: list[str]) -> None:
    client, person = Client(), Person(0, Counts)
    client.latches = list(latches)
    person.hear(state("paused", "gate", "waits for the gate: stop requested"))
    with pytest.raises(GraphStopped, match="stop requested"):
        person.help(client)
    assert not client.armed and client.latches == latches


def test_each_end_of_an_episode_is_passed_on_once() -> None:
    heard: list[tuple[int, int]] = []
    counts = Counts(episodes=6, steps=100)
    told = Told(lambda: counts, lambda counts, steps, seconds: heard.append((counts.episodes, steps)))
    told.hear(state("acting", episode_id="a"))
    counts.episodes, counts.steps = 7, 108
    for said in [state("homing", episode_id="a", outcome="timeout")] * 3:
        told.hear(said)
    assert heard == [(7, 8)], "the steps are those since the start, however many there were before"
    assert as_row(Counts(episodes=7))["episodes"] == 7 and "direction" not in as_row(Counts())
