"""The losses of every recipe once more: float64, Python loops, written from the papers, sharing no code with ours.

Networks are read off a state dict and run one number at a time, so nothing here knows of
batched products, split first layers or shared projections.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Vector = list[float]


def linear(weight: np.ndarray, bias: np.ndarray | None, x: Sequence[float]) -> Vector:
    """``weight`` (out, in)."""
    start = [0.0] * len(weight) if bias is None else list(bias)
    return [b + sum(w * v for w, v in zip(row, x)) for row, b in zip(weight, start)]


def normed(x: Vector, gain: Sequence[float] | None = None, shift: Sequence[float] | None = None) -> Vector:
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    out = [(v - mean) / math.sqrt(variance + 1e-5) for v in x]
    gain, shift = gain or [1.0] * len(x), shift or [0.0] * len(x)
    return [v * g + s for v, g, s in zip(out, gain, shift)]


class Nets:
    """Networks out of one state dict, for one state at a time."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.w = {name: np.asarray(t, np.float64) for name, t in weights.items()}

    def z(self, vector: Vector, sentence: int, whose: str = "projection") -> Vector:
        w = {key.removeprefix(f"{whose}."): t for key, t in self.w.items() if key.startswith(f"{whose}.")}
        spread = zip(vector, w["mean"], w["scale"])
        near = [min(max((v - m) / s, -5.0), 5.0) for v, m, s in spread]
        drive = linear(w["vector.weight"], w["vector.bias"], near)
        said = linear(w["sentence.weight"], None, w["table"][sentence])
        drive = [a + b for a, b in zip(drive, said)]
        out = normed(drive, list(w["norm.weight"]), list(w["norm.bias"]))
        return [math.tanh(v) for v in out]

    def policy(self, z: Vector) -> tuple[Vector, Vector]:
        w, x = self.w, z
        for layer in (0, 3):
            x = linear(w[f"actor.torso.{layer}.weight"], w[f"actor.torso.{layer}.bias"], x)
            norm = f"actor.torso.{layer + 1}"
            x = [max(v, 0.0) for v in normed(x, list(w[f"{norm}.weight"]), list(w[f"{norm}.bias"]))]
        out = linear(w["actor.out.weight"], w["actor.out.bias"], x)
        half = len(out) // 2
        return out[:half], [-5.0 + 3.5 * (1.0 + math.tanh(v)) for v in out[half:]]

    def q(self, critic: int, z: Vector, action: Sequence[float], name: str = "critics") -> float:
        w = {key.removeprefix(f"{name}."): t[critic] for key, t in self.w.items() if key.startswith(f"{name}.")}
        x = linear(w["first"].T, None, [*z, *action])
        x = [max(v, 0.0) for v in normed(x, None, list(w["shift.0"][0]))]
        x = linear(w["deep.0"].T, None, x)
        x = [max(v, 0.0) for v in normed(x, None, list(w["shift.1"][0]))]
        return linear(w["out"].T, w["bias"][0], x)[0]


def drawn(mean: Vector, log_std: Vector, noise: Sequence[float]) -> tuple[Vector, float]:
    """A tanh-Gaussian action and its log density, by the change of variables."""
    raw = [m + math.exp(s) * n for m, s, n in zip(mean, log_std, noise)]
    return [math.tanh(u) for u in raw], density(mean, log_std, raw)


def density(mean: Vector, log_std: Vector, raw: Vector) -> float:
    total = 0.0
    for m, s, u in zip(mean, log_std, raw):
        gaussian = -((u - m) ** 2) / (2 * math.exp(s) ** 2) - math.log(math.exp(s) * math.sqrt(2 * math.pi))
        total += gaussian - math.log(1.0 - math.tanh(u) ** 2)
    return total


def squared_gap(mean: Vector, wanted: Vector) -> float:
    return sum((m - a) ** 2 for m, a in zip(mean, wanted)) / len(mean)


def imitation_density(mean: Vector, log_std: Vector, action: Sequence[float]) -> float:
    return density(mean, log_std, [math.atanh(min(max(a, -0.99), 0.99)) for a in action])


def logsumexp(values: Sequence[float]) -> float:
    return math.log(sum(math.exp(v) for v in values))


