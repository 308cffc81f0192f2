"""The recorder as a node: hears everything about an episode, writes it, joins its steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image, JointState

from armtune_interfaces.msg import Decision, EpisodeState, GateState, Observation, RewardAnswer, Step
from armtune_policies.contract import topics
from armtune_policies.store import nouns, records, schemas
from armtune_policies.store.filming import Filming
from armtune_policies.store.nouns import Raw
from armtune_policies.store.recording import Recording
from armtune_policies.store.ring import Faults
from armtune_policies.store.salvage import salvage_folder
from armtune_policies.store.step_table import Row
from armtune_safety.managed_node import (
    EVENT_QOS,
    LATCHED_QOS,
    RECORDED_LATCHED_QOS,
    RECORDED_QOS,
    STREAM_QOS,
    ManagedNode,
    run,
)

from .practice_settings import RecorderNodeParams
from .step_fields import as_fields

TIME_PERIOD_S = 0.1


class RecorderNode(ManagedNode):
    """Plumbing around ``Recording``: raw bytes in, so that files hold exactly what was sent."""

    Params = RecorderNodeParams
    params: RecorderNodeParams
    _recording: Any = None

    def set_up(self) -> None:
        folder = Path(self.params.run_folder)
        folder.mkdir(parents=True, exist_ok=True)
        schemas.typestore()
        for home in (folder, folder / nouns.EVALUATIONS):
            self._salvage(home / "episodes")
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._state = self._before = nouns.EpisodeState()
        self._seen_step = ("", -1)
        recorder = self.params.recorder
        self._filming = Filming(self.params.camera_names if recorder.evidence else (), recorder)
        pool = ThreadPoolExecutor(1, "close-files")
        self._faults = Faults(folder, recorder, ThreadPoolExecutor(1, "save-faults"))
        self._recording = Recording(folder, recorder, pool, self._filming.is_owed)
        self._step_pub = self.create_publisher(Step, topics.STEP, EVENT_QOS)
        self._subscribe()
        self._timer = self.create_timer(TIME_PERIOD_S, self._on_time, clock=self._steady)
        self._is_active, self._trouble = False, ""

    def _subscribe(self) -> None:
        parts = {topics.OBSERVATION: Observation, topics.DECISION: Decision, topics.REWARD_ANSWER: RewardAnswer}
        self._wires = [
            self._raw(kind, topic, partial(self._on_part, topic), RECORDED_QOS) for topic, kind in parts.items()
        ]
        self._wires.append(self._raw(EpisodeState, topics.EPISODE_STATE, self._on_state, RECORDED_LATCHED_QOS))
        self._wires.append(self._raw(JointState, topics.JOINT_STATES, self._on_joints, STREAM_QOS))
        if self.params.recorder.evidence:
            for camera in self.params.camera_names:
                self._wires.append(self._raw(Image, topics.image(camera), partial(self._on_frame, camera), STREAM_QOS))
        if self.params.recorder.ring_s:
            self._wires.append(self._raw(GateState, topics.GATE_STATE, self._on_gate, LATCHED_QOS))

    def start(self) -> None:
        self._is_active = True

    def stop(self) -> None:
        if self._recording is not None and self._is_active:
            self._is_active = False
            self._filming.settle()
            self._keep_views()
            self._recording.stop("the recorder was stopped")

    def tear_down(self) -> None:
        self.stop()
        if self._recording is not None:
            for wire in self._wires:
                self.destroy_subscription(wire)
            self.destroy_timer(self._timer)
            self._filming.close()
        self._recording = None

    # -- what arrives --------------------------------------------------------------

    def _on_state(self, data: bytes) -> None:
        if self._is_active:
            state: Any = records.decode(schemas.EPISODE_STATE, data)
            if state.episode_id != self._state.episode_id:
                self._before = self._state
            self._state = state
            self._tell(self._recording.on_state(state, self._steady.now().nanoseconds))
            self._remember(Raw(topics.EPISODE_STATE, schemas.EPISODE_STATE, self._log_ns(), data))

    def _on_part(self, topic: str, data: bytes) -> None:
        if not self._is_active:
            return
        type_name = schemas.STEP_TOPICS[topic]
        try:
            part: Any = records.decode(type_name, data)
        except ValueError as why:
            self.get_logger().error(f"a message on {topic} is not recorded: {why}")
            return
        raw = Raw(topic, type_name, self._log_ns(), data)
        self._remember(raw)
        if isinstance(part, nouns.Observation) and (part.episode_id, part.step) != self._seen_step:
            self._seen_step = (part.episode_id, part.step)
            self._filming.on_step(*self._seen_step, part.image_stamps_ns, raw.stamp_ns)
        self._keep_views()
        self._tell(self._recording.on_part(part, raw, self._steady.now().nanoseconds))

    def _on_joints(self, data: bytes) -> None:
        if not self._is_active:
            return
        raw = Raw(topics.JOINT_STATES, schemas.JOINT_STATE, self._log_ns(), data)
        self._remember(raw)
        if self._recording.is_recording:
            self._recording.on_side(raw)

    def _on_frame(self, camera: str, data: bytes) -> None:
        if self._is_active:
            self._filming.on_frame(camera, data, self._log_ns())
            self._keep_views()

    def _on_gate(self, data: bytes) -> None:
        """A latch that was not there before, or another process of an armed gate, is a fault: save what led to it."""
        if not self._is_active:
            return
        self._remember(raw := Raw(topics.GATE_STATE, schemas.GATE_STATE, self._log_ns(), data))
        gate: Any = schemas.decode(schemas.GATE_STATE, data)
        self._faults.on_gate(gate.boot_id, gate.armed, gate.latches, raw.stamp_ns)

    def _on_time(self) -> None:
        if not self._is_active:
            return
        self._keep_views()
        self._tell(self._recording.on_time(self._steady.now().nanoseconds))
        for path in self._faults.settle():
            self.get_logger().warning(f"what led to the fault is in {path}")
        trouble = self._recording.trouble or self._faults.trouble or self._filming.trouble
        if trouble not in ("", self._trouble):
            self.get_logger().error(trouble)
        self._trouble = trouble
        level = DiagnosticStatus.ERROR if trouble else DiagnosticStatus.OK
        facts = {"encode_ms": round(self._filming.cost_ms, 2), "frames_lost": self._filming.lost}
        self.report(trouble, level=level, episodes=len(self._recording.finished), faults=self._faults.saved, **facts)

    def _keep_views(self) -> None:
        """Write the full-size views that are compressed by now."""
        for raw, episode_id, step in self._filming.ready():
            self._remember(raw)
            self._recording.on_side(raw, episode_id, step)

    def _remember(self, raw: Raw) -> None:
        self._faults.remember(raw, self._steady.now().nanoseconds)

    # -- what goes out -------------------------------------------------------------

    def _tell(self, rows: list[Row]) -> None:
        for row in rows:
            stamp = self.get_clock().now().to_msg()
            self._step_pub.publish(Step(stamp=stamp, **as_fields(row, self._before, self._state)))
            self.did_work()

    # -- helpers -------------------------------------------------------------------

    def _salvage(self, episodes: Path) -> None:
        for done in salvage_folder(episodes):
            self.get_logger().warning(done.text)

    def _raw(self, kind: type, topic: str, callback: Any, qos: Any) -> Any:
        return self.create_subscription(kind, topic, callback, qos, raw=True)

    def _log_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main() -> None:
    run(lambda: RecorderNode("recorder_node"))


if __name__ == "__main__":
    main()
