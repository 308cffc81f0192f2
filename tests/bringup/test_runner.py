"""The runner: starts, respawns within budget, says why it stopped, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from armtune_bringup import environment
from armtune_bringup.runner import Runner
from armtune_bringup.spec import NodeSpec, RespawnBudget
from armtune_policies.contract import ConfigError

DOMAIN = 199  # no DDS is spoken here, only the claim on the number
TOYS = {
    "steady": "import time\nprint('[INFO] [1.5] ready', flush=True)\ntime.sleep(600)",
    "deaf": "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)",
    "crash": "import sys\nprint('error: the toy broke', flush=True)\nsys.exit(1)",
    "hopeless": "import sys\nprint('error: no such model', flush=True)\nsys.exit(78)",
    "profiled": "import os\nprint(os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'], flush=True)\nraise SystemExit(1)",
    "says": "import os, sys, time\nprint(os.environ['TOY'], *sys.argv[1:], flush=True)\ntime.sleep(600)",
}


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of small programs, found as modules the way a source checkout is."""
    package = tmp_path / "toys"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, source in TOYS.items():
        (package / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path) + os.pathsep + os.environ.get("PYTHONPATH", ""))


def spec(executable: str, respawns: int = 0, **more: object) -> NodeSpec:
    return NodeSpec("toys", executable, executable, "arm", {"a.b": 1}, max_respawns=respawns, **more)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_every_process_ends_when_the_runner_is_left(tmp_path: Path) -> None:
    with Runner([spec("steady")], tmp_path, DOMAIN, lambda _: None) as runner:
        assert runner.run(lambda: "ready" in (tmp_path / "logs/steady.log").read_text(), 10) == ""
        pids = runner.processes()
    assert set(pids) == {"steady"} and all(gone(pid) for pid in pids.values())


def test_stopping_takes_at_most_5_s_when_a_node_ignores_sigint(tmp_path: Path) -> None:
    said: list[str] = []
    with Runner([spec("deaf")], tmp_path, DOMAIN, said.append) as runner:
        runner.run(lambda: "up" in (tmp_path / "logs/deaf.log").read_text(), 10)
        pid, start = runner.processes()["deaf"], time.monotonic()
    assert time.monotonic() - start < 5.0
    assert gone(pid) and any("killed" in line for line in said)


def test_reason_names_node_budget_and_last_error_when_respawns_are_spent(tmp_path: Path) -> None:
    said: list[str] = []
    with Runner([spec("crash", respawns=2), spec("steady")], tmp_path, DOMAIN, said.append) as runner:
        reason = runner.run(timeout_s=20)
    assert reason == "crash ended with code 1, its respawns are spent (2 of 2 within 60 s): error: the toy broke"
    assert sum("; respawn " in line for line in said) == 2


def test_spare_node_stays_down_and_the_others_go_on_when_its_respawns_are_spent(tmp_path: Path) -> None:
    said: list[str] = []
    rows = [spec("crash", respawns=1, is_spare=True), spec("steady")]
    with Runner(rows, tmp_path, DOMAIN, said.append) as runner:
        assert runner.run(lambda: any("it stays down" in line for line in said), 20) == ""
        assert runner.run(lambda: "ready" in (tmp_path / "logs/steady.log").read_text(), 20) == ""
        assert set(runner.processes()) == {"steady"}
    (told,) = (line for line in said if "it stays down" in line)
    assert told.startswith(
        "crash ended with code 1, its respawns are spent (1 of 1 within 60 s): error: the toy broke;"
    )


@pytest.mark.parametrize("name", ("crash", "hopeless"))
def test_graph_ends_with_a_spare_node_that_is_alone_or_was_told_nonsense(tmp_path: Path, name: str) -> None:
    others = [spec("steady")] if name == "hopeless" else []
    with Runner([spec(name, is_spare=True), *others], tmp_path, DOMAIN, lambda _: None) as runner:
        assert runner.run(timeout_s=20).startswith(f"{name} ended with code")


def test_budget_counts_respawns_within_its_window_only() -> None:
    budget = RespawnBudget(spec("crash", respawns=2, respawn_window_s=10.0))
    assert [budget.spend(t) for t in (0.0, 1.0, 2.0, 10.5, 11.5, 12.0)] == [True, True, False, True, True, False]


def test_no_respawn_when_a_node_says_that_starting_again_cannot_help(tmp_path: Path) -> None:
    with Runner([spec("hopeless", respawns=5)], tmp_path, DOMAIN, lambda _: None) as runner:
        reason = runner.run(timeout_s=10)
    assert "cannot help" in reason and "no such model" in reason


def test_node_gets_its_name_parameters_remaps_and_environment(tmp_path: Path) -> None:
    row = spec("says", remaps=(("in", "out"),), environment=(("TOY", "hello"),))
    with Runner([row], tmp_path, DOMAIN, lambda _: None) as runner:
        runner.run(lambda: "hello" in (tmp_path / "logs/says.log").read_text(), 10)
    said = (tmp_path / "logs/says.log").read_text()
    assert "hello --ros-args -r __node:=says -r __ns:=/arm -r in:=out --params-file" in said
    assert yaml.safe_load((tmp_path / "logs/says.yaml").read_text()) == {"/**": {"ros__parameters": {"a.b": 1}}}


def test_node_that_shares_memory_has_a_profile_of_its_own_from_its_second_start_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(environment.PROFILES_FILE, raising=False)
    with Runner([spec("profiled", respawns=1, shares_memory=True)], tmp_path, DOMAIN, lambda _: None) as runner:
        runner.run(timeout_s=10)
    first, second = (tmp_path / "logs/profiled.log").read_text().splitlines()
    assert first.endswith("fastdds_loopback.xml")
    assert (
        second == str((tmp_path / "logs/profiled.again.xml").resolve())
        and "<participantID>" in Path(second).read_text()
    )


def test_second_graph_is_refused_in_one_sentence_when_the_domain_is_taken(tmp_path: Path) -> None:
    first = Runner([spec("steady")], tmp_path, DOMAIN, lambda _: None)
    with first, pytest.raises(ConfigError, match="another graph runs on ROS domain 199"):
        Runner([spec("steady")], tmp_path / "second", DOMAIN, lambda _: None).__enter__()
    os.close(environment.claim(DOMAIN))


def test_missing_program_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="toys has no program nothing"):
        Runner([spec("steady"), spec("nothing")], tmp_path, DOMAIN)
    assert not (tmp_path / "logs").exists()


def test_no_orphan_is_left_when_the_runner_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the runner: the warden ends its nodes, the deaf one too, then frees the domain."""
    program = textwrap.dedent(f"""
        from pathlib import Path
        from armtune_bringup.runner import Runner
        from armtune_bringup.spec import NodeSpec
        rows = [NodeSpec("toys", name, name, "arm", {{}}) for name in ("steady", "deaf")]
        with Runner(rows, Path({str(tmp_path)!r}), {DOMAIN}, lambda _: None) as runner:
            print(*runner.processes().values(), flush=True)
            runner.run()
    """)
    runner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    pids = [int(word) for word in runner.stdout.readline().split()]
    assert until(lambda: "up" in (tmp_path / "logs/deaf.log").read_text())
    runner.send_signal(signal.SIGKILL)
    runner.wait(timeout=5)
    runner.stdout.close()
    assert len(pids) == 2 and until(lambda: all(gone(pid) for pid in pids))

    def free() -> bool:
        try:
            os.close(environment.claim(DOMAIN))
        except ConfigError:
            return False
        return True

    assert until(free)
