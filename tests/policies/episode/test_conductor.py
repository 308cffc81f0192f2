"""Messages and time become the machine's events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from armtune_policies.contract import HOLD_REQUESTED, Mode, TaskPair, Verdict
from armtune_policies.episode import events as e
from armtune_policies.episode.conductor import Conductor
from armtune_policies.episode.machine import PracticeMachine
from armtune_policies.episode.memory import Memory
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import ABORTED, ACTING, HOMING, NUDGING, PAUSED, READY, SUCCESS, TIMEOUT

TASK = TaskPair(name="drawer", forward="open", backward="close", episode_steps=3)
S = 1_000_000_000


def acting(
    memory: Memory | None = None, waits_for_sight: bool = False, task: TaskPair = TASK, **episode: float
) -> Conductor:
    params = EpisodeParams(vote_need=1, vote_window=1, ready_s=0.1, stall_s=10.0, home_s=30.0, **episode)
    one = Conductor(params, PracticeMachine(params, task, 0.0, "run", ""), memory, waits_for_sight=waits_for_sight)
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
    one.answered("run-00000", 0, Verdict.NO, S)
    commands = one.answered("run-00000", 1, Verdict.YES, S)
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


@pytest.mark.parametrize("phase", (ACTING, HOMING))
def test_hold_of_a_person_takes_as_long_as_it_takes(phase: str) -> None:
    one = acting(held_s=2.0)
    one.ticked("run-00000", 0, S)
    if phase == HOMING:
        one.answered("run-00000", 0, Verdict.YES, S)
    told = (True, Mode.HOLD, "operator lost", "")
    one.gate(*told, 2 * S, ["operator lost"])
    for now in range(20, 1000):
        one.pulse(now * S // 10)
    assert one.state.phase == phase
    one.gate(*told, 100 * S, ["supervisor silent"])
    for now in range(1000, 1400):
        one.pulse(now * S // 10)
    assert one.state.phase == PAUSED, "any other hold is not waited for"


def test_answer_is_ignored_when_it_is_of_another_episode() -> None:
    one = acting()
    assert one.answered("run-00009", 0, Verdict.YES, S) == []
    assert one.state.outcome == ""


def test_episode_is_aborted_when_the_policy_lost_the_arm() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.gate(True, Mode.RUN, "", "motion", S)
    assert one.pulse(S + S // 4) == []
    one.pulse(S + S // 2)
    assert one.state.outcome == ABORTED and "motion" in one.state.reason


def test_episode_goes_on_when_a_person_takes_the_arm_and_gives_it_back() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.gate(True, Mode.RUN, "", "teleop", S)
    one.ticked("run-00000", 1, 2 * S)
    one.pulse(3 * S)
    one.gate(True, Mode.HOLD, "nobody holds the arm", "", 3 * S)
    one.gate(True, Mode.RUN, "", "policy", 3 * S + S // 4)
    one.pulse(4 * S)
    assert one.state.outcome == ""


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


def test_a_yes_ends_the_episode_only_once_the_gripper_is_open_as_far_as_asked() -> None:
    one = acting(vote_opening=0.7)
    one.moved(0.2)
    one.ticked("run-00000", 0, S)
    one.answered("run-00000", 0, Verdict.YES, S)
    assert (one.state.judged_step, one.state.outcome) == (0, "")
    one.moved(0.8)
    one.ticked("run-00000", 1, S)
    one.answered("run-00000", 1, Verdict.YES, S)
    assert (one.state.outcome, one.state.end_step) == (SUCCESS, 1)


def seen(one: Conductor, step: int, x_m: float, now_ns: int = S) -> None:
    one.ticked(one.state.episode_id, step, now_ns)
    one.saw(one.state.episode_id, step, np.array([x_m, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0]), now_ns)
    one.made(one.state.episode_id, step, 1.0 if step < 1 else 0.0)
    one.answered(one.state.episode_id, step, Verdict.NO, now_ns)


def test_episode_ends_when_nothing_moves_but_not_while_a_person_holds_it_still() -> None:
    one = acting(still_steps=1)
    seen(one, 0, 0.1)
    one.ticked("run-00000", 1, S, "teleop")
    seen(one, 1, 0.1)
    assert one.state.outcome == ""
    one = acting(still_steps=1)
    seen(one, 0, 0.1)
    seen(one, 1, 0.1)
    assert (one.state.outcome, one.state.end_step) == (TIMEOUT, 1)


def test_hold_is_no_failure_however_long_nothing_moves_and_is_given_up_by_its_own_bound() -> None:
    one = acting(still_steps=1)
    seen(one, 0, 0.1)
    one.gate(True, Mode.HOLD, "supervisor silent", "policy", S, ["supervisor silent"])
    seen(one, 1, 0.1, 2 * S)
    assert one.state.outcome == "" and one.counts.stalls == 0
    one.pulse(3 * S)
    assert one.state.outcome == ABORTED and "supervisor silent" in one.state.reason


def test_stalls_are_counted_again_once_the_hold_is_over() -> None:
    one = acting(still_steps=1)
    one.gate(True, Mode.HOLD, "hold requested", "policy", S, ["hold requested"])
    seen(one, 0, 0.1)
    one.gate(True, Mode.RUN, "", "policy", S)
    seen(one, 1, 0.1)
    assert one.state.outcome == "", "the hold was in one of the two steps"
    seen(one, 2, 0.1)
    assert (one.state.outcome, one.counts.stalls) == (TIMEOUT, 1)


@pytest.mark.parametrize(
    "why, outcome", [("hold requested", ABORTED), ("supervisor silent", ABORTED), ("pushing on the workspace", TIMEOUT)]
)
def test_time_that_runs_out_in_a_hold_is_a_failure_only_where_the_policy_brought_it_about(
    why: str, outcome: str
) -> None:
    one = acting(still=0.0)
    seen(one, 0, 0.1)
    one.gate(True, Mode.HOLD, why, "policy", S, [why])
    seen(one, 1, 0.1)
    seen(one, 2, 0.1)
    assert (one.state.outcome, one.counts.episodes) == (outcome, int(outcome == TIMEOUT))


def test_time_that_runs_out_in_a_hold_of_one_step_is_a_failure() -> None:
    one = acting(still=0.0)
    seen(one, 0, 0.1)
    seen(one, 1, 0.1)
    one.ticked("run-00000", 2, S)
    one.gate(True, Mode.HOLD, "no fresh proposal", "policy", S, ["no fresh proposal"])
    seen(one, 2, 0.1)
    assert (one.state.outcome, one.counts.episodes) == (TIMEOUT, 1)


def test_time_that_a_person_took_makes_no_failure_also_where_the_arm_was_free_at_the_end() -> None:
    one = acting(still=0.0)
    one.gate(True, Mode.HOLD, "hold requested", "policy", S, ["hold requested"])
    seen(one, 0, 0.1)
    one.gate(True, Mode.RUN, "", "policy", S)
    seen(one, 1, 0.1)
    seen(one, 2, 0.1)
    assert (one.state.outcome, one.counts.episodes) == (ABORTED, 0)


def test_stall_in_lockstep_does_not_depend_on_when_the_gate_says_that_it_waits() -> None:
    one = acting(waits_for_sight=True, still_steps=1)
    one.gate(True, Mode.HOLD, "no fresh proposal", "policy", S, ["no fresh proposal"])
    seen(one, 0, 0.1)
    seen(one, 1, 0.1)
    assert (one.state.outcome, one.counts.stalls) == (TIMEOUT, 1)


def test_no_episode_begins_while_a_person_holds_the_arm() -> None:
    one = acting()
    one.ticked("run-00000", 0, S)
    one.answered("run-00000", 0, Verdict.YES, S)
    one.handle(e.AtHome(), S)
    one.pulse(2 * S)
    assert one.state.phase == READY
    one.gate(True, Mode.HOLD, "hold requested", "", 2 * S, ["hold requested"])
    one.pulse(50 * S)
    assert one.state.phase == READY
    one.gate(True, Mode.RUN, "", "", 60 * S)
    one.pulse(60 * S)
    assert one.state.phase == ACTING


def test_nudge_pushes_from_where_it_tried_to_where_a_demonstration_took_hold() -> None:
    goal = np.array([0.3, 0.1, 0.02])
    one = acting(memory=Memory({"forward": [goal]}))
    for step in range(3):
        seen(one, step, 0.1 + 0.02 * step)
    commands = one.handle(e.AtHome(), S)
    (way,) = [c for c in commands if isinstance(c, e.Follow)]
    ends = np.array([leg.at_m for leg in way.legs])[2::4]
    assert one.state.phase == NUDGING and np.abs(ends - goal).max() < 0.05
    one.proposed()
    one.pulse(2 * S + 61 * S)
    assert one.state.phase == HOMING and one.counts.nudges == 1, "a nudge has its time"


@pytest.mark.parametrize("event", [e.Nudged(), e.Elapsed()])
def test_nudge_without_one_proposal_is_not_counted(event: e.Event) -> None:
    one = acting(memory=Memory({"forward": [np.array([0.3, 0.1, 0.02])]}))
    for step in range(3):
        seen(one, step, 0.1 + 0.02 * step)
    one.proposed()  # on the way home: no part of the nudge
    one.handle(e.AtHome(), S)
    assert one.state.phase == NUDGING
    one.handle(event, S)
    assert one.state.phase == HOMING and one.counts.nudges == 0


def test_try_is_not_held_up_when_nobody_knows_where_to_push() -> None:
    one = acting()
    for step in range(3):
        seen(one, step, 0.1 * step)
    commands = one.handle(e.AtHome(), S)
    assert one.state.phase == HOMING and commands[-1] == e.GoHome() and one.counts.nudges == 0


def test_practice_learns_where_its_own_successes_took_hold() -> None:
    one = acting()
    for step in range(2):
        seen(one, step, 0.1)
    one.ticked("run-00000", 2, S)
    one.answered("run-00000", 2, Verdict.YES, S)
    assert one.state.outcome == SUCCESS
    for direction in ("backward", "backward"):
        one.handle(e.AtHome(), S)
        one.pulse(2 * S)
        one.pulse(3 * S)
        assert (one.state.phase, one.state.direction) == (ACTING, direction)
        for step in range(3):
            seen(one, step, 0.1 * step, 3 * S)
        commands = one.handle(e.AtHome(), 3 * S)
        assert not [c for c in commands if isinstance(c, e.Follow)], "backward has not succeeded yet"
    legs = one._memory.route("forward", 0)
    assert legs is not None and np.allclose(legs[-1].at_m, [0.1, 0.0, 0.18])


def put_down(memory: Memory, carries: bool = True) -> Conductor:
    """Return practice whose first try, forward, took hold of a thing and let go of it at x = 0.22 m."""
    one = acting(memory, task=replace(TASK, scatter="backward", carries=carries, episode_steps=9))
    for step, opening in enumerate((1.0, 0.1, 1.0)):
        one.ticked("run-00000", step, S)
        one.saw("run-00000", step, np.array([0.2 + 0.01 * step, 0.0, 0.05, 0.0, 0.0, 0.0, opening]), S)
        one.made("run-00000", step, opening)
        one.answered("run-00000", step, Verdict.NO, S)
    one.ticked("run-00000", 3, S)
    one.answered("run-00000", 3, Verdict.YES, S)
    return one


def test_what_was_put_down_is_pushed_to_where_the_other_direction_was_shown_to_begin() -> None:
    goal = np.array([0.3, 0.1, 0.04])
    one = put_down(Memory({"backward": [goal]}), carries=False)
    assert one.state.outcome == SUCCESS
    (way,) = [c for c in one.handle(e.AtHome(), S) if isinstance(c, e.Follow)]
    points = np.array([leg.at_m for leg in way.legs])
    begins, ends = points[1::4], points[2::4]
    assert np.abs(ends - goal).max() < 0.03 and np.abs(begins[:, :2] - [0.22, 0.0]).max() < 0.08
    one.proposed()
    one.handle(e.Nudged(), S)
    assert one.state.phase == HOMING and one.counts.scatters == 1


def passed(way: e.Follow, count: int) -> e.Nudged:
    """Return what ends a route whose first legs were followed exactly."""
    return e.Nudged(passed=tuple((*leg.at_m, 0.0, 0.0, 0.0, max(leg.opening, 0.3)) for leg in way.legs[:count]))


def carried() -> tuple[Conductor, e.Follow]:
    """Return practice that carried elsewhere what its first try put down and is ready for the next; and the way."""
    one = put_down(Memory({"backward": [np.array([0.3, 0.1, 0.04])]}, carries=True))
    (way,) = [c for c in one.handle(e.AtHome(), S) if isinstance(c, e.Follow)]
    one.proposed()
    one.handle(passed(way, 8), S)
    one.handle(e.AtHome(), S)
    one.pulse(2 * S)
    return one, way


def test_a_loose_thing_is_carried_elsewhere_and_the_next_try_is_told_where_it_stands() -> None:
    one, way = carried()
    assert (one.state.phase, one.state.direction, one.counts.scatters) == (READY, "backward", 1)
    assert np.allclose(one.state.stands_m, [0.3, 0.1], atol=0.011) and one.state.stands_m == way.legs[5].at_m[:2]
    one.handle(e.Cancel("enough"), 2 * S)
    one.handle(e.Begin(), 3 * S)
    one.handle(e.AtHome(), 3 * S)
    assert one.state.phase == READY and one.state.stands_m == (), "somebody may have been there"


@pytest.mark.parametrize("meddles", ["hold", "teleop", "again"])
def test_where_a_person_meddled_nobody_knows_where_it_stands(meddles: str) -> None:
    one, _ = carried()
    assert one.state.phase == READY and one.state.stands_m
    if meddles == "again":
        one.told("again", 2 * S)
    else:
        why = (HOLD_REQUESTED,) if meddles == "hold" else ()
        holder = "teleop" if meddles == "teleop" else ""
        one.gate(True, Mode.HOLD if why else Mode.RUN, "; ".join(why), holder, 2 * S, why)
    assert one.state.phase == READY and one.state.stands_m == ()


def test_where_the_hand_came_up_empty_it_pushes_before_the_next_try() -> None:
    one = put_down(Memory({"backward": [np.array([0.3, 0.1, 0.04])]}, carries=True))
    (way,) = [c for c in one.handle(e.AtHome(), S) if isinstance(c, e.Follow)]
    one.proposed()
    (push,) = one.handle(passed(way, 4), S)
    assert isinstance(push, e.Follow) and not any(leg.holds for leg in push.legs) and one.state.phase == NUDGING
    one.handle(passed(push, 12), S)
    assert one.state.phase == HOMING and one.counts.scatters == 1


def test_judgement_waits_for_both_topics_where_it_is_told_to() -> None:
    one = acting(waits_for_sight=True)
    one.ticked("run-00000", 0, S)
    one.answered("run-00000", 0, Verdict.NO, S)
    assert one.state.judged_step == -1
    one.saw("run-00000", 0, np.zeros(7), S)
    assert one.state.judged_step == 0
