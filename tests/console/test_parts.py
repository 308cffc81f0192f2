"""The board, the film, the desk, the journal, what may be asked: each alone."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_console import facts
from armtune_console.access import Role
from armtune_console.acts import ACTS, Unasked, asked
from armtune_console.board import LOST_S, Board
from armtune_console.desk import ANSWER_S, MOST, Desk
from armtune_console.film import WATCHED_S, Film
from armtune_console.journal import Journal, counts
from armtune_console.metrics import exposition
from armtune_console.model import thresholds
from armtune_interfaces import msg
from armtune_policies.contract import ManualClock
from armtune_policies.store.files import write_json
from fixtures.console import frame

pytestmark = pytest.mark.unhurried

GATE = {"mode": "RUN", "armed": True, "reasons": [], "latches": [], "holder": "", "boot_id": "7", "refusals": {}}


def board() -> tuple[Board, ManualClock]:
    clock = ManualClock(10**9)
    return Board(clock, {"robot": "arm", "threshold": 0.5}), clock


def test_board_says_that_the_gate_is_lost_within_the_bound_and_found_again() -> None:
    one, clock = board()
    assert not one.snapshot()["is_alive"] and "not been heard yet" in one.snapshot()["lost"]
    one.put("gate", GATE)
    one.put("beat", {})
    clock.advance(LOST_S - 0.01)
    assert one.snapshot()["is_alive"] and one.snapshot()["lost"] == ""
    clock.advance(0.02)
    assert not one.snapshot()["is_alive"] and "silent for 0.5 s" in one.snapshot()["lost"]
    one.put("joints", {"names": [], "positions": []})
    assert not one.snapshot()["is_alive"], "an arm that moves is no gate"
    one.put("beat", {})
    assert one.snapshot()["is_alive"]


def test_board_counts_steps_and_updates_a_second_and_the_age_of_a_policy() -> None:
    one, clock = board()
    one.put("policy", {"version": "v1"})
    for number in range(11):
        one.put("tick", {"step": number})
        one.put("learner", {"updates_done": number * 10})
        clock.advance(0.2)
    one.put("policy", {"version": "v1"})
    said = one.snapshot()
    assert said["step_hz"] == pytest.approx(5.0) and said["updates_hz"] == pytest.approx(50.0)
    assert said["policy_age_s"] == 2
    one.put("policy", {"version": "v2"})
    assert one.snapshot()["policy_age_s"] == 0


@given(st.floats() | st.lists(st.floats(), max_size=3))
def test_board_is_json_whatever_number_came(value: Any) -> None:
    one, _ = board()
    one.put("decision", {"allowed": value})
    assert json.loads(json.dumps(one.snapshot(), allow_nan=False))["robot"] == "arm"


def test_facts_are_read_off_every_message_there_is_a_wire_for() -> None:
    from sensor_msgs.msg import JointState

    one, _ = board()
    for kind, (_, name, _, read) in facts.WIRES.items():
        one.put(kind, read({"JointState": JointState}.get(name, getattr(msg, name, None))()))
    said = json.loads(json.dumps(one.snapshot()))
    assert said["gate"]["boot_id"] == "0" and said["reward"]["probability"] is None
    assert said["reward"]["verdict"] == "unknown"


def test_board_does_not_say_who_acts_while_policies_are_evaluated() -> None:
    one, _ = board()
    one.put("policy", {"version": "head-7", "provider": "cpu"})
    one.put("decision", {"step": 1, "policy_version": "head-7"})
    one.put_node("policy_node", {"level": 0, "says": "", "values": {"policy": "head-7"}})
    one.put_node("gate_node", {"level": 0, "says": "", "values": {"nice": "-10"}})
    one.put("episode", facts.episode(msg.EpisodeState(purpose="practice")))
    assert one.snapshot()["policy"]["version"] == "head-7"
    one.put("episode", facts.episode(msg.EpisodeState(purpose="evaluation")))
    said = one.snapshot()
    assert "head-7" not in json.dumps(said)
    assert said["policy"]["provider"] == "cpu" and said["nodes"]["gate_node"]["values"] == {"nice": "-10"}


@pytest.mark.parametrize(
    ("phase", "waits_for", "asks"),
    (("paused", "scene", True), ("paused", "person", True), ("paused", "gate", False), ("acting", "", False)),
)  # fmt: skip
def test_pause_that_only_a_person_ends_is_a_question(phase: str, waits_for: str, asks: bool) -> None:
    assert facts.episode(msg.EpisodeState(phase=phase, waits_for=waits_for))["asks"] is asks


def film(**params: Any) -> tuple[Film, ManualClock]:
    clock = ManualClock(10**9)
    return Film(("front",), params.get("width_px", 64), 80, 10.0, clock), clock


def test_frame_is_encoded_once_for_all_viewers_and_never_queued() -> None:
    one, clock = film()
    assert one.take("front", 0) == (0, b"") and one.is_watched
    for value in (10, 20, 200):
        one.put("front", frame(value=value))
    (number, data), again = one.take("front", 0), one.take("front", 0)
    assert number == 3 and again == (number, data) and one.encoded == 1
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (48, 64, 3) and abs(int(shown.mean()) - 200) < 3
    assert one.take("front", number) == (number, b"")
    clock.advance(WATCHED_S + 0.1)
    assert not one.is_watched


def test_no_camera_is_encoded_more_often_than_it_may() -> None:
    one, clock = film()
    seen = 0
    for _ in range(100):
        one.put("front", frame())
        seen, _ = one.take("front", seen)
        clock.advance(0.01)
    assert one.encoded == 10


def test_wide_picture_is_made_smaller_and_another_encoding_is_left_out() -> None:
    one, clock = film(width_px=32)
    one.put("front", frame(64, 48))
    assert cv2.imdecode(np.frombuffer(one.take("front", 0)[1], np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)
    clock.advance(1.0)
    one.put("front", frame(encoding="mono16"))
    assert one.take("front", 1)[1] == b""


def test_act_is_for_its_role_and_told_what_its_service_takes() -> None:
    assert asked("stop", {}, Role.VIEWER)[1] == {}
    assert asked("arm", {"boot_id": str(2**64 - 1)}, Role.OPERATOR)[1] == {"boot_id": 2**64 - 1}
    assert asked("practise", {"episodes": 3}, Role.OPERATOR)[1] == {"episodes": 3, "steps": 0}
    for name in set(ACTS) - {"stop"}:
        with pytest.raises(PermissionError, match="only an operator"):
            asked(name, {}, Role.VIEWER)


@pytest.mark.parametrize(
    ("name", "said", "why"),
    (
        ("fly", {}, "expected one of stop, arm"),
        ("arm", {}, "boot_id: expected the digits"),
        ("arm", {"boot_id": 7}, "boot_id: expected the digits"),
        ("arm", {"boot_id": str(2**64)}, "boot_id: expected the digits"),
        ("arm", {"boot_id": "²"}, "boot_id: expected the digits"),
        ("clear", {"name": "x" * 300}, "name: expected the name of a latch"),
        ("practise", {"episodes": -1}, "episodes: expected a whole number"),
        ("practise", {"episodes": True}, "episodes: expected a whole number"),
        ("practise", {"steps": 2**32}, "steps: expected a whole number"),
        ("stop", [], "expected an object, got list"),
    ),
)
def test_act_that_will_not_do_is_refused_in_a_sentence(name: str, said: Any, why: str) -> None:
    with pytest.raises(Unasked, match=why):
        asked(name, said, Role.OPERATOR)


def test_thousand_stops_are_one_and_all_are_answered() -> None:
    desk = Desk(ManualClock())
    answers = [desk.ask(ACTS["stop"], {}) for _ in range(1000)]
    (wish,) = desk.take()
    wish.say(True, "stopped")
    assert {answer.result(timeout=0) for answer in answers} == {(True, "stopped")}
    desk.ask(ACTS["stop"], {})
    assert len(desk.take()) == 1, "the next one is asked anew"


def test_request_that_nobody_answers_ends_by_saying_so() -> None:
    clock = ManualClock()
    desk = Desk(clock)
    answer = desk.ask(ACTS["hold"], {"data": True})
    (wish,) = desk.take()
    clock.advance(ANSWER_S + 0.1)
    assert desk.take() == []
    assert answer.result(timeout=0) == (False, "gate_node did not answer within 3 s; it may not have been done")
    wish.say(True, "late")
    assert answer.result(timeout=0)[0] is False


def test_flood_of_different_requests_is_refused_but_the_first() -> None:
    desk = Desk(ManualClock())
    answers = [desk.ask(ACTS["clear"], {"name": str(number)}) for number in range(MOST + 5)]
    assert [answer.done() for answer in answers] == [False] * MOST + [True] * 5
    stop = desk.ask(ACTS["stop"], {})
    assert not stop.done() and desk.take()[-1].answer is stop, "a STOP is never one too many"


def test_journal_keeps_what_changed_and_counts_it_after_a_restart(tmp_path: Path) -> None:
    policy = {"version": "v1", "refused": "", "refused_reason": ""}
    gate, episode = {**GATE, "mode": "STOP"}, {"phase": "idle", "reason": "", "asks": False}
    journal = Journal(tmp_path)
    for kind, said in (
        ("policy", policy), ("gate", gate), ("episode", episode), ("offer", {"version": "v0"}),
        ("offer", {"version": "v2"}), ("policy", {**policy, "version": "v2"}), ("policy", policy),
        ("policy", {**policy, "refused": "v3", "refused_reason": 'a, "b"'}),
        ("gate", {**GATE, "holder": "teleop"}), ("gate", {**gate, "reasons": ["stop requested"]}),
        ("episode", {"phase": "paused", "reason": "reset the scene, then resume", "asks": True}),
        ("episode", {"phase": "homing", "reason": "", "asks": False}),
    ):  # fmt: skip
        journal.put(kind, said, 5)
    journal.note("act", "arm by 12ab: done", 6)
    journal.close()
    Journal(tmp_path).close()
    kinds = ("offered", "accepted", "reverted", "refused", "takeover", "stopped", "question", "answered", "act")
    assert counts(tmp_path) == dict.fromkeys(kinds, 1)
    assert counts(tmp_path / "other") == {}


def test_journal_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        for mode in ("RUN", "STOP"):
            journal.put("gate", {**GATE, "mode": mode}, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write" in journal.trouble and "events.csv" in journal.trouble
    journal.note("act", "arm by 12ab: done", 6)
    assert journal.trouble == "" and counts(tmp_path) == {"act": 1}
    journal.close()


def test_metrics_are_what_prometheus_reads_and_leave_out_what_is_not_known() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    one, _ = board()
    text = exposition(lambda: {**one.snapshot(), "viewers": 2})
    names = {family.name for family in text_string_to_metric_families(text().decode())}
    assert "armtune_alive" in names and "armtune_gate_mode" not in names
    one.put("gate", {**GATE, "refusals": {"policy:stale": 4}})
    one.put("up", {"gate_node": "active", "policy_node": "lost: silent"})
    one.put("machine", {"disk": {"free_mb": 2}, "temperatures": {"cpu 0": 51.0}})
    samples = {
        (s.name, *s.labels.values()): s.value
        for family in text_string_to_metric_families(text().decode())
        for s in family.samples
    }
    assert samples["armtune_gate_mode",] == 0 and samples["armtune_console_viewers",] == 2
    assert samples["armtune_node_up", "gate_node"] == 1 and samples["armtune_node_up", "policy_node"] == 0
    assert samples["armtune_gate_refusals_total", "policy:stale"] == 4
    assert samples["armtune_disk_free_bytes",] == 2e6
    assert samples["armtune_temperature_celsius", "cpu 0"] == 51.0


def test_thresholds_are_the_models_own_unless_one_is_set(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"threshold": 0.7, "unsure_above": 0.4})
    assert thresholds(str(tmp_path), 0.0) == {"threshold": 0.7, "unsure_above": 0.4}
    assert thresholds(str(tmp_path), 0.9)["threshold"] == 0.9
    assert thresholds("", 0.0) == {"threshold": None, "unsure_above": None}
