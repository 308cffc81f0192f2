"""What led to a fault: the newest seconds, in one file, whole or not there."""

from __future__ import annotations

import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from armtune_policies.contract import topics
from armtune_policies.store import records, schemas
from armtune_policies.store.nouns import EpisodeState, Raw
from armtune_policies.store.ring import Faults, Ring, save_fault
from armtune_policies.store.settings import RecorderParams

SECOND = 1_000_000_000
PARAMS = RecorderParams(ring_s=30.0, ring_mb=1, disk_floor_mb=10)


def state(number: int) -> Raw:
    return Raw(topics.EPISODE_STATE, *_coded(number))


def _coded(number: int) -> tuple[str, int, bytes]:
    kind, data = records.encode(EpisodeState(episode_id=f"run-{number:05d}", index=number))
    return kind, number * SECOND, data


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(0, 400)), max_size=60))
def test_ring_never_holds_more_than_it_may_and_always_the_newest(steps: list[tuple[int, int]]) -> None:
    ring, now = Ring(10.0, 1000), 0
    for gap_ns, size in steps:
        now += gap_ns
        raw = Raw("a", "b", now, bytes(size))
        ring.add(raw, now)
        kept = ring.messages()
        assert kept[-1] is raw and sum(len(one.data) for one in kept) == ring.size_bytes <= 1000
        assert all(now - one.stamp_ns <= 10 * SECOND for one in kept)


def test_a_new_latch_saves_what_led_to_it_once(tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    faults = Faults(tmp_path, PARAMS, pool)
    for number in range(50):
        faults.remember(state(number), number * SECOND)
    faults.on_gate(7, True, (), 49 * SECOND)
    faults.on_gate(7, False, ("e-stop pressed",), 49 * SECOND)
    faults.on_gate(7, False, ("e-stop pressed",), 49 * SECOND)
    pool.shutdown(wait=True)
    (path,) = faults.settle()
    assert path == tmp_path / "faults/19700101t000049z-e-stop-pressed.mcap" and faults.saved == 1 and not faults.trouble
    with AnyReader([path]) as reader:
        seen = [reader.deserialize(data, c.msgtype).index for c, _, data in reader.messages()]
    assert seen == list(range(19, 50))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.fault("F43")
def test_a_gate_that_dies_armed_saves_what_led_to_it_though_the_new_one_has_latched_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        faults = Faults(tmp_path, PARAMS, pool)
        faults.remember(state(1), SECOND)
        for boot_id, is_armed in ((7, False), (8, False), (8, True), (8, True), (9, False), (9, True), (9, False)):
            faults.on_gate(boot_id, is_armed, (), 2 * SECOND)
    assert [path.name for path in faults.settle()] == ["19700101t000002z-gate-died.mcap"]


BOOTS = st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.sets(st.sampled_from("abc"))), max_size=12)


@given(BOOTS)
def test_no_stop_of_an_armed_gate_goes_unsaved(told: list[tuple[int, bool, set[str]]]) -> None:
    """A gate that is armed has no latch, and one that stops has one or is another process (oracle O10)."""
    with ThreadPoolExecutor(1) as pool:
        faults, before = Faults(Path("no run"), PARAMS, pool), None
        for boot_id, wants_armed, latches in told:
            is_armed = wants_armed and not latches
            tried = len(faults._saving)
            faults.on_gate(boot_id, is_armed, latches, SECOND)
            if before is not None and (boot_id != before or latches):
                assert len(faults._saving) > tried
            before = boot_id if is_armed else None


def test_two_faults_in_one_second_have_two_files(tmp_path: Path) -> None:
    first, second = (save_fault(tmp_path, "e-stop pressed", SECOND, [state(0)]) for _ in range(2))
    assert first != second and first.exists() and second.exists()


def test_a_fault_that_cannot_be_saved_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "faults").write_text("in the way")
    pool = ThreadPoolExecutor(1)
    faults = Faults(tmp_path, PARAMS, pool)
    faults.remember(state(1), SECOND)
    faults.on_gate(7, False, ("a/b: \0?",), SECOND)
    pool.shutdown(wait=True)
    assert faults.settle() == [] and "was not saved: cannot write" in faults.trouble


@pytest.mark.fault("F33")
def test_a_fault_does_not_take_the_last_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9_000_000))
    with ThreadPoolExecutor(1) as pool:
        faults = Faults(tmp_path, PARAMS, pool)
        faults.on_gate(7, False, ("lost arm",), SECOND)
    assert faults.settle() == []
    assert "9 MB would be free" in faults.trouble and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", [0.0])
def test_no_ring_keeps_nothing(seconds: float) -> None:
    ring = Ring(seconds, 1000)
    ring.add(state(1), SECOND)
    assert ring.messages() == []


def test_every_type_the_recorder_hears_has_a_definition() -> None:
    for name in (schemas.GATE_STATE, schemas.COMPRESSED_VIDEO, schemas.IMAGE, schemas.JOINT_STATE):
        assert schemas.definition(name)
