"""The console's plumbing: what the graph says goes to the board, what pages ask goes to the node that does it."""

from __future__ import annotations

import secrets
from collections import deque
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from action_msgs.srv import CancelGoal
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from unique_identifier_msgs.msg import UUID

from armtune_interfaces import msg
from armtune_interfaces.action import Practice
from armtune_interfaces.srv import Arm, ClearLatch
from armtune_policies.contract import SteadyClock, topics
from armtune_policies.store import schemas
from armtune_safety import managed_node as ros
from armtune_safety.managed_node import ManagedNode, run
from armtune_teleop.web import Server

from . import facts
from .access import Access, Pace, read_tokens
from .acts import ACTS
from .archive.clerk import Clerk
from .board import Board
from .desk import Desk, Wish
from .film import Film
from .journal import Journal
from .machine import machine
from .model import thresholds
from .settings import ConsoleNodeParams
from .views import open_views
from .web import Counter, Parts, app
from .web.door import Door

PUMP_S, LOOK_S, VIEW_S, NOTES = 0.01, 2.0, 0.1, 16
PER_S, BURST, ENTRIES_PER_S, ENTRIES = 60.0, 240.0, 1 / 12, 5.0
"""Requests of one address: so many a second, so many at once; and tries of a token."""
SERVICES: dict[str, Any] = {
    "trigger": Trigger,
    "switch": SetBool,
    "arm": Arm,
    "clear": ClearLatch,
    "cancel": CancelGoal,
    "practise": Practice.Impl.SendGoalService,
}
QOS = {"latched": ros.LATCHED_QOS, "event": ros.EVENT_QOS, "camera": ros.CAMERA_QOS}
BUSY = "practice goes on already, or episode_node is not active"


