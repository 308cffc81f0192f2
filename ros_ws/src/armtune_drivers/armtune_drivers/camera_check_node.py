"""Tells the gate whether each calibrated camera is where it was: at the start, and whenever no episode is on."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import Image

from armtune_interfaces.msg import EpisodeState, Heartbeat
from armtune_policies.contract import topics
from armtune_safety.managed_node import CAMERA_QOS, COMMAND_QOS, EVENT_QOS, LATCHED_QOS, ManagedNode, run

from .checking import Check, Fresh
from .settings import LIVE as LIVE_SOURCES
from .settings import CameraCheckParams

EVERY_S, AGE_S = 0.3, 1.0
QUIET_S = 5.0
"""An episode whose node is silent for so long is over: cameras are looked at again."""
LIVE = (EpisodeState.ACTING, EpisodeState.SHOWING)


class CameraCheckNode(ManagedNode):
    """Plumbing around ``Check``; what is said is latched, and until something is said nothing can be armed."""

    Params = CameraCheckParams
    params: CameraCheckParams

    def set_up(self) -> None:
        p = self.params
        self._checks = {name: Check(p.camera, name) for name in p.checked_cameras}
        has_sensor, now_s = p.camera.source in LIVE_SOURCES, time.monotonic()
        self._fresh = {name: Fresh(has_sensor, now_s) for name in self._checks}
        self._looked_s = dict.fromkeys(self._checks, 0.0)
        self._is_active = self._is_acting = False
        self._told_s = now_s
        self._said: dict[str, str] = {}
        self._pub = self.create_publisher(DiagnosticArray, topics.CAMERA_CHECK, LATCHED_QOS)
        qos = COMMAND_QOS if p.time == "lockstep" else CAMERA_QOS
        for name in self._checks:
            self.create_subscription(Image, topics.image(name), partial(self._on_image, name), qos)
        self.create_subscription(EpisodeState, topics.EPISODE_STATE, self._on_episode, LATCHED_QOS)
        self.create_subscription(Heartbeat, topics.HEARTBEAT, self._on_beat, EVENT_QOS)
        if p.time == "real":  # in lockstep a world without pictures stands still
            self.create_timer(AGE_S, self._age)

    def start(self) -> None:
        self._is_active = True
        self._rest()
        self._say()

    def stop(self) -> None:
        self._is_active = False

    def _on_episode(self, m: EpisodeState) -> None:
        self._is_acting, self._told_s = m.phase in LIVE, time.monotonic()

    def _on_beat(self, m: Heartbeat) -> None:
        if m.node == "episode_node":
            self._told_s = time.monotonic()

    @property
    def _is_live(self) -> bool:
        return self._is_acting and time.monotonic() - self._told_s < QUIET_S

    def _rest(self) -> None:
        """No look is due: none grows old."""
        for fresh in self._fresh.values():
            fresh.note(time.monotonic())

    def _age(self) -> None:
        if self._is_active and not self._is_live:
            self._say()
        else:
            self._rest()

    def _on_image(self, name: str, m: Image) -> None:
        now_s = time.monotonic()
        self.did_work()
        if not self._is_active or self._is_live or now_s - self._looked_s[name] < EVERY_S:
            return
        if m.encoding not in ("rgb8", "bgr8") or len(m.data) != m.height * m.width * 3:
            return  # what is no picture is refused by who acts on it
        pixels = np.frombuffer(m.data, np.uint8).reshape(m.height, m.width, 3)
        self._looked_s[name] = now_s
        if not self._fresh[name].is_new(pixels):
            return
        self._fresh[name].note(now_s)
        self._checks[name].look(pixels if m.encoding == "rgb8" else np.ascontiguousarray(pixels[..., ::-1]))
        self._say()

    def _say(self) -> None:
        """Publish what is wrong with each camera, when that changed."""
        now_s = time.monotonic()
        now = {name: check.why or self._fresh[name].why(now_s) for name, check in self._checks.items()}
        facts = {f"{name}_off_px": f"{check.off_px:.2f}" for name, check in self._checks.items()}
        wrong = "; ".join(f"{name}: {why}" for name, why in now.items() if why)
        self.report(wrong, level=DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK, **facts)
        if now == self._said:
            return
        self._said = now
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        for name, check in self._checks.items():
            level = DiagnosticStatus.ERROR if now[name] else DiagnosticStatus.OK
            status = DiagnosticStatus(name=name, level=level, message=now[name] or "where it was calibrated")
            status.values = [KeyValue(key="off_px", value=f"{check.off_px:.2f}")]
            array.status.append(status)
        self._pub.publish(array)
        self.get_logger().info(wrong or "every camera is where it was calibrated")


def main() -> None:
    run(lambda: CameraCheckNode("camera_check_node"))


if __name__ == "__main__":
    main()
