"""An RLPD-style SAC update in JAX, jitted as one program, timed; runs in the environment of the peer.

A batch out of arrays in numpy, as RLPD's own replay does it, then the update.

LayerNorm critics as one stack of weights, two of them asked for the target, the actor on the mean
of all, a tuned temperature: Ball et al. 2023. Written plainly for speed, not taken from a repository.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _learner_turns import serve

BATCH, ACTIONS, HIDDEN, ROWS = 256, 7, 256, 4096


def norm(x, gain, shift):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * gain + shift


def mlp(weights, x):
    for w, b, gain, shift in weights[:-1]:
        x = jax.nn.relu(norm(x @ w + b, gain, shift))
    w, b, _, _ = weights[-1]
    return x @ w + b


def init(key, sizes, count=None):
    layers, lead = [], () if count is None else (count,)
    for a, b, k in zip(sizes, sizes[1:], jax.random.split(key, len(sizes))):
        w = jax.random.uniform(k, (*lead, a, b), minval=-1, maxval=1) / jnp.sqrt(a)
        wide = (*lead, 1, b)
        layers.append((w, jnp.zeros(wide), jnp.ones(wide), jnp.zeros(wide)))
    return layers


def sample(actor, obs, key):
    mean, log_std = jnp.split(mlp(actor, obs), 2, -1)
    log_std = jnp.clip(log_std, -5, 2)
    noise = jax.random.normal(key, mean.shape)
    raw = mean + jnp.exp(log_std) * noise
    log_pi = -0.5 * noise**2 - log_std - 0.9189385 - 2 * (0.6931472 - raw - jax.nn.softplus(-2 * raw))
    return jnp.tanh(raw), log_pi.sum(-1)


def q(critics, obs, action):
    return mlp(critics, jnp.concatenate([obs, action], -1)[None])[..., 0]


def make(job: dict[str, Any]) -> Callable[[], Any]:
    """Return the update of a job."""
    size, count = int(job["state"] + job["features"] + job["sentence"]), int(job["critics"])
    keys = jax.random.split(jax.random.key(0), 8)
    params = {
        "actor": init(keys[0], (size, HIDDEN, HIDDEN, 2 * ACTIONS)),
        "critics": init(keys[1], (size + ACTIONS, HIDDEN, HIDDEN, 1), count),
        "log_alpha": jnp.zeros(()),
    }
    target, adam = jax.tree.map(jnp.copy, params["critics"]), optax.adam(3e-4)

    def loss(p, target, batch, key):
        obs, next_obs, action, reward = batch
        here, there, pick = jax.random.split(key, 3)
        alpha, freeze = jnp.exp(p["log_alpha"]), jax.lax.stop_gradient
        next_action, next_log_pi = sample(p["actor"], next_obs, there)
        two = jax.tree.map(lambda w: w[jax.random.choice(pick, count, (2,), replace=False)], target)
        y = freeze(reward + 0.99 * (q(two, next_obs, next_action).min(0) - alpha * next_log_pi))
        critic = ((q(p["critics"], obs, action) - y) ** 2).mean()
        mine, log_pi = sample(p["actor"], obs, here)
        actor = (freeze(alpha) * log_pi - q(freeze(p["critics"]), obs, mine).mean(0)).mean()
        return critic + actor - alpha * freeze(log_pi.mean() - ACTIONS / 2)

    @jax.jit
    def update(p, target, moments, key, batch):
        key, used = jax.random.split(key)
        steps, moments = adam.update(jax.grad(loss)(p, target, batch, used), moments)
        p = optax.apply_updates(p, steps)
        return p, jax.tree.map(lambda t, w: t + 0.005 * (w - t), target, p["critics"]), moments, key

    rng = np.random.default_rng(0)
    obs = rng.normal(size=(ROWS, size)).astype(np.float32)
    action, reward = rng.uniform(-1, 1, (ROWS, ACTIONS)).astype(np.float32), np.full(ROWS, -1, np.float32)
    state = (params, target, adam.init(params), keys[5])

    def step() -> None:
        nonlocal state
        rows = rng.integers(ROWS - 1, size=BATCH)
        state = jax.block_until_ready(update(*state, (obs[rows], obs[rows + 1], action[rows], reward[rows])))

    return step


if __name__ == "__main__":
    serve(make)
