"""Practice as a pure state machine: events in, commands out, one table of transitions.

::

    idle -> homing -> ready -> acting -> homing -> resting -> ready -> ...
                                              \\-> finished
    any of them -> paused (gate stopped, reset wanted, home not reached) -> homing

The direction flips on success only; after ``max_failures`` failures in one direction it is
flipped all the same, and the state says so: a reward that misses a standing success would
otherwise freeze practice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from armtune_policies.contract import Direction, TaskPair, opposite
from armtune_policies.reward.vote import SuccessVote
from armtune_policies.store.nouns import (
    ABORTED,
    ACTING,
    FINISHED,
    HOMING,
    IDLE,
    PAUSED,
    READY,
    RESTING,
    SUCCESS,
    TIMEOUT,
    EpisodeState,
)

from . import events as e
from .settings import EpisodeParams

MIN_REST_S = 0.05
"""An outcome is announced at least this long before the next episode replaces it."""


@dataclass(frozen=True)
class Tally:
    """What practice came to; aborted episodes count as steps only."""

    episodes: int = 0
    steps: int = 0
    forward_episodes: int = 0
    forward_successes: int = 0
    backward_episodes: int = 0
    backward_successes: int = 0

    def with_episode(self, direction: Direction, outcome: str, steps: int) -> Tally:
        if outcome == ABORTED:
            return replace(self, steps=self.steps + steps)
        tried, done = f"{direction}_episodes", f"{direction}_successes"
        counts = {tried: getattr(self, tried) + 1, done: getattr(self, done) + (outcome == SUCCESS)}
        return replace(self, episodes=self.episodes + 1, steps=self.steps + steps, **counts)


class PracticeMachine:
    """Feed it events by ``handle``; it says what is to be done.

    An event that means nothing in the present phase is ignored.

    Args:
        params: Vote, flip and reset rules.
        task: The task pair.
        rest_s: Pause between episodes [s].
        run_id: Episodes are called ``<run_id>-<index>``.
        config_hash: Goes into every state.
        first_index: Of the first episode; not 0 when a run goes on.
    """

    def __init__(
        self, params: EpisodeParams, task: TaskPair, rest_s: float, run_id: str, config_hash: str, first_index: int = 0
    ) -> None:
        self._params, self._task, self._rest_s = params, task, rest_s
        self._vote = SuccessVote(params.vote_need, params.vote_window)
        self._index = first_index
        self._limit = e.Begin()
        self._direction: Direction = "forward"
        self._failures = self._aborts = self._since_reset = 0
        self._gate_down = "the gate has not been heard yet"
        self._waits_for_person = False
        self._ending: e.Finish | None = None
        self._note = ""
        self.tally = Tally()
        self.state = EpisodeState(run_id=run_id, task=task.name, config_hash=config_hash)

    def handle(self, event: e.Event) -> tuple[e.Command, ...]:
        """Take one event; return what is to be done, in order."""
        if isinstance(event, e.GateUp):
            self._gate_down = ""
        elif isinstance(event, e.GateDown):
            self._gate_down = event.reason
        step = TRANSITIONS.get((self.state.phase, type(event)))
        return () if step is None else tuple(step(self, event))

    # -- phases --------------------------------------------------------------------

    def _enter(self, phase: str, **changes: object) -> list[e.Command]:
        """Change phase: let go of what the old one held, announce, start the new one."""
        left = [e.LetGo()] if self.state.phase == HOMING and phase != HOMING else []
        self.state = replace(self.state, phase=phase, **changes)  # type: ignore[arg-type]
        starts: dict[str, e.Command] = {
            HOMING: e.GoHome(),
            READY: e.Wait(self._params.ready_s),
            RESTING: e.Wait(max(self._rest_s, MIN_REST_S)),
        }
        begins = [starts[phase]] if phase in starts else []
        return [*left, e.Announce(self.state), *begins]

    def _begin(self, event: e.Begin) -> list[e.Command]:
        self._limit, self._ending, self.tally = event, None, Tally()
        self._failures = self._aborts = self._since_reset = 0
        return self._go_home()

    def _go_home(self, *_: e.Event) -> list[e.Command]:
        """Homing is the way into every phase of work, and needs the gate."""
        if self._gate_down:
            return self._pause(f"waits for the gate: {self._gate_down}")
        return self._enter(HOMING)

    def _pause(self, reason: str, for_person: bool = False) -> list[e.Command]:
        if self._ending is not None:
            return self._finish(self._ending)
        self._waits_for_person = for_person
        return self._enter(PAUSED, reason=reason)

    def _at_home(self, _: e.AtHome) -> list[e.Command]:
        if self._ending is not None:
            return self._finish(self._ending)
        if reached := self._limit_reached():
            return self._finish(e.Finish(False, reached))
        every = self._params.reset_every_episodes
        if every and self._since_reset >= every:
            self._since_reset = 0
            return self._pause(f"reset the scene, then resume: {every} episodes are done", for_person=True)
        if self._aborts >= self._params.max_aborts:
            count, self._aborts = self._aborts, 0
            return self._pause(f"{count} episodes in a row were aborted, look and resume", for_person=True)
        return self._enter(RESTING) if self.state.outcome else self._ready()

    def _ready(self, *_: e.Event) -> list[e.Command]:
        """Announce the next episode; a new policy may be swapped in now."""
        self._vote.clear()
        index, note = self._index, self._note
        self._index, self._note = index + 1, ""
        return self._enter(
            READY,
            episode_id=f"{self.state.run_id}-{index:05d}",
            index=index,
            direction=self._direction,
            sentence=self._task.sentence(self._direction),
            judged_step=-1,
            outcome="",
            end_step=-1,
            reason=note,
        )

    def _act(self, _: e.Elapsed) -> list[e.Command]:
        return self._enter(ACTING)

    def _judge(self, event: e.Judged) -> list[e.Command]:
        if event.step != self.state.judged_step + 1:
            return []
        self.state = replace(self.state, judged_step=event.step)
        if self._vote.add(event.verdict):
            standing = event.step < self._params.vote_need
            return self._end(SUCCESS, "solved at the start" if standing else "")
        if event.step + 1 >= self._task.episode_steps:
            return self._end(TIMEOUT, "")
        return [e.Announce(self.state)]

    def _end(self, outcome: str, reason: str) -> list[e.Command]:
        """Note how the episode ended, choose the next direction, send the arm home."""
        end = self.state.judged_step
        self.tally = self.tally.with_episode(self._direction, outcome, end + 1)
        self._since_reset += outcome != ABORTED
        self._aborts = self._aborts + 1 if outcome == ABORTED else 0
        self.state = replace(self.state, outcome=outcome, end_step=end, reason=reason)
        self._choose_direction(outcome)
        return self._go_home()

    def _choose_direction(self, outcome: str) -> None:
        if outcome == SUCCESS:
            self._direction, self._failures = opposite(self._direction), 0
        elif outcome == TIMEOUT:
            self._failures += 1
            if self._failures >= self._params.max_failures:
                self._note = f"direction flipped without a success: {self._failures} failures in {self._direction}"
                self._direction, self._failures = opposite(self._direction), 0

    def _limit_reached(self) -> str:
        limit = self._limit
        if limit.episodes and self.tally.episodes >= limit.episodes:
            return f"{self.tally.episodes} episodes done"
        if limit.steps and self.tally.steps >= limit.steps:
            return f"{self.tally.steps} steps done"
        return ""

    # -- what goes wrong, and the end ------------------------------------------------

    def _lost(self, event: e.Lost) -> list[e.Command]:
        return self._end(ABORTED, event.reason)

    def _gate_lost(self, event: e.GateDown) -> list[e.Command]:
        if self.state.phase == ACTING:
            return self._end(ABORTED, event.reason)
        return self._pause(f"waits for the gate: {event.reason}")

    def _gate_back(self, event: e.GateUp) -> list[e.Command]:
        return [] if self._waits_for_person else self._go_home()

    def _home_failed(self, event: e.HomeFailed) -> list[e.Command]:
        return self._pause(event.reason, for_person=True)

    def _cancel(self, event: e.Cancel) -> list[e.Command]:
        self._ending = e.Finish(True, event.reason)
        if self.state.phase == ACTING:
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
    (RESTING, e.Elapsed): PracticeMachine._ready,
    (READY, e.Elapsed): PracticeMachine._act,
    (ACTING, e.Judged): PracticeMachine._judge,
    (ACTING, e.Lost): PracticeMachine._lost,
    (PAUSED, e.Resume): PracticeMachine._go_home,
    (PAUSED, e.GateUp): PracticeMachine._gate_back,
    **{(phase, e.GateDown): PracticeMachine._gate_lost for phase in (HOMING, RESTING, READY, ACTING)},
    **{(phase, e.Cancel): PracticeMachine._cancel for phase in (HOMING, RESTING, READY, ACTING, PAUSED)},
}
