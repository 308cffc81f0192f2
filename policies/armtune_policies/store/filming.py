"""The cameras' full-size views on their way into the file: compressed beside control, a thread a camera.

Beside a step goes the frame that the policy saw, by its stamp. A frame that is not kept is counted, and said why.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from .encoding import Encoder, Kept, make_encoder
from .nouns import Raw
from .settings import RecorderParams
from .views import NEAR_NS

WAITING = 60
"""Frames of a camera that may wait; more are lost. Two seconds, 55 MB at 640x480."""
RECENT = 15
"""Frames of a camera that are remembered: an observation is heard a while after its frame."""
LAST_S = 1.0
"""A stop waits so long for what is being compressed."""
SLOW = "compressing takes longer than the camera; see recorder.compression"
UNSEEN = "what the policy saw did not come here"


@dataclass
class _Camera:
    encoder: Encoder
    pool: ThreadPoolExecutor
    recent: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Frames by their stamp [ns]."""
    wanted: deque[tuple[int, str, int]] = field(default_factory=deque)
    """Stamps [ns] that steps of episodes wait for."""
    waiting: deque[tuple[Future[Kept | None], int, str, int]] = field(default_factory=deque)
    episode: str = ""
    frames: int = 0
    lost: int = 0
    lost_now: int = 0
    """In this episode."""
    why: str = ""
    cpu_s: float = 0.0

    def lose(self, why: str) -> None:
        self.lost, self.lost_now, self.why = self.lost + 1, self.lost_now + 1, why


class Filming:
    """Give it frames and steps; ``ready`` returns what can be written, each with the episode and step it belongs to.

    Raises:
        ValueError: when the compression cannot be done here.
    """

    def __init__(self, cameras: Sequence[str], params: RecorderParams) -> None:
        self._every, self._episode = params.every_frame, ""
        self._cameras = {
            name: _Camera(
                make_encoder(name, params.compression, params.jpeg_quality), ThreadPoolExecutor(1, f"film-{name}")
            )
            for name in cameras
        }

    @property
    def lost(self) -> int:
        """Frames that were not kept."""
        return sum(camera.lost for camera in self._cameras.values())

    @property
    def trouble(self) -> str:
        """Which cameras lose frames in this episode, and why; blank for none."""
        bad = {name: camera for name, camera in self._cameras.items() if camera.lost_now}
        return "; ".join(f"{one.lost_now} frames of {name} are lost: {one.why}" for name, one in bad.items())

    @property
    def cost_ms(self) -> float:
        """Mean processor time of one frame [ms]."""
        frames = sum(camera.frames for camera in self._cameras.values())
        return 1e3 * sum(camera.cpu_s for camera in self._cameras.values()) / frames if frames else 0.0

    def on_frame(self, name: str, data: bytes, log_ns: int) -> None:
        """Take an Image, as CDR."""
        camera = self._cameras[name]
        camera.recent.append((stamp_ns(data), data))
        if self._every:
            self._submit(camera, data, log_ns, key_of=self._episode)
        self._serve(camera, log_ns)

    def on_step(self, episode_id: str, step: int, stamps_ns: Mapping[str, int], log_ns: int) -> None:
        """Keep beside a step the frame of each camera that the policy saw, where not all are kept anyway.

        Of a new episode all kinds of recording begin with that frame, so that its file shows by itself.
        """
        is_first, self._episode = episode_id != self._episode, episode_id
        for name, camera in self._cameras.items():
            if is_first:
                camera.lost_now, camera.why = 0, ""
            if self._every and is_first:
                begun = [data for stamp, data in camera.recent if stamp >= stamps_ns.get(name, 0)]
                for data in begun:
                    self._submit(camera, data, log_ns, key_of=episode_id)
            elif not self._every and name in stamps_ns:
                if len(camera.wanted) >= WAITING:
                    camera.wanted.popleft()
                    camera.lose(UNSEEN)
                camera.wanted.append((stamps_ns[name], episode_id, step))
                self._serve(camera, log_ns)

    def ready(self) -> list[tuple[Raw, str, int]]:
        """Return the frames that are done, in each camera's order."""
        found = []
        for camera in self._cameras.values():
            while camera.waiting and camera.waiting[0][0].done():
                future, log_ns, episode_id, step = camera.waiting.popleft()
                if (why := future.exception(timeout=0)) is not None:
                    camera.lose(str(why))
                elif (kept := future.result(timeout=0)) is not None:
                    topic, type_name, data = kept
                    found.append((Raw(topic, type_name, log_ns, data), episode_id, step))
        return found

    def is_owed(self, episode_id: str) -> bool:
        """Whether a view of an episode is still being compressed."""
        return any(one == episode_id for camera in self._cameras.values() for _, _, one, _ in camera.waiting)

    def settle(self) -> None:
        """Wait, at most ``LAST_S``, until what came so far is compressed; then ``ready`` returns it."""
        wait([future for camera in self._cameras.values() for future, *_ in camera.waiting], timeout=LAST_S)

    def close(self) -> None:
        """Let the threads go; what waits is dropped."""
        for camera in self._cameras.values():
            camera.pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self, camera: _Camera, log_ns: int) -> None:
        """Take the frames that steps wait for out of those that came."""
        while camera.wanted and camera.recent:
            wanted_ns, episode_id, step = camera.wanted[0]
            found_ns, data = min(reversed(camera.recent), key=lambda one: abs(one[0] - wanted_ns))
            if found_ns != wanted_ns and camera.recent[-1][0] < wanted_ns:
                return  # it is on its way
            camera.wanted.popleft()
            if abs(found_ns - wanted_ns) <= NEAR_NS:
                self._submit(camera, data, log_ns, episode_id, step, key_of=episode_id)
            else:
                camera.lose(UNSEEN)

    def _submit(
        self, camera: _Camera, data: bytes, log_ns: int, episode_id: str = "", step: int = -1, key_of: str = ""
    ) -> None:
        if len(camera.waiting) >= WAITING:
            camera.lose(SLOW)
            return
        is_first = bool(key_of) and key_of != camera.episode
        camera.episode = key_of or camera.episode
        camera.waiting.append((camera.pool.submit(_timed, camera, data, is_first), log_ns, episode_id, step))


def stamp_ns(data: bytes) -> int:
    """Return the stamp of an Image given as CDR, without a look at its pixels: it comes first, after four bytes."""
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def _timed(camera: _Camera, data: bytes, is_first: bool) -> Kept | None:
    begun_s = time.thread_time()
    try:
        return camera.encoder(data, is_first)
    finally:
        camera.frames, camera.cpu_s = camera.frames + 1, camera.cpu_s + time.thread_time() - begun_s
