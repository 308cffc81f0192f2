"""The base of every node: loud lifecycle, evidence heartbeat, diagnostics, clean exit.

rclpy swallows exceptions in lifecycle transitions and reports success from the default
error handler (ros2/rclpy#983, #1073); this wrapper logs them, keeps the reason, and ends
the process with a code the runner understands.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
import traceback
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.experimental import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.timer import Timer

from armtune_interfaces.msg import Heartbeat
from armtune_policies.contract import Checked, ConfigError, topics

from .hang import HangGuard
from .settings import HEARTBEAT_PERIOD_S

RCLError = rclpy_implementation.RCLError

EXIT_CONFIG = 78  # sysexits.h EX_CONFIG: starting again cannot help
EXIT_FAILED = 1

LAST_WORDS_S = 0.2
"""What ``stop`` sent is on its way for a moment; a writer that is gone repeats nothing."""


def _qos(depth: int, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


CAMERA_QOS = _qos(2, reliable=False)
STREAM_QOS = _qos(100, reliable=False)
"""What is recorded whole, though its publisher may be best effort: a second of joint states, three of frames."""
COMMAND_QOS = _qos(1, reliable=True)
EVENT_QOS = _qos(50, reliable=True)
"""What must not be lost and comes once a step: decisions, observations, answers."""
LATCHED_QOS = _qos(1, reliable=True, latched=True)
RECORDED_QOS, RECORDED_LATCHED_QOS = _qos(200, reliable=True), _qos(200, reliable=True, latched=True)
"""How who keeps them hears events and what is latched: all that came while it stood still, not the newest only."""


def to_ns(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_stamp(t_ns: int) -> Time:
    return Time(sec=t_ns // 1_000_000_000, nanosec=t_ns % 1_000_000_000)


class ManagedNode(LifecycleNode):
    """A lifecycle node around a pure core.

    Subclasses set ``Params`` and override ``set_up`` (configure), ``start`` (activate),
    ``stop`` (deactivate) and ``tear_down`` (cleanup, shutdown, error); each may raise, and
    ``ConfigError``, ``OSError`` or ``ValueError`` from ``set_up`` means that starting
    again cannot help. Call ``did_work`` whenever a piece of real work is done.
    """

    Params: type[Checked] = Checked

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._timer_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.exit_code: int | None = None
        self.is_changing = False
        """Whether a transition is under way, which may take its time: a model is loaded, a motor sought."""
        self._boot_id = secrets.randbits(63)
        self._work_seq, self._work_ns, self._is_idle = 0, 0, True
        self._status = ""
        self._values: dict[str, Any] = {}
        self._level = DiagnosticStatus.OK
        self.params: Any = self._read_params()
        self._beat_pub = self.create_publisher(Heartbeat, topics.HEARTBEAT, EVENT_QOS)
        self._diagnostics_pub = self.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, EVENT_QOS)
        self.create_timer(HEARTBEAT_PERIOD_S, self._beat)
        self.create_timer(1.0, self._diagnose)
        self._lasting = set(map(id, self._entities()))

    # -- what a subclass overrides -------------------------------------------------

    def set_up(self) -> None:
        """Make publishers, subscriptions, models; may raise."""

    def start(self) -> None:
        """Begin to work; may raise."""

    def stop(self) -> None:
        """Leave the world safe and stop working."""

    def tear_down(self) -> None:
        """Release what ``set_up`` took; must not raise."""

    # -- what a subclass calls -----------------------------------------------------

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any],
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Make a timer on the steady clock: a wall clock set back must not silence a node."""
        clock = clock or self._timer_clock
        return super().create_timer(timer_period_sec, callback, callback_group, clock, autostart)

    def did_work(self) -> None:
        """Note one finished piece of work; the heartbeat carries it as evidence."""
        self._work_seq += 1
        self._work_ns, self._is_idle = time.monotonic_ns(), False

    def no_work(self) -> None:
        """Note that there is nothing to work on, as without an arm or while not active: until it works again."""
        self._is_idle = True

    def report(self, status: str = "", *, level: bytes = DiagnosticStatus.OK, **values: Any) -> None:
        """Set what the next diagnostics and heartbeats say."""
        self._status, self._level, self._values = status, level, {**self._values, **values}

    def fail(self, reason: str, code: int = EXIT_FAILED) -> None:
        """Log the reason and end the process with ``code`` after this callback."""
        self.get_logger().error(reason)
        self._status = reason
        self.exit_code = code

    # -- lifecycle, wrapped --------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded(self.set_up, EXIT_CONFIG)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        return self._guarded(self.start, EXIT_FAILED)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._guarded(self.stop, EXIT_FAILED)
        self.no_work()
        super().on_deactivate(state)
        return done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._guarded(self.tear_down, EXIT_FAILED)
        self._forget()
        return done

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._guarded(self.tear_down, EXIT_FAILED)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._guarded(self.tear_down, EXIT_FAILED)
        return TransitionCallbackReturn.FAILURE

    def _LifecycleNodeMixin__on_change_state(self, request: Any, answer: Any) -> Any:
        """Refuse a transition that does not start here: rclpy 7.1 would end the node for it, in motion or not."""
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, answer)  # type: ignore[misc]
        except RCLError as why:
            self.get_logger().warning(f"refused: {why}")
            answer.success = False
            return answer

    def _guarded(self, work: Callable[[], None], code: int) -> TransitionCallbackReturn:
        self.is_changing = True
        try:
            work()
        except (ConfigError, OSError, ValueError) as why:
            self.fail(f"{self.get_name()}: {why}", code)
        except Exception:
            self.get_logger().error(traceback.format_exc())
            self.fail(f"{self.get_name()}: unexpected error, see the traceback above")
        else:
            return TransitionCallbackReturn.SUCCESS
        finally:
            self.is_changing = False
        return TransitionCallbackReturn.FAILURE

    def _entities(self) -> dict[Any, Callable[[Any], bool]]:
        """Everything this node has on the graph, with what takes it off."""
        return {
            **dict.fromkeys(self.publishers, self.destroy_publisher),
            **dict.fromkeys(self.subscriptions, self.destroy_subscription),
            **dict.fromkeys(self.services, self.destroy_service),
            **dict.fromkeys(self.clients, self.destroy_client),
            **dict.fromkeys(self.timers, self.destroy_timer),
        }

    def _forget(self) -> None:
        """Take off what ``set_up`` made: a node configured again must not speak twice."""
        for entity, destroy in self._entities().items():
            if id(entity) not in self._lasting:
                destroy(entity)

    # -- evidence and diagnostics --------------------------------------------------

    def _beat(self) -> None:
        age_s = -1.0 if self._is_idle else (time.monotonic_ns() - self._work_ns) / 1e9
        beat = Heartbeat(node=self.get_name(), boot_id=self._boot_id, status=self._status)
        beat.evidence_seq, beat.evidence_age_s = self._work_seq, age_s
        beat.stamp = self.get_clock().now().to_msg()
        self._beat_pub.publish(beat)

    def _diagnose(self) -> None:
        status = DiagnosticStatus(
            level=self._level,
            name=f"{self.get_name()}: work",
            message=self._status or "ok",
            hardware_id=self.get_namespace().strip("/") or "armtune",
            values=[KeyValue(key=key, value=str(value)) for key, value in self._values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_pub.publish(array)

    # -- parameters ----------------------------------------------------------------

    def _read_params(self, kind: type[Checked] | None = None, prefix: str = "") -> Checked:
        """Declare one read-only parameter per field of ``Params`` and build it.

        Settings within settings become dotted names: ``robot.joints``.
        """
        kind = kind or self.Params
        hints = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for field in fields(kind):
            hint, name = hints[field.name], prefix + field.name
            if isinstance(hint, type) and issubclass(hint, Checked):
                values[field.name] = self._read_params(hint, f"{name}.")
                continue
            ros_type = rclpy.Parameter.Type.from_parameter_value(_example(hint))
            value = self.declare_parameter(name, ros_type, _descriptor(field.metadata, hint)).value
            if value is not None:
                values[field.name] = list(value) if hasattr(value, "tolist") else value
        return kind.from_mapping(values)


def _example(hint: Any) -> Any:
    """A value that has the ROS type of a field's Python type."""
    if typing.get_origin(hint) is tuple:
        return [_example(typing.get_args(hint)[0])]
    return {float: 0.5, int: 1, bool: True, str: "x"}[hint]


def _descriptor(rule: Any, hint: Any) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=rule.get("doc", ""), read_only=True)
    if "low" in rule and hint is int:
        descriptor.integer_range = [IntegerRange(from_value=rule["low"], to_value=rule["high"], step=0)]
    if "low" in rule and hint is float:
        low, high = float(rule["low"]), float(rule["high"])
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def run(make_node: Callable[[], ManagedNode]) -> None:
    """Spin one node until a signal or its own failure; exit with its code.

    The node's ``stop`` runs on the way out with the ROS context still valid, so that it
    can leave the arm at rest.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # our runner blocks it while we are imported
    os.environ.setdefault("ROS_LOG_DIR", str(Path.home() / ".ros" / "log"))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    code = EXIT_FAILED
    executor = EventsExecutor()
    try:
        node = make_node()
        executor.add_node(node)
        guard = HangGuard(lambda: node.is_changing)
        try:
            while not stop.is_set() and node.exit_code is None:
                executor.spin_once(timeout_sec=0.1)
                guard.alive()
            code = node.exit_code or 0
        finally:
            guard.close()
            node.stop()
            end_s = time.monotonic() + LAST_WORDS_S
            while time.monotonic() < end_s:
                executor.spin_once(timeout_sec=0.05)
            node.tear_down()
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
    except (ConfigError, ParameterException) as why:
        print(f"error: {why}", file=sys.stderr, flush=True)
        code = EXIT_CONFIG
    except Exception:
        traceback.print_exc()
    finally:
        rclpy.try_shutdown()
    sys.exit(code)
