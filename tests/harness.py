"""Real nodes as real processes on a DDS domain of their own, and an observer beside them.

The observer is the other end of the wire: it publishes, calls and waits; it never
replaces one of our nodes.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import rclpy
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

from armtune_bringup.environment import PROFILES_FILE, UNSHARED
from armtune_bringup.graph import SEES
from armtune_policies.contract import Checked, flatten

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "ros_ws/src/armtune_bringup/config/fastdds_loopback.xml"
os.environ.setdefault(PROFILES_FILE, str(PROFILE))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "SYSTEM_DEFAULT")

Remaps = Sequence[tuple[str, str]]
WAIT_S = 20.0
"""One generous bound for everything a test waits for; it fails loudly."""


@contextmanager
def own_domain() -> Iterator[int]:
    """Hold a ROS domain id that no other test process on this machine uses."""
    for number in range(2, 101):
        lock = open(Path(tempfile.gettempdir()) / f"armtune-domain-{number}.lock", "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        try:
            yield number
        finally:
            lock.close()
        return
    raise RuntimeError("all of the ROS domains 2 to 100 are in use by other tests")


class Stack:
    """Nodes under test on one domain. Use as a context manager.

    ``start`` runs a node module as a process; ``wait_for``, ``publish`` and ``call`` are
    the observer's. Every wait is bounded and names what stayed silent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._heard: dict[str, list[Any]] = {}
        self._changed = threading.Condition()

    def __enter__(self) -> Stack:
        self._lock = own_domain()
        self.domain = self._lock.__enter__()
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self.domain)
        self.node = Node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        codes = {name: self.stop(name) for name in list(self.processes)}
        self._quit.set()
        self._thread.join(timeout=5)
        self._executor.shutdown(timeout_sec=1)
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
        self._lock.__exit__(None, None, None)
        self.exit_codes = codes

    def _spin(self) -> None:
        while not self._quit.is_set():
            with suppress(InvalidHandle):  # the test took a publisher down while we waited on it
                self._executor.spin_once(timeout_sec=0.05)

    # -- processes -----------------------------------------------------------------

    def start(
        self, module: str, name: str, params: Checked | dict[str, Any] | None = None, remaps: Remaps = ()
    ) -> subprocess.Popen[bytes]:
        """Run ``python -m module`` with ROS parameters from settings or a flat dict."""
        flat = flatten(params) if isinstance(params, Checked) else dict(params or {})
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": flat}} if flat else {}))
        command = [sys.executable, "-m", module, "--ros-args", "-r", f"__node:={name}"]
        command += [word for old, new in remaps for word in ("-r", f"{old}:={new}")]
        command += ["--params-file", str(file)] if flat else []
        log = open(self.folder / f"{name}.log", "ab")
        env = {**os.environ, "ROS_DOMAIN_ID": str(self.domain), "ROS_LOG_DIR": str(self.folder / "ros")}
        if module.rpartition(".")[2] not in SEES and env[PROFILES_FILE] == str(PROFILE):
            env[PROFILES_FILE] = str(PROFILE.with_name(UNSHARED))
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
        return self.processes[name]

    def bring_up(
        self, module: str, name: str, params: Checked | dict[str, Any] | None = None, remaps: Remaps = ()
    ) -> None:
        """Start, configure and activate."""
        self.start(module, name, params, remaps)
        self.transition(name, Transition.TRANSITION_CONFIGURE)
        self.transition(name, Transition.TRANSITION_ACTIVATE)

    def transition(self, name: str, number: int, expect: bool = True) -> None:
        done = self.call(ChangeState, f"{name}/change_state", ChangeState.Request(transition=Transition(id=number)))
        if done.success is not expect:
            raise AssertionError(f"{name}: transition {number} gave {done.success}\n{self.log(name)}")

    def stop(self, name: str, number: int = signal.SIGINT, timeout_s: float = 5.0) -> int:
        """Signal one process and return its exit code; SIGKILL after the bound."""
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait(timeout=5)

    def log(self, name: str) -> str:
        """What a process printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # -- the observer --------------------------------------------------------------

    def listen(self, topic: str, kind: type, qos: QoSProfile | int = 50) -> list[Any]:
        """Subscribe once; return the live list of messages heard on the topic."""
        if topic not in self._heard:
            heard = self._heard[topic] = []

            def note(message: Any) -> None:
                with self._changed:
                    heard.append(message)
                    self._changed.notify_all()

            self.node.create_subscription(kind, topic, note, qos)
        return self._heard[topic]

    def wait_for(
        self,
        topic: str,
        kind: type,
        predicate: Callable[[Any], bool] = lambda _: True,
        timeout_s: float = WAIT_S,
        qos: QoSProfile | int = 50,
        newer_than: int = 0,
    ) -> Any:
        """Return the first message (from index ``newer_than`` on) that satisfies ``predicate``."""
        heard = self.listen(topic, kind, qos)
        found: list[Any] = []

        def look() -> bool:
            found[:] = [m for m in heard[newer_than:] if predicate(m)][:1]
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(look, timeout=timeout_s):
                logs = "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.processes)
                raise AssertionError(f"{topic}: nothing fitting in {timeout_s} s ({len(heard)} heard)\n{logs}")
        return found[0]

    def until(self, condition: Callable[[], bool], timeout_s: float = WAIT_S, what: str = "condition") -> None:
        """Poll something that has no topic (a file, a process) with a bound."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {timeout_s} s")
            time.sleep(0.02)

    def publisher(self, topic: str, kind: type, qos: QoSProfile | int = 1, peers: int = 1) -> Any:
        """A publisher, once ``peers`` subscribers have matched it."""
        publisher = self.node.create_publisher(kind, topic, qos)
        self.until(lambda: publisher.get_subscription_count() >= peers, what=f"{topic}: {peers} subscribers")
        return publisher

    def call(self, kind: type, service: str, request: Any, timeout_s: float = WAIT_S) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        if not client.wait_for_service(timeout_sec=timeout_s):
            raise AssertionError(f"{service}: no such service within {timeout_s} s")
        future, done = client.call_async(request), threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout=timeout_s):
            raise AssertionError(f"{service}: no answer within {timeout_s} s")
        self.node.destroy_client(client)
        return future.result()

    def ask(self, send: Callable[..., Future], *arguments: Any) -> Future:
        """Call one of an action client's ``..._async`` where its answers are taken, too; return the future.

        From another thread rclpy may take the answer before it has noted the question, and ignores it for good.
        """
        sent = self._executor.create_task(send, *arguments)
        self.until(sent.done, what="the question is sent")
        return sent.result()
