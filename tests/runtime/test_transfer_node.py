"""A robot without a learner: a workstation fetches its episodes and sends a head, which is offered."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from armtune_bringup.compose import compose
from armtune_bringup.learning_from import learn_from
from armtune_interfaces.msg import LearnerState, PolicyOffer
from armtune_policies.contract import ConfigError, file_digest, topics
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.episode_reader import list_episodes
from armtune_policies.transfer.remote import Remote
from armtune_runtime.settings import LearnerParams, TransferNodeParams
from armtune_runtime.transfer_node import STANDING
from armtune_safety.managed_node import LATCHED_QOS
from fixtures.untrained import untrained_policy, write_episode
from harness import Stack

NODE, NAME, TOKEN = "armtune_runtime.transfer_node", "transfer", "a secret of these tests"
WAIT_S = 60.0

pytestmark = pytest.mark.slow


@contextmanager
def workstation(url: str, folder: Path, policy: Path) -> Iterator[list[str]]:
    """``armtune learn`` on a thread; yields what it says."""
    said, ends = list[str](), threading.Event()
    sight = ["policy.height_px=32", "policy.width_px=32", f"policy.folder={policy}"]
    config = compose([*sight, "learner.updates=5", "learner.refit_every=1", "experiment.seed=3"])
    told = (config, [Remote(url, TOKEN)], folder, ends.is_set, said.append)
    thread = threading.Thread(target=learn_from, args=told, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        ends.set()
        thread.join(timeout=10)
        assert not thread.is_alive(), said


def test_head_learnt_elsewhere_is_offered_here_and_again_after_everything_was_killed(
    stack: Stack, tmp_path: Path
) -> None:
    policy = untrained_policy(tmp_path / "policy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "token").write_text(TOKEN)
    run, far = tmp_path / "robot/run", tmp_path / "far"
    learner = LearnerParams(recipe="remote", port=port, token_file=str(tmp_path / "token"))
    params = TransferNodeParams(learner=learner, run_id="run", run_folder=str(run), policy_folder=str(policy))
    write_episode(run, "run-00000")
    (run / STANDING).write_text("[]")  # nonsense on the disk or from outside ends nothing
    stack.listen(topics.POLICY_OFFER, PolicyOffer, LATCHED_QOS)
    stack.listen(topics.LEARNER_STATE, LearnerState, LATCHED_QOS)
    stack.bring_up(NODE, NAME, params)
    url = f"http://127.0.0.1:{port}"
    for nonsense in ({"reason": "\ud800"}, {"state": 5}, {"updates_done": -1}):
        Remote(url, TOKEN).tell("/state", nonsense)
    with workstation(url, far, policy) as said:
        first = stack.wait_for(topics.POLICY_OFFER, PolicyOffer, timeout_s=WAIT_S)
        assert Path(first.manifest_path) == run / "models/head-0001", said
        assert first.manifest_digest == file_digest(Path(first.manifest_path) / "manifest.json")
        config = compose(["policy.height_px=32", "policy.width_px=32"]).policy
        swapped = Policy.load(policy, config.action, config.observation).with_head(Path(first.manifest_path))
        assert swapped.version == first.policy_version
        stack.stop(NAME, signal.SIGKILL)
        write_episode(run, "run-00001")
        heard = len(stack.listen(topics.POLICY_OFFER, PolicyOffer))
        stack.bring_up(NODE, f"{NAME}_again", params)  # a name of its own: services of the dead one linger on the graph
        again = stack.wait_for(topics.POLICY_OFFER, PolicyOffer, timeout_s=WAIT_S, newer_than=heard)
        assert again.policy_version == first.policy_version, "what was offered last stands"
        known = lambda state: state.newest_episode == "run-00001"  # noqa: E731
        stack.wait_for(topics.LEARNER_STATE, LearnerState, known, WAIT_S)
    assert [path.name for path in list_episodes(far / "run")] == ["run-00000.mcap", "run-00001.mcap"]


def test_a_run_is_not_served_beyond_this_machine_without_a_secret() -> None:
    with pytest.raises(ConfigError, match=r"learner\.token_file: expected a file with a secret"):
        LearnerParams(recipe="remote", host="0.0.0.0")
