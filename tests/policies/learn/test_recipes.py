"""Each recipe's losses against float64 loops written apart; gradients; the same seed, the same curve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from armtune_policies.contract import ConfigError
from armtune_policies.learn.actor_critic import Actor, Critics, Projection, Seen, log_density, sample
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.context import Batch, Draws
from armtune_policies.learn.crew import Crew
from armtune_policies.learn.settings import NAMES, NEWER, AgentParams, named_by, recipe_params

sys.path.insert(0, str(Path(__file__).parent))

from slow_losses import Slow
from tiny_agents import ACTION, ROWS, SMALL, VECTOR, batch, make

CPU = torch.device("cpu")


def doubled(agent: Agent, draws: Draws) -> Draws:
    """Turn an agent and its draws to float64."""
    agent.nets.double()
    agent.targets.double()
    agent.log_alpha = agent.log_alpha.detach().double().requires_grad_()
    agent.scales = agent.scales.double()
    return Draws(draws.current.double(), draws.next.double(), draws.random.double(), draws.subset)


def arrays(b: Batch) -> dict[str, np.ndarray]:
    named = {"seen": b.seen.vector, "sentence": b.seen.sentence, "next_seen": b.next_seen.vector,
             "next_sentence": b.next_seen.sentence, "action": b.action, "reward": b.reward,
             "bootstrap": b.bootstrap, "mc_return": b.mc_return, "imitate": b.imitate, "expert": b.expert}  # fmt: skip
    return {name: np.asarray(t) for name, t in named.items()}


DRAWN = ("generator", "counters")
CASES = [(name, {}) for name in NAMES] + [
    ("calql", {"max_target_backup": True, "entropy_backup": True}),
    ("calql", {"bc_weight": 0.0, "actor_q": "mean"}),
    ("calql", {"mc_floor": True}),
    ("rlpd", {"entropy_backup": True}),
    ("iql", {"expectile": 0.9, "awr_beta": 10.0, "awr_most": 5.0}),
]


@pytest.mark.parametrize("scales", [(0.0, 0.0), (0.3, 5.0)], ids=["begun", "later"])
@pytest.mark.parametrize(("recipe", "changes"), CASES, ids=lambda value: str(value))
def test_losses_are_those_of_slow_loops(recipe: str, changes: dict[str, Any], scales: tuple[float, float]) -> None:
    agent = make(recipe, **{"scale_rate": 0.25, **changes})
    agent.scales = torch.tensor(scales)
    draws = doubled(agent, agent.draw(ROWS))
    slow = Slow(agent.params, agent.nets.state_dict(), agent.targets.state_dict(), agent.params.temperature, scales)
    for seed in (0, 1):
        data = batch(seed, dtype=torch.float64)
        _, ours, agent.scales = agent.losses(data, draws)
        theirs = slow.losses(arrays(data), {name: np.asarray(t) for name, t in draws._asdict().items()})
        assert {name: value.item() for name, value in ours.items()} == pytest.approx(theirs, rel=1e-6)
        assert agent.scales.tolist() == pytest.approx(slow.scales, rel=1e-6)


def slopes(agent: Agent, net: torch.nn.Module, *parts: str) -> tuple[float, float]:
    """The gradient of the parts of the loss that train a network along a random direction: ours, and by differences."""
    draws, data = doubled(agent, agent.draw(ROWS)), batch(dtype=torch.float64)
    values = list(net.parameters())
    start = [v.detach().clone() for v in values]
    g = torch.Generator().manual_seed(9)
    aim = [torch.randn(v.shape, generator=g, dtype=torch.float64) for v in start]

    def loss_at(step: float) -> float:
        with torch.no_grad():
            for value, first, along in zip(values, start, aim):
                value.copy_(first + step * along)
        found = agent.losses(data, draws)[1]
        return sum(found[part].item() for part in parts)

    numeric = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
    loss_at(0.0)
    agent.losses(data, draws)[0].backward()
    ours = sum((v.grad * d).sum().item() for v, d in zip(values, aim) if v.grad is not None)
    return ours, numeric


@pytest.mark.parametrize("recipe", ["rlpd", "td3bc", "iql"])
def test_critics_move_as_finite_differences_say(recipe: str) -> None:
    agent = make(recipe)
    ours, numeric = slopes(agent, agent.nets.critics, "td")
    assert numeric != 0.0 and ours == pytest.approx(numeric, rel=1e-4)


@pytest.mark.parametrize("recipe", ["calql", "cql"])
def test_critics_move_as_finite_differences_of_the_penalty_say(recipe: str) -> None:
    agent = make(recipe, cql_weight=100.0)  # so that it outweighs the TD loss, which trains them, too
    ours, numeric = slopes(agent, agent.nets.critics, "td", "conservative")
    assert numeric != 0.0 and ours == pytest.approx(numeric, rel=1e-4)


@pytest.mark.parametrize("recipe", NAMES)
def test_actor_moves_as_finite_differences_say(recipe: str) -> None:
    agent = make(recipe, scale_rate=1e-4)
    agent.scales = torch.tensor([1e9, 1e9])  # so large that this batch does not move them: they have no gradient
    for net in (agent.nets.actor, agent.nets.actor_projection):
        agent.nets.zero_grad()
        ours, numeric = slopes(agent, net, "actor")
        assert numeric != 0.0 and ours == pytest.approx(numeric, rel=1e-3)


@pytest.mark.parametrize("recipe", NAMES)
def test_every_trained_weight_gets_a_gradient(recipe: str) -> None:
    agent = make(recipe)
    agent.losses(batch(rows=64), agent.draw(64))[0].backward()
    idle = {name for name, w in agent.nets.named_parameters() if w.numel() and (w.grad is None or not w.grad.any())}
    assert not {name for name in idle if recipe != "bc" or not name.startswith(("critics", "projection"))}


@pytest.mark.parametrize("recipe", ["calql", "iql", "rlpd", "td3bc"])
def test_actor_and_critics_see_by_projections_of_their_own(recipe: str) -> None:
    agent = make(recipe)
    draws, found = agent.draw(ROWS), []
    for with_actor in (True, False):
        agent.nets.zero_grad()
        agent.losses(batch(), draws, with_actor)[0].backward()
        found.append([w.grad.clone() for w in agent.nets.projection.parameters()])
        assert with_actor == any(w.grad is not None for w in agent.nets.actor_projection.parameters())
    assert all(map(torch.equal, *found))


def test_networks_pass_gradcheck_in_float64() -> None:
    torch.manual_seed(0)
    projection, actor = Projection(4, torch.randn(2, 3), 5).double(), Actor(5, 2, (6, 6)).double()
    critics = Critics(3, 5, 2, (6, 6)).double()
    rows = torch.tensor([0, 1, 1])
    vector = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    z = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    action = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(2, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: projection(Seen(v, rows)), vector)
    assert torch.autograd.gradcheck(lambda v: sample(*actor(v), noise), z)
    assert torch.autograd.gradcheck(lambda v, a: critics(v, a), (z, action))
    assert torch.autograd.gradcheck(lambda v, a: critics(v, a[:1], pick=torch.tensor([2, 0])), (z, action))
    assert torch.autograd.gradcheck(lambda v: log_density(*actor(v), torch.tanh(noise[0])), z)


def test_density_integrates_to_one() -> None:
    grid = torch.linspace(-0.98999, 0.98999, 20001, dtype=torch.float64)
    mean, log_std = torch.tensor([0.3]), torch.tensor([-0.7])
    mass = torch.trapezoid(log_density(mean, log_std, grid[:, None]).exp(), grid)
    assert mass.item() == pytest.approx(1.0, abs=1e-3)


def test_subset_asks_the_critics_it_names() -> None:
    agent = make("rlpd")
    z, action = torch.randn(4, 5), torch.randn(2, 4, ACTION)
    everyone = agent.nets.critics(z, action)
    some = agent.nets.critics(z, action, pick=torch.tensor([2, 0]))
    assert everyone.shape == (3, 2, 4)
    torch.testing.assert_close(some, everyone[[2, 0]])
    for k in range(2):
        torch.testing.assert_close(agent.nets.critics(z, action[k : k + 1])[:, 0], everyone[:, k])


def test_actor_moves_no_critic_and_no_projection() -> None:
    agent = make("rlpd")
    draws, data = agent.draw(ROWS), batch()
    _, parts, _ = agent.losses(data, draws)
    before = {name: t.clone() for name, t in agent.nets.state_dict().items()}
    agent.recipe = type(agent.recipe)(agent.recipe.next_value, lambda c: {"td": 0 * c.q_data.sum()}, agent.recipe.actor)
    agent.update(data)
    moved = {name for name, t in agent.nets.state_dict().items() if not torch.equal(t, before[name])}
    assert parts and any(name.startswith("actor") for name in moved)
    assert not any(name.startswith(("critics", "projection.vector")) for name in moved)


@pytest.mark.parametrize("recipe", NAMES)
def test_same_seed_gives_the_same_weights(recipe: str) -> None:
    def run() -> dict[str, Tensor]:
        agent = Agent(Layout(VECTOR, ACTION), recipe_params(recipe, **SMALL), seed=5)
        for step in range(4):
            agent.update(batch(step, rows=16))
        return agent.state()

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("recipe", NAMES)
def test_restored_agent_goes_on_as_if_never_stopped(recipe: str) -> None:
    one, other = (Agent(Layout(VECTOR, ACTION), recipe_params(recipe, **SMALL), seed=s) for s in (1, 2))
    one.update(batch(0, rows=16))
    other.restore({name: t.clone() for name, t in one.state().items()})
    for agent in (one, other):
        agent.update(batch(1, rows=16))
    theirs = other.state()
    assert all(torch.equal(t, theirs[name]) for name, t in one.state().items())


@pytest.mark.parametrize("recipe", NAMES)
def test_bfloat16_gives_nearly_the_same_losses(recipe: str) -> None:
    plain, half = make(recipe), make(recipe, bf16=True)
    half.in_bf16 = True  # also where the processor only imitates it
    ours, theirs = plain.update(batch(0)), half.update(batch(0))
    for name, value in ours.items():
        assert theirs[name].item() == pytest.approx(value.item(), rel=0.15, abs=0.15), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    says = "device: expected cpu, or cuda with a GPU for each process; got cuda, and torch finds 0"
    with pytest.raises(ConfigError, match=says):
        make("calql", device="cuda")
    with pytest.raises(ConfigError, match=says):
        Crew.from_environment("cuda")


def test_an_agent_is_on_the_cpu_unless_told_otherwise() -> None:
    told = [Agent(Layout(VECTOR, ACTION), recipe_params("calql", **SMALL), 5, where) for where in (None, CPU)]
    assert all(agent.device == CPU for agent in told)
    for agent in told:
        agent.update(batch(0, rows=16))
    first, second = (agent.state() for agent in told)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_state_of_another_kind_of_device_is_gone_on_with_by_fresh_draws() -> None:
    agent, *others = (make("calql") for _ in range(3))
    agent.update(batch(0))
    state = {**agent.state(), "generator": torch.zeros(16, dtype=torch.uint8)}  # as long as a GPU's
    for other in others:
        other.restore(state)
        assert all(torch.equal(t, state[name]) for name, t in other.state().items() if name != "generator")
    first, second = (other.draw(ROWS) for other in others)
    assert all(map(torch.equal, first, second)) and not torch.equal(first.current, agent.draw(ROWS).current)


def test_action_is_the_mean_unless_shaken() -> None:
    agent, seen = make("calql"), batch(0).seen
    mean = agent.act(seen)
    assert torch.equal(mean, agent.act(seen)) and mean.abs().max() <= 1.0
    assert not torch.equal(mean, agent.act(seen, spread=0.5))


def test_state_of_another_agent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected shape"):
        make("rlpd").restore(make("rlpd", critics=4).state())


@pytest.mark.parametrize("recipe", NAMES)
def test_what_acts_is_a_running_mean_of_what_learns(recipe: str) -> None:
    agent = make(recipe, tau=0.25)
    for step in range(3):
        before = {name: w.clone() for name, w in agent.targets.named_parameters()}
        agent.update(batch(step))
        for name, mean in agent.targets.named_parameters():
            if name.startswith(("actor.", "actor_projection.")):
                now = dict(agent.nets.named_parameters())[name]
                torch.testing.assert_close(mean, torch.lerp(before[name], now.detach(), 0.25))
    acted = agent.act(batch(0).seen)
    with torch.no_grad():
        agent.nets.actor.out.weight.add_(1.0)
    assert torch.equal(agent.act(batch(0).seen), acted)


@pytest.mark.parametrize("recipe", ["bc", "calql", "td3bc"])
def test_mean_of_a_state_that_has_none_begins_at_its_weights(recipe: str) -> None:
    agent, other = make(recipe), make(recipe)
    agent.update(batch(0))
    old = {name: t.clone() for name, t in agent.state().items()}
    old["counters"] = old["counters"][:2]
    other.restore(old)
    assert other.updates == 1 and all(map(torch.equal, other.targets.actor.parameters(), agent.nets.actor.parameters()))
    kept = agent.nets if recipe == "bc" else agent.targets
    assert all(map(torch.equal, other.targets.projection.parameters(), kept.projection.parameters()))


def test_actor_of_a_state_that_shared_a_projection_begins_with_that() -> None:
    agent, other = make("calql"), make("calql")
    agent.update(batch(0))
    old = {n: t.clone() for n, t in agent.state().items() if ".actor_projection." not in n}
    old["counters"][2] = 1
    other.restore(old)
    for nets, theirs in ((other.nets, agent.nets), (other.targets, agent.targets)):
        assert all(map(torch.equal, nets.actor_projection.parameters(), theirs.projection.parameters()))
        assert all(map(torch.equal, nets.projection.parameters(), theirs.projection.parameters()))
    assert other.updates == 1 and not other.optimiser.state
    assert np.isfinite(float(other.update(batch(1))["td"]))


@pytest.mark.fault("F31", "L5")
def test_loss_that_is_not_finite_changes_nothing() -> None:
    agent = make("calql")
    agent.update(batch(0))
    before = {name: t.clone() for name, t in agent.state().items() if name not in DRAWN}
    agent.update(batch(0)._replace(reward=torch.full((ROWS,), torch.inf)))
    assert agent.safeguard.skipped == 1
    assert all(torch.equal(t, before[name]) for name, t in agent.state().items() if name not in DRAWN)


@pytest.mark.fault("F31")
def test_values_that_explode_are_noticed_before_they_are_infinite() -> None:
    agent = make("calql")
    agent.update(batch(0))
    with torch.no_grad():
        good = agent.nets.critics.out.clone()
        agent.nets.critics.out.mul_(1e7)
    for _ in range(3):
        assert all(torch.isfinite(part) for part in agent.update(batch(0)).values())
    assert (agent.safeguard.skipped, agent.safeguard.restored) == (3, 1)
    assert float((agent.nets.critics.out.detach() - good).abs().max()) < 1.0


@pytest.mark.fault("F31")
def test_three_in_a_row_bring_back_the_last_good_state() -> None:
    agent = make("calql")
    agent.update(batch(0))
    good = agent.safeguard._good["nets.critics.out"].clone()
    with torch.no_grad():
        agent.nets.critics.out.fill_(torch.nan)
    for _ in range(3):
        agent.update(batch(0))
    assert (agent.safeguard.skipped, agent.safeguard.restored) == (3, 1)
    torch.testing.assert_close(agent.nets.critics.out.detach(), good)
    agent.update(batch(0))
    assert agent.safeguard.skipped == 3


@pytest.mark.fault("F31")
def test_what_is_gone_back_to_is_of_practice_once_it_has_begun() -> None:
    agent = make("wsrl")
    agent.update(batch(0))
    agent.go_online()
    agent.update(batch(0))
    with torch.no_grad():
        agent.nets.critics.out.fill_(torch.nan)
    for _ in range(3):
        agent.update(batch(0))
    assert agent.safeguard.restored == 1 and agent.is_online


@pytest.mark.fault("F31")
def test_training_stops_when_the_same_update_fails_after_every_return() -> None:
    agent = make("calql")
    with pytest.raises(ValueError, match="stayed not finite"):
        for _ in range(100):  # what comes between is finite each time
            broken = agent.updates >= 5
            agent.update(batch(0)._replace(reward=torch.full((ROWS,), torch.nan)) if broken else batch(0))


def test_batches_with_nothing_to_imitate_leave_the_scale_of_cloning() -> None:
    agent = make("calql", bc_weight=1.0)
    agent.update(batch(0))
    q_scale, scale = agent.scales.tolist()
    agent.update(batch(0)._replace(imitate=torch.zeros(ROWS)))
    assert agent.scales[1] == scale > 0.0 and agent.scales[0] != q_scale


@pytest.mark.fault("F31")
def test_training_stops_when_going_back_does_not_help() -> None:
    agent = make("calql")
    agent.update(batch(0))
    with pytest.raises(ValueError, match="stayed not finite"):
        for _ in range(20):
            agent.update(batch(0)._replace(reward=torch.full((ROWS,), torch.nan)))


def test_a_training_made_before_a_setting_keeps_its_name() -> None:
    for name in NEWER:
        one = type(getattr(AgentParams(), name))(1)
        assert name not in named_by(AgentParams()) and named_by(AgentParams(**{name: one}))[name] == one


def test_practice_drops_the_penalty_and_the_moments_where_the_recipe_says_so() -> None:
    agent = make("wsrl", resets_optimiser=True)
    agent.update(batch(0))
    agent.go_online()
    assert not agent.optimiser.state
    assert "conservative" not in agent.update(batch(0))
    kept = make("calql", penalty_online=True)
    kept.go_online()
    assert "conservative" in kept.update(batch(0))


@pytest.mark.parametrize("recipe", NAMES)
def test_every_recipe_has_its_file(recipe: str) -> None:
    assert recipe_params(recipe).recipe == recipe


def test_settings_refuse_what_will_not_do() -> None:
    with pytest.raises(ConfigError, match="recipe: expected one of bc"):
        recipe_params("sarsa")
    with pytest.raises(ConfigError, match="target_subset: expected at most critics=2, got 3"):
        AgentParams(critics=2, target_subset=3)


def test_state_itself_is_seen_when_the_projection_is_0() -> None:
    agent = Agent(Layout(VECTOR, ACTION), recipe_params("calql", **{**SMALL, "projection": 0}))
    agent.set_scale(torch.full((VECTOR,), 0.5), torch.full((VECTOR,), 2.0))
    seen = Seen(torch.full((1, VECTOR), 1.5), torch.zeros(1, dtype=torch.int64))
    assert agent.nets.projection(seen).tolist() == [[0.5] * VECTOR]
    agent.update(batch(0))
    assert not any(name.startswith("nets.projection") and "weight" in name for name in agent.state())
    with pytest.raises(ValueError, match=r"agent\.projection: expected at least 1"):
        make("calql", projection=0)


@pytest.mark.parametrize("recipe", ["calql", "iql"])
def test_update_compiles_as_one_graph(recipe: str) -> None:
    agent = make(recipe)
    found = torch._dynamo.explain(agent.losses)(batch(0), agent.draw(ROWS))
    assert found.graph_break_count == 0, found.break_reasons
