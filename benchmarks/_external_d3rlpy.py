"""d3rlpy's CalQL on the same data and scenes; runs in the environment of the peer.

``_external_d3rlpy.py '{"task": .., "plan": {..}, "agent": {..}, "seed": 0, "data": ..}'``
prints a point a line. Its state cannot be taken up in the middle, for its generators are torch's
own: a killed run starts again. The arithmetic is d3rlpy's; the loop around it is ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import d3rlpy
import numpy as np
import torch
from _external_world import Piped, episode, success_count
from d3rlpy.algos import CalQL, CalQLConfig
from d3rlpy.dataset import (
    FIFOBuffer,
    MDPDataset,
    MixedReplayBuffer,
    ReplayBuffer,
    ReplayBufferBase,
    SparseRewardTransitionPicker,
)


def create(agent: dict[str, Any], data: MDPDataset) -> CalQL:
    """Return their agent with our numbers: sizes, rates, weight, actions, temperature and scale of what is seen."""
    seen = np.concatenate([shown.observations for shown in data.episodes])
    std = seen.std(axis=0)
    encoder = d3rlpy.models.VectorEncoderFactory(hidden_units=agent["hidden"], use_layer_norm=True)
    config = CalQLConfig(
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(
            mean=seen.mean(axis=0), std=np.where(std > 1e-3, std, 1.0).astype(np.float32)
        ),
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        actor_learning_rate=agent["actor_lr"],
        critic_learning_rate=agent["critic_lr"],
        temp_learning_rate=agent["temperature_lr"],
        alpha_learning_rate=0.0,
        initial_temperature=agent["temperature"],
        conservative_weight=agent["cql_weight"],
        initial_alpha=1.0,
        n_action_samples=agent["cql_actions"],
        n_critics=agent["critics"],
        gamma=agent["gamma"],
        tau=agent["tau"],
        batch_size=agent["batch"],
        soft_q_backup=agent["entropy_backup"],
    )
    algo = config.create(device=False)
    algo.build_with_dataset(data)
    return algo


class Run:
    """Offline updates, then episodes and the updates owed for them, as ``_external_run.Run`` has them."""

    def __init__(self, job: dict[str, Any], world: Piped) -> None:
        self.plan, self.agent, self.seed, self.world = job["plan"], job["agent"], job["seed"], world
        failing = SparseRewardTransitionPicker(-1.0 / (1.0 - self.agent["gamma"]), step_reward=-1.0)
        with np.load(job["data"], allow_pickle=False) as arrays:
            columns = [arrays[key] for key in ("observations", "actions", "rewards", "terminals", "timeouts")]
        self.offline = MDPDataset(*columns, transition_picker=failing, action_space=d3rlpy.ActionSpace.CONTINUOUS)
        self.online = ReplayBuffer(  # its first episode only tells it shapes
            FIFOBuffer(2 * self.plan["steps"]), episodes=self.offline.episodes[:1], transition_picker=failing
        )
        self.algo = create(self.agent, self.offline)
        picked = np.random.default_rng(0).integers(len(columns[0]), size=2000)
        self.judged = columns[0][picked]
        self.steps = self.episodes = self.updates = 0
        self.points: list[dict[str, Any]] = []

    def run(self) -> None:
        """Run to the end, printing a point a line."""
        self._judge(offline=True)
        while self.updates < self.plan["offline"]:
            self._update(self.offline)
            if self.updates % self.plan["every_offline"] == 0:
                self._judge(offline=True)
        mixed = MixedReplayBuffer(self.online, self.offline, self.agent["offline_share"])
        while self.steps < self.plan["steps"]:
            before = self.steps
            every = self.plan["every_first" if before < self.plan["first_steps"] else "every_step"]
            for _ in range(self.agent["utd"] * self._episode()):
                self._update(mixed)
            if self.steps // every > before // every:
                self._judge(offline=False)

    def _update(self, buffer: ReplayBufferBase) -> None:
        self.algo.update(buffer.sample_transition_batch(self.agent["batch"]))
        self.updates += 1

    def _episode(self) -> int:
        """Practise one, store it, return its steps."""
        scene = int(np.random.default_rng([self.seed, 1, self.episodes]).integers(2**31))
        seen, actions, is_success = episode(
            self.world, scene, lambda now: self.algo.sample_action(now[None])[0], self.plan["limit"]
        )
        for number, action in enumerate(actions):
            is_last = number == len(actions) - 1
            self.online.append(seen[number], action, 0.0 if is_last and is_success else -1.0)
        self.online.clip_episode(is_success)
        self.episodes += 1
        self.steps += len(actions)
        return len(actions)

    def _judge(self, offline: bool) -> None:
        successes = success_count(
            self.world, lambda now: self.algo.predict(now[None])[0], self.plan["limit"], self.plan["trials"]
        )
        q = self.algo.predict_value(self.judged, self.algo.sample_action(self.judged))
        point = {"updates": self.updates, "step": self.updates - self.plan["offline"] if offline else self.steps,
                 "successes": successes, "trials": self.plan["trials"], "q": round(float(q.mean()), 3),
                 "episodes": self.episodes, "cpu_s": round(time.process_time(), 1)}  # fmt: skip
        self.points.append(point)
        print(json.dumps(point), flush=True)


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    d3rlpy.seed(job["seed"])
    with Piped(job["task"]) as world:
        run = Run(job, world)
        run.run()
        print(json.dumps({"points": run.points, "world_cpu_s": round(world.cpu_s, 1)}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
