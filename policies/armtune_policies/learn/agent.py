"""One agent for all recipes: an update is a draw, a loss, a backward pass, a step, and targets that follow.

::

    agent = Agent(Layout(vector_size=24, action_size=7), recipe_params("calql"), seed=0)
    agent.update(batch)
    action = agent.act(seen)            # -1..1, the mean

Critics and actor step together, from the same parameters, in one backward pass: what they
share is computed once (as in the code released with Cal-QL and WSRL). What acts, and what is
exported, are the targets, a running mean of the weights (Polyak and Juditsky 1992): a single
checkpoint is a draw (``docs/results-before.md``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from . import losses
from .actor_critic import Actor, Critics, Seen
from .context import Batch, Context, Draws, Networks
from .crew import ALONE, Alone, device_of
from .networks import DECIDED, has_bf16
from .pixels import Frame, make_net, make_projection, moved, ready
from .recipes import RECIPES
from .safeguard import Safeguard
from .settings import AgentParams
from .state_formats import FORMAT, of_today

KEPT = "kept."
"""So begin the names of what the actor's matrices decay towards."""
EXPLODED = 100.0
"""An error of so many times the largest possible return is no error of a value within reach."""


@dataclass(frozen=True)
class Layout:
    """Sizes of what is seen and done; ``sentences`` float32 (S, E) are the embeddings that sentence indices mean."""

    vector_size: int
    action_size: int
    sentences: Tensor | None = None
    frame: Frame | None = None
    """Of images, for ``AgentParams.pixels``."""
    decided: tuple[int, ...] = ()
    """Which numbers of the action are one or the other, as a gripper is open or shut: acted on with ``DECIDED``."""

    @property
    def gain(self) -> Tensor:
        """What the policy's mean, noise included, is multiplied by before its tanh when it acts, (A,)."""
        gain = torch.ones(self.action_size)
        gain[list(self.decided)] = DECIDED
        return gain


