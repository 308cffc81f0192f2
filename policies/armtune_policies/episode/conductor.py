"""The machine with its judge, its watch and its deadlines: everything but the wires. Pure.

Each method takes what arrived and the steady time, and returns what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from armtune_policies.contract import HOLD_REQUESTED, OPERATOR, OPERATOR_LOST, SINGULAR, WALL, Direction, Mode, Verdict
from armtune_policies.store.nouns import (
    ACTING,
    EVALUATION,
    FINISHED,
    HOMING,
    IDLE,
    LIVE,
    NUDGING,
    PAUSED,
    READY,
    SUCCESS,
    EpisodeState,
)

from . import events as e
from .course import Counts
from .judge import Judge
from .machine import PracticeMachine
from .memory import Floats, Memory
from .settings import EpisodeParams
from .tally import Tally
from .watch import PolicyWatch

WHOLE_S = 0.25
"""A step that began so long ago is over: longer than any control period."""
_PATIENT = frozenset((HOLD_REQUESTED, OPERATOR_LOST))
ALONE = (IDLE, FINISHED, PAUSED)
"""Phases in which somebody else may move things."""
_OWN_DOING = frozenset((WALL, SINGULAR))


class Conductor:
    """Turns messages and time into the machine's events.

    Args:
        params: Vote, flip and reset rules.
        machine: Says what follows from what.
        memory: Says where to push.
        seed: Of nudges.
        waits_for_sight: Whether a step is judged only once its observation came, too (lockstep).
    """

    def __init__(
        self,
        params: EpisodeParams,
        machine: PracticeMachine,
        memory: Memory | None = None,
        seed: int = 0,
        waits_for_sight: bool = False,
    ) -> None:
        self._params, self._machine, self._seed = params, machine, seed
        self._memory, self._corrected = memory or Memory(), -1
        self._judge = Judge(params.answer_deadline_s, params.vote_opening, waits_for_sight)
        self._watch = PolicyWatch(params.stall_s, params.held_s)
        self._due_ns: int | None = None
        self._ticked = (-1, 0)
        self._has_pushed, self._seen_back, self._nudge = False, "", e.Nudge("forward", 0)
        self._is_asked = self._was_asked = self._is_held = False
        self._off_home: Callable[[], str] = str
        self._held: set[int] = set()
        self._waits_for_sight = waits_for_sight

    @property
    def state(self) -> EpisodeState:
        return self._machine.state

    @property
    def tally(self) -> Tally:
        return self._machine.tally

    @property
    def counts(self) -> Counts:
        return self._machine.counts

    def handle(self, event: e.Event, now_ns: int) -> list[e.Command]:
        """Take one event; ``Wait`` is kept here and comes back as ``Elapsed`` by ``pulse``."""
        before = self.state
        if before.phase == NUDGING and isinstance(event, e.Nudged | e.Elapsed):
            passed = event.passed if isinstance(event, e.Nudged) else ()
            if not self._memory.followed(passed) and isinstance(event, e.Nudged) and (more := self._routed()):
                return more
            event = e.Nudged(made=self._has_pushed)
        if isinstance(event, e.AtHome):
            self._look_back(before)
            self._machine.handle(e.Stands(self._memory.stands_m))
        commands = self._machine.handle(event)
        if self.state.phase != before.phase:
            self._due_ns, self._has_pushed = None, False
            if before.phase in ALONE:
                self._look_back(before)
                self._memory.forget()
            if self.state.phase == READY:
                self._memory.begin()
                self._corrected = -1
            if self.state.phase in (READY, *LIVE):
                self._judge.clear()
                self._ticked = (-1, now_ns)
                self._watch.begin(now_ns)
                self._held, self._was_asked = set(), self._is_asked
        for command in commands:
            if isinstance(command, e.GoHome):
                self._due_ns = now_ns + round(self._params.home_s * 1e9)
            elif isinstance(command, e.Wait):
                self._due_ns = now_ns + round(command.seconds * 1e9)
        return [done for command in commands for done in self._worked_out(command, now_ns)]

    def _worked_out(self, command: e.Command, now_ns: int) -> list[e.Command]:
        """Keep a ``Wait``, and turn a ``Nudge`` into its route; one that nobody knows how to make is over at once."""
        if isinstance(command, e.Wait):
            return []
        if not isinstance(command, e.Nudge):
            return [command]
        self._nudge = command
        return self._routed() or self.handle(e.Nudged(made=False), now_ns)

    def _routed(self) -> list[e.Command]:
        """Return how to make the newest nudge, as the memory knows now; nothing where it does not."""
        seed = int(np.random.default_rng([self._seed, 3, self._nudge.number]).integers(2**31))
        legs = self._memory.route(self._nudge.direction, seed, self._nudge.move)
        return [] if legs is None else [e.Follow(legs)]

    def _look_back(self, ended: EpisodeState) -> None:
        """Learn from an episode that is over, once."""
        if ended.episode_id != self._seen_back and ended.outcome == SUCCESS and ended.purpose != EVALUATION:
            self._memory.succeeded(cast(Direction, ended.direction))
        self._seen_back = ended.episode_id

    def gate(
        self, armed: bool, mode: int, why: str, holder: str, now_ns: int, reasons: Sequence[str] = ()
    ) -> list[e.Command]:
        """Take the gate's state: whether it is armed, its mode and why, who has the arm, and the reasons one by one.

        A hold that a person asked for, or that waits for one, lasts as long as it takes: no deadline of ours runs
        meanwhile. No step that is held is still, or makes time run out, unless the policy had itself held. In lockstep
        only a person's hold counts so: the gate's state and its steps come in no certain order.
        """
        is_up, self._is_asked = armed and mode < Mode.STOP, not _PATIENT.isdisjoint(reasons)
        is_other = not self._waits_for_sight and _OWN_DOING.isdisjoint(reasons)
        self._is_held = mode == Mode.HOLD and (self._is_asked or is_other)
        self._note_hold()
        if self._is_asked or holder == OPERATOR:
            self._meddled()
        self._watch.holder(holder, now_ns)
        self._watch.held(why if mode == Mode.HOLD else "", now_ns)
        return self.handle(e.GateUp() if is_up else e.GateDown(why), now_ns)

    def _meddled(self) -> None:
        """A person may have moved things: where anything stands is not known, nor was it in the try under way."""
        self._memory.forget()
        self._machine.handle(e.Stands())

    def _note_hold(self) -> None:
        """Remember of the step under way that the gate holds the arm, if it does."""
        self._was_asked = self._was_asked or self._is_asked
        if self._is_held:
            self._held.add(self._ticked[0])

    def moved(self, opening: float, off_home: Callable[[], str] = str) -> None:
        """Take the gripper's opening 0..1 as measured, for the vote may ask for it; and who says how far home is."""
        self._judge.moved(opening)
        self._off_home = off_home

    def saw(self, episode_id: str, step: int, state: Floats, now_ns: int) -> list[e.Command]:
        """Take ``observation.state`` (7,) of a step."""
        if not self._is_live(episode_id):
            return []
        self._memory.saw(step, state)
        self._judge.saw(step, float(state[-1]), now_ns)
        return self.pulse(now_ns)

    def proposed(self) -> None:
        """Note that a part of a motion of our own was proposed: a nudge counts only with one."""
        self._has_pushed = True

    def made(self, episode_id: str, step: int, opening: float) -> None:
        """Take what the gate allowed of a step: the gripper's opening 0..1; the last one comes when it is over."""
        if self.state.episode_id == episode_id:
            self._memory.made(step, opening)

    def ticked(self, episode_id: str, step: int, now_ns: int, holder: str = "") -> None:
        """Take a tick of the step clock; a person who holds the arm may hold it still."""
        if self._is_live(episode_id):
            self._corrected = step if holder == OPERATOR else self._corrected
            self._judge.ticked(step, now_ns)
            self._watch.stepped(now_ns)
            self._ticked = (step, now_ns)
            self._note_hold()

    def answered(self, episode_id: str, step: int, verdict: int, now_ns: int) -> list[e.Command]:
        """Take a reward answer; judge every step that can be judged now. A verdict we do not know is unknown."""
        if not self._is_live(episode_id):
            return []
        known = Verdict(verdict) if verdict in list(Verdict) else Verdict.UNKNOWN
        self._judge.answered(step, known, now_ns)
        return self.pulse(now_ns)

    def told(self, key: str, now_ns: int) -> list[e.Command]:
        """Take what an operator says of the episode; nothing is to be done where it means nothing."""
        step, began_ns = self._ticked
        is_over = (now_ns - began_ns) / 1e9 >= WHOLE_S
        commands = self.handle(e.Told(key, step if is_over else step - 1), now_ns)
        if key == "again" and commands:  # a person puts the scene back
            self._meddled()
        return commands

    def pulse(self, now_ns: int) -> list[e.Command]:
        """Do what time asks for: unknown answers, a lost policy, the end of a wait."""
        commands: list[e.Command] = []
        if self._is_asked:
            self._watch.excuse(now_ns)
            if self.state.phase in (longest_s := {HOMING: self._params.home_s, NUDGING: self._params.nudge_s}):
                self._due_ns = now_ns + round(longest_s[self.state.phase] * 1e9)
            elif self.state.phase == READY:
                return commands  # an episode that begins held could only fail
        if self.state.phase in LIVE:
            for step, verdict in self._judge.due(now_ns):
                is_held = {step - 1, step} <= self._held or self._was_asked  # a single late proposal is no excuse
                judged = e.Judged(step, verdict, self._is_still(step), is_held, self._memory.has_moved)
                commands += self.handle(judged, now_ns)
            if self.state.phase == ACTING and (lost := self._watch.lost(now_ns)):
                commands += self.handle(e.Lost(lost), now_ns)
        elif self._due_ns is not None and now_ns >= self._due_ns:
            self._due_ns = None
            late = e.HomeFailed(f"home was not reached in {self._params.home_s} s{self._off_home()}; look, then resume")
            commands += self.handle(late if self.state.phase == HOMING else e.Elapsed(), now_ns)
        return commands

    def _is_still(self, step: int) -> bool:
        p = self._params
        is_alone = self._corrected < step - p.still_steps
        is_free = self._held.isdisjoint(range(step - p.still_steps, step + 1))
        return p.still > 0 and is_alone and is_free and self._memory.is_still(step, p.still_steps, p.still)

    def _is_live(self, episode_id: str) -> bool:
        return self.state.phase in LIVE and self.state.episode_id == episode_id