class ConsoleNode(ManagedNode):
    """Plumbing around ``Board``, ``Film``, ``Desk`` and the web app."""

    Params = ConsoleNodeParams
    params: ConsoleNodeParams
    _made = ExitStack()

    def set_up(self) -> None:
        p, self._made, clock = self.params, ExitStack(), SteadyClock()
        schemas.typestore()  # before time counts
        told = thresholds(p.reward_folder, p.threshold)
        self._robot = self.get_namespace().strip("/") or "armtune"
        self._board = Board(clock, {"robot": self._robot, "run": p.run_id, **told})
        console = p.console
        self._film = Film(p.camera_names, console.width_px, console.jpeg_quality, console.frames_hz, clock)
        self._desk, self._journal = Desk(clock), Journal(Path(p.run_folder))
        self._made.callback(self._journal.close)
        self._views = open_views(console, p.camera_names)
        self._made.callback(self._views.close)
        self._cameras: list[Any] = []
        self._noted: deque[tuple[str, int]] = deque()
        self._connect()
        self._serve()

    def _connect(self) -> None:
        kinds = {"JointState": JointState}
        wires: list[Any] = [
            (kinds.get(name) or getattr(msg, name), topic, partial(self._on_facts, kind, read), QOS[qos])
            for kind, (topic, name, qos, read) in facts.WIRES.items()
        ]
        wires += [
            (msg.Heartbeat, topics.HEARTBEAT, self._on_beat, ros.EVENT_QOS),
            (DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, ros.EVENT_QOS),
            (DiagnosticArray, topics.SUPERVISOR, lambda m: self._board.put("up", facts.up(m)), ros.LATCHED_QOS),
        ]
        for wire in wires:
            self._made.callback(self.destroy_subscription, self.create_subscription(*wire))
        self._asked = {act.service: self.create_client(SERVICES[act.kind], act.service) for act in ACTS.values()}
        for period_s, work in ((PUMP_S, self._pump), (LOOK_S, self._look), (VIEW_S, self._view)):
            self._made.callback(self.destroy_timer, self.create_timer(period_s, work))
        self._look()

    def _serve(self) -> None:
        p, hand, clock = self.params.console, self.params.teleop_host, SteadyClock()
        run_folder = Path(self.params.run_folder)
        models = tuple(Path(f) for f in (self.params.policy_folder, self.params.reward_folder) if f)
        clerk = Clerk(run_folder.parent, models)
        self._made.callback(clerk.close)
        access = Access(read_tokens(Path(p.tokens)) if p.tokens else {}, clock)
        door = Door(access, Pace(ENTRIES_PER_S, ENTRIES, clock), f"armtune_{p.port}", p.plain_names)
        parts = Parts(p, door, self._board, self._film, self._desk, clerk, Counter(), self._note, hand)
        tls = (p.tls_cert, p.tls_key) if p.tls_cert else None
        server = Server(app(parts, Pace(PER_S, BURST, clock)), p.host, p.port, tls, is_proxied=p.is_proxied)
        self._made.callback(server.close)
        address = p.address(server.port)
        self.get_logger().info(f"the console is at {address}")
        self.report(page=address)

    def tear_down(self) -> None:
        self._made.close()

    # -- what the graph says ---------------------------------------------------------------

    def _on_facts(self, kind: str, read: Any, message: Any) -> None:
        said = read(message)
        self._board.put(kind, said)
        self._journal.put(kind, said, self.get_clock().now().nanoseconds)
        self.did_work()

    def _on_beat(self, beat: msg.Heartbeat) -> None:
        if beat.node == "gate_node":
            self._board.put("beat", {})

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            if status.hardware_id == self._robot:  # the topic is every robot's
                self._board.put_node(*facts.diagnostics(status))

    def _look(self) -> None:
        self._board.put("machine", machine(Path(self.params.run_folder)))
        trouble = self._journal.trouble
        level = DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK
        self.report(trouble, level=level, encoded=self._film.encoded)

    def _view(self) -> None:
        """Listen to the cameras while somebody watches; feed what else is open."""
        is_watched = self._film.is_watched or self._views.is_open
        if is_watched and not self._cameras:
            for name in self._film.names:
                on_frame = partial(self._film.put, name)
                wire = self.create_subscription(Image, topics.image(name), on_frame, ros.CAMERA_QOS, raw=True)
                self._cameras.append(wire)
        elif self._cameras and not is_watched:
            while self._cameras:
                self.destroy_subscription(self._cameras.pop())
        if self._views.is_open:
            self._views.show(self._board.snapshot(), self._film, self.get_clock().now().nanoseconds)

    # -- what pages ask --------------------------------------------------------------------

    def _pump(self) -> None:
        for wish in self._desk.take():  # before the disk, which a STOP does not wait for
            client = self._asked[wish.act.service]
            if not client.service_is_ready():
                wish.say(False, f"{wish.act.node} is not there")
                continue
            client.call_async(_request(wish)).add_done_callback(partial(_answer, wish))
        for _ in range(min(len(self._noted), NOTES)):
            self._journal.note("act", *self._noted.popleft())

    def _note(self, who: str, act: str, done: bool, why: str) -> None:
        """Tell every page, and the run's journal, who asked for what; from a page's thread."""
        self._board.put("newest_act", {"who": who, "act": act, "done": done, "why": why})
        self._noted.append((f"{act} by {who}: {'done' if done else why}", self.get_clock().now().nanoseconds))


def _request(wish: Wish) -> Any:
    kind = SERVICES[wish.act.kind]
    if wish.act.kind == "practise":
        goal_id = UUID(uuid=list(secrets.token_bytes(16)))
        return kind.Request(goal_id=goal_id, goal=Practice.Goal(**wish.told))
    return kind.Request(**wish.told)  # of CancelGoal an empty one: whoever began it


def _answer(wish: Wish, future: Future) -> None:
    answer = future.result()
    if wish.act.kind == "practise":
        wish.say(answer.accepted, "" if answer.accepted else BUSY)
    elif wish.act.kind == "cancel":
        is_done = answer.return_code == CancelGoal.Response.ERROR_NONE and len(answer.goals_canceling) > 0
        wish.say(is_done, "" if is_done else "nothing is being practised")
    else:
        done, why = (getattr(answer, name) for name in answer.get_fields_and_field_types())
        wish.say(done, why)


def main() -> None:
    run(lambda: ConsoleNode("console_node"))


if __name__ == "__main__":
    main()
