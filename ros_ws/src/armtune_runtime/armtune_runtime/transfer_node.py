"""A run's episodes go to a workstation and its heads come back: in the learner's place where that is elsewhere."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from armtune_interfaces.msg import LearnerState, PolicyOffer
from armtune_policies.contract import topics
from armtune_policies.store.aside import Aside
from armtune_policies.store.files import read_json
from armtune_policies.store.manifest import load_manifest
from armtune_policies.transfer.app import Dock, Offered
from armtune_policies.transfer.secret import read_secret
from armtune_policies.transfer.server import Server
from armtune_safety.managed_node import LATCHED_QOS, ManagedNode, run

from .settings import TransferNodeParams

POLL_S = 0.1
STANDING = "offered.json"
"""What was offered last, kept in the run's folder: after a kill of everything it is offered anew."""
TOLD = ("state", "newest_episode", "waiting_episodes", "updates_done", "restarts_left", "reason")


class TransferNode(ManagedNode):
    """Plumbing around ``Dock``."""

    Params = TransferNodeParams
    params: TransferNodeParams
    _works = ExitStack()

    def set_up(self) -> None:
        self._standing = Path(self.params.run_folder) / STANDING
        self._came: queue.SimpleQueue[Offered | Mapping[str, Any]] = queue.SimpleQueue()
        self._offer_pub = self.create_publisher(PolicyOffer, topics.POLICY_OFFER, LATCHED_QOS)
        self._state_pub = self.create_publisher(LearnerState, topics.LEARNER_STATE, LATCHED_QOS)

    def start(self) -> None:
        learner, self._works = self.params.learner, ExitStack()
        self._aside = self._works.enter_context(closing(Aside()))
        token = read_secret(learner.token_file)
        tls = (learner.tls_cert, learner.tls_key) if learner.tls_cert else None
        p = self.params
        dock = Dock(Path(p.run_folder), p.run_id, Path(p.policy_folder), token, self._came.put, self._came.put)
        server = Server(dock.app(), learner.host, learner.port, tls)
        self._works.callback(server.close)
        self._works.callback(self.destroy_timer, self.create_timer(POLL_S, self._poll))
        self.report("nobody learns yet", level=DiagnosticStatus.WARN, port=server.port)
        if self._standing.is_file():
            self._carefully(self._offer_again)

    def stop(self) -> None:
        self._works.close()

    def tear_down(self) -> None:
        self.stop()

    def _poll(self) -> None:
        while not self._came.empty():
            said = self._came.get(timeout=POLL_S)
            self._carefully(partial(self._offer, said) if isinstance(said, Offered) else partial(self._tell, said))

    def _carefully(self, do: Callable[[], None]) -> None:
        """Do what a workstation, or a disk, may have made impossible: that is told, and changes nothing."""
        try:
            do()
        except (AssertionError, TypeError, KeyError, ValueError, OSError) as why:
            self.report(f"a workstation's word did not get through: {why}", level=DiagnosticStatus.WARN)

    def _offer_again(self) -> None:
        kept = read_json(self._standing)
        self._offer(Offered(str(kept["version"]), Path(kept["folder"]), str(kept["manifest_digest"])))

    def _offer(self, one: Offered) -> None:
        """Publish an offer, and keep it. The head itself says which version it is."""
        version = load_manifest(one.folder, kinds=("head", "policy")).version
        if version != one.version:
            raise ValueError(f"{one.folder}: offered as {one.version!r}, it is {version}")
        kept = {"version": version, "folder": str(one.folder), "manifest_digest": one.manifest_digest}
        self._aside.write(self._standing, kept)
        offer = PolicyOffer(policy_version=version, manifest_path=str(one.folder.resolve()))
        offer.manifest_digest, offer.stamp = one.manifest_digest, self.get_clock().now().to_msg()
        self._offer_pub.publish(offer)
        self.did_work()
        self.get_logger().info(f"offered {version}")

    def _tell(self, said: Mapping[str, Any]) -> None:
        """Publish what the workstation says of its learner. Unchecked, another type would end the process."""
        for value in said.values():
            str(value).encode()  # half a character is JSON, and no message
        state = LearnerState(check_fields=True, **{name: said[name] for name in TOLD if name in said})
        state.stamp = self.get_clock().now().to_msg()
        self._state_pub.publish(state)
        self.did_work()
        self.report(self._aside.trouble or state.reason or state.state, state=state.state, updates=state.updates_done)


def main() -> None:
    run(lambda: TransferNode("transfer_node"))


if __name__ == "__main__":
    main()
