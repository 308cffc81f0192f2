"""The machine with its judge, its watch and its deadlines: everything but the wires. Pure.

Each method takes what arrived and the steady time, and returns what is to be done.
"""

from __future__ import annotations

from armtune_policies.contract import Mode, Verdict
from armtune_policies.store.nouns import ACTING, HOMING, READY, EpisodeState

from . import events as e
from .judge import Judge
from .machine import PracticeMachine, Tally
from .settings import EpisodeParams
from .watch import PolicyWatch


class Conductor:
    """Turns messages and time into the machine's events."""

    def __init__(self, params: EpisodeParams, machine: PracticeMachine) -> None:
        self._params, self._machine = params, machine
        self._judge = Judge(params.answer_deadline_s)
        self._watch = PolicyWatch(params.stall_s, params.held_s)
        self._due_ns: int | None = None

    @property
    def state(self) -> EpisodeState:
        return self._machine.state

    @property
    def tally(self) -> Tally:
        return self._machine.tally

    def handle(self, event: e.Event, now_ns: int) -> list[e.Command]:
        """Take one event; ``Wait`` is kept here and comes back as ``Elapsed`` by ``pulse``."""
        before = self.state.phase
        commands = self._machine.handle(event)
        if self.state.phase != before:
            self._due_ns = None
            if self.state.phase in (READY, ACTING):
                self._judge.clear()
                self._watch.begin(now_ns)
        for command in commands:
            if isinstance(command, e.GoHome):
                self._due_ns = now_ns + round(self._params.home_s * 1e9)
            elif isinstance(command, e.Wait):
                self._due_ns = now_ns + round(command.seconds * 1e9)
        return [command for command in commands if not isinstance(command, e.Wait)]

    def gate(self, armed: bool, mode: int, why: str, holder: str, now_ns: int) -> list[e.Command]:
        """Take the gate's state: whether it is armed, its mode and why, and who has the arm."""
        is_up = armed and mode < Mode.STOP
        self._watch.holder(holder, now_ns)
        self._watch.held(why if mode == Mode.HOLD else "", now_ns)
        return self.handle(e.GateUp() if is_up else e.GateDown(why), now_ns)

    def ticked(self, episode_id: str, step: int, now_ns: int) -> None:
        """Take a tick of the step clock."""
        if self._is_acting(episode_id):
            self._judge.ticked(step, now_ns)
            self._watch.stepped(now_ns)

    def answered(self, episode_id: str, step: int, verdict: int, now_ns: int) -> list[e.Command]:
        """Take a reward answer; judge every step that can be judged now. A verdict we do not know is unknown."""
        if not self._is_acting(episode_id):
            return []
        known = Verdict(verdict) if verdict in list(Verdict) else Verdict.UNKNOWN
        self._judge.answered(step, known, now_ns)
        return self.pulse(now_ns)

    def pulse(self, now_ns: int) -> list[e.Command]:
        """Do what time asks for: unknown answers, a lost policy, the end of a wait."""
        commands: list[e.Command] = []
        if self.state.phase == ACTING:
            for step, verdict in self._judge.due(now_ns):
                commands += self.handle(e.Judged(step, verdict), now_ns)
            if self.state.phase == ACTING and (lost := self._watch.lost(now_ns)):
                commands += self.handle(e.Lost(lost), now_ns)
        elif self._due_ns is not None and now_ns >= self._due_ns:
            self._due_ns = None
            late = e.HomeFailed(f"home was not reached in {self._params.home_s} s; look, then resume")
            commands += self.handle(late if self.state.phase == HOMING else e.Elapsed(), now_ns)
        return commands

    def _is_acting(self, episode_id: str) -> bool:
        return self.state.phase == ACTING and self.state.episode_id == episode_id
