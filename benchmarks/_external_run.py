"""One run of ours: offline updates, then episodes and updates owed for them; a killed one goes on to the same curve.

Every update and every episode draws from generators seeded by (seed, number), and scenes start
from their seed alone, so nothing but the checkpoint and the episodes since is needed to go on.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armtune_policies.contract import digest, file_digest, flatten
from armtune_policies.learn.actor_critic import Seen, sample
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.finetune import EPISODES, Moment, as_trajectory
from armtune_policies.learn.replay import Replay, RowShape, mixed, share_now
from armtune_policies.learn.saved import load_training, load_trajectory, save_training, save_trajectory
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import from_arrays
from armtune_policies.store.files import write_whole
from benchmarks._external_plan import Plan, agent_params, named, plan_of
from benchmarks._external_world import Arrays, Floats, Piped, World, episode, shown, success_count

JUDGED = 2000
"""Rows of the offline data on which Q is compared with returns."""
OnPoint = Callable[[dict[str, Any]], None]


def data_of(plan: Plan, world: World, path: Path) -> Arrays:
    """Return the task's data, which is made once and kept as ``path``."""
    if not path.is_file():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **shown(world, plan.episodes, plan.noise, plan.attentive, plan.limit))
        write_whole(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


class Run:
    """One recipe, one seed, one folder."""

    def __init__(self, plan: Plan, params: AgentParams, seed: int, world: World, data: Path, folder: Path) -> None:
        self.plan, self.seed, self.world, self.folder = plan, seed, world, folder
        arrays = data_of(plan, world, data)
        size, actions = arrays["observations"].shape[1], arrays["actions"].shape[1]
        self.agent = Agent(Layout(size, actions), params, seed)
        shape = RowShape(size, actions)
        self.offline = Replay(2 * len(arrays["rewards"]), shape, params)
        for trajectory in from_arrays(arrays, data.name):
            self.offline.add(trajectory)
        self.online = Replay(2 * (plan.steps + plan.limit), shape, params)
        self.agent.set_scale(*self.offline.spread())
        self.digest = digest([named(plan), flatten(params), seed, file_digest(data)])
        self.points: list[dict[str, Any]] = []
        self.steps = self.episodes = self.paid = 0
        self.cpu_s, self._since = 0.0, time.process_time()
        self._resume()

    def run(self, on_point: OnPoint) -> list[dict[str, Any]]:
        """Run to the end and return its points."""
        if not self.points:
            self._judge(on_point)
        while not self.agent.is_online and self.agent.updates < self.plan.offline:
            rng = np.random.default_rng([self.seed, 0, self.agent.updates])
            self.agent.update(self.offline.sample(rng, self.agent.params.batch))
            if self.agent.updates % self.plan.every_offline == 0:
                self._judge(on_point)
        if not self.agent.is_online:
            self.agent.go_online()
        while self.steps < self.plan.steps:
            before = self.steps
            every = self.plan.every_first if before < self.plan.first_steps else self.plan.every_step
            self._episode()
            self._pay()
            if self.steps // every > before // every:
                self._judge(on_point)
        return self.points

    def _act(self, spread: float) -> Callable[[Floats], Floats]:
        sentence = torch.zeros(1, dtype=torch.int64)
        return lambda seen: self.agent.act(Seen(torch.from_numpy(seen[None]), sentence), spread)[0].numpy()

    def _episode(self) -> None:
        scene = int(np.random.default_rng([self.seed, 1, self.episodes]).integers(2**31))
        seen, actions, is_success = episode(self.world, scene, self._act(1.0), self.plan.limit)
        nothing = np.zeros(0, np.float32)
        moments = [Moment(nothing, row, False) for row in seen[:-1]] + [Moment(nothing, seen[-1], is_success)]
        trajectory = as_trajectory(moments, actions, 0, f"episode {self.episodes} of practice")
        self.online.add(trajectory)
        save_trajectory(self.folder / EPISODES / f"{self.episodes:06d}.safetensors", trajectory)
        self.episodes += 1
        self.steps += len(actions)

    def _pay(self) -> None:
        """Make the updates owed: ``utd`` a step after the warm-up."""
        params = self.agent.params
        while self.paid < params.utd * max(self.steps - params.warmup_steps, 0):
            rng = np.random.default_rng([self.seed, 2, self.paid])
            self.agent.update(mixed(self.offline, self.online, share_now(params, self.paid), rng, params.batch))
            self.paid += 1

    def _judge(self, on_point: OnPoint) -> None:
        """Measure success and Q, tell, and leave a checkpoint."""
        values = self._values()
        is_online = self.agent.is_online
        self.points.append({
            "updates": self.agent.updates, "step": self.steps if is_online else self.agent.updates - self.plan.offline,
            "successes": success_count(self.world, self._act(0.0), self.plan.limit, self.plan.trials),
            "trials": self.plan.trials, "episodes": self.episodes, **values,
        })  # fmt: skip
        self.cpu_s += time.process_time() - self._since
        self._since = time.process_time()
        self.points[-1]["cpu_s"] = round(self.cpu_s, 1)
        self._save()
        on_point(self.points[-1])

    @torch.no_grad()
    def _values(self) -> dict[str, float]:
        """Return means over the same rows of the offline data: Q of the policy's own actions, and the data's returns.

        ``won`` are rows of episodes that went well, whose returns differ; the others all have the lowest there is.
        """
        batch = self.offline.sample(np.random.default_rng(0), JUDGED)
        z = self.agent.nets.projection(batch.seen)
        mean, log_std = self.agent.nets.policy(batch.seen)
        noise = torch.randn((1, *mean.shape), generator=torch.Generator().manual_seed(0))
        q = self.agent.nets.critics(z, sample(mean, log_std, noise)[0]).mean(dim=(0, 1))
        won = batch.mc_return > batch.mc_return.min() + 1e-3
        means = {"q": q, "mc": batch.mc_return, "q_won": q[won], "mc_won": batch.mc_return[won]}
        return {name: round(float(values.mean()), 3) for name, values in means.items()}

    def _save(self) -> None:
        counts = {"steps": self.steps, "episodes": self.episodes, "paid": self.paid, "cpu_s": self.cpu_s}
        number = len(self.points)
        save_training(self.folder, self.agent.state(), self.digest, number, counts=counts, points=self.points)

    def _resume(self) -> None:
        found = load_training(self.folder, self.digest)
        if found is None:
            return
        tensors, about = found
        self.agent.restore(tensors)
        counts, self.points = about["counts"], about["points"]
        self.steps, self.episodes, self.paid = counts["steps"], counts["episodes"], counts["paid"]
        self.cpu_s = counts["cpu_s"]
        for path in sorted((self.folder / EPISODES).glob("*.safetensors")):
            if int(path.stem) < self.episodes:
                self.online.add(load_trajectory(path))


def main(job: dict[str, Any]) -> None:
    """Run what the job says, a point a line; the last line has them all."""
    torch.set_num_threads(1)
    plan = plan_of(job["task"], job["recipe"])
    with Piped(job["task"]) as world:
        params = agent_params(job["recipe"])
        run = Run(plan, params, job["seed"], world, Path(job["data"]), Path(job["folder"]))
        points = run.run(lambda point: print(json.dumps(point), flush=True))
        print(json.dumps({"points": points, "world_cpu_s": round(world.cpu_s, 1)}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
