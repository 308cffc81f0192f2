"""The world as a Gymnasium environment: same gate, same images, no ROS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from armtune_policies.contract import DIRECTIONS, ConfigError, Decision, Direction, ObservationSpec
from armtune_policies.runtime.grip import Grip
from armtune_policies.runtime.images import prepare
from armtune_safety.settings import GateParams

from .gated import GatedWorld
from .settings import SimParams
from .tasks import TASKS

Observation = dict[str, NDArray[Any]]
STATE = "state"
FRAME_HEIGHT_PX, FRAME_WIDTH_PX = 480, 640
"""Cameras are drawn at full size and shrunk as on the robot, so that the images are alike."""


class ArmEnv(gym.Env[Observation, NDArray[np.float32]]):
    """One task pair. Actions are tool deltas in physical units, as ``ActionSpec`` says.

    Observations are ``image.<camera>`` (uint8, (H, W, 3), rgb) and ``state`` (float32,
    (7,)). Reward is -1 a step, 0 on the step that succeeds; success terminates, the
    episode's length truncates. ```reset(options=...)`` takes ``direction`` ("forward",
    "backward"), ``keep_scene`` (bring only the arm home, as practice does) and ``episode_id``.
    ``info["is_success"]`` is the truth, ``info["allowed"]`` what the gate made of the action.

    Args:
        task: Short name of a task pair.
        sim: How the world varies and is drawn.
        gate: Robot, limits and rate of the gate.
        observation: Cameras and image size.
        episode_steps: Steps before an episode is truncated.
        direction: What to do when ``reset`` is not told.
        grip_steps: For how many steps the gripper stays with what it was told anew, see ``Grip``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  gymnasium declares it so
        "render_modes": ["rgb_array"],
        "render_fps": 5,
    }

    def __init__(
        self,
        task: str,
        *,
        sim: SimParams | None = None,
        gate: GateParams | None = None,
        observation: ObservationSpec | None = None,
        episode_steps: int = 50,
        direction: Direction = "forward",
        grip_steps: int = 1,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.gated = GatedWorld(task, sim, gate)
        self.seen = observation or ObservationSpec()
        self.direction, self.episode_steps = _known(direction), episode_steps
        self.steps = self._begun = 0
        self.decision: Decision | None = None
        self._fresh, self._grip = False, Grip(grip_steps)
        spec, shape = self.gated.spec, (self.seen.height_px, self.seen.width_px, 3)
        low, high = np.array(spec.low, np.float32), np.array(spec.high, np.float32)
        self.action_space = gym.spaces.Box(low, high, dtype=np.float32)
        images = {f"image.{name}": gym.spaces.Box(0, 255, shape, np.uint8) for name in self.seen.cameras}
        self.observation_space = gym.spaces.Dict(  # type: ignore[assignment]
            {**images, STATE: gym.spaces.Box(-10, 10, (7,), np.float32)}
        )

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the scene is a new one unless ``keep_scene``.

        Raises:
            ConfigError: for an unknown direction.
        """
        super().reset(seed=seed)
        options = options or {}
        self.direction = _known(options.get("direction", self.direction))
        if options.get("keep_scene", False) and self._fresh:
            self.gated.home()
        else:
            self.gated.reset(self._scene_seed(seed), self.direction)
        self._fresh = True
        self.gated.begin(str(options.get("episode_id", "env")))
        self.steps, self.decision, self._begun = 0, None, self._begun + 1
        return self.observe(), self._facts()

    def step(
        self, action: NDArray[np.float32], policy_version: str = ""
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Propose one tool delta and see what comes of it one control period later."""
        # float32 bounds lie a hair outside the exact ones, which the gate would count as a limit
        values = np.clip(np.asarray(action, float), self.gated.spec.low, self.gated.spec.high)
        values[-1] = self._grip.held(self._begun, self.steps, values[-1])
        self.decision = self.gated.step(values, policy_version)
        self.steps += 1
        done = self.gated.world.success(self.direction)
        return self.observe(), 0.0 if done else -1.0, done, not done and self.steps >= self.episode_steps, self._facts()

    def observe(self) -> Observation:
        """Return what a policy would see now."""
        height, width = self.seen.height_px, self.seen.width_px
        seen: Observation = {
            f"image.{name}": prepare(self.gated.world.render(name, FRAME_HEIGHT_PX, FRAME_WIDTH_PX), height, width)
            for name in self.seen.cameras
        }
        seen[STATE] = self.gated.state()
        return seen

    def render(self) -> NDArray[np.uint8] | None:
        """Return the front camera's full frame, uint8 (480, 640, 3), in mode ``rgb_array``."""
        return self.gated.world.render("front") if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        self.gated.world.close()

    def _scene_seed(self, seed: int | None) -> int:
        return int(self.np_random.integers(2**31 - 1)) if seed is None else seed

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"is_success": self.gated.world.success(self.direction), "direction": self.direction}
        if self.decision is not None:
            facts |= {"allowed": np.array(self.decision.allowed), "limited_by": self.decision.limited_by}
        return facts


def read(seen: Observation) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]]:
    """Return the images by camera and the state (7,) of an observation, as policies take them."""
    return {key.removeprefix("image."): value for key, value in seen.items() if key != STATE}, seen[STATE]


def _known(direction: Any) -> Direction:
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction: expected forward or backward, got {direction!r}")
    return direction


def register() -> None:
    """Make every task known to ``gymnasium.make``: ``armtune/BinSort-v0`` and so on."""
    for task in TASKS:
        name = f"armtune/{task.title().replace('_', '')}-v0"
        if name not in gym.registry:
            gym.register(id=name, entry_point="armtune_sim.env:ArmEnv", kwargs={"task": task})


register()
