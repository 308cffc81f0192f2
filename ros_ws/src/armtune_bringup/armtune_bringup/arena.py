"""Our simulated world behind the gate as the agent's arena: true success, no resets between episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from armtune_policies.contract import DIRECTIONS, Direction
from armtune_policies.episode.course import Move
from armtune_policies.episode.memory import Grasps, Memory
from armtune_policies.learn.scaling import ActionScale
from armtune_sim.env import ArmEnv, Observation, read

if TYPE_CHECKING:
    from armtune_policies.learn.finetune import Moment
    from armtune_policies.learn.frozen import FrozenEncoder

Floats = npt.NDArray[np.float32]


class SimArena:
    """An ``Arena``: what the agent proposes goes through the gate, and what the gate allowed is told back."""

    def __init__(
        self, env: ArmEnv, encoder: FrozenEncoder | None, grasps: Grasps | None = None, carries: bool = False
    ) -> None:
        """Make one.

        Args:
            env: The world behind the gate.
            encoder: None for those that see otherwise.
            grasps: By direction, where demonstrations took hold: what a nudge aims at beside its own successes.
            carries: Whether it is a loose thing, that the arm may carry elsewhere.
        """
        self.env, self._encoder = env, encoder
        self.scale = ActionScale(env.gated.spec)
        self._memory, self._step = Memory(grasps, carries), 0
        self.stands_m: tuple[float, ...] = ()
        """Where the thing stood when the episode began: x, y [m]; nothing where the arm did not know."""

    def reset(self, seed: int) -> None:
        """Make the scene of a seed, as the forward task finds it."""
        self.scene(seed, DIRECTIONS[0])

    def scene(self, seed: int, direction: Direction) -> Moment:
        """Make the scene of a seed in which a direction is still to be done, and start an episode."""
        self._memory.forget()
        self._begin()
        return self._moment(*self.env.reset(seed=seed, options={"direction": direction}))

    def begin(self, direction: Direction) -> Moment:
        """Bring the arm home, the objects as they are."""
        self._begin()
        return self._moment(*self.env.reset(options={"direction": direction, "keep_scene": True}))

    @property
    def lifts(self) -> int:
        """How often a person had to lift the arm home."""
        return self.env.gated.lifts

    def nudge(self, seed: int, move: Move = "nudge") -> bool:
        """Bring elsewhere what the last episode failed at or put down, if it is known how; see ``Memory.route``.

        Return whether the arm moved for it, a hand that came up empty included.
        """
        for tried in range(2):  # where a hand came up empty it pushes
            legs = self._memory.route(self.env.direction, seed, move)
            if legs is None:
                return tried > 0
            if self._memory.followed(self.env.gated.follow(legs)):
                break
        return True

    def step(self, action: Floats) -> tuple[Moment, Floats]:
        """Propose an action (7,) in -1..1; return what is seen a period later and what was allowed of it."""
        self._step += 1
        self._memory.saw(self._step, self.env.gated.state())
        seen, _, _, _, facts = self.env.step(self.scale.to_physical(action))
        self._memory.made(self._step, float(facts["allowed"][-1]))
        if facts["is_success"]:
            self._memory.succeeded(self.env.direction)
        return self._moment(seen, facts), self.scale.to_unit(facts["allowed"])

    def _begin(self) -> None:
        self.stands_m = self._memory.stands_m
        self._memory.begin()

    def _features(self, images: dict[str, npt.NDArray[np.uint8]]) -> Floats:
        if self._encoder is None:
            raise ValueError("arena: expected an encoder, got none")
        return self._encoder.features({camera: image[None] for camera, image in images.items()})[0]

    def _moment(self, seen: Observation, facts: dict[str, Any]) -> Moment:
        from armtune_policies.learn.finetune import Moment  # torch, for those who practise only

        images, state = read(seen)
        kept = {} if self._encoder is None else self._encoder.kept(images)
        return Moment(self._features(images), state, bool(facts["is_success"]), kept)
