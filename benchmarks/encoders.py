"""How well frozen encoders tell where things are, in scenes of practice that nobody fitted them to.

Each candidate is fitted to the frames of demonstrations as ``armtune collect`` makes them, of other tables. A ridge
readout of its features and the arm's state then learns the place of the thing handled [cm, across the table], from
those same demonstrations or from frames of practice, and is asked in other scenes of practice, as they were lit and
with each image's light changed by up to 30 %. Counted are frames with the thing at least 6 cm from the tool: nearer,
the joints tell. The truth is for this probe alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armtune_bringup.compose import compose
from armtune_bringup.stages import make_env
from armtune_policies.contract import DIRECTIONS
from armtune_policies.learn.augment import random_light
from armtune_sim.collect import collect
from armtune_sim.settings import SimParams
from armtune_sim.take import Take
from armtune_sim.tasks import drawer

Floats = npt.NDArray[np.float32]
Encode = Callable[[npt.NDArray[np.uint8]], Floats]
THING = {"bin_sort": lambda scene: scene.position("peg"), "drawer": drawer.tab}
LIGHT, APART_M, FOLDS, COMPONENTS = 0.3, 0.06, 5, 128
TRAINED_ON = (200, 1000, 4000)


@dataclass(frozen=True)
class Views:
    """Frames uint8 (N, 96, 96, 3), states (N, 7), the thing's true place [m] (N, 3), episode (N,); their files."""

    images: npt.NDArray[np.uint8]
    state: Floats
    thing: Floats
    episode: npt.NDArray[np.int64]

    def rows(self, keep: npt.NDArray[Any]) -> Views:
        return Views(self.images[keep], self.state[keep], self.thing[keep], self.episode[keep])


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and a JSON line, and return what the line says."""
    parser = argparse.ArgumentParser(prog="armtune bench encoders", description=__doc__)
    parser.add_argument("--task", choices=sorted(THING), default="bin_sort")
    parser.add_argument("--seed", type=int, default=0, help="of the demonstrations; practice takes the next two")
    parser.add_argument("--scenes", type=int, default=12, help="episodes of practice per direction and kind")
    parser.add_argument("--cloned", action="store_true", help="the encoder of a cloned policy, too: some minutes")
    parser.add_argument("--encoder", type=Path, action="append", default=[], help="folder of one, too; several times")
    chosen = parser.parse_args(argv)
    config = compose([f"task={chosen.task}", f"experiment.seed={chosen.seed}"])
    e, lab = config.experiment, config.sim
    other = replace(lab, variation=e.demo_variation, looks=e.demo_looks)
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        shown = _views(config, other, chosen.seed, (e.demos, e.failures), e.demo_noise, folder)
        counts, noise = (chosen.scenes, chosen.scenes), 2 * e.demo_noise
        practised = _views(config, lab, chosen.seed + 1, counts, noise, folder / "a")
        unseen = _views(config, lab, chosen.seed + 2, (chosen.scenes // 2,) * 2, noise, folder / "b")
        encoders = _candidates(config, folder, shown, chosen.cloned, chosen.encoder)
    found: dict[str, Any] = {
        "bench": "encoders", "task": chosen.task, "seed": chosen.seed, "machine": platform.machine(),
        "load_1m": round(os.getloadavg()[0], 1),
        "frames_shown": len(shown.state), "frames_practised": len(practised.state),
        "frames_unseen": int(_apart(unseen).sum()), "scenes_unseen": int(unseen.episode[-1]) + 1,
    }  # fmt: skip
    print(f"{'encoder':<16}{'numbers':>8}{'ms':>7}  {'learnt from':<16}{'rmse cm':>8}{'median':>8}{'rmse lit':>9}")
    for name, encode in encoders.items():
        found[name] = _probe(name, encode, shown, practised, unseen)
    return found


def _views(config: Any, sim: SimParams, seed: int, counts: tuple[int, int], noise: float, folder: Path) -> Views:
    """Collect successes and failures in both directions, ``counts`` per direction, and log what is true."""
    env, place = make_env(config, sim), THING[config.task.name]
    seen: list[tuple[Any, ...]] = []
    look = env.observe

    def observe() -> Any:
        found = look()
        seen.append((found["image.front"], found["state"], place(env.gated.world.scene), index))
        return found

    env.observe = observe  # type: ignore[method-assign]
    index, kinds = 0, zip(counts, (False, True))
    takes = [Take(d, is_spoilt) for n, is_spoilt in kinds for d in DIRECTIONS for _ in range(n)]
    try:
        for _ in collect(env, config.task, takes, seed=seed, noise=noise, folder=folder / "episodes"):
            index += 1
    finally:
        env.close()
    images, state, thing, episode = (np.stack(column) for column in zip(*seen))
    return Views(images, state, thing.astype(np.float32), episode)


def _candidates(config: Any, folder: Path, shown: Views, with_cloned: bool, more: list[Path]) -> dict[str, Encode]:
    """Return each encoder, fitted to what was shown."""
    import torch

    from armtune_bringup.encoding import encoder_of
    from armtune_policies.learn.frozen import FrozenEncoder

    torch.set_num_threads(1)
    policy = config.policy

    def frozen(named: Path) -> Encode:
        encoder = FrozenEncoder(named, policy.action, policy.observation)
        return lambda images: encoder.features({"front": images})

    found: dict[str, Encode] = {
        "none": lambda images: np.zeros((len(images), 1), np.float32),
        "pixels, PCA": _components(_shrunk(shown.images)),
        "blobs": frozen(encoder_of(config, folder)),
        **{named.name: frozen(named) for named in more},
    }
    if with_cloned:
        found["cloned"] = _cloned(config, folder)
    return found


def _cloned(config: Any, folder: Path) -> Encode:
    """Return the encoder that behaviour cloning trains on the demonstrations."""
    import torch

    from armtune_policies.learn.bc import pretrain
    from armtune_policies.learn.data import transitions
    from armtune_policies.learn.sentences import embed
    from armtune_policies.store.episode_reader import list_episodes, read_episode

    sentences, policy = tuple(config.task.sentence(direction) for direction in DIRECTIONS), config.policy
    data = transitions(map(read_episode, list_episodes(folder)), policy.action, policy.observation, sentences)
    encoder = pretrain(data, embed(sentences), policy.action, policy.observation, seed=config.experiment.seed).encoder

    def encode(images: npt.NDArray[np.uint8]) -> Floats:
        return np.concatenate([encoder(part).numpy() for part in torch.from_numpy(images).split(256)])

    return encode


def _components(pixels: Floats) -> Encode:
    """Return whitened principal components of small pictures."""
    mean = pixels.mean(axis=0)
    _, sizes, axes = np.linalg.svd(pixels - mean, full_matrices=False)
    onto = axes[:COMPONENTS].T / sizes[:COMPONENTS] * np.sqrt(len(pixels))
    return lambda images: (_shrunk(images) - mean) @ onto


def _shrunk(images: npt.NDArray[np.uint8]) -> Floats:
    count, height, width, _ = images.shape
    tiles = images.reshape(count, height // 3, 3, width // 3, 3, 3)
    return (tiles.astype(np.float32).mean(axis=(2, 4)) / 255.0).reshape(count, -1)


def _probe(name: str, encode: Encode, shown: Views, practised: Views, unseen: Views) -> dict[str, Any]:
    asked = unseen.rows(_apart(unseen))
    lit = random_light(asked.images, LIGHT, np.random.default_rng(9))
    start_s = time.process_time()
    for image in asked.images[:50]:
        encode(image[None])
    took_ms = (time.process_time() - start_s) * 20
    tested = [np.c_[encode(images), asked.state] for images in (asked.images, lit)]
    learnt, order = (
        np.c_[encode(practised.images), practised.state],
        np.random.default_rng(0).permutation(len(practised.state)),
    )
    sets = {"demonstrations": (np.c_[encode(shown.images), shown.state], shown)}
    sets |= {f"practice {n}": (learnt[order[:n]], practised.rows(order[:n])) for n in TRAINED_ON if n <= len(order)}
    size, row = learnt.shape[1] - asked.state.shape[1], {}
    for source, (inputs, views) in sets.items():
        read = _ridge(inputs, views.thing[:, :2], views.episode)
        errors = [100 * np.linalg.norm(read(x) - asked.thing[:, :2], axis=1) for x in tested]
        rmse, rmse_lit = (float(np.sqrt(np.mean(e**2))) for e in errors)
        median = float(np.median(errors[0]))
        print(f"{name:<16}{size:>8}{took_ms:>7.1f}  {source:<16}{rmse:>8.1f}{median:>8.1f}{rmse_lit:>9.1f}", flush=True)
        row[source] = {"rmse_cm": round(rmse, 2), "median_cm": round(median, 2), "rmse_lit_cm": round(rmse_lit, 2)}
    return {"numbers": size, "ms": round(took_ms, 2), **row}


def _ridge(inputs: Floats, wanted: Floats, episode: npt.NDArray[np.int64]) -> Callable[[Floats], Floats]:
    """Return a linear readout; its penalty is the best across left-out episodes."""
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6

    def near(x: Floats) -> Floats:
        return np.c_[np.clip((x - mean) / spread, -4, 4), np.ones(len(x))].astype(np.float64)

    def solved(x: Floats, y: Floats, penalty: float) -> Floats:
        return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)

    def missed(penalty: float) -> float:
        parts = [(fold != episode % FOLDS, fold == episode % FOLDS) for fold in range(FOLDS)]
        return sum(float(np.sum((x[b] @ solved(x[a], wanted[a], penalty) - wanted[b]) ** 2)) for a, b in parts)

    x = near(inputs)
    weights = solved(x, wanted, min(10.0 ** np.arange(-1, 5), key=missed))
    return lambda asked: near(asked) @ weights


def _apart(views: Views) -> npt.NDArray[np.bool_]:
    return np.linalg.norm(views.thing - views.state[:, :3], axis=1) > APART_M


if __name__ == "__main__":
    main(sys.argv[1:])
