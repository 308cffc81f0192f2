"""The policy in use, and the offer that waits for the next episode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from armtune_policies.store.manifest import ModelError

from .policy import Policy


@dataclass(frozen=True)
class SlotState:
    """What the slot holds; blank where there is nothing to say."""

    active_version: str
    waiting_version: str = ""
    refused_version: str = ""
    refused_reason: str = ""


class PolicySlot:
    """Holds the policy in use; a newer head waits until an episode starts.

    Offers are verified on a thread of their own, so the control thread never parses a
    model; it only swaps a reference in ``at_episode_start``.
    """

    def __init__(self, first: Policy, verify: Callable[[Policy, Path], Policy] = Policy.with_head) -> None:
        self._now = first
        self._next: Policy | None = None
        self._verify = verify
        self._refused = ("", "")
        self._lock = threading.Lock()
        self._verifier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify-offer")
        self._pending: list[Future[None]] = []

    @property
    def current(self) -> Policy:
        return self._now

    @property
    def state(self) -> SlotState:
        with self._lock:
            waiting = self._next.version if self._next is not None else ""
            return SlotState(self._now.version, waiting, *self._refused)

    def offer(self, folder: Path, version: str = "", manifest_digest: str = "") -> None:
        """Take an offer; returns at once. A later good offer replaces an earlier one that waits.

        Args:
            folder: With manifest.json and head.onnx.
            version: As the offer names it; used to report a refusal.
            manifest_digest: SHA-256 the manifest must have; blank leaves it unchecked.
        """
        self._pending = [job for job in self._pending if not job.done()]
        self._pending.append(self._verifier.submit(self._consider, Path(folder), version, manifest_digest))

    def at_episode_start(self) -> Policy:
        """Swap in what waits, if anything, and return the policy for this episode."""
        with self._lock:
            if self._next is not None:
                before, self._now, self._next = self._now, self._next, None
                self._verifier.submit(before.close_head)
            return self._now

    def settle(self, timeout_s: float) -> bool:
        """Wait until every offer was judged; True when they were within ``timeout_s``."""
        return not wait(self._pending, timeout=timeout_s).not_done

    def close(self) -> None:
        """Let go of the policies; offers not yet judged are dropped."""
        self._verifier.shutdown(wait=True, cancel_futures=True)
        if self._next is not None:
            self._next.close_head()
        self._now.close()

    def _consider(self, folder: Path, version: str, manifest_digest: str) -> None:
        try:
            policy = self._verify(self._now, folder)
            if manifest_digest and policy.manifest_digest != manifest_digest:
                policy.close_head()
                raise ModelError(
                    f"{folder}: manifest has SHA-256 {policy.manifest_digest}, the offer says {manifest_digest}"
                )
        except (ValueError, OSError) as why:
            with self._lock:
                self._refused = (version or folder.name, str(why))
            return
        with self._lock:
            if self._next is not None:
                self._next.close_head()
            self._next = policy
            self._refused = ("", "")
