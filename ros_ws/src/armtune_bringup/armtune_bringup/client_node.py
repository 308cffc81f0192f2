"""The command line's one way into ROS: calls services, follows practice, reads states."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from armtune_interfaces.action import Practice
from armtune_interfaces.msg import EpisodeState, GateState, PolicyState
from armtune_interfaces.srv import Arm, ClearLatch, InjectFault, ResetWorld
from armtune_policies.contract import ConfigError, topics
from armtune_safety.managed_node import LATCHED_QOS

from .lives import Lives
from .status import missing, status, the_one

FIND_S, ANSWER_S, CANCEL_S = 5.0, 5.0, 30.0
SEEN_AT_ONCE_S = 0.3  # how much longer to look once one graph is found, in case there are two


class Client(Node):
    """A short-lived node beside a running graph. Use as a context manager.

    Args:
        robot: Namespace of the graph; blank finds the only one on this domain.
        find_s: How long to look for it.
        watch: Called about ten times a second while waiting; may raise to give up.

    Raises:
        ConfigError: when no graph runs, or several and none was named.
    """

    def __init__(self, robot: str = "", find_s: float = FIND_S, watch: Callable[[], None] = lambda: None) -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        super().__init__("armtune_client", enable_rosout=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.robot, self._find_s, self._watch = robot, find_s, watch

    def __enter__(self) -> Client:
        try:
            self.robot = self._find(self.robot)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self.destroy_node()
        rclpy.try_shutdown()

    def gate(self) -> GateState:
        """Return the gate's state now."""
        return self._latched(GateState, topics.GATE_STATE, FIND_S, "gate")

    def status(self) -> dict[str, Any]:
        """Return what the graph says of itself, as plain values."""
        policy = self._latched(PolicyState, topics.POLICY_STATE, 1.0, "")
        return status(self.robot, self.gate(), self.episode(1.0), policy)

    def arm(self) -> str:
        """Arm the gate; return blank, or why it refused."""
        return self._ask(Arm, topics.ARM, Arm.Request(boot_id=self.gate().boot_id))

    def arm_when_ready(self, timeout_s: float) -> None:
        """Wait until every node works and the gate lets itself be armed; a graph takes a while to start.

        Raises:
            TimeoutError: with what was missing last.
        """
        end_s, reason = time.monotonic() + timeout_s, "it never said why"
        while time.monotonic() < end_s:
            if not (reason := missing(self._latched(DiagnosticArray, topics.SUPERVISOR, 1.0, "")) or self.arm()):
                return
            for _ in range(10):
                self._spin()
        raise TimeoutError(f"the gate could not be armed within {timeout_s:g} s: {reason}")

    def episode(self, timeout_s: float = FIND_S) -> EpisodeState | None:
        return self._latched(EpisodeState, topics.EPISODE_STATE, timeout_s, "")

    def trigger(self, service: str) -> str:
        return self._ask(Trigger, service, Trigger.Request())

    def hold(self, on: bool) -> str:
        return self._ask(SetBool, topics.HOLD, SetBool.Request(data=on))

    def clear(self, latch: str) -> str:
        return self._ask(ClearLatch, topics.CLEAR, ClearLatch.Request(name=latch))

    def reset_world(self, seed: int, direction: str) -> None:
        """Simulation only: lay a seed's scene, ``direction`` to be done; blank: lift the arm home, and that alone."""
        if why := self._ask(ResetWorld, topics.RESET_WORLD, ResetWorld.Request(seed=seed, direction=direction)):
            raise ConfigError(f"the world was not reset: {why}")

    def fault(self, name: str, on: bool, value: float) -> str:
        if not self.count_services(self._full(topics.INJECT_FAULT)):  # simulation only
            return "faults are not enabled; start with sim.faults=true"
        return self._ask(InjectFault, topics.INJECT_FAULT, InjectFault.Request(name=name, on=on, value=value))

    def practice(
        self, episodes: int, steps: int, progress: Callable[[Any], None], stop: Callable[[], bool],
        action: str = topics.PRACTICE, direction: str = "",
    ) -> Practice.Result:  # fmt: skip
        """Practise (or another ``action`` of its kind) until the limits or ``stop``; ``progress`` gets each feedback.

        Raises:
            ConfigError: when the goal is refused.
            TimeoutError: when the graph does not answer.
        """
        client, lives = ActionClient(self, Practice, self._full(action)), Lives()
        state = self.create_subscription(EpisodeState, self._full(topics.EPISODE_STATE), lives.heard, LATCHED_QOS)
        try:
            if not client.wait_for_server(timeout_sec=FIND_S):
                raise TimeoutError(f"{self._full(action)}: no answer within {FIND_S:g} s; is episode_node up?")
            asked = Practice.Goal(episodes=episodes, steps=steps, direction=direction)
            handle = self._await(client.send_goal_async(asked, lambda said: progress(said.feedback)), action)
            if not handle.accepted:
                raise ConfigError(f"{action} was refused: is one running already? see `armtune status`")
            return self._follow(handle, stop, lives)
        finally:
            self.destroy_subscription(state)
            client.destroy()

    def _follow(self, handle: Any, stop: Callable[[], bool], lives: Lives) -> Practice.Result:
        done, cancelled_s = handle.get_result_async(), None
        while not done.done():
            self._spin()
            if cancelled_s is None and stop():
                handle.cancel_goal_async()
                cancelled_s = time.monotonic()
            if cancelled_s is not None and time.monotonic() - cancelled_s > CANCEL_S:
                raise TimeoutError(f"practice did not end within {CANCEL_S:g} s of being asked to")
            gone = "" if self.count_publishers(self._full(topics.GATE_STATE)) else "the graph went away"
            if why := gone or lives.why:
                raise TimeoutError(f"{why} while it practised; the same command goes on")
        return done.result().result

    def _spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.05)
        self._watch()

    def _full(self, name: str) -> str:
        return f"/{self.robot}/{name}"

    def _find(self, robot: str) -> str:
        """Return the namespace of the one graph here."""
        found: set[str] = set()
        end_s = time.monotonic() + self._find_s
        while time.monotonic() < end_s:
            self._spin()
            ends = f"/{topics.GATE_STATE}"
            names = {n for n, _ in self.get_topic_names_and_types() if n.endswith(ends) and self.count_publishers(n)}
            end_s = min(end_s, time.monotonic() + SEEN_AT_ONCE_S) if names and not found else end_s
            found = {name[1 : -len(topics.GATE_STATE) - 1] for name in names}
            if robot in found:
                return robot
        return the_one(found, robot, self.context.get_domain_id())

    def _latched(self, kind: type, topic: str, timeout_s: float, who: str) -> Any:
        """Return the newest latched message; None when there is none and ``who`` is blank."""
        heard: list[Any] = []
        subscription = self.create_subscription(kind, self._full(topic), heard.append, LATCHED_QOS)
        end_s = time.monotonic() + timeout_s
        while not heard and time.monotonic() < end_s:
            self._spin()
        self.destroy_subscription(subscription)
        if not heard and who:
            raise TimeoutError(f"the {who} of {self.robot} did not say its state within {timeout_s:g} s")
        return heard[-1] if heard else None

    def _ask(self, kind: type, service: str, request: Any) -> str:
        """Call a service that answers yes or no and why, in that order; return blank, or why not."""
        client = self.create_client(kind, self._full(service))
        try:
            if not client.wait_for_service(timeout_sec=FIND_S):
                raise TimeoutError(f"{self._full(service)}: no such service within {FIND_S:g} s")
            answer = self._await(client.call_async(request), service)
        finally:
            self.destroy_client(client)
        done, why = (getattr(answer, field) for field in answer.get_fields_and_field_types())
        return "" if done else why

    def _await(self, future: Any, what: str) -> Any:
        end_s = time.monotonic() + ANSWER_S
        while not future.done() and time.monotonic() < end_s:
            self._spin()
        if not future.done():
            raise TimeoutError(f"{self._full(what)}: no answer within {ANSWER_S:g} s")
        return future.result()
