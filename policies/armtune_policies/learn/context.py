"""What the hooks of a recipe work on: a batch, its random draws, the networks, and what they share.

All randomness of an update is in ``Draws``, drawn before: the same draws give the same losses,
in float32 here and in the float64 loops that check them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from .actor_critic import Actor, Critics, Projection, Seen, sample
from .crew import ALONE, Alone

if TYPE_CHECKING:
    from .pixels import PixelNet
    from .settings import AgentParams

Made = TypeVar("Made")


class Batch(NamedTuple):
    """B transitions.

    ``action`` (B, A) in -1..1; ``reward`` and ``mc_return`` (B,) after the reward transform;
    ``bootstrap`` (B,) 0 at a success, 1 elsewhere; ``imitate`` (B,) 1 where the action is worth
    imitating, 0 elsewhere; ``expert`` (B, A) what is to be imitated there: the action itself, but where
    hindsight knows better; ``place`` (B,) which rows of a batch these are that several processes make
    together, None where one makes it.
    """

    seen: Seen
    action: Tensor
    reward: Tensor
    bootstrap: Tensor
    next_seen: Seen
    mc_return: Tensor
    imitate: Tensor
    expert: Tensor
    place: Tensor | None = None


class Draws(NamedTuple):
    """Random numbers of one update: normal (K, B, A) twice, uniform in -1..1 (K, B, A), critics asked (M,)."""

    current: Tensor
    next: Tensor
    random: Tensor
    subset: Tensor


class Networks(nn.Module):
    """The trained networks; ``value`` is IQL's only, and without a critic elsewhere.

    Critics share one projection and train it; the actor has its own, as in DrQ-v2 (Yarats et al. 2022): what tells
    returns apart need not tell actions apart. A network over images is one for both.
    """

    def __init__(
        self, net: PixelNet | None, projection: Projection, actor_projection: Projection, actor: Actor,
        critics: Critics, value: Critics,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net, self.projection, self.actor_projection = net, projection, actor_projection
        self.actor, self.critics, self.value = actor, critics, value

    def look(self, seen: Seen) -> Seen:
        """Return what is seen with its image as numbers (B, F), once for all who see it.

        Raises:
            ValueError: when there is a network over images and no image.
        """
        if self.net is None:
            return seen
        if seen.image is None:
            raise ValueError("an agent with pixels needs images: expected uint8 (B, H, W, C) in what is seen, got none")
        return seen._replace(image=self.net(seen.image))

    def policy(self, looked: Seen) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation before the tanh, (B, A) each."""
        return self.actor(self.actor_projection(looked))


class once(Generic[Made]):
    """``functools.cached_property`` without the lock of Python 3.11, which cuts a compiled update into pieces."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self.make = make

    def __get__(self, owner: object, kind: type | None = None) -> Made:
        made = self.make(owner)
        setattr(owner, self.make.__name__, made)
        return made


@dataclass
class Context:
    """One update's view of everything; what several hooks need is made once."""

    params: AgentParams
    nets: Networks
    targets: Networks
    batch: Batch
    draws: Draws
    alpha: Tensor
    """Temperature, without gradient."""
    scales: Tensor
    """Running means of |Q| and of the cloning loss, (2,); 0 before the first update."""
    actor_trains_net: bool
    """Whether the actor's loss trains the network over images: only where no critic does."""
    crew: Alone = ALONE
    """Who else has rows of this batch."""
    log_pi: Tensor | None = field(default=None, init=False)

    @once
    def seen(self) -> Seen:
        return self.nets.look(self.batch.seen)

    @once
    def next_seen(self) -> Seen:
        with torch.no_grad():
            return self.nets.look(self.batch.next_seen)

    @once
    def next_seen_target(self) -> Seen:
        return self.targets.look(self.batch.next_seen)

    @once
    def z(self) -> Tensor:
        """What the critics see at s, (B, Z)."""
        return self.nets.projection(self.seen)

    @once
    def z_next(self) -> Tensor:
        with torch.no_grad():
            return self.nets.projection(self.next_seen)

    @once
    def z_next_target(self) -> Tensor:
        return self.targets.projection(self.next_seen_target)

    @once
    def q_data(self) -> Tensor:
        """Q (N, B) of what was done."""
        return self.nets.critics(self.z, self.batch.action[None])[:, 0]

    @once
    def q_target_data(self) -> Tensor:
        """The lowest of the target critics asked for what was done, (B,), without gradient."""
        with torch.no_grad():
            z = self.targets.projection(self.targets.look(self.batch.seen))
            return self.targets.critics(z, self.batch.action[None], self.draws.subset)[:, 0].min(dim=0).values

    @once
    def policy(self) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation at s, before the tanh, (B, A) each."""
        return self.nets.policy(self.seen if self.actor_trains_net else self.seen.detached())

    @once
    def current_actions(self) -> tuple[Tensor, Tensor]:
        """K policy actions at s and their log densities, (K, B, A) and (K, B), without gradient."""
        mean, log_std = self.policy  # outside no_grad: the actor's loss uses the same one
        with torch.no_grad():
            return sample(mean, log_std, self.draws.current)

    @once
    def next_actions(self) -> tuple[Tensor, Tensor]:
        """K policy actions at s' and their log densities, without gradient."""
        with torch.no_grad():
            mean, log_std = self.nets.policy(self.next_seen)
            return sample(mean, log_std, self.draws.next)

    def mean_imitated(self, loss: Tensor) -> Tensor:
        """Return the mean of a loss (B,) over the rows worth imitating, 0 where there are none."""
        return self.crew.ratio((loss * self.batch.imitate).sum(), self.batch.imitate.sum())

    def beside_cloning(self, q_loss: Tensor, q: Tensor, action: Tensor) -> Tensor:
        """Return the Q term and the cloning term, each over its running magnitude; the Q term alone at weight 0.

        Args:
            q_loss: Scalar, of the policy's own action.
            q: What that action is worth, (N, B): its mean magnitude is the Q term's scale.
            action: The policy's mean action (B, A).
        """
        if self.params.bc_weight == 0.0:
            return q_loss
        clone = self.mean_imitated((action - self.batch.expert).square().mean(dim=1))
        now = self.crew.mean(torch.stack([q.detach().abs().mean(), clone.detach()]))
        moved = torch.where(self.scales > 0, torch.lerp(self.scales, now, self.params.scale_rate), now)
        self.scales = torch.where(now > 0, moved, self.scales)  # nothing worth imitating says nothing of its scale
        q_scale, clone_scale = self.scales.clamp(min=1e-6)
        return q_loss / q_scale + self.params.bc_weight * clone / clone_scale
