"""Holds the learner process: asks for refits, hears offers, starts it again within a budget. No ROS, no torch."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import psutil

from armtune_policies.contract import Clock

from .settings import LearnerNodeParams

PAUSE_NS = 1_000_000_000
"""Between the end of one process and the start of the next."""
STARVED = 0.01
"""The share of a processor that tells one that others keep from working from one that hangs."""


@dataclass(frozen=True)
class Offer:
    """A head ready to be swapped in at an episode start."""

    version: str
    folder: str
    manifest_digest: str
    after: str = ""
    """The newest episode that was learnt from, where each is paid for by itself."""


def job_of(params: LearnerNodeParams) -> dict[str, Any]:
    """Return what the process is told."""
    learner, policy = params.learner, params.policy
    of_all = ("recipe", "pause_unknown", "nice", "memory_mb")
    of_one = ("updates", "batch", "learning_rate", "utd", "failures", "device", "rows", "prior_folder")
    return {
        **{name: getattr(learner, name) for name in (*of_all, *of_one)},
        "more_folders": list(learner.more_folders),
        "policy_folder": policy.folder,
        "cameras": list(policy.cameras),
        "height_px": policy.height_px,
        "width_px": policy.width_px,
        "rate_hz": policy.rate_hz,
        "run_folder": params.run_folder,
        "demos_folder": params.demos_folder,
        "carries": params.carries,
        "seed": params.seed,
    }


def spawn(job: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Start the learner on a job, in a session of its own, stderr ours."""
    command = [sys.executable, "-m", "armtune_policies.learn.process", json.dumps(job)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
    )


