"""A session counts what its run holds, tells flaws, films, and goes on where it was."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from armtune_bringup.cli import app, showing
from armtune_bringup.collecting import Session
from armtune_bringup.compose import compose, config_hash, write
from armtune_bringup.runs import as_started
from armtune_policies.contract import ConfigError, Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store import schemas
from armtune_policies.store.edits import Edit, kept_paths, read_edit, write_edit
from armtune_policies.store.episode_reader import read_episode
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.files import trash
from armtune_policies.store.flaws import FlawParams, JointPath, flaws, was_checked
from armtune_policies.store.nouns import DEMONSTRATION, PRACTICE, SUCCESS, TIMEOUT, EpisodeState, Observation

CONFIG = compose()
ROBOT = CONFIG.robot
MS = 1_000_000


def recorded(
    folder: Path, index: int = 0, direction: str = "forward", steps: int = 8, outcome: str = SUCCESS,
    move_m: float = 0.02, same_frame: tuple[int, ...] = (), jump_rad: float = 0.0, verdict: Verdict | None = None,
    purpose: str = "", source: str = "teleop", clock_s: int = 0,
) -> Path:  # fmt: skip
    """Write a demonstration of a tool that goes ``move_m`` a step."""
    about = EpisodeState(
        run_id="run", episode_id=f"run-{index:05d}", index=index, direction=direction, sentence="open it",
        purpose=purpose,
    )  # fmt: skip
    with EpisodeWriter(folder / "episodes", about) as writer:
        for k in range(steps):
            stamp_ns = 200 * MS * (k - (k in same_frame)) + (k >= 4) * clock_s * 1000 * MS
            state = np.array([0.2 + move_m * k, 0, 0.1, 0, 0, 0, 1], np.float32)
            seen = Observation(about.episode_id, k, stamp_ns, {"front": np.full((96, 96, 3), k, np.uint8)}, state)
            told = Decision(
                stamp_ns,
                1,
                about.episode_id,
                k,
                source,
                k,
                "",
                0,
                Kind.TOOL_DELTA,
                (0.0,) * 7,
                (0.0,) * 7,
                (),
                "",
                Mode.RUN,
            )
            answer = None if verdict is None else RewardAnswer(about.episode_id, k, 0.1, verdict, "m", 0.0)
            writer.add_step(observation=seen, decision=told, answer=answer)
            for tick in range(2):
                joints(writer, 200 * MS * k + 100 * MS * tick, jump_rad if k == 4 else 0.0)
        return writer.close(outcome, steps - 1)


def joints(writer: EpisodeWriter, stamp_ns: int, first_rad: float) -> None:
    stamp = schemas.message(schemas.TIME, sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    position = np.array([first_rad, *[0.0] * (len(ROBOT.joints) - 1), ROBOT.gripper_open_m])
    names = [*ROBOT.joints, ROBOT.finger_joint]
    header, none = schemas.message(schemas.HEADER, stamp=stamp, frame_id="base_link"), np.zeros(0)
    m = schemas.message(schemas.JOINT_STATE, header=header, name=names, position=position, velocity=none, effort=none)
    writer.write_raw("joint_states", schemas.JOINT_STATE, stamp_ns, schemas.encode(m))


class Heard(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self)


def session(folder: Path, wanted: int = 1, film: bool = False) -> tuple[Session, Heard]:
    said = Heard()
    return Session(folder, wanted, CONFIG, said, film), said


def test_sound_demonstrations_are_counted_per_direction_until_both_are_there(tmp_path: Path) -> None:
    one, said = session(tmp_path, film=True)
    path = recorded(tmp_path, 0)
    assert not one.look() and one.counts == {"forward": 1, "backward": 0}
    assert path.with_suffix(".mp4").stat().st_size > 500 and "replay: " in said.text
    recorded(tmp_path, 1, "backward")
    assert one.look() and one.is_done
    assert "run-00001 backward: success, 8 steps (forward 1/1, backward 1/1)" in said.text


def test_session_that_was_killed_counts_what_it_finds(tmp_path: Path) -> None:
    recorded(tmp_path, 0)
    recorded(tmp_path, 1, "backward", outcome=TIMEOUT)
    one, said = session(tmp_path)
    assert one.counts == {"forward": 1, "backward": 0} and said == []
    assert "besides 1 without success, 0 with flaws" in one.summary()


def test_demonstration_that_is_set_aside_counts_no_more(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    one, _ = session(tmp_path)
    trash(path)
    assert one.counts["forward"] == 0


@pytest.mark.parametrize(
    ("how", "flaw"),
    (
        ({"steps": 3}, "too short: 3 steps, at least 5 are wanted"),
        ({"move_m": 0.0}, "no motion: the tool went 0.0 cm, at least 2 cm are wanted"),
        ({"same_frame": (3, 5)}, "frames lost: 2 of 8 steps"),
        ({"jump_rad": 1.0}, "joint waist jumped by 1.00 rad in 100 ms"),
        ({"clock_s": 3600}, "the wall clock jumped by +3600 s at step 4"),
        ({"verdict": Verdict.NO}, "success not reached, says the reward model (probability 0.10)"),
    ),
)
def test_flaw_is_told_at_once_and_the_episode_not_counted(tmp_path: Path, how: dict[str, Any], flaw: str) -> None:
    one, said = session(tmp_path)
    recorded(tmp_path, **how)
    one.look()
    assert one.counts["forward"] == 0
    assert f"not counted, {flaw}; 'again' records it anew\a" in said.text


def test_bounds_of_a_flaw_are_settings_that_leave_the_run_the_same(tmp_path: Path) -> None:
    strict = compose(["flaws.least_steps=9", "flaws.least_move_m=0.5"])
    recorded(tmp_path)
    assert Session(tmp_path, 1, CONFIG).counts["forward"] == 1 and Session(tmp_path, 1, strict).counts["forward"] == 0
    assert config_hash(strict) == config_hash(CONFIG)


def test_session_takes_the_graphs_own_config_and_refuses_what_it_was_not_started_with(tmp_path: Path) -> None:
    started = compose(["policy.rate_hz=10", "task=lid", "task.episode_steps=50"])
    write(started, tmp_path)
    asked = ["task=lid", "experiment.demos=3", "teleop=joy"]
    assert as_started(tmp_path, compose(asked), asked) == started
    strict = [*asked, "flaws.least_steps=9"]
    told = as_started(tmp_path, compose(strict), strict)
    assert told.flaws.least_steps == 9 and replace(told, flaws=started.flaws) == started
    assert as_started(tmp_path, compose(["camera=sim"]), ["camera=sim"]) == started
    for wrong in ("task=drawer", "policy.rate_hz=5", "arm=so101", "camera=uvc", "policy=none", "reward=none"):
        with pytest.raises(ConfigError, match=f"{wrong}: not what the graph does by .*; give it to `armtune up`"):
            as_started(tmp_path, compose([wrong]), [wrong])


@pytest.mark.parametrize(
    ("started", "source", "says"),
    (
        (["policy=none", "teleop=joy"], "policy", "source=policy: expected a graph with a policy, got policy=none"),
        (["teleop=none"], "teleop", "the graph has no device to show by; start it with teleop="),
    ),
)
def test_session_that_nobody_could_act_in_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[str], source: str, says: str
) -> None:
    write(compose(started), tmp_path / "run")
    client = SimpleNamespace(robot="wx250s", episode=lambda: SimpleNamespace(run_id="run"))
    client.get_node_names_and_namespaces = list
    monkeypatch.setattr(showing, "connected", lambda robot: nullcontext(client))
    monkeypatch.setattr(showing, "FIND_S", 0.01)
    asked = ["collect", "n=1", f"source={source}", f"experiment.folder={tmp_path}"]
    assert says in str(CliRunner().invoke(app, asked).exception)


def test_reward_model_that_says_yes_at_the_end_is_content(tmp_path: Path) -> None:
    recorded(tmp_path, verdict=Verdict.YES)
    assert session(tmp_path)[0].counts["forward"] == 1


def test_episode_without_joint_states_is_told(tmp_path: Path) -> None:
    episode = read_episode(recorded(tmp_path))
    none = JointPath(np.zeros(0, np.int64), np.zeros((0, 6)))
    assert flaws(episode, none, ROBOT.joints, ROBOT.joint_velocity_rad_s, FlawParams()) == (
        "no joint states were recorded",
    )


def test_operator_is_told_once_what_is_wanted_next(tmp_path: Path) -> None:
    one, said = session(tmp_path)
    state = SimpleNamespace(
        phase="ready",
        outcome="",
        reason="",
        sets_aside="",
        mark="",
        episode_id="run-00000",
        direction="forward",
        sentence="open it",
    )
    for reason in ("", "", "starts in 3"):
        one.hear(SimpleNamespace(**{**vars(state), "reason": reason}))
    assert said == [
        "run-00000 forward, 'open it': press start (forward 0/1, backward 0/1)",
        "run-00000 forward, 'open it': starts in 3 (forward 0/1, backward 0/1)",
    ]


def test_demonstration_with_a_flaw_is_left_out_of_training_until_a_person_says_otherwise(tmp_path: Path) -> None:
    one, _ = session(tmp_path)
    flawed, failed = recorded(tmp_path, move_m=0.0), recorded(tmp_path, 1, outcome=TIMEOUT, move_m=0.0)
    one.look()
    assert read_edit(tmp_path, flawed.stem).why.startswith("no motion")
    assert list(kept_paths(tmp_path)) == [failed], "a failure is one, flawed or not"
    sound_path = recorded(tmp_path, 2)
    one.look()
    assert list(kept_paths(tmp_path)) == [failed, sound_path]
    write_edit(tmp_path, Edit(flawed.stem))
    write_edit(tmp_path, Edit(sound_path.stem, is_dropped=True))
    assert session(tmp_path)[0].counts["forward"] == 0, "what a person leaves out is no demonstration"
    assert list(kept_paths(tmp_path)) == [flawed, failed], "and what they keep is kept"


def test_flawed_demonstration_that_a_killed_session_left_unseen_is_left_out_of_training_once(tmp_path: Path) -> None:
    flawed, sound = recorded(tmp_path, move_m=0.0), recorded(tmp_path, 1)
    session(tmp_path)
    assert list(kept_paths(tmp_path)) == [sound] and read_edit(tmp_path, flawed.stem).why.startswith("no motion")
    write_edit(tmp_path, Edit(flawed.stem))
    assert session(tmp_path)[0].counts["forward"] == 1
    assert list(kept_paths(tmp_path)) == [flawed, sound], "a person kept it"


def test_practice_is_no_demonstration_and_keeps_what_the_vote_made_of_it(tmp_path: Path) -> None:
    """A person who shows in a run that has practised drops nothing of it, and is asked for all that was asked for."""
    flawed = recorded(tmp_path, 0, move_m=0.0, purpose=PRACTICE, source="policy")
    recorded(tmp_path, 1, purpose=PRACTICE, source="policy")
    shown = recorded(tmp_path, 2, purpose=DEMONSTRATION)
    one, said = session(tmp_path)
    late = recorded(tmp_path, 3, move_m=0.0, purpose=PRACTICE, source="policy")
    assert not one.look() and one.counts == {"forward": 1, "backward": 0} and said == []
    assert "besides 0 without success, 0 with flaws" in one.summary()
    assert {flawed, shown, late} < set(kept_paths(tmp_path)) and not was_checked(tmp_path, flawed.stem)


def test_session_of_corrections_leaves_out_of_training_only_flaws_in_which_a_person_had_a_hand(tmp_path: Path) -> None:
    alone = recorded(tmp_path, 0, move_m=0.0, purpose=PRACTICE, source="policy")
    recorded(tmp_path, 1, purpose=DEMONSTRATION)
    one = Session(tmp_path, 1, CONFIG, Heard(), film=False, is_shown=False)
    corrected = recorded(tmp_path, 2, move_m=0.0, purpose=PRACTICE)
    sound = recorded(tmp_path, 3, purpose=PRACTICE, source="policy")
    one.look()
    assert one.counts == {"forward": 1, "backward": 0}, "neither a flawed one nor what was shown for itself"
    assert corrected not in set(kept_paths(tmp_path)) and {alone, sound} < set(kept_paths(tmp_path))


def test_file_that_cannot_be_read_is_told_once_and_the_session_goes_on(tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes/run-00000.mcap").write_bytes(b"no episode")
    one, said = session(tmp_path)
    recorded(tmp_path, 1)
    one.look()
    one.look()
    assert one.counts["forward"] == 1 and said.text.count("run-00000.mcap: not counted, it cannot be read") == 1


def test_session_of_corrections_asks_for_no_start_and_tells_how_much_was_corrected(tmp_path: Path) -> None:
    said = Heard()
    one = Session(tmp_path, 1, CONFIG, said, film=False, is_shown=False)
    ready = {"phase": "ready", "outcome": "", "reason": "", "sets_aside": "", "episode_id": "run-00000"}
    ready["direction"] = "forward"
    one.hear(SimpleNamespace(**ready, sentence="open it"))
    assert "the policy acts; take over where it goes wrong" in said.text and "press start" not in said.text
    recorded(tmp_path)
    one.look()
    assert "run-00000 forward: success, 8 steps, 8 of them yours" in said.text
