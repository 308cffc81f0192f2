"""Practice as a pure state machine: events in, commands out, one table of transitions.

::

    idle -> homing -> ready -> acting -> homing -> resting -> ready -> ...
                                            \\-> nudging -> homing
                                            \\-> finished
    any of them -> paused (gate stopped, reset wanted, stuck, home not reached, success in doubt, disk full) -> homing

Which direction comes next, and when the arm nudges or a person is asked, says ``course``. A success that was standing
when the episode began ends it as aborted: it is passed over, neither counted nor rewarded. Where ``learns`` an episode
begins only once the learner has paid what it owes (lockstep: the same on any machine).

Where a person shows (a demonstration) an episode is ``showing`` instead of acting: it begins by the operator's
start, after a countdown, and ends by what the operator says of it; the reward's answers are noted and decide nothing.
So it is where a policy is evaluated, but that the policy acts, until time is up at the latest; what comes of it is
counted for who asked, and changes nothing of practice: neither its counts nor what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from armtune_policies.contract import Direction, TaskPair, Verdict, opposite
from armtune_policies.reward.vote import SuccessVote
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    ARM,
    DEMONSTRATION,
    DISCARDED,
    EVALUATION,
    FINISHED,
    GATE,
    HOMING,
    IDLE,
    LIVE,
    NUDGING,
    PAUSED,
    PERSON,
    PRACTICE,
    READY,
    RESTING,
    SAID_FAILURE,
    SAID_SUCCESS,
    SCENE,
    SHOWING,
    SOLVED,
    SUCCESS,
    TIMEOUT,
    WORDS,
    EpisodeState,
)

from . import events as e
from .course import AFTER_SUCCESS, Counts, Course, Move
from .doubt import Doubt
from .settings import EpisodeParams
from .tally import Tally

BREAK = "paused by the operator; resume to go on"
RESET = "reset the scene, then resume: the operator asked for it"
HELD = "time was up while the arm was held, or had been"
NAMES = {EVALUATION: "-eval"}
"""What an episode's name has more, by its purpose."""
MIN_REST_S = 0.05
"""An outcome is announced at least this long before the next episode replaces it."""
SILENT_S = 1200.0
"""A learner that owes is asked after when it said nothing for so long: reading a run, and the longest hang there is."""
SAID = {
    "success": (SUCCESS, SAID_SUCCESS),
    "failure": (TIMEOUT, SAID_FAILURE),
    "discard": (ABORTED, DISCARDED),
    "again": (ABORTED, DISCARDED),
}
"""What an operator's word makes of the episode that is on."""
HOLDS = (HOMING, NUDGING)
"""Phases in which we hold the arm ourselves."""