class LearnerProcess:
    """The process and its state; ``poll`` often, it never blocks.

    With ``refit_every`` 0 each finished episode is asked for by itself, in order (the recipe ``online``). A process
    that ends, or gives no sign for ``hang_s`` while it works, is started again at most ``restarts`` times; a request
    it left unanswered is asked again. Where others have the processor, ``hang_s`` is of its own time: a start can
    take minutes there, and one that is ended for it never comes to its end. One that refuses its job is given up.
    """

    def __init__(
        self, start: Callable[[], subprocess.Popen[str]], clock: Clock, restarts: int, hang_s: float, refit_every: int
    ) -> None:
        self._start, self._clock = start, clock
        self._restarts_left, self._hang_ns, self._every = restarts, round(hang_s * 1e9), refit_every
        self._process: subprocess.Popen[str] | None = None
        self._heard: deque[str] = deque(maxlen=1000)
        self._look_ns = self._ended_ns = 0
        self._sign_cpu_s = self._look_cpu_s = 0.0
        self._is_ready = False
        self._episodes: list[str] = []
        self._asked = ""
        self.state, self.trouble = "starting", ""
        self.newest_episode, self.updates_done = "", 0
        self.concluded: list[str] = []
        """Episodes answered since they were last taken from here, with an offer or without."""
        self._left = 0
        self.last: dict[str, Any] = {}

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def restarts_left(self) -> int:
        return self._restarts_left

    @property
    def waiting_episodes(self) -> int:
        return len(self._episodes)

    @property
    def asked(self) -> str:
        """The episode that is being learnt from, blank for none."""
        return self._asked

    @property
    def left(self) -> int:
        """Updates still to be made for it, as far as the process has said."""
        return self._left

    def finished(self, episode_id: str) -> None:
        """Note an episode that ended; every ``refit_every`` of them a refit is due."""
        self._episodes.append(episode_id)
        self.newest_episode = episode_id

    def poll(self) -> list[Offer]:
        """Do what is due; return the offers heard since the last call."""
        offers = [offer for line in self._lines() if (offer := self._note(line)) is not None]
        if self._process is None:
            self._begin()
        elif self._process.poll() is not None:
            if (code := self._process.returncode) == os.EX_CONFIG:
                self._ended("the learner refused its job; its log says why", restarts=0)
            else:
                self._ended(f"the learner ended with code {code}", self._restarts_left)
        elif (self._asked or not self._is_ready) and self._hangs():
            self._process.kill()
            self._process.wait(timeout=5)
            self._ended(f"the learner gave no sign for {self._hang_ns / 1e9:g} s", self._restarts_left)
        elif self._is_ready and not self._asked and len(self._episodes) >= max(self._every, 1):
            asked = self._episodes[:] if self._every else self._episodes[:1]
            del self._episodes[: len(asked)]
            self._ask(asked[-1])
        return offers

    def close(self, timeout_s: float = 1.0) -> None:
        """End the process: close its line, then insist."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        self.state = "stopped"
        with contextlib.suppress(OSError):  # it is gone already
            process.stdin.close()
        try:
            process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=timeout_s)

    def _lines(self) -> Sequence[str]:
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def _note(self, line: str) -> Offer | None:
        """Take one line in; anything that is no event of ours is a reason to distrust, not to crash."""
        try:
            event = json.loads(line)
            kind = event.pop("event")
            offer = None
            if kind == "offer" or (kind == "ready" and "version" in event):
                offer = Offer(event["version"], event["folder"], event["manifest_digest"], event.get("after", ""))
        except (ValueError, KeyError, AttributeError, TypeError):
            self.trouble = f"the learner said {line[:80]!r}, expected one JSON event a line"
            return None
        self._signed()
        self.last = event
        self.trouble = event.get("reason", "" if kind == "offer" else self.trouble)
        if kind == "ready":
            self._is_ready, self.state = True, "waiting"
            if self._asked:
                self._ask(self._asked)
        elif kind in ("offer", "nothing"):
            self.concluded.append(self._asked)
            self._asked, self._left, self.state = "", 0, "waiting"
            self.updates_done = int(event.get("total", self.updates_done + int(event.get("updates", 0))))
        elif "of" in event:
            self._left = int(event["of"]) - int(event.get("update", 0))
        return offer

    def _begin(self) -> None:
        is_too_soon = self._ended_ns > 0 and self._clock.now_ns() - self._ended_ns < PAUSE_NS
        if is_too_soon or self.state == "given up":
            return
        self._heard = deque(maxlen=1000)
        self._process, self._is_ready, self.state = self._start(), False, "starting"
        self._signed()
        threading.Thread(target=_hear, args=(self._process.stdout, self._heard), daemon=True).start()

    def _ended(self, why: str, restarts: int) -> None:
        self._process, self._is_ready, self.trouble = None, False, why
        self._ended_ns = self._clock.now_ns()
        self._restarts_left = max(restarts - 1, 0)
        self.state = "ended" if restarts > 0 else "given up"

    def _ask(self, episode_id: str) -> None:
        self._asked, self.state = episode_id, "refitting"
        self._signed()
        try:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(json.dumps({"episode_id": episode_id}) + "\n")
                self._process.stdin.flush()
        except OSError as why:
            self.trouble = f"the learner does not listen: {why}"  # poll sees its end and starts it again

    def _signed(self) -> None:
        self._look_ns = self._clock.now_ns()
        self._sign_cpu_s = self._look_cpu_s = _cpu_s(self._process)

    def _hangs(self) -> bool:
        """Whether it gave no sign for ``hang_s``, of which it worked for nearly nothing, or for all of it."""
        if (now_ns := self._clock.now_ns()) - self._look_ns <= self._hang_ns:
            return False
        cpu_s, hang_s = _cpu_s(self._process), self._hang_ns / 1e9
        is_still = cpu_s - self._look_cpu_s < STARVED * hang_s
        self._look_ns, self._look_cpu_s = now_ns, cpu_s
        return is_still or cpu_s - self._sign_cpu_s >= hang_s


def _cpu_s(process: subprocess.Popen[str] | None) -> float:
    """Return how long a process has had a processor; 0 for one that is gone."""
    try:
        used = psutil.Process(process.pid).cpu_times() if process is not None else None
    except psutil.Error:
        return 0.0
    return used.user + used.system if used is not None else 0.0


def _hear(lines: IO[str], heard: deque[str]) -> None:
    heard.extend(lines)
