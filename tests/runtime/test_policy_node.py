from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition

from armtune_interfaces.msg import EpisodeState, Observation, PolicyOffer, PolicyState, Proposal
from armtune_interfaces.srv import Lease
from armtune_policies.contract import TaskPair, file_digest, topics
from armtune_policies.runtime.aim import Aim, shifted
from armtune_policies.runtime.images import prepare
from armtune_policies.runtime.policy import Policy
from armtune_policies.store.nouns import PRACTICE
from armtune_runtime.settings import PolicyNodeParams, PolicyParams
from armtune_safety.managed_node import COMMAND_QOS, EVENT_QOS, EXIT_CONFIG, EXIT_FAILED, LATCHED_QOS, to_ns
from fixtures.tiny_models import ACTION, OBSERVATION, tiny_head, tiny_policy
from fixtures.wires import SENTENCE, SIZE, World, joints, mjcf, picture, robot
from harness import Stack

NODE, NAME = "armtune_runtime.policy_node", "policy"
TASK = TaskPair(name="drawer", forward=SENTENCE, backward="close the drawer")
PROPOSALS = topics.proposal("policy")


def settings(folder: Path, time: str = "lockstep", **policy: Any) -> PolicyNodeParams:
    return PolicyNodeParams(
        policy=PolicyParams(folder=str(folder), **policy),
        robot=robot(),
        task=TASK,
        run_folder=str(folder.parent / "run"),
        mjcf=mjcf(),
        time=time,
        camera_height_px=SIZE[0],
        camera_width_px=SIZE[1],
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_policy(tmp_path / "policy")


def up(stack: Stack, model: Path, time: str = "lockstep", **policy: Any) -> World:
    """The node, active, with a world around it that has begun to be heard."""
    world = World(stack, lockstep=time == "lockstep")
    stack.listen(PROPOSALS, Proposal, COMMAND_QOS)
    stack.listen(topics.OBSERVATION, Observation, EVENT_QOS)
    stack.listen(topics.POLICY_STATE, PolicyState, LATCHED_QOS)
    stack.bring_up(NODE, NAME, settings(model, time, **policy))
    return world.matched()


def test_proposal_and_observation_are_what_the_model_makes_of_the_exact_stamp(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    lease = world.act("run-00000")
    world.tick("run-00000", 0, lease, stamp_ns=200)
    world.see(199, grey=200)
    world.see(200, grey=90)
    proposal = stack.wait_for(PROPOSALS, Proposal)
    seen = stack.wait_for(topics.OBSERVATION, Observation)

    policy = Policy.load(model, ACTION, OBSERVATION)
    image = prepare(np.frombuffer(picture(200).data, np.uint8).reshape(*SIZE, 3), 96, 96)
    wanted = policy.propose(policy.features({"front": image}), np.asarray(seen.state), SENTENCE)
    assert list(proposal.values) == pytest.approx(wanted.tolist(), abs=1e-6)
    assert (proposal.lease, proposal.step, proposal.episode_id, proposal.kind) == (lease, 0, "run-00000", 0)
    assert (proposal.spec_digest, proposal.policy_version) == (ACTION.digest, policy.version)
    assert to_ns(proposal.observation_stamp) == to_ns(seen.header.stamp) == 200
    assert np.array_equal(np.frombuffer(seen.images[0].data, np.uint8).reshape(96, 96, 3), image)
    assert np.allclose(seen.features, policy.features({"front": image}))
    assert seen.state[:3] == pytest.approx([0.20, 0.0, 0.17], abs=1e-3) and seen.state[6] == pytest.approx(1.0)
    assert (seen.encoder_digest, seen.observation_digest) == (policy.encoder_digest, OBSERVATION.digest)


def test_try_after_a_failure_is_aimed_elsewhere_and_what_is_recorded_is_where_the_arm_was(
    stack: Stack, model: Path
) -> None:
    world, aim = up(stack, model, aim_m=0.01), Aim(0.01, 0.02, 0)
    policy, practice = Policy.load(model, ACTION, OBSERVATION), {"purpose": PRACTICE}
    for index, since_success in enumerate((0, 1, 3, 0)):
        name = f"run-{index:05d}"
        lease = world.act(name, index=index, since_success=since_success, **practice)
        world.tick(name, 0, lease, stamp_ns=100 + index)
        world.see(100 + index)
        proposal = stack.wait_for(PROPOSALS, Proposal, lambda p, n=name: p.episode_id == n)
        seen = stack.wait_for(topics.OBSERVATION, Observation, lambda o, n=name: o.episode_id == n)
        state, off_m = np.asarray(seen.state, np.float32), aim.off_m(index, since_success)
        assert state[:3] == pytest.approx([0.20, 0.0, 0.17], abs=1e-3)
        assert off_m.any() == (since_success > 0), "straight at first and after a success"
        wanted = policy.propose(np.asarray(seen.features, np.float32), shifted(state, off_m), SENTENCE)
        assert list(proposal.values) == pytest.approx(wanted.tolist(), abs=1e-6)
        world.episode(name, EpisodeState.ACTING, outcome="timeout", end_step=0, index=index, **practice)


def test_sequence_rises_when_steps_follow_each_other(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    lease = world.act("run-00000")
    for step in range(5):
        world.see(1000 + step)
        world.tick("run-00000", step, lease, stamp_ns=1000 + step)
        stack.wait_for(PROPOSALS, Proposal, lambda p, step=step: p.step == step)
    sequence = [p.seq for p in stack.listen(PROPOSALS, Proposal)]
    assert sequence == sorted(set(sequence))


def test_tick_is_not_answered_when_another_source_or_episode_holds_the_arm(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    lease = world.act("run-00000")
    world.see(1)
    world.tick("run-00000", 0, 5, stamp_ns=1, holder="teleop")
    world.tick("run-00009", 1, lease, stamp_ns=1)
    world.tick("run-00000", 2, lease, stamp_ns=1)
    assert stack.wait_for(PROPOSALS, Proposal).step == 2


def test_steps_of_a_person_are_watched_and_not_proposed_for(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    world.episode("run-00000", "showing")
    world.see(1)
    world.tick("run-00000", 4, 5, stamp_ns=1, holder="teleop")
    assert stack.wait_for(topics.OBSERVATION, Observation).step == 4
    assert not stack.listen(PROPOSALS, Proposal) and not world.desk.calls


def test_pictures_and_state_are_recorded_when_there_is_no_policy_yet(stack: Stack) -> None:
    world = World(stack, lockstep=True)
    stack.bring_up(NODE, NAME, PolicyNodeParams(**{**vars(settings(Path("x"))), "policy": PolicyParams(folder="")}))
    world.matched()
    for phase, holder in (("acting", "policy"), ("showing", "teleop")):
        world.episode("run-00000", phase)
        world.see(1)
        world.tick("run-00000", 0, 5, stamp_ns=1, holder=holder)
    seen = stack.wait_for(topics.OBSERVATION, Observation)
    assert len(seen.images) == 1 and len(seen.features) == 0 and seen.observation_digest == OBSERVATION.digest
    assert not world.desk.calls, "it never asks for the arm"


def test_newest_frame_is_used_when_time_is_real(stack: Stack, model: Path) -> None:
    world = up(stack, model, "real")
    stop = world.live()
    lease = world.act("run-00000")
    sent_ns = stack.node.get_clock().now().nanoseconds
    world.tick("run-00000", 0, lease)
    proposal = stack.wait_for(PROPOSALS, Proposal)
    stop.set()
    assert to_ns(proposal.observation_stamp) > sent_ns - 20_000_000


def test_step_is_left_unanswered_when_the_camera_stalls(stack: Stack, model: Path) -> None:
    world = up(stack, model, "real", max_frame_age_s=0.05)
    lease = world.act("run-00000")
    world.see(1)
    stop = world.live(pictures=False)
    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray)
    world.tick("run-00000", 0, lease)
    stale = "nothing fit to act on came within the control period"
    stack.wait_for(topics.DIAGNOSTICS, DiagnosticArray, lambda d: d.status[0].message == stale)
    assert stack.listen(PROPOSALS, Proposal) == []
    stop.set()

    stop = world.live()
    world.tick("run-00000", 1, lease)
    assert stack.wait_for(PROPOSALS, Proposal).step == 1
    stop.set()


def test_lease_is_released_when_the_episode_ends(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    lease = world.act("run-00000")
    world.episode("run-00000", EpisodeState.ACTING, outcome="success", end_step=3)
    stack.until(lambda: len(world.desk.calls) == 2, what="release")
    assert (world.desk.calls[1].op, world.desk.calls[1].lease) == (Lease.Request.RELEASE, lease)
    world.act("run-00001")


def test_lease_is_released_when_the_node_is_told_to_end(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    world.act("run-00000")
    assert stack.stop(NAME) == 0
    stack.until(lambda: world.desk.operations[-1][0] == Lease.Request.RELEASE, what="release")


def offer_of(folder: Path, version: str) -> PolicyOffer:
    digest = file_digest(folder / "manifest.json")
    return PolicyOffer(policy_version=version, manifest_path=str(folder), manifest_digest=digest)


@pytest.mark.fault("F25")
def test_offer_waits_for_the_next_episode_when_one_is_running(stack: Stack, model: Path, tmp_path: Path) -> None:
    world = up(stack, model)
    offers = stack.publisher(topics.POLICY_OFFER, PolicyOffer, LATCHED_QOS)
    first = stack.wait_for(topics.POLICY_STATE, PolicyState).active_version
    lease = world.act("run-00000")
    offers.publish(offer_of(tiny_head(tmp_path / "head", of=model), "newer"))
    newer = stack.wait_for(topics.POLICY_STATE, PolicyState, lambda s: s.waiting_version).waiting_version

    versions = []
    for episode, step in (("run-00000", 0), ("run-00001", 0)):
        if episode == "run-00001":
            world.episode("run-00000", EpisodeState.ACTING, outcome="success", end_step=0)
            world.episode("run-00001", EpisodeState.READY)
            lease = world.act(episode)
        world.see(10 + len(versions))
        world.tick(episode, step, lease, stamp_ns=10 + len(versions))
        proposal = stack.wait_for(PROPOSALS, Proposal, lambda p, e=episode: p.episode_id == e)
        versions.append(proposal.policy_version)
    assert versions == [first, newer] and first != newer
    state = stack.wait_for(topics.POLICY_STATE, PolicyState, lambda s: s.active_version == newer)
    assert state.provider == "CPUExecutionProvider" and not state.waiting_version


@pytest.mark.fault("F22", "L7")
def test_offer_is_refused_with_a_reason_when_its_head_was_changed(stack: Stack, model: Path, tmp_path: Path) -> None:
    world = up(stack, model)
    offers = stack.publisher(topics.POLICY_OFFER, PolicyOffer, LATCHED_QOS)
    head = tiny_head(tmp_path / "head", of=model)
    data = bytearray((head / "head.onnx").read_bytes())
    data[50] ^= 1
    (head / "head.onnx").write_bytes(bytes(data))
    offers.publish(offer_of(head, "bad"))
    state = stack.wait_for(topics.POLICY_STATE, PolicyState, lambda s: s.refused_version)
    assert (state.refused_version, state.waiting_version) == ("bad", "")
    assert "SHA-256" in state.refused_reason
    assert world.act("run-00000")


@pytest.mark.fault("F24")
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no such file"),
        (lambda folder: (folder / "head.onnx").write_bytes((folder / "head.onnx").read_bytes()[:80]), "cut short"),
    ],
    ids=["no manifest", "truncated"],
)
def test_node_refuses_to_configure_when_the_model_will_not_do(
    stack: Stack, model: Path, damage: Any, says: str
) -> None:
    damage(model)
    process = stack.start(NODE, NAME, settings(model))
    stack.transition(NAME, Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert says in stack.log(NAME) and "Traceback" not in stack.log(NAME)


@pytest.mark.fault("F23")
def test_node_refuses_to_configure_when_the_model_does_not_know_the_task(stack: Stack, tmp_path: Path) -> None:
    model = tiny_policy(tmp_path / "policy", sentences=("wave",))
    process = stack.start(NODE, NAME, settings(model))
    stack.transition(NAME, Transition.TRANSITION_CONFIGURE, expect=False)
    assert process.wait(timeout=10) == EXIT_CONFIG
    assert f"does not know the sentence '{SENTENCE}'" in stack.log(NAME)


def test_node_goes_on_when_messages_are_damaged(stack: Stack, model: Path) -> None:
    world = up(stack, model)
    lease = world.act("run-00000")
    world.images.publish(picture(1, encoding="mono8"))
    world.images.publish(picture(2, height=3))
    world.joints.publish(joints(3, position=[float("nan")] * 7))
    world.joints.publish(joints(4, name=["waist"]))
    world.see(5)
    world.tick("run-00000", 0, lease, stamp_ns=5)
    assert stack.wait_for(PROPOSALS, Proposal).step == 0


@pytest.mark.fault("F27")
def test_node_ends_to_begin_anew_when_the_worker_that_runs_its_model_is_gone(stack: Stack, model: Path) -> None:
    world = up(stack, model, worker=sys.executable)
    lease = world.act("run-00000")
    world.see(1)
    world.tick("run-00000", 0, lease, stamp_ns=1)
    assert stack.wait_for(PROPOSALS, Proposal).step == 0
    node = stack.processes[NAME]
    children = [pid for task in Path(f"/proc/{node.pid}/task").glob("*/children") for pid in task.read_text().split()]
    assert len(children) == 2, "a worker for the encoder, one for the head"
    os.kill(int(children[0]), signal.SIGKILL)
    world.see(2)
    world.tick("run-00000", 1, lease, stamp_ns=2)
    assert node.wait(timeout=10.0) == EXIT_FAILED, "the runner starts it again"
    assert "the inference worker could not answer" in stack.log(NAME)
    assert [p.step for p in stack.listen(PROPOSALS, Proposal)] == [0]


def test_node_imports_when_torch_is_not_installed() -> None:
    code = f"import sys; sys.modules['torch'] = None; import {NODE}; assert 'armtune_policies.learn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
