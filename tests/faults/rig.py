"""The whole graph in real time, with its faults enabled, and a listener beside it who measures.

One ``FaultStack`` serves many rows: each waits until the arm moves, injects, observes, and
leaves it practising again. Times are steady nanoseconds, by arrival here or from the arm's log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import run_oracle
from arm_log import ArmLog
from diagnostic_msgs.msg import DiagnosticArray
from models import circling_models
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from witness import Witness

from armtune_bringup.compose import compose
from armtune_bringup.status import missing
from armtune_interfaces import action, msg, srv
from armtune_policies.contract import Mode, topics
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS
from armtune_sim.oracle import Event
from fixtures.up import Up
from harness import Stack

UP_S, WAIT_S = 40.0, 20.0
RESTARTS, LEFT = 10, 3
"""The largest budget there is; a graph of which a node has so few left is not given to another test."""
LINE_S = 0.05
ANSWER_S, TRIES = 3.0, 3
MOVING_RAD_S = 0.15
OVERRIDES = (
    "sim.faults=true",
    "sim.arm_log=true",
    f"safety.restarts={RESTARTS}",
    "episode.max_aborts=100",
    "episode.home_s=600",
    "episode.stuck=0",  # nothing ever succeeds here, and nobody is asked
    "reward.threshold=0.999",
    "learner.refit_every=1000",
)
SHORT = ("task.episode_steps=12", "episode.ready_s=0.7")
"""Every phase of practice comes round in seconds."""
MS = 1_000_000


class Ear:
    """Everything heard on one topic, each with the steady time of its arrival."""

    def __init__(self, stack: Stack, topic: str, kind: type, qos: QoSProfile) -> None:
        self.topic, self.heard = topic, list[tuple[int, Any]]()
        stack.node.create_subscription(kind, topic, lambda m: self.heard.append((time.monotonic_ns(), m)), qos)

    @property
    def last(self) -> Any:
        return self.heard[-1][1] if self.heard else None

    def since(self, t_ns: int) -> list[tuple[int, Any]]:
        """What came at or after a moment."""
        return [(at_ns, m) for at_ns, m in self.heard.copy() if at_ns >= t_ns]

    def first(self, since_ns: int, fits: Callable[[Any], bool], timeout_s: float = 5.0) -> tuple[int, Any]:
        """Wait for the first fitting message since a moment; return its arrival and it."""
        end_s = time.monotonic() + timeout_s
        while True:
            if found := next(((at, m) for at, m in self.since(since_ns) if fits(m)), None):
                return found
            if time.monotonic() > end_s:
                raise AssertionError(f"{self.topic}: nothing fitting within {timeout_s} s; last: {self.last}")
            time.sleep(0.002)


class FaultStack:
    """``armtune up sim`` under a listener. Use as a context manager; entering waits until the arm may be armed."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self._folder, self._overrides = folder, (*OVERRIDES, *overrides)

    def __enter__(self) -> FaultStack:
        config = compose(list(self._overrides))
        circling_models(self._folder / "models", config)
        self.config, self.robot = config, config.robot.name
        self.stack = Stack(self._folder).__enter__()
        self.up = Up(self._folder, self.stack.domain, "experiment.time=real", *self._overrides)
        self.gate = self.ear(topics.GATE_STATE, msg.GateState, LATCHED_QOS)
        self.episodes = self.ear(topics.EPISODE_STATE, msg.EpisodeState, LATCHED_QOS)
        self.decisions = self.ear(topics.DECISION, msg.Decision, EVENT_QOS)
        self.ticks = self.ear(topics.STEP_TICK, msg.StepTick, EVENT_QOS)
        self.summaries = self.ear(topics.SUPERVISOR, DiagnosticArray, LATCHED_QOS)
        self._practice = ActionClient(self.stack.node, action.Practice, self.full(topics.PRACTICE))
        self.log = ArmLog(self.up.run / "logs/arm.csv")
        self.witness = Witness(self.up.run / "logs/arm.csv", config)
        self._asked_ns: list[int] = []
        self.injected_ns = 0
        """When the last fault was on at the latest: asking for it takes its time, too."""
        self._died_ns: dict[str, int] = {}
        self._clients: dict[str, Any] = {}
        self._line: Any = None
        self._pressed = Bool()
        self.arm_refused = ""
        try:
            self.wait(self.all_work, "every node works", UP_S)
            gate = Path(f"/proc/{self.up.nodes()['gate_node']}/environ").read_text()
            assert "fastdds_unshared.xml" in gate, "the gate under test shares memory, unlike a user's"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.up.end(timeout_s=15.0)
        self._practice.destroy()
        self.stack.__exit__()

    # -- listening and asking ------------------------------------------------------------

    def saved(self) -> set[str]:
        """Names of what the recorder has written of the seconds before a fault."""
        return {path.name for path in (self.up.run / "faults").glob("*.mcap")}

    def full(self, name: str) -> str:
        return f"/{self.robot}/{name}"

    def ear(self, topic: str, kind: type, qos: QoSProfile) -> Ear:
        return Ear(self.stack, self.full(topic), kind, qos)

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call a service by a client that is kept; an answer lost on the way (a node just restarted) is asked for anew.

        Everything called here may be asked for twice.
        """
        if name not in self._clients:
            self._clients[name] = self.stack.node.create_client(kind, self.full(name))
        client = self._clients[name]
        for _ in range(TRIES):
            if client.wait_for_service(timeout_sec=UP_S):
                future, done = client.call_async(request), threading.Event()
                future.add_done_callback(lambda _, done=done: done.set())
                if done.wait(timeout=ANSWER_S):
                    return future.result()
                client.remove_pending_request(future)
        raise AssertionError(f"{name}: no answer in {TRIES} times {ANSWER_S} s")

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait for a condition; on failure show how everything stands."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            ended = self.up.process.poll() is not None
            if ended or time.monotonic() > end_s:
                how = "the graph ended" if ended else f"not within {timeout_s:g} s"
                if (now := self.episodes.last) and (gate := self.gate.last):  # in the first line, which a report keeps
                    stood = f"{now.phase} {now.reason!r} {now.waits_for}"
                    how += f"; practice {stood}, armed {gate.armed}, held by {gate.holder!r}, {list(gate.reasons)}"
                nodes = [f"{s.name}: {s.message}" for s in self.summaries.last.status] if self.summaries.last else []
                stands = f"arm refused: {self.arm_refused}\n{self.gate.last}\n{self.episodes.last}\n{nodes}"
                raise AssertionError(f"{what}: {how}\n{stands}\n{self.up.said[-1200:]}")
            time.sleep(0.005)

    def all_work(self) -> bool:
        """Whether the supervisor says that every node is active."""
        said = self.summaries.last
        return said is not None and not missing(said) and all(s.message == "active" for s in said.status)

    def is_worn(self) -> bool:
        """Whether a node was lost so often that its restarts may be spent soon: rows kill faster than a window ends."""
        said = self.summaries.last
        lost = [int(fact.value) for s in said.status for fact in s.values if fact.key == "restarts"] if said else []
        return max(lost, default=0) > RESTARTS - LEFT

    # -- what a person does --------------------------------------------------------------

    def arm(self) -> str:
        """Arm; return blank or why not."""
        self._asked_ns.append(time.monotonic_ns())
        answer = self.call(srv.Arm, topics.ARM, srv.Arm.Request(boot_id=self.gate.last.boot_id))
        self.arm_refused = "" if answer.accepted else answer.reason
        return self.arm_refused

    def stop(self) -> None:
        self.call(Trigger, topics.STOP, Trigger.Request())

    def estop(self, pressed: bool) -> None:
        """Press the e-stop or release it; from the first time on its line speaks, as it must, until the graph ends."""
        self._pressed = Bool(data=pressed)
        if self._line is None:
            self._line = self.stack.publisher(self.full(topics.ESTOP), Bool, LATCHED_QOS)
            self.stack.node.create_timer(LINE_S, lambda: self._line.publish(self._pressed))
        self._line.publish(self._pressed)

    def clear(self, latch: str) -> str:
        """Clear one latch by its name; return blank or why not."""
        answer = self.call(srv.ClearLatch, topics.CLEAR, srv.ClearLatch.Request(name=latch))
        return "" if answer.cleared else answer.reason

    def recover(self, timeout_s: float = UP_S) -> None:
        """Do what an operator does after a fault: wait for the nodes, clear each latch, arm, let it practise."""

        def ready() -> bool:
            if not self.all_work():
                return False
            if self.gate.last.armed:
                return True
            for latch in self.gate.last.latches:
                self.clear(latch)
            return not self.arm()

        self.wait(ready, "armed again", timeout_s)
        self.wait(lambda: self.gate.last.armed, "the gate says that it is armed")
        died_ns = self._died_ns.get("episode_node", 0)
        self.wait(lambda: bool(self.episodes.since(died_ns)), "the new episode node says what it does")
        if self._is_idle():
            self._goal = self.stack.ask(self._practice.send_goal_async, action.Practice.Goal())
            self.wait(lambda: not self._is_idle(), "practice begins")  # a second goal would be refused

    def _is_idle(self) -> bool:
        return self.episodes.last is None or self.episodes.last.phase in ("idle", "finished")

    def moving(self, phase: str = "acting", timeout_s: float = UP_S, rearm: bool = True) -> None:
        """Wait until the arm moves in a phase of practice, with most of the episode still to come.

        With ``rearm`` a STOP that the machine itself caused, as a graph that just starts may, is cleared.
        """
        if rearm and (self._is_idle() or not self.gate.last.armed or not self.all_work()):
            self.recover()
        half = self.config.task.episode_steps // 2

        def moves() -> bool:
            state, gate = self.episodes.last, self.gate.last
            if rearm and not gate.armed:
                self.recover()
            early = phase != "acting" or 2 <= state.judged_step <= half
            return state.phase == phase and early and gate.mode < Mode.HOLD and self.log.speed() > MOVING_RAD_S

        self.wait(moves, f"the arm moves while {phase}", timeout_s)

    def reach(self, phase: str, timeout_s: float = UP_S) -> None:
        """Wait until practice enters a phase; where the arm moves in it, until it does.

        ``idle`` and ``paused`` are brought about: practice is cancelled, the arm is stopped and has come to rest.
        """
        if phase in ("acting", "homing"):

            def moves() -> bool:
                is_on = self.episodes.last.phase == phase and self.gate.last.mode < Mode.HOLD
                return is_on and self.log.speed() > MOVING_RAD_S

            self.wait(moves, phase, timeout_s)
            return
        if phase == "idle":  # armed, and nothing to do
            self.wait(self._goal.done, "practice taken up", timeout_s)
            self.stack.ask(self._goal.result().cancel_goal_async)
            self.wait(self._is_idle, phase, timeout_s)
            return
        if phase == "paused":
            since_ns = time.monotonic_ns()
            self.stop()
            self.wait(lambda: self.episodes.last.phase == phase, phase, timeout_s)
            self.rest_ns(since_ns)  # practice pauses while the arm brakes still
            return
        self.episodes.first(time.monotonic_ns(), lambda e: e.phase == phase, timeout_s)

    # -- faults ----------------------------------------------------------------------------

    @contextmanager
    def fault(self, name: str, value: float = 0.0) -> Iterator[int]:
        """Inject a fault by its service; yield the moment before it was asked for. It ends with the block."""
        since_ns = time.monotonic_ns()
        self._inject(name, True, value)
        self.injected_ns = time.monotonic_ns()
        try:
            yield since_ns
        finally:
            self._inject(name, False, value)

    def _inject(self, name: str, on: bool, value: float) -> None:
        request = srv.InjectFault.Request(name=name, on=on, value=value)
        answer = self.call(srv.InjectFault, topics.INJECT_FAULT, request)
        assert answer.done, answer.reason

    def signal(self, node: str, number: int) -> int:
        """Send a signal to a node's process; return the moment before."""
        pid = self.up.nodes()[node]
        since_ns = time.monotonic_ns()
        os.kill(pid, number)
        if number == signal.SIGKILL:
            self._died_ns[node] = since_ns
        return since_ns

    def twin(self, node: str, folder: Path) -> subprocess.Popen[bytes]:
        """Start a second process of a node, in the same namespace, with the same parameters."""
        pid = self.up.nodes()[node]
        command = [word.decode() for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if word]
        env = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in line)
        with open(folder / "twin.log", "wb") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)

    # -- what is measured ------------------------------------------------------------------

    def says(self, since_ns: int, mode: Mode, reason: str, timeout_s: float = 5.0) -> int:
        """Wait until the gate says a mode or a higher one for a reason; return when (``since_ns`` if before)."""

        def fits(state: msg.GateState) -> bool:
            return state.mode >= mode and any(reason in said for said in (*state.reasons, *state.latches))

        before = [state for at_ns, state in self.gate.since(0) if at_ns < since_ns]
        return since_ns if before and fits(before[-1]) else self.gate.first(since_ns, fits, timeout_s)[0]

    def rest_ns(self, since_ns: int, timeout_s: float = 5.0) -> int:
        """Wait until the arm is at rest by its own log; return since when."""
        self.wait(lambda: self.log.rest_ns(since_ns) is not None, "the arm at rest", timeout_s)
        return self.log.rest_ns(since_ns) or 0

    def stays(self, since_ns: int, for_s: float) -> float:
        """Wait a while; return how far the arm moved from where it was [rad]: the test that nothing happens."""
        until_ns = time.monotonic_ns() + round(for_s * 1e9)
        self.wait(lambda: time.monotonic_ns() > until_ns, "a while", for_s + 5.0)
        return self.log.moved_rad(since_ns, until_ns)

    def events(self) -> tuple[Event, ...]:
        """When the arm was armed (asked for, at the earliest) and stopped (said, at the latest), for the oracle."""
        marks, armed = list[Event](), False
        for at_ns, state in self.gate.since(0):
            if state.armed and not armed:
                asked = [t_ns for t_ns in self._asked_ns if t_ns <= at_ns]
                # What was asked of a gate that died is asked again of the next one.
                stopped_ns = marks[-1].t_ns + 1 if marks else 0
                marks.append(Event(max(asked[-1], stopped_ns) if asked else at_ns, "armed"))
            elif armed and not state.armed:
                gives_way = any("tracking" in name or "frozen" in name for name in state.latches)
                marks.append(Event(at_ns, "gave way" if gives_way else "stop"))
            armed = state.armed
        return tuple(marks)

    def broken(self, ended: bool = True) -> list[str]:
        """What the rest of the oracle says of the run so far, or as it ended."""
        heard = (self.decisions.heard.copy(), self.episodes.heard.copy(), self.gate.heard.copy())
        return run_oracle.broken(*heard, run=self.up.run, age_s=self.config.safety.observation_age_s, ended=ended)

    def refusals(self) -> dict[str, int]:
        """What the gate has refused so far, by source and reason."""
        return dict(zip(self.gate.last.refusals, (int(n) for n in self.gate.last.refusal_counts)))
