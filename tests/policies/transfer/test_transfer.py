"""Episodes go to a workstation and heads come back, between real processes that are killed and a wire that is cut."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armtune_policies.contract import ConfigError
from armtune_policies.store.shelf import INCOMING, Taken
from armtune_policies.transfer.app import Dock
from armtune_policies.transfer.remote import Remote, Unreachable
from armtune_policies.transfer.secret import read_secret
from armtune_policies.transfer.server import Server
from fixtures.netns import missing, two_machines

HERE, TOKEN = Path(__file__).parent, "a secret of these tests"
SIZE_BYTES = 24 << 20
WAIT_S = 40.0


def practised(run: Path) -> dict[str, str]:
    """Write a run with one large file and some small ones; return their digests."""
    rng, digests = np.random.default_rng(0), {}
    files = {f"episodes/run-0000{i}.mcap": 1000 * i for i in range(3)} | {"episodes/run-00003.mcap": SIZE_BYTES}
    for name, size in {**files, "labels/run-00001/operator.json": 30}.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(data := rng.bytes(size))
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests


def until(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, f"{what}: not within {WAIT_S} s"
        time.sleep(0.005)


class Place:
    """Where the two sides run: on one machine or on two, joined by a wire that can be cut."""

    def __init__(self, folder: Path, robot: Any = None, workstation: Any = None, wire: Any = None) -> None:
        self.run, self.far, self.wire = folder / "robot" / "run", folder / "workstation", wire
        self._machines = {"dock": robot, "fetch": workstation}
        self.host = robot.address if robot else "127.0.0.1"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://{self.host}:{self.port}"
        self._started = ExitStack()

    def start(self, side: str) -> subprocess.Popen[str]:
        """Run one side."""
        told = [self.run, self.host, self.port] if side == "dock" else [self.url]
        rest = [TOKEN] if side == "dock" else [TOKEN, self.far]
        command = [sys.executable, str(HERE / f"{side}.py"), *map(str, told), *map(str, rest)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        machine = self._machines[side]
        process = machine.start(command, **pipes) if machine else subprocess.Popen(command, **pipes)
        self._started.callback(self._end, process)
        if side == "dock":
            assert process.stdout and process.stdout.readline().strip() == str(self.port)
        return process

    @property
    def held_bytes(self) -> int:
        """How much of the file on the way is here."""
        parts = list((self.far / "run" / INCOMING).glob("*.part"))
        return max((part.stat().st_size for part in parts), default=0)

    def close(self) -> None:
        self._started.close()

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture(params=["one machine", "two machines"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as made:
        if request.param == "two machines":
            if why := missing():
                pytest.skip(why)
            one = Place(tmp_path, *made.enter_context(two_machines(tmp_path / "machines")))
        else:
            one = Place(tmp_path)
        made.callback(one.close)
        yield one


def test_kills_on_either_side_and_a_cut_wire_lose_nothing_and_send_nothing_twice(place: Place) -> None:
    digests = practised(place.run)
    dock, fetch = place.start("dock"), place.start("fetch")
    until(lambda: place.held_bytes > 0, "a piece of the large file")
    fetch.send_signal(signal.SIGKILL)
    fetch.wait(timeout=10)
    held = place.held_bytes
    fetch = place.start("fetch")
    until(lambda: place.held_bytes > held or whole(place.far, digests), "it goes on from where it was")
    os.kill(dock.pid, signal.SIGKILL)
    dock.wait(timeout=10)
    held = place.held_bytes
    if place.wire is not None:
        place.wire.cut()
    place.start("dock")
    assert place.held_bytes in (held, 0), "nothing came meanwhile"
    if place.wire is not None:
        place.wire.heal()
    said = fetch.communicate(timeout=WAIT_S)[0]
    assert fetch.returncode == 0 and "all is here" in said
    assert whole(place.far, digests) and not list((place.far / "run" / INCOMING).iterdir())
    again = place.start("fetch").communicate(timeout=WAIT_S)[0]
    assert again.strip() == "all is here 0", "made twice it does nothing"


def whole(far: Path, digests: dict[str, str]) -> bool:
    files = {p.relative_to(far / "run").as_posix(): p for p in (far / "run").rglob("*") if p.is_file()}
    kept = {name: path for name, path in files.items() if not name.startswith(INCOMING)}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == digests[name] for name, path in kept.items())
    return set(kept) == set(digests)


def test_head_arrives_whole_before_it_is_offered_and_another_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run.mkdir(parents=True)
    try:
        dock, remote = place.start("dock"), Remote(place.url, TOKEN)
        head = tmp_path / "workstation/models/head-0001"
        head.mkdir(parents=True)
        for name, data in {"manifest.json": b"{}", "head.onnx": b"weights", "golden.safetensors": b"g"}.items():
            (head / name).write_bytes(data)
        digest = hashlib.sha256(b"{}").hexdigest()
        with pytest.raises(ValueError, match="refuses"):
            remote.offer("head-0001", "head-1", digest)
        for _ in range(2):
            remote.push(tmp_path / "workstation", "head-0001")
        with pytest.raises(ValueError, match="another one than is offered"):
            remote.offer("head-0001", "head-1", "0" * 64)
        remote.offer("head-0001", "head-1", digest)
        assert dock.stdout and "head-1" in dock.stdout.readline()
        assert sorted(p.name for p in (place.run / "models/head-0001").iterdir()) == sorted(
            p.name for p in head.iterdir()
        )
        (head / "head.onnx").write_bytes(b"others!")
        with pytest.raises(ValueError, match="another file is called so"):
            remote.push(tmp_path / "workstation", "head-0001")
        with pytest.raises(ValueError, match="token"):
            Remote(place.url, "guessed").index()
        dock.send_signal(signal.SIGKILL)
        dock.wait(timeout=10)
        with pytest.raises(Unreachable, match="does not answer"):
            remote.index()
    finally:
        place.close()


@pytest.mark.parametrize("url", ("", "ftp://robot", "http://"))
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="expected the address of a robot"):
        Remote(url)


@pytest.fixture()
def served(tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    """A run, and its robot's side without a token in this process."""
    run = tmp_path / "robot/run"
    practised(run)
    server = Server(Dock(run, "run", run / "first", "", print, print).app(), "127.0.0.1", 0)
    yield run, server
    server.close()


