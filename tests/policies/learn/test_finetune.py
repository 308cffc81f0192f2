"""Practice: who acts when, what is owed, what is stored, and going on after a stop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import pixel_reacher
from pixel_reacher import SIZE_PX, SeenReacher
from reacher import SENTENCES, SHAPE, STEPS, Reacher, make

from armtune_policies.contract import Direction
from armtune_policies.learn.agent import Agent, Layout
from armtune_policies.learn.finetune import EPISODES, Moment, Practice, PracticeParams, acted, as_trajectory
from armtune_policies.learn.pixels import Frame
from armtune_policies.learn.replay import Replay, RowShape
from armtune_policies.learn.saved import load_trajectory, save_trajectory
from armtune_policies.learn.settings import AgentParams
from armtune_policies.learn.trajectory import Trajectory


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Scripted:
    """An arena whose judge says what ``verdict`` says; keeps the directions it was asked for."""

    def __init__(self, verdict: Callable[[Direction, int], bool | None]) -> None:
        self.verdict = verdict
        self.begun: list[str] = []
        self.resets = self.nudges = self.lifts = 0

    def reset(self, seed: int) -> None:
        self.resets += 1

    def nudge(self, seed: int, times: int) -> bool:
        self.nudges += 1
        self.begun.append("nudge")
        return True

    def begin(self, direction: Direction) -> Moment:
        self.begun.append(direction)
        self.lifts += direction == "backward"
        self.now, self.taken = direction, 0
        return self.look()

    def step(self, action: np.ndarray) -> tuple[Moment, np.ndarray]:
        self.taken += 1
        return self.look(), action

    def look(self) -> Moment:
        state = np.full(3, self.taken, np.float32)
        return Moment(np.zeros(0, np.float32), state, self.verdict(self.now, self.taken))


def practise(
    arena: Scripted | Reacher, folder: Path | None = None, failures: int = 0, **params: int | float
) -> Practice:
    agent, offline = make("calql", batch=8, hidden=(8, 8), failures=failures)
    given = PracticeParams(**{"steps": 40, "episode_steps": 5, **params})
    return Practice(agent, offline, Replay(2000, SHAPE, agent.params), arena, given, folder, "x")


def test_success_hands_over_and_failure_tries_again() -> None:
    arena = Scripted(lambda direction, taken: direction == "forward" and taken >= 3)
    counts = practise(arena, max_failures=3).run()
    begun = [way for way in arena.begun if way != "nudge"]
    assert begun[:5] == ["forward", "backward", "backward", "backward", "forward"]
    assert counts.successes_forward == 3 and counts.successes_backward == 0 and counts.forced == 2


def test_of_failures_in_a_row_the_first_alone_teach_also_after_a_kill(tmp_path: Path) -> None:
    """Two are learnt from, three are not, then a success is, and the two failures after it."""
    arena = Scripted(lambda direction, taken: len(arena.begun) == 6 and taken >= 5)
    arena.nudge = lambda seed, times: False
    practice = practise(arena, tmp_path, failures=2, max_failures=99, steps=30, checkpoint_every=1)
    counts = practice.run()
    stored = sorted(path.stem for path in (tmp_path / EPISODES).glob("*.safetensors"))
    assert (counts.episodes, stored, counts.updates) == (6, ["000000", "000001", "000005"], 15)
    again = practise(arena, tmp_path, failures=2, max_failures=99, steps=45, checkpoint_every=1)
    counts = again.run()
    stored = sorted(path.stem for path in (tmp_path / EPISODES).glob("*.safetensors"))
    assert (counts.episodes, stored[3:], counts.updates) == (9, ["000006", "000007"], 25)
    assert again.online.added == 5 * 5 + 4  # a failure keeps what was seen last, too


def test_episodes_of_a_life_that_was_killed_are_gone_also_where_nothing_is_stored_in_their_place(
    tmp_path: Path,
) -> None:
    arena = Scripted(lambda direction, taken: False)
    one = practise(arena, tmp_path, failures=1, max_failures=99, steps=20, checkpoint_every=1)
    one.run()
    folder = tmp_path / EPISODES
    assert [path.stem for path in folder.glob("*")] == ["000000"]
    save_trajectory(folder / "000006.safetensors", load_trajectory(folder / "000000.safetensors"))
    counts = practise(arena, tmp_path, failures=1, max_failures=99, steps=60, checkpoint_every=1).run()
    again = practise(arena, tmp_path, failures=1, max_failures=99, steps=60, checkpoint_every=1)
    assert counts.episodes == 12 and sorted(path.stem for path in folder.glob("*")) == ["000000", "000004"]
    assert again.online.added == 2 * 6  # the first, and the first of the scene that was laid when it went on


def test_tries_after_failures_are_aimed_elsewhere_and_stored_where_the_arm_was(monkeypatch: pytest.MonkeyPatch) -> None:
    arena = Scripted(lambda direction, taken: False)
    aims: list[np.ndarray] = []

    def acted_by(agent: Agent, moment: Moment, sentence: int, spread: float, aim: np.ndarray) -> np.ndarray:
        aims.append(aim)
        return acted(agent, moment, sentence, spread, aim)

    monkeypatch.setattr("armtune_policies.learn.finetune.acted", acted_by)
    practice = practise(arena, aim_m=0.004, aim_most_m=0.006, nudge=0, max_failures=100)
    practice.run()
    assert not aims[0].any() and aims[5].any()
    assert all(np.array_equal(aims[0], aim) for aim in aims[:5]), "one aim for the whole try"
    assert not np.array_equal(aims[5], aims[10])
    stored = practice.online.gather(practice.online.usable).seen.vector[:, -3:]
    assert set(stored.flatten().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_solved_start_is_passed_over_without_reward() -> None:
    arena = Scripted(lambda direction, taken: direction == "forward" and taken == 0)
    practice = practise(arena, steps=5)
    counts = practice.run()
    assert arena.begun == ["forward", "backward"]
    assert counts.solved_starts == 1 and counts.successes_forward == 0
    assert practice.online.gather(practice.online.usable).bootstrap.min() == 1.0


def test_judge_that_says_yes_to_all_does_not_hang() -> None:
    counts = practise(Scripted(lambda direction, taken: True), steps=4).run()
    assert counts.steps == 4


def test_goal_that_stands_in_a_fresh_scene_is_passed_over_too() -> None:
    arena = Scripted(lambda direction, taken: arena.resets < 2 or direction == "backward")
    counts = practise(arena, steps=5).run()
    assert arena.begun == ["forward", "backward", "backward", "forward"]
    assert (counts.solved_starts, counts.episodes, counts.successes_backward) == (2, 1, 0)


@pytest.mark.fault("L6")
def test_updates_owed_are_paid_exactly_and_none_for_the_warm_up() -> None:
    arena = Scripted(lambda direction, taken: False)
    agent, offline = make("calql", batch=8, hidden=(8, 8), utd=2, warmup_steps=12)
    given = PracticeParams(steps=20, episode_steps=5)
    owed: list[tuple[int, int]] = []
    practice = Practice(agent, offline, Replay(100, SHAPE, agent.params), arena, given)
    practice.run(lambda counts, is_success: owed.append((counts.steps, counts.updates)))
    assert owed == [(5, 0), (10, 0), (15, 6), (20, 16)]
    assert agent.updates == 16


def test_fresh_scenes_come_as_often_as_asked() -> None:
    arena = Scripted(lambda direction, taken: False)
    assert practise(arena, steps=40, reset_every_episodes=2).run().resets == arena.resets == 4
    never = Scripted(lambda direction, taken: False)
    assert practise(never, steps=40).run().resets == never.resets == 1


def test_nudge_comes_before_each_retry_once_it_has_failed_often_enough() -> None:
    arena = Scripted(lambda direction, taken: direction == "forward" and taken >= 3)
    counts = practise(arena, steps=18, max_failures=9, nudge=2).run()
    assert arena.begun == ["forward", "backward", "backward", "nudge", "backward"]
    assert counts.nudges == arena.nudges == 1
    assert counts.lifts == arena.lifts == 3


def test_never_nudges_when_told_so() -> None:
    arena = Scripted(lambda direction, taken: False)
    assert practise(arena, nudge=0).run().nudges == arena.nudges == 0


def moment(at: float, verdict: bool | None) -> Moment:
    return Moment(np.zeros(0, np.float32), np.full(1, at, np.float32), verdict)


def test_success_is_the_one_step_of_reward_zero() -> None:
    actions = [np.full(2, 0.5, np.float32)] * 2
    rows = as_trajectory([moment(0, False), moment(1, False), moment(2, True)], actions, 1, "x")
    assert rows.reward.tolist() == [-1, 0] and rows.terminated.tolist() == [False, True]
    assert rows.imitate and rows.sentence == 1 and len(rows) == 2


def test_time_limit_keeps_the_last_observation() -> None:
    rows = as_trajectory([moment(0, False), moment(1, False)], [np.zeros(2, np.float32)], 0, "x")
    assert rows.is_step.tolist() == [True, False] and rows.follows.tolist() == [True, False]
    assert not rows.terminated.any() and not rows.imitate


def test_step_whose_judge_did_not_know_is_no_step() -> None:
    actions = [np.full(2, 0.5, np.float32)] * 3
    rows = as_trajectory([moment(0, False), moment(1, None), moment(2, False), moment(3, False)], actions, 0, "x")
    assert rows.is_step.tolist() == [False, True, True, False]
    assert rows.action[0].tolist() == [0, 0]


def test_practice_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    first = practise(Reacher(), tmp_path, steps=60, episode_steps=STEPS, checkpoint_every=1)
    first.run()
    again = practise(Reacher(), tmp_path, steps=120, episode_steps=STEPS, checkpoint_every=1)
    assert again.counts == first.counts
    assert again.online.usable.tolist() == first.online.usable.tolist()
    theirs = first.agent.state()
    assert all(torch.equal(t, theirs[name]) for name, t in again.agent.state().items())
    assert again.run().steps >= 120


def test_practice_repeats_with_the_same_seed() -> None:
    one, two = (practise(Reacher(), steps=60, episode_steps=STEPS, seed=4) for _ in range(2))
    assert one.run() == two.run()
    theirs = two.agent.state()
    assert all(torch.equal(t, theirs[name]) for name, t in one.agent.state().items())


def test_other_practice_is_refused(tmp_path: Path) -> None:
    practise(Reacher(), tmp_path, steps=10).run()
    agent, offline = make("calql", batch=8, hidden=(8, 8))
    with pytest.raises(ValueError, match="is of training x, this one is y"):
        Practice(agent, offline, Replay(10, SHAPE, agent.params), Reacher(), folder=tmp_path, digest="y")


def test_an_episode_in_which_nothing_moves_ends_early_and_failed() -> None:
    still = Scripted(lambda direction, taken: False)
    still.look = lambda: Moment(np.zeros(0, np.float32), np.zeros(3, np.float32), False)  # type: ignore[method-assign]
    practice = practise(still, steps=9, episode_steps=10, still=0.01, still_steps=3)
    counts = practice.run()
    assert (counts.episodes, counts.steps, counts.stalls) == (3, 9, 3)
    assert practice.online.added == 12 <= practice.params.rows  # three rows of what was seen last
    assert len(practice.online) == 9  # each step can be learnt from: what came after is known
    assert practise(Scripted(lambda direction, taken: False), steps=10, still=0.01).run().stalls == 0


def test_a_person_helps_when_nothing_succeeds() -> None:
    arena = Scripted(lambda direction, taken: False)
    counts = practise(arena, steps=50, stuck=4, recoveries=0).run()
    assert counts.rescues == 2 and arena.resets == 3  # the first scene, and after four and eight failures


def practise_seeing(folder: Path | None = None, warmup_steps: int = 0, **params: int) -> Practice:
    agent, offline = pixel_reacher.make("calql", 2, 0, batch=4, hidden=(8, 8), cql_actions=2, warmup_steps=warmup_steps)
    given = PracticeParams(**{"steps": 12, "episode_steps": 4, "max_failures": 2, **params})
    online = Replay(200, pixel_reacher.SHAPE, agent.params)
    return Practice(agent, offline, online, SeenReacher(), given, folder, "x")


def test_frames_acted_on_are_the_frames_stored_each_of_them_once() -> None:
    practice, seen = practise_seeing(warmup_steps=100), []  # no updates: the network sees what is acted on, only
    practice.agent.targets.net.register_forward_pre_hook(lambda net, images: seen.append(images[0].numpy()))
    counts, online = practice.run(), practice.online
    assert np.array_equal(np.concatenate(seen), online.frames(online.usable, "top"))
    assert np.ptp(online.frames(online.usable, "top"), axis=0).any(), "all frames are alike"
    won = counts.successes_forward + counts.successes_backward
    assert online.added == counts.steps + counts.episodes - won  # a failure keeps what was seen last, too
    assert online.capacity * SIZE_PX * SIZE_PX * 3 < online.nbytes < online.capacity * (SIZE_PX * SIZE_PX * 3 + 64)


def test_practice_from_pixels_goes_on_with_the_images_it_had(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    first, kept = practise_seeing(tmp_path, steps=40, checkpoint_every=2), []

    def kill(counts: object, is_success: bool) -> None:
        kept.append((len(first.online), first.online.gather(first.online.usable)))
        if len(kept) == 3:  # an episode after the last checkpoint
            raise Killed

    with pytest.raises(Killed):
        first.run(kill)
    again = practise_seeing(tmp_path, steps=40, checkpoint_every=2)
    assert again.counts.episodes == 2 and len(again.online) == kept[1][0] < len(first.online)
    rows, were = again.online.gather(again.online.usable), kept[1][1]
    for one, other in ((rows.seen, were.seen), (rows.next_seen, were.next_seen)):
        assert one.image is not None and other.image is not None and torch.equal(one.image, other.image)
    assert torch.equal(rows.mc_return, were.mc_return) and torch.equal(rows.action, were.action)
    episode = load_trajectory(tmp_path / EPISODES / "000000.safetensors")
    assert episode.images["top"].dtype == np.uint8 and len(episode.images["top"]) == len(episode)
    assert again.run().steps >= 40 and again.agent.updates == again.counts.updates == again.counts.steps


def test_two_cameras_are_acted_on_as_they_are_learnt_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = {"front": (24, 24), "arm": (24, 24)}  # not in the alphabet's order
    params = AgentParams(hidden=(8, 8), projection=8, pixels="drq")
    agent = Agent(Layout(1, 2, SENTENCES, Frame.of(table)), params)
    moments = [
        Moment(np.zeros(0, np.float32), np.zeros(1, np.float32), index == 3,
               {camera: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for camera, size in table.items()})
        for index in range(4)
    ]  # fmt: skip
    save_trajectory(tmp_path / "0", as_trajectory(moments, [np.zeros(2, np.float32)] * 3, 1, "x"))
    replay = Replay(3, RowShape(state=1, action=2, images=table), params)
    replay.add(load_trajectory(tmp_path / "0"))
    learnt = agent.act(replay.gather(replay.usable).seen).numpy()
    np.testing.assert_allclose([acted(agent, one, 1) for one in moments[:3]], learnt, atol=1e-6)
    assert np.ptp(learnt, axis=0).min() > 1e-5


class Told(Scripted):
    """Knows where the thing stood in its first try."""

    @property
    def stands_m(self) -> tuple[float, ...]:
        return (0.3, 0.1) if len(self.begun) == 1 else ()


class Teacher:
    """Says that nothing should have been done where it is told a place."""

    def taught(self, failed: Trajectory, stands_m: tuple[float, ...]) -> Trajectory:
        return replace(failed, expert=np.zeros_like(failed.action)) if stands_m == (0.3, 0.1) else failed


@pytest.mark.parametrize("carries", [True, False], ids=["of a loose thing", "of another task"])
def test_a_failure_is_taught_where_the_arm_knew_better_also_after_a_kill(tmp_path: Path, carries: bool) -> None:
    agent, offline = make("calql", batch=8, hidden=(8, 8))
    params = PracticeParams(steps=10, episode_steps=5, nudge=0, checkpoint_every=1, carries=carries)

    def again() -> Practice:
        arena, online = Told(lambda direction, taken: False), Replay(2000, SHAPE, agent.params)
        return Practice(agent, offline, online, arena, params, tmp_path, "x", Teacher())  # type: ignore[arg-type]

    first = again()
    first.run()
    labels = [load_trajectory(path).expert for path in sorted((tmp_path / EPISODES).glob("*"))]
    if not carries:
        assert labels == [None, None], "it may stand on another table than the one that was shown"
        return
    assert labels[0] is not None and not labels[0].any() and labels[1] is None
    for one in (first, again()):
        batch = one.online.gather(one.online.usable)
        assert batch.imitate.tolist() == [1.0] * 5 + [0.0] * 5 and not batch.expert[:5].any()