class PracticeMachine:
    """Feed it events by ``handle``; it says what is to be done.

    An event that means nothing in the present phase is ignored.

    Args:
        params: Vote, flip and reset rules.
        task: The task pair.
        rest_s: Pause between episodes [s].
        run_id: Episodes are called ``<run_id>-<index>``, those of evaluation ``<run_id>-eval-<index>``.
        config_hash: Goes into every state, and so does ``calibration_hash``.
        first_index: Of the first episode; not 0 when a run goes on. ``first_evaluation``: likewise.
        counts: Of a run that goes on.
        learns: Whether an episode waits for what the learner owes.
        doubts: Whether a person is to look into successes that are hard to believe; not where time is simulated.
    """

    def __init__(
        self,
        params: EpisodeParams,
        task: TaskPair,
        rest_s: float,
        run_id: str,
        config_hash: str,
        first_index: int = 0,
        counts: Counts | None = None,
        learns: bool = False,
        calibration_hash: str = "",
        doubts: bool = True,
        first_evaluation: int = 0,
    ) -> None:
        self._params, self._task, self._rest_s, self._learns = params, task, rest_s, learns
        rules = replace(params.rules, scatter=task.scatter, carries=task.carries)
        self._course, self._learnt = Course(rules, counts), e.Learnt("", 0)
        self._stands = e.Stands()
        self._doubt, self._unfit = Doubt(params.doubt if doubts else 0, doubts), ""
        self._vote = SuccessVote(params.vote_need, params.vote_window)
        self._indices, self._refuted = {False: first_index, True: first_evaluation}, 0
        self._limit = e.Begin()
        self._aborts = 0
        self._asked: Move = "try"
        self._evaluates = self._is_prepared = self._is_rested = False
        self._gate_down = "the gate has not been heard yet"
        self._wants_break: e.Pause | e.Reset | None = None
        self._ending: e.Finish | None = None
        self._note = self._aside = self._practised = ""
        self._has_moved = True
        self._countdown = 0
        self._last: EpisodeState | None = None
        self.tally = self._before = Tally()
        self._counted = replace(self.counts)
        self.state = EpisodeState(
            run_id=run_id, task=task.name, config_hash=config_hash, calibration_hash=calibration_hash
        )

    @property
    def counts(self) -> Counts:
        """What the whole run came to, over all times that it was begun."""
        return self._course.counts

    def handle(self, event: e.Event) -> tuple[e.Command, ...]:
        """Take one event; return what is to be done, in order."""
        if isinstance(event, e.Learnt):
            self._learnt = event
        if isinstance(event, e.Stands):
            self._stands = event
            self.state = self.state if event.at_m or self.state.outcome else replace(self.state, stands_m=())
        if isinstance(event, e.Fit):
            self._unfit = event.reason
        elif isinstance(event, e.GateUp):
            self._gate_down = ""
        elif isinstance(event, e.GateDown):
            self._gate_down = event.reason
        step = TRANSITIONS.get((self.state.phase, type(event)))
        return () if step is None else tuple(step(self, event))

    # -- phases --------------------------------------------------------------------

    def _enter(self, phase: str, **changes: object) -> list[e.Command]:
        """Change phase: let go of what the old one held, announce, start the new one."""
        self._is_rested = self._is_rested and phase == RESTING
        changes = {"waits_for": "", **changes}
        left = [e.LetGo()] if self.state.phase in HOLDS and phase not in HOLDS else []
        self.state = replace(self.state, phase=phase, **changes)  # type: ignore[arg-type]
        starts: dict[str, e.Command] = {
            HOMING: e.GoHome(),
            NUDGING: e.Wait(self._params.nudge_s),
            READY: e.Wait(1.0 if self._countdown else self._params.ready_s),
            RESTING: e.Wait(max(self._rest_s, MIN_REST_S)),
        }
        waits_for_start = phase == READY and self._is_shown and not self._countdown
        begins = [starts[phase]] if phase in starts and not waits_for_start else []
        return [*left, e.Announce(self.state), *begins]

    def _begin(self, event: e.Begin) -> list[e.Command]:
        self._limit, self._ending, self._last, self._countdown = event, None, None, 0
        self.tally = self._before = Tally()
        self._evaluates = event.purpose == EVALUATION
        if not self._evaluates:
            self._course.begin()
        self._aborts, self._asked = 0, "try"
        self._wants_break = None
        return self._go_home()

    @property
    def _is_shown(self) -> bool:
        return self._limit.purpose == DEMONSTRATION

    def _go_home(self, *_: e.Event) -> list[e.Command]:
        """Homing is the way into every phase of work, and needs the gate."""
        if self._gate_down:
            return self._pause(f"waits for the gate: {self._gate_down}", GATE)
        return self._enter(HOMING)

    def _pause(self, reason: str, waits_for: str = PERSON) -> list[e.Command]:
        if self._ending is not None:
            return self._finish(self._ending)
        return self._enter(PAUSED, reason=reason, waits_for=waits_for)

    def _at_home(self, _: e.AtHome) -> list[e.Command]:
        if self._ending is not None:
            return self._finish(self._ending)
        if reached := self._limit_reached():
            return self._finish(e.Finish(False, reached))
        if self._wants_break:
            return self._break(self._wants_break)
        if self._aborts >= self._params.max_aborts:
            count, self._aborts = self._aborts, 0
            return self._pause(f"{count} episodes in a row were aborted, look and resume")
        if why := self._doubt.take():
            return self._pause(why)
        return self._prepare() or (self._enter(RESTING) if self.state.outcome else self._next())

    def _prepare(self) -> list[e.Command]:
        """Do first what the scene needs before another try, if anything."""
        move: Move = self._course.move() if self._limit.purpose == PRACTICE else "try"
        if move in ("ask", "reset"):
            done = f"{self.counts.since_reset} episodes are done"
            why = done if move == "reset" else self._course.why_asked()
            self._asked = move
            return self._pause(f"reset the scene, then resume: {why}", SCENE)
        if move == "try" or self._is_prepared:
            return []
        self._asked = move
        after = "a success" if move in AFTER_SUCCESS else f"{self.counts.since_success} failures"
        begun = self._enter(NUDGING, reason=f"{move} after {after}")
        return [*begun, e.Nudge(cast(Direction, self.state.direction), self._course.pushes + 1, move)]

    def _nudged(self, event: e.Event) -> list[e.Command]:
        self._note_move(isinstance(event, e.Elapsed) or (isinstance(event, e.Nudged) and event.made))
        return self._go_home()

    def _note_move(self, has_moved: bool) -> None:
        """Note that what the scene needed is over."""
        if has_moved:
            self._course.moved(self._asked)
        self._asked, self._is_prepared = "try", True

    def _helped(self, *_: e.Event) -> list[e.Command]:
        """A person did what was asked for; a scene just laid needs no nudge."""
        if self._asked in ("ask", "reset") and not self._evaluates:
            self._course.helped(self._asked)
            self._is_prepared = True
        self._asked = "try"
        return self._go_home()

    def _rested(self, event: e.Event) -> list[e.Command]:
        """Begin another episode once rest is over and the learner owes nothing."""
        is_late, learnt = self._is_rested and isinstance(event, e.Elapsed), self._learnt
        learns = self._learns and not self._evaluates
        self._is_rested = self._is_rested or isinstance(event, e.Elapsed)
        if learns and learnt.given_up:
            return self._pause("the learner has given up; its log says why, then resume")
        is_paid = learnt.owed == 0 and self._practised in ("", learnt.newest)
        if self._is_rested and (is_paid or not learns):
            return self._next()
        if is_late:
            owes = f"the learner owes {learnt.owed} updates and is silent"
            return self._pause(f"{owes}; its log says why, then resume")
        return [e.Wait(SILENT_S)] if self._is_rested else []

    def _next(self) -> list[e.Command]:
        """Begin another episode, unless the machine is not fit for one."""
        return self._pause(f"mend, then resume: {self._unfit}") if self._unfit else self._ready()

    def _ready(self, *_: e.Event) -> list[e.Command]:
        """Announce the next episode; a new policy may be swapped in now."""
        self._vote.clear()
        self._refuted = 0
        self._is_prepared = False
        index, note, aside = self._indices[self._evaluates], self._note, self._aside
        self._indices[self._evaluates], self._note, self._aside, self._countdown = index + 1, "", "", 0
        direction = cast(Direction, self._limit.direction or self._course.counts.direction)
        return self._enter(
            READY,
            episode_id=f"{self.state.run_id}{NAMES.get(self._limit.purpose, '')}-{index:05d}",
            index=index,
            since_success=self.counts.since_success,
            purpose=self._limit.purpose,
            direction=direction,
            sentence=self._task.sentence(direction),
            judged_step=-1,
            outcome="",
            end_step=-1,
            reason=note,
            mark="",
            sets_aside=aside,
            stands_m=self._stands.at_m if self._limit.purpose == PRACTICE else (),
        )

    def _act(self, _: e.Elapsed) -> list[e.Command]:
        if self._is_shown and not self._countdown:  # an alarm of a countdown that was taken back
            return []
        self._countdown = max(self._countdown - 1, 0)
        if self._countdown:
            return self._enter(READY, reason=f"starts in {self._countdown}")
        return self._set_out()

    def _set_out(self) -> list[e.Command]:
        begun = {"sets_aside": "", "reason": ""} if self._is_shown else {"sets_aside": ""}
        return self._enter(SHOWING if self._is_shown else ACTING, **begun)

    def _judge(self, event: e.Judged) -> list[e.Command]:
        if event.step != self.state.judged_step + 1:
            return []
        self.state = replace(self.state, judged_step=event.step)
        self._refuted += event.verdict is Verdict.NO
        self._has_moved = event.moved
        if self._evaluates:
            return self._time_is_up(event)
        if self._vote.add(event.verdict):  # standing, until so many said no that no window held a success
            is_standing = self._refuted <= self._params.vote_window - self._params.vote_need
            return self._end(ABORTED, mark=SOLVED) if is_standing else self._end(SUCCESS)
        if event.still:
            self.counts.stalls += 1
            return self._end(TIMEOUT, f"nothing moved for {self._params.still_steps} steps")
        return self._time_is_up(event)

    def _time_is_up(self, event: e.Judged) -> list[e.Command]:
        if event.step + 1 >= self._task.episode_steps:
            return self._end(ABORTED, HELD) if event.held else self._end(TIMEOUT)
        return [e.Announce(self.state)]

    def _watch(self, event: e.Judged) -> list[e.Command]:
        """A person shows: an answer is noted, and only the longest demonstration there is ends by itself."""
        if event.step <= self.state.judged_step:
            return []
        self.state = replace(self.state, judged_step=event.step)
        if event.step + 1 >= self._params.shown_steps:
            return self._end(TIMEOUT, f"longer than {self._params.shown_steps} steps")
        return [e.Announce(self.state)]

    # -- what an operator says ---------------------------------------------------------

    def _start(self, event: e.Told) -> list[e.Command]:
        """Begin the countdown, or the episode at once where there is none."""
        if event.key == "again":
            return self._again(event)
        if event.key != "start" or not self._is_shown or self._countdown:
            return []
        self._countdown = self._params.countdown
        if not self._countdown:
            return self._set_out()
        return self._enter(READY, reason=f"starts in {self._countdown}")

    def _said(self, event: e.Told) -> list[e.Command]:
        """End the episode that is on by the operator's word."""
        if event.key not in SAID:
            return []
        outcome, mark = SAID[event.key]
        end, reason = max(event.last_step, self.state.judged_step), ""
        if end < 0 and outcome != ABORTED:
            outcome, mark, reason = ABORTED, "", f"{event.key}, says the operator, of no step at all"
        self.state = replace(self.state, judged_step=end)
        return self._end(outcome, reason, mark)

    def _again(self, event: e.Told) -> list[e.Command]:
        """Set the last episode aside and do its direction again; a person puts the scene back."""
        if event.key != "again" or self._last is None or self._evaluates:
            return []
        last, self._last, self.tally = self._last, None, replace(self._before, steps=self.tally.steps)
        direction = cast(Direction, last.direction)
        why = f"{last.episode_id} is set aside, to be recorded again"
        known = replace(self._counted, steps=self.counts.steps, direction=direction, failures_in_a_row=0)
        self._course.counts = known
        if self.state.phase == READY:
            self._indices[False] -= 1
            self._note, self._aside = why, last.episode_id
            return self._ready()
        self.state = replace(self.state, reason=why, sets_aside=last.episode_id)
        return [e.Announce(self.state)]

    def _told_to_go_on(self, event: e.Told) -> list[e.Command]:
        return self._helped() if event.key == "start" else []

    # -- the end of an episode -----------------------------------------------------------

    def _end(self, outcome: str, reason: str = "", mark: str = "") -> list[e.Command]:
        """Note how the episode ended, choose the next direction, send the arm home."""
        end, reason = self.state.judged_step, reason or WORDS.get(mark, "")
        self._before, self._counted = self.tally, replace(self.counts)
        self.tally = self.tally.with_episode(cast(Direction, self.state.direction), outcome, end + 1)
        self._aborts = self._aborts + 1 if outcome == ABORTED and (self._evaluates or not mark) else 0
        self.state = replace(self.state, outcome=outcome, end_step=end, reason=reason, mark=mark)
        self._last = None if outcome == ABORTED else self.state
        self._practised = self._practised if self._evaluates else self.state.episode_id
        self._count(outcome, end + 1)
        return self._go_home()

    def _count(self, outcome: str, steps: int) -> None:
        """Note what it came to, and so which direction is next."""
        c = self.counts
        if self._evaluates:
            return
        c.steps += steps
        if self._is_shown:
            c.direction = opposite(c.direction) if outcome == SUCCESS else c.direction
        elif self.state.mark == SOLVED:
            self._course.solved()
            self._is_prepared = True  # what was failed at before is not in the way of this direction
        elif outcome != ABORTED:
            self._doubt.ended(outcome == SUCCESS, self._has_moved)
            count, direction = c.failures_in_a_row + 1, c.direction
            if self._course.ended(outcome == SUCCESS):
                self._note = f"direction flipped without a success: {count} failures in {direction}"

    def _limit_reached(self) -> str:
        limit = self._limit
        if self._evaluates and self._aborts:
            return f"{self.state.episode_id} was aborted"
        if limit.episodes and self.tally.episodes >= limit.episodes:
            return f"{self.tally.episodes} episodes done"
        if limit.steps and self.tally.steps >= limit.steps:
            return f"{self.tally.steps} steps done"
        return ""

    # -- what goes wrong, and the end ------------------------------------------------

    def _lost(self, event: e.Lost) -> list[e.Command]:
        return self._end(ABORTED, event.reason)

    def _gate_lost(self, event: e.GateDown) -> list[e.Command]:
        if self.state.phase in LIVE:
            return self._end(ABORTED, event.reason)
        if self.state.phase == NUDGING:  # made again it would press there again; counted, even where it had not left
            self._note_move(has_moved=True)
        return self._pause(f"waits for the gate: {event.reason}", GATE)

    def _gate_back(self, event: e.GateUp) -> list[e.Command]:
        return self._go_home() if self.state.waits_for == GATE else []

    def _home_failed(self, event: e.HomeFailed) -> list[e.Command]:
        return self._pause(event.reason, ARM)

    def _want_break(self, event: e.Pause | e.Reset) -> list[e.Command]:
        """Nothing changes until the episode is over and the arm is home. A reset is a pause, too: none replaces it."""
        self._wants_break = self._wants_break if isinstance(self._wants_break, e.Reset) else event
        return [e.Announce(self.state)]

    def _break(self, event: e.Pause | e.Reset) -> list[e.Command]:
        self._wants_break = None
        if isinstance(event, e.Pause):
            return self._pause(BREAK)
        self._asked = "reset"
        return self._pause(RESET, SCENE)

    def _pause_meanwhile(self, event: e.Pause) -> list[e.Command]:
        """A pause that would end with the gate's stop becomes one that a person ends."""
        return self._break(event) if self.state.waits_for == GATE else []

    def _reset_meanwhile(self, event: e.Reset) -> list[e.Command]:
        """A pause becomes one in which the scene is laid anew, unless it is one already."""
        return [] if self._asked in ("ask", "reset") else self._break(event)

    def _cancel(self, event: e.Cancel) -> list[e.Command]:
        self._ending = e.Finish(True, event.reason)
        if self.state.phase in LIVE:
            return self._end(ABORTED, event.reason)
        if self.state.phase in (PAUSED, READY):
            return self._finish(self._ending)
        return [] if self.state.phase == HOMING else self._go_home()

    def _finish(self, finish: e.Finish) -> list[e.Command]:
        return [*self._enter(FINISHED, reason=finish.reason), finish]