def test_what_changes_between_index_and_fetch_comes_with_the_next_index(
    served: tuple[Path, Server], tmp_path: Path
) -> None:
    run, server = served
    label, episode = run / "labels/run-00001/operator.json", run / "episodes/run-00003.mcap"

    def meanwhile(done: int, of: int) -> None:  # told while the first file comes
        episode.unlink(missing_ok=True)
        label.write_bytes(bytes(30))

    remote, far = Remote(f"http://127.0.0.1:{server.port}"), tmp_path / "far"
    first = remote.pull(far, meanwhile)
    assert len(first.left) == 2 and "run-00003" in first.left[0] and "operator.json" in first.left[1]
    assert sorted(first.came) == [f"episodes/run-0000{i}.mcap" for i in range(3)]
    again = remote.pull(far)
    assert again.came == ("labels/run-00001/operator.json",) and not again.left


def test_what_is_here_is_hashed_once_however_often_it_is_looked_at(served: tuple[Path, Server], tmp_path: Path) -> None:
    url, far = f"http://127.0.0.1:{served[1].port}", tmp_path / "far"
    remote = Remote(url)
    remote.pull(far)
    mine = far / "run/episodes/run-00001.mcap"
    stamp = mine.stat()
    with open(mine, "r+b") as file:
        file.write(b"damaged behind our back")
    os.utime(mine, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not remote.pull(far).came, "a poll that read all of it again would take longer than the robot waits"
    with pytest.raises(Taken, match="another file is called so"):
        Remote(url).pull(far)


def test_a_connection_that_went_stale_is_made_anew_and_asked_once_more(tmp_path: Path) -> None:
    place = Place(tmp_path)
    practised(place.run)
    try:
        dock, remote = place.start("dock"), Remote(place.url, TOKEN)
        found = remote.index()
        dock.kill()
        dock.wait(timeout=10)
        place.start("dock")
        assert remote.index() == found
    finally:
        place.close()


def test_a_page_in_a_browser_here_gets_nothing(served: tuple[Path, Server]) -> None:
    mine: list[dict[str, str]] = [{}, {"Host": "localhost:1"}, {"Host": "[::1]:1"}]
    others = [{"Host": "rebound.example"}, {"Host": "[::"}, {"Origin": "http://127.0.0.1"}, {"Origin": "null"}]
    for headers in mine + others:
        asked = http.client.HTTPConnection("127.0.0.1", served[1].port, timeout=5.0)
        asked.request("GET", "/index", headers=headers)
        assert asked.getresponse().status == (200 if headers in mine else 401), headers
        asked.close()


@pytest.mark.parametrize("data", (None, b"short", b"\xff" * 20, b"two lines of a\nsecret that is long"))
def test_a_secret_that_is_none_is_told(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "token").write_bytes(data)
    with pytest.raises(ConfigError, match="expected a file with a secret of 16"):
        read_secret(tmp_path / "token")
    assert read_secret("") == ""
