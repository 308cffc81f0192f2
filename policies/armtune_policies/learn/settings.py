"""Settings of an agent: one flat list of numbers; a recipe's file says which of them its paper changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from armtune_policies.contract import Checked, ConfigError, choice, num, text
from armtune_policies.contract.paths import config_root
from armtune_policies.store.files import read_yaml

NAMES = ("bc", "calql", "cql", "iql", "rlpd", "wsrl", "td3bc")

NEWER = ("failures", "actor_decay", "mc_floor")
"""Settings that a training made before them does not know: at 0 they name none."""


@dataclass(frozen=True, kw_only=True)
class AgentParams(Checked):
    """One agent. Rewards are ``reward_scale * r + reward_bias`` before anything else sees them."""

    recipe: str = choice("calql", of=NAMES, doc="which losses: see learn.recipes")
    gamma: float = num(0.99, low=0.0, high=0.9999, doc="discount per control step")
    reward_scale: float = num(1.0, low=1e-3, high=1e3, doc="factor on rewards")
    reward_bias: float = num(0.0, low=-1e3, high=1e3, doc="added to scaled rewards")
    failure_reward: float = num(-1.0, low=-1e3, high=1e3, doc="of a failing step, untransformed: where a return is cut")
    batch: int = num(256, low=2, high=65536, doc="transitions per update")
    # networks
    projection: int = num(128, low=0, high=128, doc="numbers that a state becomes for actor and critics; 0: itself")
    hidden: tuple[int, ...] = num((256, 256), low=1, high=4096, doc="widths of the hidden layers of actor and critics")
    critics: int = num(2, low=1, high=64, doc="critics in the ensemble")
    target_subset: int = num(2, low=1, high=64, doc="target critics asked, at random; their minimum is the target")
    tau: float = num(0.005, low=1e-5, high=1.0, doc="how far targets follow per update")
    actor_lr: float = num(1e-4, low=0.0, high=1.0, doc="Adam's step size of the actor")
    actor_decay: float = num(
        0.0,
        low=0.0,
        high=100.0,
        doc="decay of the actor's matrices, in practice to its start; times its step size",
    )
    critic_lr: float = num(3e-4, low=0.0, high=1.0, doc="Adam's step size of projection, critics and V")
    pixels: str = choice("none", of=("none", "small", "drq"), doc="network over images, trained by the critics")
    shift_px: int = num(4, low=0, high=16, doc="longest random shift of images in an update")
    # the policy
    actor_q: str = choice("min", of=("min", "mean"), doc="how the actor's Q term reads the ensemble")
    actor_every: int = num(1, low=1, high=1000, doc="critic updates per actor update")
    temperature: float = num(1.0, low=1e-6, high=100.0, doc="weight of the entropy at the start")
    temperature_lr: float = num(1e-4, low=0.0, high=1.0, doc="Adam's step size of the temperature; 0 keeps it")
    entropy: float = num(-1.0, low=-10.0, high=1.0, doc="target entropy per action dimension [nats]")
    mc_floor: bool = text(False, doc="whether the TD target is at least the return of its episode (MCAC)")
    entropy_backup: bool = text(False, doc="whether the TD target holds the entropy")
    bc_weight: float = num(0.0, low=0.0, high=100.0, doc="cloning term beside the Q term, both of magnitude 1")
    scale_rate: float = num(0.01, low=1e-4, high=1.0, doc="how fast those magnitudes are followed")
    # conservatism
    cql_weight: float = num(1.0, low=0.0, high=100.0, doc="weight of the CQL(H) or Cal-QL penalty")
    cql_actions: int = num(10, low=1, high=100, doc="actions sampled of each kind: uniform, policy at s, policy at s'")
    max_target_backup: bool = text(False, doc="best of cql_actions next actions in the target")
    penalty_online: bool = text(True, doc="whether the penalty stays on in practice")
    # iql, td3bc
    expectile: float = num(0.7, low=0.5, high=0.999, doc="IQL: which expectile of Q is V")
    awr_beta: float = num(3.0, low=0.0, high=100.0, doc="IQL: inverse temperature of advantages")
    awr_most: float = num(100.0, low=1.0, high=1e6, doc="IQL: largest weight of an action")
    smoothing: float = num(0.2, low=0.0, high=1.0, doc="TD3: noise on the target action, of the range -1..1")
    smoothing_clip: float = num(0.5, low=0.0, high=1.0, doc="TD3: largest such noise")
    # practice
    utd: int = num(1, low=0, high=100, doc="updates owed per control step of practice")
    offline_share: float = num(0.5, low=0.0, high=1.0, doc="share of a batch from offline data when practice begins")
    offline_share_end: float = num(0.5, low=0.0, high=1.0, doc="the same after share_updates")
    share_updates: int = num(1, low=1, high=100_000_000, doc="practice updates over which that share moves, linearly")
    warmup_steps: int = num(
        0, low=0, high=10_000_000, doc="control steps with the policy frozen; nothing is owed for them"
    )
    failures: int = num(
        0, low=0, high=100_000, doc="failures since the last success that are learnt from, later ones not; 0: all are"
    )
    resets_optimiser: bool = text(False, doc="whether practice starts with fresh Adam moments")
    # the machine
    device: str = choice("cpu", of=("cpu", "cuda"), doc="where it learns; on a CPU a seed gives the same weights")
    bf16: bool = text(False, doc="matrix products in bfloat16 where the processor has it; losses stay float32")
    compiled: bool = text(False, doc="torch.compile; the first update takes a minute")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ConfigError("hidden: expected at least one width, got none")
        if self.target_subset > self.critics:
            raise ConfigError(f"target_subset: expected at most critics={self.critics}, got {self.target_subset}")


def named_by(params: AgentParams) -> dict[str, Any]:
    """Return the settings that name a training: of images where it has images, newer ones where set."""
    unnamed = [name for name in NEWER if not getattr(params, name)]
    unnamed += ("pixels", "shift_px") if params.pixels == "none" else ()
    return {name: value for name, value in anywhere(params).items() if name not in unnamed}


def anywhere(params: AgentParams) -> dict[str, Any]:
    """Return the settings that go with an agent wherever it goes: all but the device, which is the machine's."""
    return {name: value for name, value in asdict(params).items() if name != "device"}


def recipe_params(recipe: str, **changes: Any) -> AgentParams:
    """Return a recipe's settings from ``configs/learner/agent/<recipe>.yaml``, with changes.

    Raises:
        ConfigError: for an unknown recipe or setting.
    """
    if recipe not in NAMES:
        raise ConfigError(f"recipe: expected one of {', '.join(NAMES)}; got {recipe!r}")
    path = config_root() / "learner" / "agent" / f"{recipe}.yaml"
    values: Mapping[str, Any] = read_yaml(path)
    return AgentParams.from_mapping({**values, **changes})
