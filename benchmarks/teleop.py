"""From a push of a stick to the first setpoint that the gate derives from it: what an operator feels.

Real processes on real DDS: ``gate_node`` and ``teleop_node`` before an arm that is where its setpoint says; a stick on
``teleop/joy`` is pushed at random moments. A push waits for the next control step, on the average half a period; what
the software adds after that tick is its own column. The frames of the operator's eyes are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Joy
from trajectory_msgs.msg import JointTrajectory

from armtune_bringup.compose import compose
from armtune_interfaces.msg import GateState, StepTick
from armtune_policies.contract import topics
from armtune_policies.contract.paths import config_root
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, LATCHED_QOS
from armtune_safety.settings import GateParams
from armtune_teleop.settings import TeleopNodeParams
from benchmarks._stack import ROOT, Stack, arm_gate, percentiles

MOVES_RAD, REST_S, PUSH_S, GIVE_UP_S = 1e-6, 0.4, 0.25, 5.0
SEND_S, STILL_NS = 0.01, 50_000_000


def main(argv: list[str]) -> dict[str, Any]:
    """Measure, print a table, return its numbers."""
    parser = argparse.ArgumentParser(prog="armtune bench teleop", description=__doc__)
    parser.add_argument("--pushes", type=int, default=60, help="pushes at each rate")
    parser.add_argument("--rates-hz", type=float, nargs="+", default=[5.0, 20.0], help="control steps per second")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the pushes")
    chosen = parser.parse_args(argv)
    found: dict[str, Any] = {"bench": "teleop", "pushes": chosen.pushes, "seed": chosen.seed}
    print(f"{'device -> setpoint':<22}{'p50 ms':>9}{'p99 ms':>9}{'after the tick p50':>21}{'p99 ms':>9}")
    for rate_hz in chosen.rates_hz:
        with tempfile.TemporaryDirectory() as scratch, Stack(Path(scratch)) as stack:
            whole, after = measure(stack, rate_hz, chosen.pushes, random.Random(chosen.seed))
        name = f"at_{rate_hz:g}_hz_"
        found |= percentiles(name, whole) | percentiles(f"{name}after_tick_", after)
        row = (found[f"{name}{key}_ms"] for key in ("p50", "p99", "after_tick_p50", "after_tick_p99"))
        print(f"{f'{rate_hz:g} steps a second':<22}" + "".join(f"{v:>{w}.1f}" for v, w in zip(row, (9, 9, 21, 9))))
    return found


def measure(stack: Stack, rate_hz: float, pushes: int, rng: random.Random) -> tuple[list[float], list[float]]:
    """Return milliseconds from each push to the first moving setpoint, and from the tick that it waited for."""
    config = compose([f"policy.rate_hz={rate_hz}", "teleop=joy"])
    mjcf = str(config_root().resolve() / "robot" / config.robot.mjcf)
    gate = GateParams(robot=config.robot, safety=config.safety, rate_hz=rate_hz, mjcf=mjcf)
    told = TeleopNodeParams(teleop=config.teleop, robot=config.robot, mjcf=mjcf, rate_hz=rate_hz)
    env = {**os.environ, "ROS_DOMAIN_ID": str(stack.domain), "ROS_LOG_DIR": str(stack.folder / "ros")}
    seconds = str(60.0 + 4.0 * pushes)
    arm = subprocess.Popen([sys.executable, "-m", "benchmarks._wire", "arm", seconds], cwd=ROOT, env=env)
    try:
        stack.bring_up("armtune_safety.gate_node", "gate_node", gate)
        stack.bring_up("armtune_teleop.teleop_node", "teleop_node", told)
        with Stick(stack) as stick:
            arm_gate(stack)
            stick.take()
            return zip_lists([stick.push(rng) for _ in range(pushes)])
    finally:
        arm.kill()
        arm.wait(timeout=10.0)


def zip_lists(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    whole, after = zip(*pairs)
    return list(whole), list(after)


class Stick:
    """A gamepad's left stick with the dead-man held, and when the setpoints move. Use as a context manager."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pub = stack.publisher(topics.JOY, Joy, EVENT_QOS)
        self._x, self._held, self._sign = 0.0, 0, 1.0
        self._last: Any = None
        self._moved_ns = self._tick_ns = self._busy_ns = 0
        self._gate = stack.listen(topics.GATE_STATE, GateState, LATCHED_QOS)
        stack.node.create_subscription(JointTrajectory, topics.SETPOINT, self._on_setpoint, COMMAND_QOS)
        stack.node.create_subscription(StepTick, topics.STEP_TICK, self._on_tick, EVENT_QOS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_always, daemon=True)

    def __enter__(self) -> Stick:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def take(self) -> None:
        """Hold the dead-man until the gate says that the arm is ours."""
        self._stack.until(lambda: time.monotonic_ns() - self._tick_ns < 10**9, what="the gate ticks")

        def taken() -> bool:
            """Press anew: a dead-man that was down before the node heard that the arm is armed counts for nothing."""
            self._held = 0
            time.sleep(0.1)
            self._held = 1
            time.sleep(0.4)
            return bool(self._gate) and self._gate[-1].holder == "teleop"

        self._stack.until(taken, what="the arm taken")

    def push(self, rng: random.Random) -> tuple[float, float]:
        """Push at a random moment of rest; return ms to the first moving setpoint, and ms from its tick to it."""
        time.sleep(REST_S + rng.random() * 0.2)  # the moment is what is random
        self._sign, moved_ns = -self._sign, self._moved_ns
        pushed_ns = time.monotonic_ns()
        self._x = self._sign * 0.5
        self._send()
        end_s = time.monotonic() + GIVE_UP_S
        while self._moved_ns == moved_ns:
            time.sleep(0.001)  # another thread notes the moment itself
            if time.monotonic() > end_s:
                raise RuntimeError(f"no setpoint moved within {GIVE_UP_S:g} s of a push; gate: {self._gate[-1]}")
        whole, after = self._moved_ns - pushed_ns, self._moved_ns - self._tick_ns
        time.sleep(PUSH_S)
        self._x = 0.0
        self._send()
        return whole / 1e6, after / 1e6

    def _send(self) -> None:
        axes, buttons = [0.0] * 8, [0] * 11
        axes[0], buttons[4] = self._x, self._held
        self._pub.publish(Joy(axes=axes, buttons=buttons))

    def _send_always(self) -> None:
        while not self._stop.wait(timeout=SEND_S):
            self._send()

    def _on_tick(self, _: StepTick) -> None:
        self._tick_ns = time.monotonic_ns()

    def _on_setpoint(self, path: JointTrajectory) -> None:
        """Only the first setpoint of a motion counts."""
        now_ns, q, last = time.monotonic_ns(), np.asarray(path.points[0].positions), self._last
        self._last = q
        if last is None or np.max(np.abs(q - last)) <= MOVES_RAD:
            return
        if self._x != 0.0 and now_ns - self._busy_ns > STILL_NS:
            self._moved_ns = now_ns
        self._busy_ns = now_ns


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