class Agent:
    """Networks, their targets and optimiser, and the update.

    The same seed, data and machine give the same weights on a CPU.
    """

    crew: Alone = ALONE

    def __init__(self, layout: Layout, params: AgentParams, seed: int = 0, device: torch.device | None = None) -> None:
        """Make it on ``device``; None for what ``params`` say.

        Raises:
            ConfigError: when they say a GPU and there is none.
        """
        self.layout, self.params, self.recipe = layout, params, RECIPES[params.recipe]
        self.device = device or device_of(params.device)
        self.in_bf16 = params.bf16 and has_bf16(self.device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.nets = self._networks().to(self.device)
        self.targets = copy.deepcopy(self.nets).requires_grad_(False)
        self.log_alpha = torch.full((), params.temperature, device=self.device).log().requires_grad_()
        self.scales = torch.zeros(2, device=self.device)
        self.updates, self.is_online = 0, False
        self.optimiser = self._optimiser()
        self._following, self._shrinking = self._pairs(), self._decaying()
        self._kept = self._kept_of({})
        self.safeguard = Safeguard()
        self._gain = layout.gain.to(self.device)
        self._losses = torch.compile(self.losses, dynamic=False) if params.compiled else self.losses

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update and return its losses; a loss that is not finite changes nothing.

        Raises:
            ValueError: when losses stay not finite after going back to the last good state.
        """
        with_actor, batch = self.updates % self.params.actor_every == 0, ready(batch, self.params.shift_px, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bf16):
            total, parts, scales = self._losses(batch, self.draw(len(batch.reward)), with_actor)
        self.updates += 1
        if not self.safeguard.passes(total, self, self._most(batch)):
            return parts
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        if with_actor and self._shrinking:
            torch._foreach_lerp_(self._shrinking, self._kept, self.params.actor_lr * self.params.actor_decay)
        self.optimiser.step()
        self.scales = scales
        torch._foreach_lerp_(*self._following, self.params.tau)
        return parts

    def _most(self, batch: Batch) -> float:
        """The largest loss of values that have not exploded: the square of ``EXPLODED`` times the largest return."""
        largest = max(float(self.crew.most(batch.reward.abs().max())), 1.0) / (1.0 - self.params.gamma)
        return self.params.critics * (EXPLODED * largest) ** 2

    def losses(self, batch: Batch, draws: Draws, with_actor: bool = True) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the sum of all losses, its parts, and the new scales; changes nothing, draws nothing."""
        c = Context(
            self.params, self.nets, self.targets, batch, draws, self.log_alpha.detach().exp(), self.scales,
            actor_trains_net=self.recipe.next_value is None, crew=self.crew,
        )  # fmt: skip
        parts: dict[str, Tensor] = {}
        if self.recipe.next_value is not None:
            with torch.no_grad():
                floor = batch.mc_return if self.params.mc_floor else None
                next_value = self.recipe.next_value(c)
                target = losses.td_target(batch.reward, batch.bootstrap, next_value, self.params.gamma, floor)
            parts["td"] = losses.td_loss(c.q_data, target)
            if self.params.penalty_online or not self.is_online:
                parts |= self.recipe.penalty(c)
        if with_actor:
            parts["actor"] = self.recipe.actor(c)
            if c.log_pi is not None:
                target_entropy = self.params.entropy * self.layout.action_size
                parts["temperature"] = losses.temperature_loss(self.log_alpha, c.log_pi, target_entropy)
        total = torch.stack([part.float() for part in parts.values()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}, c.scales

    def draw(self, size: int) -> Draws:
        """Draw an update's random numbers for ``size`` states."""
        p, g, device = self.params, self.generator, self.device
        shape = (self.samples, size, self.layout.action_size)
        current = torch.randn(shape, generator=g, device=device)
        next_ = torch.randn(shape, generator=g, device=device)
        random = torch.rand(shape, generator=g, device=device) * 2.0 - 1.0
        subset = torch.arange(p.critics, device=device)
        if p.target_subset < p.critics:
            subset = torch.randperm(p.critics, generator=g, device=device)[: p.target_subset]
        return Draws(current, next_, random, subset)

    @property
    def samples(self) -> int:
        """Actions drawn per state and kind: one, unless a penalty or ``max_target_backup`` wants more."""
        wants = self.recipe.samples and (self.params.penalty_online or not self.is_online)
        return self.params.cql_actions if wants or self.params.max_target_backup else 1

    @torch.no_grad()
    def act(self, seen: Seen, spread: float = 0.0) -> Tensor:
        """Return actions (B, A) in -1..1, on the CPU: the mean, or shaken by ``spread`` of its own deviation."""
        seen = moved(seen, self.device)
        mean, log_std = self.targets.policy(self.targets.look(seen))
        if spread:
            noise = torch.randn(mean.shape, generator=self.generator, device=self.device)
            mean = mean + spread * log_std.exp() * noise
        return torch.tanh(self._gain * mean).cpu()

    def go_online(self) -> None:
        """Turn from offline data to practice, as the recipe does; the actor decays towards what it is now."""
        self.is_online = True
        self._kept = [weight.clone() for weight in self._shrinking]
        self.safeguard.forget()
        if self.params.resets_optimiser:
            self.optimiser = self._optimiser()

    def set_scale(self, mean: Tensor, std: Tensor) -> None:
        """Standardise what is seen as these (D,) say."""
        for nets in (self.nets, self.targets):
            for projection in (nets.projection, nets.actor_projection):
                projection.set_scale(mean.to(self.device), std.to(self.device))

    def state(self) -> dict[str, Tensor]:
        """Return all that an update reads, by name; views, so copy what you keep."""
        tensors = {f"nets.{name}": t for name, t in self.nets.state_dict().items()}
        tensors |= {f"targets.{name}": t for name, t in self.targets.state_dict().items()}
        for index, weight in enumerate(self._weights()):
            moments = self.optimiser.state.get(weight, {})
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(t) for name, t in moments.items()}
        tensors |= {"log_alpha": self.log_alpha.detach(), "scales": self.scales}
        if self.is_online:
            tensors |= {f"{KEPT}{index}": t for index, t in enumerate(self._kept)}
        counters = torch.tensor([self.updates, int(self.is_online), FORMAT])
        return {**tensors, "generator": self.generator.get_state(), "counters": counters}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to a ``state``. One of another kind of device draws on anew: generators are not alike there.

        Raises:
            ValueError: when it is of another layout or other networks.
        """
        ours, tensors = self.state(), of_today(tensors, has_critics=self.recipe.next_value is not None)
        optional = {name for name in (*tensors, *ours) if name.startswith(("adam.", KEPT))}
        if wrong := sorted((set(tensors) ^ set(ours)) - optional):
            raise ValueError(f"state of another agent: {wrong[0]!r} is in one of the two only")
        for name in set(ours) - optional - {"generator"}:
            if tensors[name].shape != ours[name].shape:
                raise ValueError(f"{name}: expected shape {tuple(ours[name].shape)}, got {tuple(tensors[name].shape)}")
        with torch.no_grad():
            for name in set(ours) - optional - {"generator", "scales", "counters"}:
                ours[name].copy_(tensors[name])
        self.updates, self.is_online = int(tensors["counters"][0]), bool(tensors["counters"][1])
        self._kept = self._kept_of(tensors)
        self.scales = tensors["scales"].clone().to(self.device)
        if tensors["generator"].shape == ours["generator"].shape:
            self.generator.set_state(tensors["generator"].cpu())
        else:
            self.generator.manual_seed(self.updates)
        self.optimiser = self._optimiser()
        for index, weight in enumerate(self._weights()):
            prefix = f"adam.{index}."
            found = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            if found:
                self.optimiser.state[weight] = {n: t.to(weight.device, copy=True) for n, t in found.items()}

    def _kept_of(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return what the actor decays towards: 0; in practice what a state says, or, of an older one, its weights."""
        if not self.is_online:
            return [torch.zeros_like(weight) for weight in self._shrinking]
        names = [f"{KEPT}{index}" for index in range(len(self._shrinking))]
        found = [tensors.get(name, weight) for name, weight in zip(names, self._shrinking)]
        return [t.to(weight.device, copy=True) for t, weight in zip(found, self._shrinking)]

    def _networks(self) -> Networks:
        p, lay = self.params, self.layout
        net = make_net(p.pixels, lay.frame)
        projection, own = (make_projection(net, lay.vector_size, lay.sentences, p.projection) for _ in range(2))
        return Networks(
            net,
            projection,
            own,
            Actor(projection.width, lay.action_size, p.hidden),
            Critics(p.critics, projection.width, lay.action_size, p.hidden),
            Critics(int(self.recipe.has_value), projection.width, 0, p.hidden),
        )

    def _actor_weights(self) -> list[Tensor]:
        return [*self.nets.actor_projection.parameters(), *self.nets.actor.parameters()]

    def _decaying(self) -> list[Tensor]:
        """Return the actor's matrices where they decay (AdamW, 1711.05101); its shifts and gains never do.

        Before practice they decay towards 0, then towards what practice began with (L2-SP, 1802.01483): towards 0 they
        would forget what practice seldom shows.
        """
        decays = self.params.actor_decay > 0.0
        return [weight.detach() for weight in self._actor_weights() if decays and weight.ndim > 1]

    def _optimiser(self) -> torch.optim.Optimizer:
        p = self.params
        actor = self._actor_weights()
        mine = {id(weight) for weight in actor}
        others = [weight for weight in self.nets.parameters() if id(weight) not in mine]
        # Where no critic trains the network over images the actor's step size is the one that counts.
        others_lr = p.critic_lr if self.recipe.next_value is not None else p.actor_lr
        groups = [
            {"params": others, "lr": others_lr},
            {"params": actor, "lr": p.actor_lr},
            {"params": [self.log_alpha], "lr": p.temperature_lr},
        ]
        return torch.optim.Adam(groups, fused=True)

    def _weights(self) -> list[Tensor]:
        return [weight for group in self.optimiser.param_groups for weight in group["params"]]

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the target weights that follow, and what they follow."""
        still = ("value.",) if self.recipe.next_value is not None else ("value.", "critics.", "projection.")
        moving = [name for name, _ in self.nets.named_parameters() if not name.startswith(still)]
        follow, lead = (dict(nets.named_parameters()) for nets in (self.targets, self.nets))
        return [follow[name] for name in moving], [lead[name].detach() for name in moving]
