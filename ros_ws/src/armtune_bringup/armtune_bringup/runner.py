"""Starts the table of nodes as processes where ``ros2 launch`` does not exist.

It starts, respawns within budget, shows what they say, and stops. Configuring,
activating and judging health is the supervisor's alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import environment, warden
from .console import LogTail
from .leftovers import sweep
from .parameters import again_path, parameter_path, write_parameters
from .spec import NodeSpec, RespawnBudget

EXIT_CONFIG = 78
"""What a node says when starting it again cannot help (sysexits.h EX_CONFIG)."""
STOP_S = 4.0
POLL_S = 0.05
RESPAWN_AFTER_S = 0.5
STAYS_DOWN = "it stays down until the graph is started again, the others go on"


def goes_on(spec: NodeSpec, code: int, starts: int) -> bool:
    """Whether the graph goes on without a node that is not started again; one told nonsense at its first start ends it.

    Args:
        spec: Of the node.
        code: With which it ended.
        starts: How often it was started.
    """
    return spec.is_spare and (code != EXIT_CONFIG or starts > 1)


class GraphStopped(OSError):
    """The graph stopped by itself; the text says why."""


@dataclass
class _Child:
    spec: NodeSpec
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    due_s: float | None = None
    starts: int = 0
    budget: RespawnBudget = field(init=False)
    tail: LogTail = field(init=False)

    def __post_init__(self) -> None:
        self.budget = RespawnBudget(self.spec)
        self.tail = LogTail(self.log, self.spec.name)


class Runner:
    """One graph as processes; use as a context manager, leaving it stops every process.

    Args:
        specs: The table of nodes, in activation order.
        folder: The run's folder; parameters and logs are written into ``logs/``.
        domain_id: ROS domain, held for this graph alone while it runs.
        say: Where the merged, shortened console lines go.
        overlay: More environment variables for every node.

    Raises:
        ConfigError: on entering, when the domain is taken or a program is missing.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        folder: Path,
        domain_id: int,
        say: Callable[[str], None] = print,
        overlay: dict[str, str] | None = None,
    ) -> None:
        self._folder, self.logs = folder, folder / "logs"
        self._say, self._overlay = say, dict(overlay or {})
        self._domain = domain_id
        commands = [[*environment.command(s.package, s.executable), *self._arguments(s)] for s in specs]
        self._children = [
            _Child(s, command, self.logs / f"{s.name}.log") for s, command in zip(specs, commands, strict=True)
        ]
        self._warden: subprocess.Popen[bytes] | None = None
        self._claim = -1
        self.reason = ""

    def __enter__(self) -> Runner:
        self._claim = environment.claim(self._domain)
        try:
            write_parameters([child.spec for child in self._children], self._folder)
            self._env = {**os.environ, **environment.ros_environment(self._domain, self.logs / "ros"), **self._overlay}
            self._warden = self._start_warden()
            for child in self._children:
                self._start(child)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def processes(self) -> dict[str, int]:
        """Return the process id of each node that runs now."""
        return {c.spec.name: c.process.pid for c in self._children if c.process and c.process.poll() is None}

    def poll(self) -> str:
        """Show new log lines, respawn what may be; return why the graph must stop, or blank."""
        for child in self._children:
            self._show(child)
            if child.process is not None and child.process.poll() is not None:
                self._ended(child)
            elif child.process is None and child.due_s is not None and time.monotonic() >= child.due_s:
                self._start(child)
        return self.reason

    def run(self, until: Callable[[], bool] = lambda: False, timeout_s: float = float("inf")) -> str:
        """Poll until ``until`` is true (blank), a reason to stop comes, or the time is over."""
        end_s = time.monotonic() + timeout_s
        while not until():
            if reason := self.poll():
                return reason
            if not time.monotonic() < end_s:
                return f"not done within {timeout_s:g} s"
            time.sleep(POLL_S)
        return ""

    def stop(self) -> None:
        """End every process: SIGINT, and SIGKILL for what is left after 4 s."""
        running = [c for c in reversed(self._children) if c.process is not None]
        for child in running:
            warden.signal_group(child.process.pid if child.process else 0, signal.SIGINT)
        end_s = time.monotonic() + STOP_S
        while any(c.process and c.process.poll() is None for c in running) and time.monotonic() < end_s:
            time.sleep(POLL_S)
        for child in running:
            self._end(child)
        sweep()
        self._stop_warden()
        if self._claim >= 0:
            os.close(self._claim)
            self._claim = -1

    # -- one child -------------------------------------------------------------------

    def _arguments(self, spec: NodeSpec) -> list[str]:
        arguments = ["--ros-args", "-r", f"__node:={spec.name}", "-r", f"__ns:=/{spec.namespace}"]
        for source, target in spec.remaps:
            arguments += ["-r", f"{source}:={target}"]
        if environment.is_secured():
            arguments += ["--enclave", spec.enclave]
        return [*arguments, "--params-file", str(parameter_path(self._folder, spec))]

    def _start(self, child: _Child) -> None:
        sweep()
        # Logs go to a file, not through us: a runner that stalls must not stall a node.
        descriptor = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A node is asked to stop only once it can hear it: in the middle of an import it would fall over.
        again = again_path(self._folder, child.spec) if child.starts else None
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=environment.node_environment(child.spec, self._env, again),
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(descriptor)
        child.due_s = None
        child.starts += 1
        self._tell_warden("+", child.process.pid)

    def _ended(self, child: _Child) -> None:
        process, child.process = child.process, None
        if process is None:
            return
        code = process.returncode
        warden.signal_group(process.pid, signal.SIGKILL)  # helpers of a dead node go with it
        self._tell_warden("-", process.pid)
        self._show(child)
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        why = f": {child.tail.last_error}" if child.tail.last_error else ""
        if code == EXIT_CONFIG:
            self._leave(child, code, f"{child.spec.name} {how}, starting it again cannot help{why}")
        elif not child.budget.spend(time.monotonic()):
            self._leave(child, code, f"{child.spec.name} {how}, its respawns are spent ({child.budget}){why}")
        else:
            child.due_s = time.monotonic() + RESPAWN_AFTER_S
            self._say(f"{child.spec.name}: {how}; respawn {child.budget}{why}")

    def _leave(self, child: _Child, code: int, reason: str) -> None:
        """Leave a node dead that the others do not need; else, or where nothing is left, the graph must stop."""
        is_any_left = any(c.process or c.due_s is not None for c in self._children)
        if goes_on(child.spec, code, child.starts) and is_any_left:
            self._say(f"{reason}; {STAYS_DOWN}")
        else:
            self._give_up(reason)

    def _end(self, child: _Child) -> None:
        """Kill what is left of one node, show its last words."""
        process, child.process, child.due_s = child.process, None, None
        if process is None:
            return
        if process.poll() is None:
            self._say(f"{child.spec.name}: did not stop within {STOP_S:g} s, killed")
        warden.signal_group(process.pid, signal.SIGKILL)
        process.wait(timeout=1.0)
        self._show(child)

    def _give_up(self, reason: str) -> None:
        self.reason = self.reason or reason

    def _show(self, child: _Child) -> None:
        for line in child.tail.new_lines():
            self._say(line)

    # -- the warden ------------------------------------------------------------------

    def _start_warden(self) -> subprocess.Popen[bytes]:
        # It holds the domain's claim too: a killed runner's domain is free once its nodes are gone.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", warden.__file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(self._claim,),
        )

    def _tell_warden(self, sign: str, pid: int) -> None:
        if self._warden and self._warden.stdin:
            try:
                self._warden.stdin.write(f"{sign}{pid}\n".encode())
                self._warden.stdin.flush()
            except BrokenPipeError:
                self._give_up("the warden process died; stopping, since nodes could be left behind")

    def _stop_warden(self) -> None:
        guard, self._warden = self._warden, None
        if guard is None or guard.stdin is None:
            return
        guard.kill()  # every process it would end is gone
        guard.stdin.close()
        guard.wait(timeout=1.0)
