from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from armtune_policies.contract import ConfigError, Mode
from armtune_sim.env import ArmEnv, read
from armtune_sim.experts import make_expert


@pytest.fixture(scope="module")
def env() -> ArmEnv:
    return ArmEnv("bin_sort", episode_steps=50)


@pytest.mark.parametrize("name", ["armtune/Drawer-v0", "armtune/BinSort-v0", "armtune/Lid-v0"])
def test_environment_is_a_good_one_when_gymnasium_checks_it(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = gym.make(name).unwrapped
        check_env(made)
    made.close()


def test_episode_is_the_same_when_seed_and_actions_are(env: ArmEnv) -> None:
    runs = []
    for _ in range(2):
        env.reset(seed=4)
        env.action_space.seed(0)
        seen = [env.step(env.action_space.sample())[0] for _ in range(4)]
        runs.append(seen[-1])
    for key in runs[0]:
        np.testing.assert_array_equal(runs[0][key], runs[1][key])


def test_gripper_stays_with_what_it_was_told_anew_where_it_is_sticky(env: ArmEnv) -> None:
    sticky = ArmEnv("bin_sort", episode_steps=50, grip_steps=3)
    for made, held in ((env, [0, 1, 0, 1, 0, 0]), (sticky, [0, 1, 1, 1, 0, 0])):
        for _ in range(2):  # an episode begins with what it wants, however the last one ended
            made.reset(seed=4)
            told = []
            for opening in (0, 1, 0, 1, 0, 0):
                made.step(np.array([0, 0, 0, 0, 0, 0, opening], np.float32))
                told.append(made.decision.proposed[-1] if made.decision else None)
            assert told == held
    sticky.close()


def test_reward_is_zero_once_when_the_expert_succeeds(env: ArmEnv) -> None:
    env.reset(seed=2, options={"direction": "forward"})
    expert, rewards, terminated = make_expert("bin_sort", "forward", np.random.default_rng(1)), [], False
    while not terminated and len(rewards) < 50:
        _, reward, terminated, truncated, info = env.step(expert.propose(env.gated.world.scene))
        rewards.append(reward)
    assert terminated
    assert not truncated
    assert info["is_success"]
    assert rewards[-1] == 0.0
    assert set(rewards[:-1]) == {-1.0}


def test_scene_is_kept_and_the_arm_is_home_when_reset_says_so(env: ArmEnv) -> None:
    env.reset(seed=3)
    for _ in range(3):
        env.step(np.array([0.03, 0.03, 0.0, 0, 0, 0, 1], np.float32))
    peg = env.gated.world.scene.position("peg")
    seen, info = env.reset(options={"keep_scene": True, "direction": "backward"})
    np.testing.assert_allclose(env.gated.world.scene.position("peg"), peg, atol=2e-3)
    np.testing.assert_allclose(read(seen)[1][:3], [0.20, 0.0, 0.17], atol=0.01)
    assert info["direction"] == "backward"
    assert info["is_success"]


def test_a_person_lifts_the_arm_home_when_the_motors_lose_power(env: ArmEnv) -> None:
    env.reset(seed=3)
    model, peg = env.gated.world.model, env.gated.world.scene.position("peg")
    gains = model.actuator_gainprm.copy(), model.actuator_biasprm.copy()
    env.step(np.array([0.05, 0.05, 0.0, 0, 0, 0, 1], np.float32))
    model.actuator_gainprm[:], model.actuator_biasprm[:] = 0, 0
    seen, _ = env.reset(options={"keep_scene": True})
    model.actuator_gainprm[:], model.actuator_biasprm[:] = gains
    assert (env.gated.lifts, env.gated.is_stopped) == (1, False)
    np.testing.assert_allclose(read(seen)[1][:3], [0.20, 0.0, 0.17], atol=0.01)
    np.testing.assert_allclose(env.gated.world.scene.position("peg"), peg, atol=2e-3)
    before = read(seen)[1]
    assert read(env.step(np.array([0.03, 0, 0, 0, 0, 0, 1], np.float32))[0])[1][0] > before[0] + 0.01


def test_episode_is_truncated_when_its_steps_are_used_up() -> None:
    short = ArmEnv("drawer", episode_steps=2)
    short.reset(seed=0)
    still = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
    assert short.step(still)[2:4] == (False, False)
    assert short.step(still)[2:4] == (False, True)


def test_arm_moves_as_the_gate_allows_when_a_delta_is_proposed(env: ArmEnv) -> None:
    seen, _ = env.reset(seed=0)
    before = read(seen)[1]
    seen, *_ = env.step(np.array([0.0, 0.03, -0.02, 0, 0, 0, 0.5], np.float32))
    moved = read(seen)[1] - before
    np.testing.assert_allclose(moved[:3], [0.0, 0.03, -0.02], atol=3e-3)
    assert moved[6] == pytest.approx(-0.5, abs=0.05)
    assert env.decision.mode is Mode.RUN
    assert env.decision.limited_by == ()


def test_gate_refuses_and_the_arm_stays_when_an_action_is_not_a_number(env: ArmEnv) -> None:
    seen, _ = env.reset(seed=0)
    before = read(seen)[1]
    seen, *_ = env.step(np.full(7, np.nan, np.float32))
    assert env.decision.refused
    np.testing.assert_allclose(read(seen)[1], before, atol=1e-3)


def test_direction_is_refused_when_it_is_unknown(env: ArmEnv) -> None:
    with pytest.raises(ConfigError, match="expected forward or backward, got 'sideways'"):
        env.reset(options={"direction": "sideways"})
