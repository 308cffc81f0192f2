"""Messages and time become the machine's events."""

from __future__ import annotations

from armtune_policies.contract import Mode, TaskPair, Verdict
from armtune_policies.episode import events as e
from armtune_policies.episode.conductor import Conductor
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import ABORTED, ACTING, HOMING, PAUSED, READY, SUCCESS, TIMEOUT

TASK = TaskPair(name="drawer", forward="open", backward="close", episode_steps=3)
S = 1_000_000_000


def acting() -> Conductor:
    params = EpisodeParams(vote_need=1, vote_window=1, ready_s=0.1, stall_s=10.0, home_s=30.0)
    one = Conductor(params, PracticeMachine(params, TASK, 0.0, "run", ""))
    one.gate(True, Mode.RUN, "", "", 0)
    one.handle(e.Begin(), 0)
    one.handle(e.AtHome(), 0)
    assert one.state.phase == READY
    assert one.pulse(S // 20) == []
    one.pulse(S // 10)
    assert one.state.phase == ACTING
    return one


def test_episode_succeeds_when_the_answer_says_yes() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    commands = one.answered("run-00000", 0, Verdict.YES, S)
    assert one.state.outcome == SUCCESS and e.GoHome() in commands


def test_answer_counts_as_unknown_when_its_verdict_is_none_we_know() -> None:
    one = acting()
    one.answered("run-00000", 0, 77, S)
    assert (one.state.judged_step, one.state.outcome) == (0, "")


def test_step_is_unknown_when_no_answer_comes_in_time() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    assert one.pulse(S + S // 2) == []
    one.pulse(2 * S)
    assert one.state.judged_step == 0 and one.state.outcome == ""


def test_episode_times_out_when_answers_never_come() -> None:
    one = acting()
    for step in range(3):
        one.ticked("run-00000", step, S + step)
    one.pulse(3 * S)
    assert (one.state.outcome, one.state.end_step) == (TIMEOUT, 2)


def test_answer_is_ignored_when_it_is_of_another_episode() -> None:
    one = acting()
    assert one.answered("run-00009", 0, Verdict.YES, S) == []
    assert one.state.outcome == ""


def test_episode_is_aborted_when_the_policy_lost_the_arm() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.gate(True, Mode.RUN, "", "teleop", S)
    assert one.pulse(S + S // 4) == []
    one.pulse(S + S // 2)
    assert one.state.outcome == ABORTED and "teleop" in one.state.reason


def test_episode_goes_on_when_an_older_gate_state_overtook_a_step() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.gate(True, Mode.RUN, "", "", S)
    one.ticked("run-00000", 1, S + S // 5)
    one.pulse(S + S // 2)
    assert one.state.outcome == ""


def test_policy_may_take_its_time_when_it_has_not_taken_the_arm_yet() -> None:
    one = acting()
    one.gate(True, Mode.RUN, "", "", S)
    one.pulse(9 * S)
    assert one.state.phase == ACTING
    one.pulse(11 * S)
    assert one.state.outcome == ABORTED and "no step" in one.state.reason


def test_practice_pauses_when_home_is_not_reached_in_time() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.answered("run-00000", 0, Verdict.YES, S)
    assert one.state.phase == HOMING
    one.pulse(30 * S)
    assert one.state.phase == HOMING
    one.pulse(32 * S)
    assert one.state.phase == PAUSED and "30" in one.state.reason


def test_late_answer_of_the_last_episode_does_not_count_when_the_next_one_acts() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.answered("run-00000", 0, Verdict.YES, S)
    one.handle(e.AtHome(), S)
    for at in range(2, 4):
        one.pulse(at * S)
    assert (one.state.phase, one.state.episode_id) == (ACTING, "run-00001")
    assert one.answered("run-00000", 0, Verdict.YES, 4 * S) == []
    one.ticked("run-00001", 0, 4 * S)
    assert one.answered("run-00001", 0, Verdict.NO, 4 * S) != []
    assert one.state.judged_step == 0


def test_episode_is_aborted_with_the_reason_when_the_gate_holds_the_arm_for_long() -> None:
    one = acting()
    one.gate(True, Mode.HOLD, "no fresh proposal", "policy", S)
    one.gate(True, Mode.RUN, "", "policy", 2 * S)
    one.gate(True, Mode.HOLD, "no fresh proposal", "policy", 3 * S)
    one.gate(True, Mode.HOLD, "no fresh proposal; proposals missed", "policy", 4 * S)
    one.pulse(5 * S - 1)
    assert one.state.phase == ACTING, "a hold that ended does not count"
    one.pulse(5 * S)
    assert one.state.outcome == ABORTED and "held for 2.0 s: no fresh proposal" in one.state.reason
