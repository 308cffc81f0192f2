"""A terminal beside a graph: its keyboard as the device, and what `teleop_node` says, as lines."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Joy

from armtune_policies.contract import ConfigError, SteadyClock, topics
from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS

from .keys import PASTES_OFF, PASTES_ON, Keyboard, Parser

SEND_S = 0.03
BELL = "\a"
QUIT = ("\x03", "\x04")
"""Ctrl-C and Ctrl-D, as a raw terminal sends them."""


class Terminal(Node):
    """Publishes the keyboard of this terminal until Ctrl-C; use as a context manager.

    Args:
        robot: Namespace of the graph.
    """

    def __init__(self, robot: str) -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        super().__init__("armtune_terminal", namespace=robot, enable_rosout=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.create_subscription(DiagnosticArray, topics.TELEOP_STATE, self._on_state, LATCHED_QOS)
        self.state: dict[str, str] = {}
        self.kind = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self.destroy_node()
        rclpy.try_shutdown()

    def listen(self, timeout_s: float) -> dict[str, str]:
        """Wait for what the node says of itself; return it, empty when it says nothing in time."""
        end_s = time.monotonic() + timeout_s
        while not self.state and time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.05)
        return self.state

    def fly(self, show: Callable[[str], None]) -> None:
        """Read keys and pass them on until Ctrl-C; ``show`` gets each new line, with a bell where there is news.

        Raises:
            ConfigError: when standard input is no terminal.
        """
        keyboard, parser, clock, due_s, shown, said = Keyboard(), Parser(), SteadyClock(), 0.0, "", ""
        joy_pub = self.create_publisher(Joy, topics.JOY, EVENT_QOS)  # only now: two that publish are refused
        with _raw(sys.stdin.fileno()) as read:
            while True:
                text = read()
                if any(end in text for end in QUIT):
                    return
                for key in parser.feed(text, clock.now_ns()):
                    keyboard.press(key, clock.now_ns())
                self._executor.spin_once(timeout_sec=0.0)
                if text or time.monotonic() >= due_s:
                    joy_pub.publish(Joy(buttons=keyboard.buttons(clock.now_ns())))
                    due_s = time.monotonic() + SEND_S
                if (line := words(self.state)) != shown:
                    is_news = said != (said := self.state.get("said", ""))
                    show(f"{line}{BELL}" if is_news and said else line)
                    shown = line

    def _on_state(self, m: DiagnosticArray) -> None:
        status = m.status[0]
        self.kind, self.state = status.name, {pair.key: pair.value for pair in status.values}


def words(state: dict[str, str]) -> str:
    """Return one line of what the node says."""
    if not state:
        return "waiting for teleop_node: is the graph up with teleop=keyboard?"
    head = "ENGAGED " if state["engaged"] == "True" else "released"
    episode = f"{state['phase']} {state['direction']}".strip()
    return f"{head} | {episode} | speed {float(state['speed']):.0%} | {state['said']}"


@contextmanager
def _raw(descriptor: int) -> Iterator[Callable[[], str]]:
    """Put a terminal into raw mode; yield what reads the newest keys, waiting ``SEND_S`` at most."""
    if not os.isatty(descriptor):
        raise ConfigError("standard input is no terminal; run `armtune teleop` in one, or use teleop=web")
    before: list[Any] = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSANOW)
    print(PASTES_ON, end="", flush=True)

    def read() -> str:
        ready, _, _ = select.select([descriptor], [], [], SEND_S)
        data = os.read(descriptor, 1024) if ready else b""
        return data.decode(errors="replace") if data or not ready else QUIT[0]

    try:
        yield read
    finally:
        print(PASTES_OFF, end="", flush=True)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
