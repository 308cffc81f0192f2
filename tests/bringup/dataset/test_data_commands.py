"""``armtune data``: what a person types, what comes of it, and one sentence where it cannot be done."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from armtune_bringup.cli import app
from armtune_bringup.compose import compose
from armtune_bringup.dataset.replaying import replay
from armtune_bringup.stages import collect_demos
from armtune_policies.contract import ActionSpec, ConfigError, ObservationSpec
from armtune_policies.learn.sources import sources
from armtune_policies.store.edits import Edit, edited
from armtune_policies.store.episode_copy import write_episode
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.labels import chosen_labels, derive, read_labels
from fixtures.episodes import assert_same, made

SPEC = ObservationSpec(("front", "wrist"), 16, 16)


def armtune(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    if code == 0 and done.exception:
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def last(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for index in range(2):
        write_episode(tmp_path / "runs/shown/episodes", made(index))
    return tmp_path / "runs/shown"


def test_a_run_goes_out_and_comes_back_the_same(run: Path, tmp_path: Path) -> None:
    told = last(armtune("export", run, tmp_path / "out"))
    assert (told["episodes"], told["frames"], told["left_out"]) == (2, 22, 2)
    back = last(armtune("import", tmp_path / "out", tmp_path / "runs/back", "--name", "made"))
    assert (back["episodes"], back["steps"]) == (2, 22)
    for index, path in enumerate(list_episodes(tmp_path / "runs/back")):
        assert_same(read_episode(path), made(index))
    rows = json.loads(armtune("ls", tmp_path / "runs", "--json"))
    assert [(row["run"], row["episodes"]) for row in rows] == [("back", 2), ("shown", 2)]


def test_episodes_are_dropped_trimmed_and_relabelled_beside_their_files(run: Path, tmp_path: Path) -> None:
    before = [path.read_bytes() for path in list_episodes(run)]
    armtune("edit", run, "made-00000", "--success", "9")
    armtune("edit", run, "made-00000", "--trim", "2:9")
    armtune("edit", run, "made-00001", "--success", "5")
    assert last(armtune("export", run, tmp_path / "a", "--labels", "person"))["frames"] == 7 + 11
    labels = read_labels(run, read_episode(list_episodes(run)[1]), "person")
    assert labels.success_step == 5 and labels.name == "person"
    armtune("edit", run, "made-00001", "--drop", "--why", "the cup fell")
    assert last(armtune("export", run, tmp_path / "b"))["episodes"] == 1
    armtune("edit", run, "made-00000", "made-00001", "--keep")
    assert last(armtune("export", run, tmp_path / "c"))["frames"] == 22
    assert [path.read_bytes() for path in list_episodes(run)] == before


def test_what_a_person_said_is_what_is_learnt_from_the_exported_folder_and_what_comes_back(
    run: Path, tmp_path: Path
) -> None:
    armtune("edit", run, "made-00000", "--failure")
    armtune("edit", run, "made-00001", "--success", "7")
    armtune("export", run, tmp_path / "out", "--labels", "person")
    found = [source.read() for source in sources(tmp_path / "out", ActionSpec(5.0), SPEC)]
    said = [chosen_labels(tmp_path / "out", one, "") for one in found]
    assert [one.success_step for one in said] == [None, 7]
    assert [one.outcome for one in found] == ["timeout", "success"]
    assert [derive(one, labels).terminated.any() for one, labels in zip(found, said)] == [False, True]
    armtune("import", tmp_path / "out", tmp_path / "runs/back", "--name", "made")
    for index, path in enumerate(list_episodes(tmp_path / "runs/back")):
        one = read_episode(path)
        assert_same(one, made(index))  # what was recorded is as it was; the judgement is beside it
        assert read_labels(tmp_path / "runs/back", one, "person") == read_labels(run, one, "person")


def test_runs_are_merged_checked_and_published(run: Path, tmp_path: Path) -> None:
    write_episode(tmp_path / "runs/other/episodes", made(0, run="other"))
    assert last(armtune("merge", run, tmp_path / "runs/other", "--into", tmp_path / "runs/both"))["episodes"] == 3
    assert "3 episodes, 0 wrong, 3 doubtful" in armtune("check", tmp_path / "runs/both")
    (run / "episodes/made-00002.mcap").write_bytes(b"no")
    said = armtune("check", run, code=1)
    assert "expected an MCAP file" in said and f"leave it out: armtune data edit {run} made-00002 --drop" in said
    out = tmp_path / "drawer.tar"
    armtune("publish", tmp_path / "runs/both", out, "--licence", "cc-by-4.0", "--contact", "data@example.org")
    assert out.stat().st_size > 10_000


def test_an_unfinished_episode_is_salvaged_by_check(run: Path) -> None:
    path = list_episodes(run)[1]
    torn = path.with_name("made-00007.mcap.part")
    torn.write_bytes(path.read_bytes()[:-300])
    armtune("check", run, code=1)
    torn = run / "episodes/made-00007.mcap"
    found = json.loads(armtune("check", run, "--salvage", "--json", code=1))
    assert torn.is_file() and "made-00007" in [one["episode"] for one in found]


def test_an_episode_is_shown_as_one_page_that_loads_nothing(run: Path) -> None:
    page = Path(armtune("show", run).strip()).read_text()
    assert page.count("data:video/mp4;base64,") == 2 and page.count("data:image/png;base64,") == 3
    assert "made-00001" in page and "open the drawer" in page and "a person held the arm" in page
    assert not [word for word in ("http://", "https://", "<script") if word in page]


@pytest.mark.skipif(find_spec("rerun") is None, reason="rerun-sdk is not installed (it is optional)")
def test_an_episode_is_a_rerun_recording(run: Path) -> None:
    file = Path(armtune("show", run, "--rerun").splitlines()[1].split()[0])
    assert file.read_bytes()[:3] == b"RRF" and file.stat().st_size > 5_000


@pytest.mark.slow
def test_a_demonstration_replayed_goes_where_it_went(tmp_path: Path) -> None:
    config = compose(["task=drawer", "experiment.demos=1", "experiment.failures=0", "experiment.recoveries=0"])
    made = collect_demos(config, tmp_path, "shown")
    found = replay(config, read_episode(made[0].path))
    trimmed = replay(config, edited(read_episode(made[0].path), Edit("shown-00000", first_step=2)))
    assert trimmed.approached and len(trimmed.position_m) == len(found.position_m) - 2
    assert found.approached and found.is_success and found.position_m.max() < 0.005
    with pytest.raises(ConfigError, match=r"expected its own task, task=drawer; got task=lid"):
        replay(compose(["task=lid"]), read_episode(made[0].path))
    moved = replay(config, read_episode(made[0].path), seed=5)  # another scene: the same way, whatever stands there
    assert len(moved.position_m) == len(found.position_m)


MISTAKES = [
    (("show", "nothing"), "nothing: expected an episode file, <run folder>/<episode id> or a run folder"),
    (("import", "RUN", "runs/x"), "shown: expected a contract that says what its keys mean"),
    (("import", "nothing", "runs/x"), "nothing: expected a LeRobot v3 folder, a folder of .tfrecord files"),
    (("import", "nothing", "runs/x", "--contract", "bridge"), "nothing: expected a LeRobot v3 folder"),
    (("import", "nothing", "runs/x", "--contract", "bridge", "--name", "a/b"), "name 'a/b': expected 1 to 64"),
    (("edit", "RUN", "made-00000"), "expected one of --drop, --keep, --trim, --success, --failure; got 0"),
    (("edit", "RUN", "made-00000", "--trim", "4-5"), "--trim: expected FIRST:LAST as in 3:40, got '4-5'"),
    (("edit", "RUN", "made-00000", "--trim", "400:500"), "expected steps within 0:11, at least one of them whole; got"),
    (("edit", "RUN", "made-00000", "--trim", "4:4"), "expected steps within 0:11, at least one of them whole; got 4:4"),
    (("edit", "RUN", "made-00000", "--trim", "2:9"), "the step of its success to count, 11 by label set live; got 2:9"),
    (("edit", "RUN", "made-00000", "made-00001", "--trim", "12:"), "expected steps within 0:11"),
    (("edit", "RUN", "made-00009", "--drop"), "made-00009.mcap: expected an episode of the run, got none"),
    (("edit", "RUN", "made-00000", "--success", "99"), "made-00000: expected a step below 12, got 99"),
    (("export", "RUN", "out", "--pictures", "gif"), "--pictures: expected png, h264, hevc; got gif"),
    (("export", "RUN", "out", "--labels", "nobody"), "expected a label set 'nobody', got only live"),
    (("export", "RUN", "out", "--full-size"), "expected full-size views, got none; leave --full-size away"),
    (("publish", "RUN", "out"), "licence: expected one of apache-2.0"),
    (("merge", "RUN", "RUN", "--into", "both"), "episode_id: expected a name of its own, got made-00000"),
    (
        ("export", "nothing", "out"),
        "nothing: episodes: expected at least one, got no such folder; see: armtune data ls",
    ),
    (("check", "nothing"), "nothing: episodes: expected at least one, got no such folder; see: armtune data ls"),
    (("publish", "nothing", "out", "--licence", "mit", "--contact", "me"), "nothing: episodes: expected at least one"),
    (("merge", "RUN", "nothing", "--into", "both"), "nothing: episodes: expected at least one, got no such folder"),
    (("show", "RUN", "--labels", "nobody"), "expected a label set 'nobody', got only live"),
]


@pytest.mark.parametrize(
    ("words", "says"), MISTAKES, ids=[" ".join(words[:2]) + says[-12:] for words, says in MISTAKES]
)
def test_a_mistake_is_said_and_leaves_nothing(
    run: Path, tmp_path: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(app, ["data", *(str(run) if word == "RUN" else word for word in words)])
    assert done.exit_code != 0 and says in str(done.exception) and "\n" not in str(done.exception)
    assert [path for path in sorted(tmp_path.rglob("*")) if ".trash" not in str(path)] == before


FULL = """
import resource, sys
from armtune_bringup.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.argv = ["armtune", "data", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    "words", [("export", "RUN", "out"), ("import", "LEROBOT", "runs/back"), ("merge", "RUN", "--into", "both")]
)
def test_a_full_disk_is_said_and_leaves_what_was_there(run: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A limit on file size stands in for the disk: the same refusal, another number."""
    armtune("export", run, tmp_path / "lerobot")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    named = {"RUN": str(run), "LEROBOT": str(tmp_path / "lerobot")}
    done = subprocess.run([sys.executable, "-c", FULL, *(named.get(w, w) for w in words)], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    if words[0] != "merge":  # which links, and needs no room
        assert done.returncode == 2 and done.stderr.startswith("error: ") and "File too large" in done.stderr, (
            done.stderr
        )
        assert not (tmp_path / "out").exists() and list_episodes(tmp_path / "runs/back") == []
    assert all(path.read_bytes() == data for path, data in before.items())
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
