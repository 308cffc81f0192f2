"""The model in use, and the offer that waits for the next episode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from armtune_policies.store.manifest import ModelError

from .policy import Policy


class Model(Protocol):
    """What can be offered: it names its weights, and its manifest by SHA-256."""

    @property
    def version(self) -> str: ...

    @property
    def manifest_digest(self) -> str: ...


M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class SlotState:
    """What the slot holds; blank where there is nothing to say."""

    active_version: str
    waiting_version: str = ""
    refused_version: str = ""
    refused_reason: str = ""
    guest_version: str = ""


class Slot(Generic[M]):
    """Holds the model in use; a newer one waits until an episode starts.

    Offers are verified on a thread of their own, so the thread that serves never parses a
    model; it only swaps a reference in ``at_episode_start``.
    """

    def __init__(
        self,
        first: M,
        verify: Callable[[M, Path], M],
        let_go: Callable[[M], None],
        on_swap: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        """Begin with a model.

        Args:
            first: The model.
            verify: Returns the model in a folder that can follow this one, or raises ValueError or OSError.
            let_go: Closes what a model does not share with the one after it.
            on_swap: Told the folder of what was swapped in, on the thread that verifies.
        """
        self._now = first
        self._next: tuple[M, Path] | None = None
        self._verify, self._let_go, self._on_swap = verify, let_go, on_swap
        self._refused = ("", "")
        self._lock = threading.Lock()
        self._verifier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify-offer")
        self._pending: list[Future[None]] = []

    @property
    def current(self) -> M:
        return self._now

    @property
    def state(self) -> SlotState:
        with self._lock:
            waiting = self._next[0].version if self._next is not None else ""
            return SlotState(self._now.version, waiting, *self._refused)

    def offer(self, folder: Path, version: str = "", manifest_digest: str = "") -> None:
        """Take an offer; returns at once. A later good offer replaces an earlier one that waits.

        Args:
            folder: With manifest.json and the graph.
            version: As the offer names it; used to report a refusal.
            manifest_digest: SHA-256 the manifest must have; blank leaves it unchecked.
        """
        self._pending = [job for job in self._pending if not job.done()]
        self._pending.append(self._verifier.submit(self._consider, Path(folder), version, manifest_digest))

    def forget_refusal(self) -> None:
        """Say no more what was refused: it was told."""
        with self._lock:
            self._refused = ("", "")

    def at_episode_start(self) -> M:
        """Swap in what waits, if anything, and return the model for this episode."""
        with self._lock:
            if self._next is not None:
                before, (self._now, folder), self._next = self._now, self._next, None
                self._pending.append(self._verifier.submit(self._swapped, before, folder))
            return self._now

    def settle(self, timeout_s: float) -> bool:
        """Wait until every offer was judged and every swap noted; True when it was within ``timeout_s``."""
        return not wait(self._pending, timeout=timeout_s).not_done

    def close(self) -> None:
        """Let go of what waits; offers not yet judged are dropped. The model in use is the caller's to close."""
        self._verifier.shutdown(wait=True, cancel_futures=True)
        if self._next is not None:
            self._let_go(self._next[0])

    def _swapped(self, before: M, folder: Path) -> None:
        """What a swap leaves to do, on the thread that verifies."""
        self._let_go(before)
        self._on_swap(folder)

    def _consider(self, folder: Path, version: str, manifest_digest: str) -> None:
        try:
            model = self._verify(self._now, folder)
            if manifest_digest and model.manifest_digest != manifest_digest:
                self._let_go(model)
                raise ModelError(
                    f"{folder}: manifest has SHA-256 {model.manifest_digest}, the offer says {manifest_digest}"
                )
        except (ValueError, OSError) as why:
            with self._lock:
                self._refused = (version or folder.name, str(why))
            return
        with self._lock:
            if self._next is not None:
                self._let_go(self._next[0])
            self._next = model, folder
            self._refused = ("", "")


class PolicySlot(Slot[Policy]):
    """The slot of a policy: heads are swapped, the encoder stays."""

    def __init__(
        self,
        first: Policy,
        verify: Callable[[Policy, Path], Policy] | None = None,
        on_swap: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        super().__init__(first, verify or type(first).with_head, type(first).close_head, on_swap)

    def _consider(self, folder: Path, version: str, manifest_digest: str) -> None:
        """As any slot; but what is in use stays, and what was offered before and waits is no longer wanted."""
        dropped = None
        with self._lock:
            if is_in_use := version == self._now.version:
                dropped, self._next, self._refused = self._next, None, ("", "")
        if dropped is not None:
            self._let_go(dropped[0])
        if not is_in_use:
            super()._consider(folder, version, manifest_digest)

    def close(self) -> None:
        super().close()
        self._now.close()