TRANSITIONS: dict[tuple[str, type], Callable[..., list[e.Command]]] = {
    (IDLE, e.Begin): PracticeMachine._begin,
    (FINISHED, e.Begin): PracticeMachine._begin,
    (HOMING, e.AtHome): PracticeMachine._at_home,
    (HOMING, e.HomeFailed): PracticeMachine._home_failed,
    (NUDGING, e.Nudged): PracticeMachine._nudged,
    (NUDGING, e.Elapsed): PracticeMachine._nudged,
    (RESTING, e.Elapsed): PracticeMachine._rested,
    (RESTING, e.Learnt): PracticeMachine._rested,
    (READY, e.Elapsed): PracticeMachine._act,
    (ACTING, e.Judged): PracticeMachine._judge,
    (ACTING, e.Lost): PracticeMachine._lost,
    (SHOWING, e.Judged): PracticeMachine._watch,
    (READY, e.Told): PracticeMachine._start,
    (PAUSED, e.Told): PracticeMachine._told_to_go_on,
    **{(phase, e.Told): PracticeMachine._said for phase in LIVE},
    **{(phase, e.Told): PracticeMachine._again for phase in (*HOLDS, RESTING)},
    **{(phase, wish): PracticeMachine._want_break for phase in (*HOLDS, *LIVE) for wish in (e.Pause, e.Reset)},
    **{(phase, wish): PracticeMachine._break for phase in (RESTING, READY) for wish in (e.Pause, e.Reset)},
    (PAUSED, e.Pause): PracticeMachine._pause_meanwhile,
    (PAUSED, e.Reset): PracticeMachine._reset_meanwhile,
    (PAUSED, e.Resume): PracticeMachine._helped,
    (PAUSED, e.GateUp): PracticeMachine._gate_back,
    **{(phase, e.GateDown): PracticeMachine._gate_lost for phase in (*HOLDS, RESTING, READY, *LIVE)},
    **{(phase, e.Cancel): PracticeMachine._cancel for phase in (*HOLDS, RESTING, READY, *LIVE, PAUSED)},
}