class Slow:
    """One update's losses for a recipe; ``batch`` and ``draws`` are plain arrays by name.

    ``scales`` are the running magnitudes of the Q term and of the cloning term; 0 while nothing was seen of one.
    """

    def __init__(
        self, params: Any, nets: Mapping[str, Any], targets: Mapping[str, Any], alpha: float, scales: Sequence[float]
    ) -> None:
        self.p, self.alpha, self.scales = params, alpha, list(scales)
        self.nets, self.targets = Nets(nets), Nets(targets)

    def losses(self, batch: Mapping[str, np.ndarray], draws: Mapping[str, np.ndarray]) -> dict[str, float]:
        self.b, self.d = batch, draws
        self.rows = range(len(batch["reward"]))
        here = [(list(batch["seen"][i]), int(batch["sentence"][i])) for i in self.rows]
        after = [(list(batch["next_seen"][i]), int(batch["next_sentence"][i])) for i in self.rows]
        self.zs, self.next_zs = ([self.nets.z(*seen) for seen in rows] for rows in (here, after))
        self.policies, self.next_policies = (
            [self.nets.policy(self.nets.z(*seen, "actor_projection")) for seen in rows] for rows in (here, after)
        )
        return getattr(self, self.p.recipe)()

    # recipes

    def bc(self) -> dict[str, float]:
        total = sum(self.b["imitate"][i] * squared_gap([math.tanh(m) for m in self.policies[i][0]], self.b["expert"][i])
                    for i in self.rows)  # fmt: skip
        return {"actor": total / max(sum(self.b["imitate"]), 1.0)}

    def rlpd(self) -> dict[str, float]:
        return {"td": self.td(self.soft_next), **self.soft_actor()}

    def cql(self) -> dict[str, float]:
        return {**self.rlpd(), "conservative": self.conservative(is_calibrated=False)}

    def calql(self) -> dict[str, float]:
        return {**self.rlpd(), "conservative": self.conservative(is_calibrated=True)}

    wsrl = calql

    def iql(self) -> dict[str, float]:
        td = self.td(lambda i: self.nets.q(0, self.next_zs[i], [], "value"))
        gaps = [self.target_q_data(i) - self.nets.q(0, self.zs[i], [], "value") for i in self.rows]
        value = sum(abs(self.p.expectile - (1.0 if g < 0 else 0.0)) * g * g for g in gaps) / len(gaps)
        actor = 0.0
        for i, gap in enumerate(gaps):
            weight = min(math.exp(self.p.awr_beta * gap), self.p.awr_most)
            actor -= weight * imitation_density(*self.policies[i], self.b["action"][i])
        return {"td": td, "value": value, "actor": actor / len(gaps)}

    def td3bc(self) -> dict[str, float]:
        clip, size = self.p.smoothing_clip, range(self.b["action"].shape[1])

        def next_value(i: int) -> float:
            z, own = (self.target_z("next_", i, whose) for whose in ("projection", "actor_projection"))
            noise = [min(max(self.p.smoothing * self.d["next"][0][i][a], -clip), clip) for a in size]
            mean = self.targets.policy(own)[0]
            action = [min(max(math.tanh(m) + n, -1.0), 1.0) for m, n in zip(mean, noise)]
            return min(self.targets.q(int(n), z, action) for n in self.d["subset"])

        actions = [[math.tanh(m) for m in mean] for mean, _ in self.policies]
        return {"td": self.td(next_value), "actor": self.q_and_cloning(actions, actions, [0.0] * len(actions), 0.0)}

    # their parts

    def target_z(self, which: str, i: int, whose: str = "projection") -> Vector:
        return self.targets.z(list(self.b[f"{which}seen"][i]), int(self.b[f"{which}sentence"][i]), whose)

    def target_q_data(self, i: int) -> float:
        z = self.target_z("", i)
        return min(self.targets.q(int(n), z, self.b["action"][i]) for n in self.d["subset"])

    def td(self, next_value: Any) -> float:
        total = 0.0
        for i in self.rows:
            target = self.b["reward"][i] + self.p.gamma * self.b["bootstrap"][i] * next_value(i)
            if self.p.mc_floor:
                target = max(target, self.b["mc_return"][i])
            total += sum((self.nets.q(n, self.zs[i], self.b["action"][i]) - target) ** 2 for n in range(self.p.critics))
        return total / len(self.rows)

    def soft_next(self, i: int) -> float:
        z, policy = self.target_z("next_", i), self.next_policies[i]
        best = (-math.inf, 0.0)
        for noise in self.d["next"] if self.p.max_target_backup else self.d["next"][:1]:
            action, log_pi = drawn(*policy, noise[i])
            best = max(best, (min(self.targets.q(int(n), z, action) for n in self.d["subset"]), log_pi))
        return best[0] - (self.alpha * best[1] if self.p.entropy_backup else 0.0)

    def conservative(self, is_calibrated: bool) -> float:
        total, size = 0.0, self.b["action"].shape[1]
        for i in self.rows:
            drawn_here = [drawn(*self.policies[i], noise[i]) for noise in self.d["current"]]
            drawn_next = [drawn(*self.next_policies[i], noise[i]) for noise in self.d["next"]]
            for n in range(self.p.critics):
                terms = [self.nets.q(n, self.zs[i], a[i]) - math.log(0.5**size) for a in self.d["random"]]
                for action, log_pi in (*drawn_here, *drawn_next):
                    q = self.nets.q(n, self.zs[i], action)
                    terms.append((max(q, self.b["mc_return"][i]) if is_calibrated else q) - log_pi)
                total += logsumexp(terms) - self.nets.q(n, self.zs[i], self.b["action"][i])
        return self.p.cql_weight * total / len(self.rows)

    def soft_actor(self) -> dict[str, float]:
        pairs = [drawn(*self.policies[i], self.d["current"][0][i]) for i in self.rows]
        log_pis = [log_pi for _, log_pi in pairs]
        means = [[math.tanh(m) for m in mean] for mean, _ in self.policies]
        actor = self.q_and_cloning([a for a, _ in pairs], means, log_pis, self.alpha)
        target = self.p.entropy * self.b["action"].shape[1]
        return {"actor": actor, "temperature": -self.alpha * (sum(log_pis) / len(log_pis) + target)}

    def q_and_cloning(self, actions: list[Vector], means: list[Vector], log_pis: Vector, alpha: float) -> float:
        count, total, size, clone = len(actions), 0.0, 0.0, 0.0
        for i in self.rows:
            qs = [self.nets.q(n, self.zs[i], actions[i]) for n in range(self.p.critics)]
            q = min(qs) if self.p.actor_q == "min" else sum(qs) / len(qs)
            total += (alpha * log_pis[i] - q) / count
            size += sum(abs(v) for v in qs) / len(qs) / count
            clone += self.b["imitate"][i] * squared_gap(means[i], self.b["expert"][i])
        clone /= max(sum(self.b["imitate"]), 1.0)
        if self.p.bc_weight == 0.0:
            return total
        rate = self.p.scale_rate
        self.scales = [(1 - rate) * old + rate * new if old else new for old, new in zip(self.scales, (size, clone))]
        return total / self.scales[0] + self.p.bc_weight * clone / self.scales[1]
