"""The recorder as a node: hears everything about an episode, writes it, joins its steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image, JointState

from armtune_interfaces.msg import Decision, EpisodeState, Observation, RewardAnswer, Step
from armtune_policies.contract import topics
from armtune_policies.store import nouns, records, schemas
from armtune_policies.store.recording import Raw, Recording, evidence_topic
from armtune_policies.store.salvage import salvage_folder
from armtune_policies.store.step_table import Row
from armtune_safety.managed_node import CAMERA_QOS, EVENT_QOS, LATCHED_QOS, ManagedNode, run

from .practice_settings import RecorderNodeParams

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
        self._salvage(folder / "episodes")
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._state = nouns.EpisodeState()
        self._frames: dict[str, bytes] = {}
        self._seen_step = ("", -1)
        self._recording = Recording(folder, self.params.recorder, ThreadPoolExecutor(1, "close-files"))
        self._step_pub = self.create_publisher(Step, topics.STEP, EVENT_QOS)
        self._subscribe()
        self._timer = self.create_timer(TIME_PERIOD_S, self._on_time, clock=self._steady)
        self._is_active, self._trouble = False, ""

    def _subscribe(self) -> None:
        parts = {topics.OBSERVATION: Observation, topics.DECISION: Decision, topics.REWARD_ANSWER: RewardAnswer}
        self._wires = [
            self._raw(kind, topic, partial(self._on_part, topic), EVENT_QOS) for topic, kind in parts.items()
        ]
        self._wires.append(self._raw(EpisodeState, topics.EPISODE_STATE, self._on_state, LATCHED_QOS))
        self._wires.append(self._raw(JointState, topics.JOINT_STATES, self._on_joints, CAMERA_QOS))
        if self.params.recorder.evidence:
            for camera in self.params.camera_names:
                keep = partial(self._frames.__setitem__, camera)
                self._wires.append(self._raw(Image, topics.image(camera), keep, CAMERA_QOS))

    def start(self) -> None:
        self._is_active = True

    def stop(self) -> None:
        if self._recording is not None and self._is_active:
            self._is_active = False
            self._recording.stop("the recorder was stopped")

    def tear_down(self) -> None:
        self.stop()
        if self._recording is not None:
            for wire in self._wires:
                self.destroy_subscription(wire)
            self.destroy_timer(self._timer)
        self._recording = None

    # -- what arrives --------------------------------------------------------------

    def _on_state(self, data: bytes) -> None:
        if self._is_active:
            state: Any = records.decode(schemas.EPISODE_STATE, data)
            self._tell(self._recording.on_state(state, self._steady.now().nanoseconds))
            self._state = state

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
        if isinstance(part, nouns.Observation):
            self._keep_evidence(part.episode_id, part.step)
        self._tell(self._recording.on_part(part, raw, self._steady.now().nanoseconds))

    def _on_joints(self, data: bytes) -> None:
        if self._is_active and self._recording.is_recording:
            self._recording.on_side(Raw(topics.JOINT_STATES, schemas.JOINT_STATE, self._log_ns(), data))

    def _on_time(self) -> None:
        if self._is_active:
            self._tell(self._recording.on_time(self._steady.now().nanoseconds))
            if (trouble := self._recording.trouble) not in ("", self._trouble):
                self.get_logger().error(trouble)
            self._trouble = trouble
            level = DiagnosticStatus.ERROR if trouble else DiagnosticStatus.OK
            self.report(trouble, level=level, episodes=len(self._recording.finished))

    def _keep_evidence(self, episode_id: str, step: int) -> None:
        """Keep the newest full-size view of each camera beside a step, once."""
        if (episode_id, step) == self._seen_step:
            return
        self._seen_step = (episode_id, step)
        for camera, data in self._frames.items():
            jpeg = as_jpeg(data, self.params.recorder.jpeg_quality)
            if jpeg is not None:
                raw = Raw(evidence_topic(camera), schemas.COMPRESSED_IMAGE, self._log_ns(), jpeg)
                self._recording.on_side(raw, episode_id, step)

    # -- what goes out -------------------------------------------------------------

    def _tell(self, rows: list[Row]) -> None:
        for row in rows:
            self._step_pub.publish(self._step(row))
            self.did_work()

    def _step(self, row: Row) -> Step:
        step = Step(episode_id=row.episode_id, step=row.step, verdict=int(row.verdict), complete=row.is_complete)
        step.stamp = self.get_clock().now().to_msg()
        if row.episode_id == self._state.episode_id:
            step.direction, step.sentence = self._state.direction, self._state.sentence
        if row.observation is not None:
            step.state = np.asarray(row.observation.state, np.float32)
        if row.decision is not None:
            step.source, step.mode = row.decision.source, int(row.decision.mode)
            step.proposed, step.allowed = list(row.decision.proposed), list(row.decision.allowed)
            step.limited_by = list(row.decision.limited_by)
        if row.answer is not None:
            step.probability = row.answer.probability
        return step

    # -- helpers -------------------------------------------------------------------

    def _salvage(self, episodes: Path) -> None:
        for done in salvage_folder(episodes):
            where = done.path.name if done.path else "nothing, it is in .trash"
            self.get_logger().warning(f"salvaged {done.part.name}: {done.steps} whole steps, {done.lost} lost: {where}")

    def _raw(self, kind: type, topic: str, callback: Any, qos: Any) -> Any:
        return self.create_subscription(kind, topic, callback, qos, raw=True)

    def _log_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def as_jpeg(data: bytes, quality: int) -> bytes | None:
    """Return a CompressedImage, as CDR, of an rgb8 Image given as CDR; None for another encoding."""
    image = schemas.decode(schemas.IMAGE, data)
    if image.encoding != "rgb8" or len(image.data) != image.height * image.width * 3:
        return None
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    done, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        return None
    message = schemas.message(schemas.COMPRESSED_IMAGE, header=image.header, format="jpeg", data=jpeg.reshape(-1))
    return schemas.encode(message)


def main() -> None:
    run(lambda: RecorderNode("recorder_node"))


if __name__ == "__main__":
    main()
