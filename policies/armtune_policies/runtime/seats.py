"""Who acts: practice's own policy, and a guest that only evaluation acts by. Survives a restart.

The head that practice swapped in last is noted in the run's folder, so that a run that goes on begins with it and not
with the policy it once began with. A guest never takes practice's seat: however an evaluation ends, practice goes on as
it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from armtune_policies.store.files import read_json, write_json

from .policy import Policy
from .slot import PolicySlot, Slot, SlotState

FILE = "policy.json"


class Seats:
    """What ``policy_node`` acts by.

    Args:
        first: The policy that the run was begun with.
        run_folder: Of the run; what practice acted by last is taken up from here.

    Attributes:
        trouble: Why it begins with ``first`` all the same, or what cannot be noted; blank for nothing.
    """

    def __init__(self, first: Policy, run_folder: Path) -> None:
        self._path = Path(run_folder) / FILE
        found, self.trouble = _resumed(first, self._path)
        self._own = PolicySlot(found, on_swap=self._note)
        kept = lambda policy: None if policy is found else policy.close_head()  # noqa: E731
        self._guest: Slot[Policy] = Slot(found, type(first).with_head, kept)
        self._no_guest, self._acting = found, self._own.current

    @property
    def current(self) -> Policy:
        """The policy of the episode that is on."""
        return self._acting

    @property
    def state(self) -> SlotState:
        """What acts, what waits for practice and what for evaluation, and what was refused last."""
        own, guest = self._own.state, self._guest.state
        ready = guest.waiting_version or ("" if self._guest.current is self._no_guest else guest.active_version)
        refused = own if own.refused_version else guest  # what practice waits for comes first
        return replace(
            own, active_version=self._acting.version, guest_version=ready,
            refused_version=refused.refused_version, refused_reason=refused.refused_reason,
        )  # fmt: skip

    def offer(self, folder: Path, version: str, manifest_digest: str) -> None:
        """Take an offer for practice; see ``Slot.offer``. What practice acts by stays, and nothing older waits then."""
        self._own.offer(folder, version, manifest_digest)

    def invite(self, folder: Path, version: str, manifest_digest: str) -> None:
        """Take a guest for the next episodes of evaluation."""
        self._own.forget_refusal()  # else what practice was refused long ago would hide what becomes of the guest
        self._guest.offer(folder, version, manifest_digest)

    def at_episode_start(self, is_evaluation: bool) -> None:
        """Let practice's policy act, swapping in what waits, or the guest."""
        if not is_evaluation:
            self._acting = self._own.at_episode_start()
        elif (guest := self._guest.at_episode_start()) is not self._no_guest:
            self._acting = guest

    def settle(self, timeout_s: float) -> bool:
        """Wait until every offer was judged and every swap noted; True when it was within ``timeout_s``."""
        return self._own.settle(timeout_s) and self._guest.settle(timeout_s)

    def close(self) -> None:
        self._guest.close()
        if self._guest.current is not self._no_guest:
            self._guest.current.close_head()
        self._own.close()

    def _note(self, folder: Path) -> None:
        try:
            write_json(self._path, {"folder": str(folder.resolve())})
        except OSError as why:
            self.trouble = f"a run that goes on would begin with an older policy: {why.strerror or why}"


def _resumed(first: Policy, path: Path) -> tuple[Policy, str]:
    """Return what practice acted by last, else ``first`` and why."""
    if not path.is_file():
        return first, ""
    try:
        found = first.with_head(Path(read_json(path)["folder"]))
    except (ValueError, OSError, KeyError, TypeError) as why:
        return first, f"begins with {first.version}, not with what it acted by last: {why}"
    first.close_head()
    return found, ""
