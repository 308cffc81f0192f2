"""What practice owes is paid exactly, in order, once, whoever is killed; a head that made it worse is taken back."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from armtune_policies.contract import (
    ActionSpec,
    ConfigError,
    Decision,
    Kind,
    Mode,
    ObservationSpec,
    RewardAnswer,
    Verdict,
)
from armtune_policies.episode.guard import WINDOW
from armtune_policies.episode.places import kept_in
from armtune_policies.learn.actor_export import HeadExporter, export_actor
from armtune_policies.learn.export import About, export_policy
from armtune_policies.learn.frozen import FrozenEncoder
from armtune_policies.learn.job import LearnerJob
from armtune_policies.learn.kept import DATA, keep_data
from armtune_policies.learn.networks import Encoder, Head, seed_everything
from armtune_policies.learn.offline import OfflineParams, gather, make_agent, training_digest
from armtune_policies.learn.online import OnlineLearner, in_order
from armtune_policies.learn.online_pupil import OnlinePupil
from armtune_policies.learn.saved import CHECKPOINT, save_training
from armtune_policies.learn.settings import recipe_params
from armtune_policies.runtime.policy import Policy
from armtune_policies.store import nouns
from armtune_policies.store.episode_writer import EpisodeWriter
from armtune_policies.store.files import read_json, write_json
from armtune_policies.store.manifest import load_manifest, training_folder

ACTION, SPEC = ActionSpec(), ObservationSpec(height_px=32, width_px=32)
SENTENCES = ("open the drawer", "close the drawer")
STEPS = 6


def write(
    run: Path,
    name: str,
    outcome: str,
    mark: str = "",
    unknown: int = 0,
    version: str = "first",
    source: str = "policy",
    since_success: int = 0,
    stands_m: tuple[float, ...] = (),
) -> None:
    """An episode of random steps, a step every period; the last ``unknown`` ones have no reward."""
    rng = np.random.default_rng(sum(map(ord, name)))
    about = nouns.EpisodeState(
        run_id="run", episode_id=name, sentence=SENTENCES[0], direction="forward", since_success=since_success,
        stands_m=stands_m,
    )  # fmt: skip
    writer = EpisodeWriter(run / "episodes", about)
    for step in range(STEPS):
        stamp = step * round(ACTION.period_s * 1e9)
        image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        seen = nouns.Observation(name, step, stamp, {"front": image}, rng.normal(size=7) * 0.1)
        allowed = tuple(rng.uniform(ACTION.low, ACTION.high))
        head = (stamp, 1, name, step, source, step, version, stamp)
        decision = Decision(*head, Kind.TOOL_DELTA, allowed, allowed, (), "", Mode.RUN)
        said = RewardAnswer(name, step, 0.1, Verdict.NO, "reward", 0.01)
        writer.add_step(observation=seen, decision=decision, answer=said if step < STEPS - unknown else None)
    writer.close(outcome, STEPS - 1, mark=mark)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with demonstrations and the policy of an agent trained on them for two updates."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("trained")
    for number in range(2):
        write(home / "demos", f"demos-0000{number}", nouns.SUCCESS)
    seed_everything(0)
    encoder, embeddings = Encoder(SPEC).eval(), dict(zip(SENTENCES, np.eye(2, 384, dtype=np.float32)))
    export_policy(home / "base", encoder, Head(ACTION, encoder.feature_size).eval(),
                  About("base", ACTION, SPEC, embeddings))  # fmt: skip
    frozen, offline = FrozenEncoder(home / "base", ACTION, SPEC), OfflineParams(copies=0, updates=2)
    data = gather([home / "demos"], SENTENCES, ACTION, frozen, offline, 0)
    params = recipe_params("calql", hidden=(16,), critics=2, batch=8, cql_actions=2, actor_lr=0.01)
    agent, replay = make_agent(data, params, embeddings, 0)
    for _ in range(2):
        agent.update(replay.sample(np.random.default_rng(0), 8))
    named = {"seed": 0, "data": data.digest, "agent": {**vars(params), "hidden": [16]}, "offline": vars(offline)}
    export_actor(home / "policy", agent, frozen, About("agent", ACTION, SPEC, embeddings, named))
    save_training(training_folder(home / "policy"), agent.state(), training_digest(data, params, 0), 2)
    keep_data(training_folder(home / "policy"), data)
    return home


class Asked:
    """A pupil on a run, and what it told."""

    def __init__(self, home: Path, run: Path, demos: str = "demos", **changes: Any) -> None:
        job = LearnerJob(
            policy_folder=str(home / "policy"), run_folder=str(run), demos_folder=str(home / demos) if demos else "",
            recipe="online", height_px=32, width_px=32, seed=3, **changes,
        )  # fmt: skip
        self._out = io.StringIO()
        self.pupil = OnlinePupil(job, self._out)
        self.pupil.gather()

    def refit(self, name: str) -> dict[str, Any]:
        self.pupil.refit(name)
        return json.loads(self._out.getvalue().splitlines()[-1])

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.pupil._learner.agent.state().items()}


def test_an_agent_practises_as_it_was_trained_to_unless_told_otherwise(trained: Path, tmp_path: Path) -> None:
    own = load_manifest(trained / "policy").provenance["agent"]
    alike, other = Asked(trained, tmp_path / "a"), Asked(trained, tmp_path / "b", utd=3, failures=2)
    params = [one.pupil._learner.agent.params for one in (alike, other)]
    assert [(p.utd, p.failures) for p in params] == [(own["utd"], own["failures"]), (3, 2)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device: expected cpu, or cuda with a GPU for each process; got cuda"):
        Asked(trained, tmp_path, device="cuda")


@pytest.mark.fault("L6")
def test_exactly_what_is_owed_is_paid_for_what_can_be_learnt_from(trained: Path, tmp_path: Path) -> None:
    write(tmp_path, "run-00000", nouns.TIMEOUT)
    write(tmp_path, "run-00001", nouns.ABORTED, nouns.SOLVED)
    write(tmp_path, "run-00002", nouns.TIMEOUT, unknown=2)
    one = Asked(trained, tmp_path, utd=2)
    first = one.refit("run-00000")
    assert (first["event"], first["updates"], first["after"]) == ("offer", 2 * STEPS, "run-00000")
    solved = one.refit("run-00001")
    assert (solved["event"], solved["updates"], solved["steps"]) == ("nothing", 0, STEPS), "a standing success"
    last = one.refit("run-00002")
    assert (last["updates"], last["total"], last["steps"]) == (2 * (STEPS - 2), 2 * (2 * STEPS - 2), 2 * STEPS - 2)
    policy = Policy.load(trained / "policy", ACTION, SPEC).with_head(Path(last["folder"]))
    assert policy.version == last["version"] != first["version"]


def test_without_its_demonstrations_an_agent_learns_the_same_from_what_its_training_kept(
    trained: Path, tmp_path: Path
) -> None:
    ends = []
    for name, demos in (("shown", "demos"), ("kept", "")):
        write(tmp_path / name, "run-00000", nouns.TIMEOUT)
        one = Asked(trained, tmp_path / name, demos)
        assert one.refit("run-00000")["updates"] == STEPS
        ends.append(one.weights)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_failures_of_an_arm_that_is_stuck_teach_nothing_but_for_what_a_person_showed(
    trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for name, outcome, since_success, source in (
        ("run-00000", nouns.TIMEOUT, 1, "policy"),
        ("run-00001", nouns.TIMEOUT, 2, "policy"),
        ("run-00002", nouns.TIMEOUT, 3, "teleop"),
        ("run-00003", nouns.TIMEOUT, 4, "policy"),
    ):
        write(run, name, outcome, source=source, since_success=since_success)
    one = Asked(trained, run, failures=2)
    told = [one.refit(f"run-{number:05d}") for number in range(4)]
    assert [said["updates"] for said in told] == [STEPS, 0, STEPS, 0]
    assert told[3]["reason"] == "5 failures since the last success: learnt from again after one"
    again = Asked(trained, run, failures=2)
    assert all(torch.equal(one.weights[name], again.weights[name]) for name in one.weights)
    assert again.pupil._learner._online.added == one.pupil._learner._online.added


@pytest.mark.parametrize("carries", [True, False], ids=["of a loose thing", "of another task"])
def test_a_failure_is_taught_where_the_arm_knew_where_the_thing_stood(
    trained: Path, tmp_path: Path, carries: bool
) -> None:
    write(tmp_path, "run-00000", nouns.TIMEOUT)
    write(tmp_path, "run-00001", nouns.TIMEOUT, stands_m=(0.3, 0.1))
    one, worth = Asked(trained, tmp_path, carries=carries), []
    for number in range(2):
        one.refit(f"run-{number:05d}")
        online = one.pupil._learner._online
        worth.append(int(online.gather(online.usable).imitate.sum()))
    assert worth[0] == 0 and (worth[1] > 0) == carries


def test_prior_data_alone_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learner.prior_folder: expected experiment.demos_folder beside it"):
        Asked(trained, tmp_path, "", prior_folder=str(trained / "demos"))


def test_the_agent_that_is_shipped_learns_from_what_its_training_kept(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "policies/shipped/drawer/agent"
    one = OnlineLearner(shipped, [], ACTION, ObservationSpec(), tmp_path, 1, 4, 1000, 0)
    one.pay("first", 2)
    assert one.paid.updates == 2 and one.agent.updates == 10_002
    places = kept_in(training_folder(shipped))
    assert all(5 < len(at) == len({tuple(place) for place in at}) <= 20 for at in places.values())


def test_kept_data_that_is_gone_or_changed_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "home")
    data = training_folder(tmp_path / "home" / "policy") / DATA
    file = next(data.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="by its hash, got another; start again"):
        Asked(tmp_path / "home", tmp_path, "")
    shutil.copytree(training_folder(trained / "policy") / DATA, data, dirs_exist_ok=True)
    said = read_json(data / CHECKPOINT)
    for bad in (
        {**said, "trajectories": said["trajectories"][1:]},
        {**said, "trajectories": 3},
        {**said, "file": ".."},
    ):
        write_json(data / CHECKPOINT, bad)
        with pytest.raises(ValueError, match="expected"):
            Asked(tmp_path / "home", tmp_path, "")
    shutil.rmtree(data)
    with pytest.raises(ValueError, match="no data of the agent's training; name the run it was trained on"):
        Asked(tmp_path / "home", tmp_path, "")


@pytest.mark.fault("F46")
def test_nothing_is_paid_while_the_reward_cannot_say_and_all_of_it_when_it_can(trained: Path, tmp_path: Path) -> None:
    write(tmp_path, "run-00000", nouns.TIMEOUT, unknown=3)
    one = Asked(trained, tmp_path)
    told = one.refit("run-00000")
    assert (told["event"], told["updates"], told["after"]) == ("nothing", 0, "run-00000")
    assert "learning pauses: the last 3 steps have no known reward" in told["reason"]
    write(tmp_path, "run-00001", nouns.TIMEOUT)
    told = one.refit("run-00001")
    assert (told["event"], told["updates"], told["episodes"]) == ("offer", 2 * STEPS - 3, 2)


@pytest.mark.fault("F29")
def test_learner_killed_between_episodes_pays_the_same_and_none_twice(trained: Path, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"run-0000{number}", nouns.TIMEOUT)
    one = Asked(trained, tmp_path)
    assert one.pupil.standing() == {}, "nothing was learnt yet"
    one.refit("run-00000")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "learner").iterdir()}
    straight = [one.refit("run-00001"), one.refit("run-00002")]
    weights = one.weights
    for path in (tmp_path / "learner").iterdir():
        path.unlink()
    for name, data in kept.items():  # killed while it paid for the second
        (tmp_path / "learner" / name).write_bytes(data)
    again = Asked(trained, tmp_path)
    assert [again.refit("run-00001"), again.refit("run-00002")] == straight
    assert all(torch.equal(weights[name], tensor) for name, tensor in again.weights.items())
    stands = Asked(trained, tmp_path)
    assert one.pupil.standing() == stands.pupil.standing(), "all may have been killed"
    assert (stands.pupil.standing()["version"], stands.pupil.standing()["after"]) == (
        straight[1]["version"],
        "run-00002",
    )
    told_late = stands.refit("run-00002")
    assert (told_late["event"], told_late["updates"], told_late["version"]) == ("offer", 0, straight[1]["version"])


def test_runs_of_several_robots_feed_one_learner_each_episode_once(trained: Path, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for number in range(2):
        write(mine, f"run-0000{number}", nouns.TIMEOUT)
        write(other, f"arm-0000{number}", nouns.TIMEOUT)
    one = Asked(trained, mine, more_folders=(str(other),))
    assert one.refit("run-00000")["episodes"] == 3, "all of another robot, ours up to this one"
    write(other, "arm-00002", nouns.TIMEOUT)
    assert one.refit("arm-00002")["episodes"] == 5
    again = Asked(trained, mine, more_folders=(str(other),))
    told = again.refit("run-00001")
    assert (told["updates"], told["total"], told["episodes"]) == (0, 5 * STEPS, 5)
    write(other, "run-00001", nouns.TIMEOUT)
    with pytest.raises(ConfigError, match="two runs have an episode of this name"):
        again.refit("run-00001")


@pytest.mark.fault("F28", "L8")
def test_head_that_made_it_worse_is_taken_back_kept_and_nothing_new_is_offered_for_a_while(
    trained: Path, tmp_path: Path
) -> None:
    one, outcomes = Asked(trained, tmp_path, utd=0), [nouns.SUCCESS] * WINDOW + [nouns.TIMEOUT] * 40
    first = load_manifest(trained / "policy").version
    worse = one.pupil._learner.offer(tmp_path / "models/head-0000", {}).version
    for number, outcome in enumerate(outcomes):
        write(tmp_path, f"run-{number:05d}", outcome, version=first if number < WINDOW else worse)
        guard = one.pupil._learner.guard
        one.pupil._learner.pay(f"run-{number:05d}", one.pupil._remember(tmp_path / f"episodes/run-{number:05d}.mcap"))
        if guard.reverts:
            break
    assert guard.is_reverted and WINDOW + 2 <= number < WINDOW + 30
    back = one.refit(f"run-{number:05d}")
    assert back["event"] == "offer" and back["version"] == first
    assert json.loads((tmp_path / "models/reverted-01.json").read_text())["back_to"] == back["version"]
    resting = Asked(trained, tmp_path, utd=0)
    assert resting.pupil._learner.guard == guard
    assert resting.pupil.standing()["version"] == back["version"], "the policy may have been started anew, too"
    acted = [worse, worse, first, first, worse]
    for after, version in enumerate(acted, start=number + 1):
        write(tmp_path, f"run-{after:05d}", nouns.TIMEOUT, version=version)
    late = resting.refit(f"run-{number + 2:05d}")
    assert (late["event"], late["version"]) == ("offer", back["version"]), "both paid at once, and it has not acted"
    assert resting.refit(f"run-{number + 3:05d}")["event"] == "nothing"
    assert resting.refit(f"run-{number + 4:05d}")["event"] == "nothing" and guard.rest == WINDOW
    assert resting.refit(f"run-{number + 5:05d}")["version"] == back["version"]
    assert resting.pupil._learner.guard.rest == WINDOW - 2


@pytest.mark.parametrize(
    "told",
    [
        {"source": "teleop", "version": ""},
        {"source": "teleop"},
        {"mark": nouns.SAID_SUCCESS},
        {"mark": nouns.SAID_FAILURE},
        {"version": "of another run"},
        {"version": ""},
    ],
)
def test_guard_hears_nothing_of_what_a_person_did_or_said_or_another_policy_reached(
    trained: Path, tmp_path: Path, told: dict[str, str]
) -> None:
    one, first = Asked(trained, tmp_path), {"version": load_manifest(trained / "policy").version}
    write(tmp_path, "run-00000", nouns.SUCCESS, **(first | told))  # type: ignore[arg-type]
    assert one.pupil._remember(tmp_path / "episodes/run-00000.mcap") == STEPS, "learnt from it is all the same"
    assert not one.pupil._learner.guard.recent
    write(tmp_path, "run-00001", nouns.SUCCESS, **first)  # type: ignore[arg-type]
    one.pupil._remember(tmp_path / "episodes/run-00001.mcap")
    assert one.pupil._learner.guard.recent == [(True, 0.0)]


def test_file_that_teaches_nothing_is_skipped_with_its_reason_and_the_rest_goes_on(
    trained: Path, tmp_path: Path
) -> None:
    write(tmp_path, "run-00000", nouns.TIMEOUT, unknown=STEPS)
    (tmp_path / "episodes/run-00001.mcap").write_bytes(b"cut off")
    write(tmp_path, "run-00002", nouns.TIMEOUT)
    learner, why = Asked(trained, tmp_path).pupil._learner, list[str]()
    paths = sorted((tmp_path / "episodes").glob("*.mcap"))
    assert [learner.read(path, why.append) for path in paths] == [0, 0, STEPS] and len(why) == 2


def test_files_come_as_they_were_paid_for_then_the_others() -> None:
    paths = [Path(f"run-{number}.mcap") for number in range(4)]
    found = in_order(["run-2", "gone", "run-0"], paths)
    assert [path.stem for path in found] == ["run-2", "run-0", "run-1", "run-3"]


def test_head_with_new_weights_is_written_without_another_export(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "run-00000", nouns.TIMEOUT)
    one = Asked(trained, tmp_path)
    one.refit("run-00000")
    monkeypatch.setattr("armtune_policies.learn.actor_export.head_bytes", None)
    write(tmp_path, "run-00001", nouns.TIMEOUT)
    assert one.refit("run-00001")["event"] == "offer"
    assert isinstance(one.pupil._learner._exporter, HeadExporter)
