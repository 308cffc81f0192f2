"""Learning from pixels: the published network, DrQ's shift, gradients from the critics only, and a task it learns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from pixel_reacher import SHAPE, make, seen_from_above, success
from reacher import SENTENCES, scripted

from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.pixels import Frame, PixelNet, PixelProjection, ready, shift, shift_by_index
from armtune_policies.learn.pretrain import Pretraining
from armtune_policies.learn.replay import Replay, mixed
from armtune_policies.learn.settings import AgentParams

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("kind", "size_px", "numbers"), [("drq", 100, 59_168), ("small", 64, 256), ("small", 36, 64)])
def test_networks_have_the_published_sizes(kind: str, size_px: int, numbers: int) -> None:
    net = PixelNet(kind, Frame(size_px, size_px, 3))
    image = torch.randint(256, (2, size_px, size_px, 3), dtype=torch.uint8)
    assert net.size == numbers and net(image).shape == (2, numbers)


def test_drq_layers_are_convolution_norm_over_each_pixels_channels_and_relu() -> None:
    torch.manual_seed(0)
    net = PixelNet("drq", Frame(15, 17, 6))
    image = torch.randint(256, (2, 15, 17, 6), dtype=torch.uint8)
    x = image.float().permute(0, 3, 1, 2) / 255 - 0.5
    for layer, stride in zip(net, (2, 1, 1, 1)):
        x = torch.nn.functional.conv2d(x, layer.conv.weight, layer.conv.bias, stride)
        centred = x - x.mean(dim=1, keepdim=True)
        x = torch.relu(centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt())
    torch.testing.assert_close(net(image), x.permute(0, 2, 3, 1).flatten(1), atol=1e-5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2**31))
def test_shift_moves_each_image_by_its_own_step_and_repeats_edges(
    count: int, height: int, width: int, pad_px: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    by = rng.integers(0, 2 * pad_px + 1, (count, 2))
    want = np.empty_like(image)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                row = min(max(y + by[n, 0] - pad_px, 0), height - 1)
                want[n, y, x] = image[n, row, min(max(x + by[n, 1] - pad_px, 0), width - 1)]
    for way in (shift, shift_by_index):
        assert np.array_equal(way(torch.from_numpy(image), torch.from_numpy(by), pad_px).numpy(), want)


def test_a_batch_has_the_frames_of_its_rows_and_shifts_them_apart() -> None:
    agent, replay = make("calql", 3, 0)
    rows = replay.usable[:8]
    batch = replay.gather(rows)
    assert batch.seen.image is not None and batch.next_seen.image is not None and batch.seen.shift is None
    assert np.array_equal(batch.seen.image.numpy(), replay.frames(rows, "top"))
    assert np.array_equal(batch.next_seen.image.numpy(), replay.frames(replay.next_rows(rows), "top"))
    drawn = replay.sample(np.random.default_rng(1), 64)
    assert drawn.seen.shift is not None and drawn.next_seen.shift is not None
    assert set(drawn.seen.shift.flatten().tolist()) == {0, 1, 2}
    assert not torch.equal(drawn.seen.shift, drawn.next_seen.shift)
    both = mixed(replay, replay, 0.5, np.random.default_rng(1), 10)
    assert both.seen.image is not None and len(both.seen.image) == 10
    assert ready(both, 1, agent.device).seen.shift is None


def test_two_cameras_lie_one_after_the_other_in_the_channels() -> None:
    sizes = {"front": (4, 5), "wrist": (4, 5)}
    assert Frame.of(sizes) == (4, 5, 6) and Frame.of({}) is None
    with pytest.raises(ValueError, match="bring all cameras to one size"):
        Frame.of({**sizes, "wrist": (4, 6)})


def gradients(agent: Agent, with_actor: bool) -> list[torch.Tensor]:
    _, replay = make("calql", 3, 1)
    batch = ready(replay.sample(np.random.default_rng(0), 16), 1, agent.device)
    agent.generator.manual_seed(0)
    total, _, _ = agent.losses(batch, agent.draw(16), with_actor)
    net, projection = agent.nets.net, agent.nets.projection
    assert net is not None and isinstance(projection, PixelProjection)
    return list(torch.autograd.grad(total, [*net.parameters(), *projection.image.parameters()]))


@pytest.mark.parametrize("recipe", ["calql", "iql", "rlpd", "td3bc"])
def test_critics_alone_train_the_network_over_images(recipe: str) -> None:
    with_actor, without = (gradients(make(recipe, 1, 0)[0], flag) for flag in (True, False))
    for one, other in zip(with_actor, without):
        assert torch.equal(one, other) and float(one.abs().max()) > 0


def test_targets_see_by_a_network_that_follows() -> None:
    agent, replay = make("calql", 2, 0, tau=0.25)
    assert agent.targets.net is not None and agent.nets.net is not None
    old, new = agent.targets.net[0].conv.weight.clone(), agent.nets.net[0].conv.weight
    agent.update(replay.sample(np.random.default_rng(0), 16))
    torch.testing.assert_close(agent.targets.net[0].conv.weight, torch.lerp(old, new.detach(), 0.25))


def test_state_whose_network_lay_in_the_projection_is_read() -> None:
    agent, replay = make("calql", 2, 0)
    other, _ = make("calql", 3, 0)
    agent.update(replay.sample(np.random.default_rng(0), 16))
    now = {n: t.clone() for n, t in agent.state().items() if ".actor_projection." not in n}
    old = {n.replace("nets.net.", "nets.projection.net.").replace("targets.net.", "targets.projection.net."): t
           for n, t in now.items()}  # fmt: skip
    old["counters"][2] = 1
    other.restore(old)
    for ours, theirs in ((other.nets, agent.nets), (other.targets, agent.targets)):
        assert ours.net is not None and theirs.net is not None
        assert all(map(torch.equal, ours.net.parameters(), theirs.net.parameters()))
        assert all(map(torch.equal, ours.actor_projection.parameters(), theirs.projection.parameters()))


def test_what_does_not_fit_is_refused() -> None:
    params = AgentParams(pixels="small")
    with pytest.raises(ValueError, match=r"agent.pixels=small: expected images where it is not none"):
        Agent(Layout(1, 2), params)
    with pytest.raises(ValueError, match=r"agent.pixels=none: .* got 40 x 40 px"):
        Agent(Layout(1, 2, None, Frame(40, 40, 3)), AgentParams())
    with pytest.raises(ValueError, match=r"expected larger images, got 35 x 40 px"):
        Agent(Layout(1, 2, None, Frame(35, 40, 3)), params)
    agent, _ = make("calql", 1, 0)
    blind = Replay(50, type(SHAPE)(state=1, action=2), agent.params)
    blind.add(seen_from_above(scripted(0, noise=0.5)))
    with pytest.raises(ValueError, match="an agent with pixels needs images"):
        agent.update(blind.sample(RNG, 4))


def test_bfloat16_sees_the_same_within_its_precision() -> None:
    found = []
    for bf16 in (False, True):
        agent, replay = make("calql", 3, 1)
        agent.in_bf16 = bf16  # also where the processor only imitates it
        found.append(agent.update(replay.sample(np.random.default_rng(0), 32)))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=0.1, atol=0.1)


def test_a_reacher_seen_in_pictures_is_learnt_offline() -> None:
    agent, replay = make("calql")
    assert agent.layout.sentences is SENTENCES
    Pretraining(agent, replay, 620).run()
    seeing, blindfolded = success(agent), success(agent, blindfolded=True)
    assert seeing >= 0.4 and seeing >= blindfolded + 0.15, f"{seeing:.0%} seeing, {blindfolded:.0%} blindfolded"
