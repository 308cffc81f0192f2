"""The oracle of a run finds each rule that a made recording breaks, and nothing in a sound one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_oracle import RULES, broken

from armtune_policies.store.episode_copy import write_episode
from fixtures.episodes import made

S = 1_000_000_000
WALL_NS = 1_700_000_000 * S


def stamp(t_ns: int) -> Any:
    return SimpleNamespace(sec=t_ns // S, nanosec=t_ns % S)


def decision(at_ns: int, step: int, **changes: Any) -> tuple[int, Any]:
    fields = {"boot_id": 1, "episode_id": "made-00000", "step": step, "source": "policy", "lease": 7}
    fields |= {"policy_version": "v1", "stamp": stamp(at_ns), "observation_stamp": stamp(WALL_NS + at_ns - 3 * S // 10)}
    return at_ns, SimpleNamespace(**(fields | changes))


def gate(at_ns: int, armed: bool, *latches: str, boot_id: int = 1, off_ns: int = 0) -> tuple[int, Any]:
    return at_ns, SimpleNamespace(boot_id=boot_id, armed=armed, latches=latches, stamp=stamp(WALL_NS + at_ns + off_ns))


def state(at_ns: int, **changes: Any) -> tuple[int, Any]:
    fields = {"episode_id": "made-00000", "config_hash": "c0ffee", "calibration_hash": "ca11"}
    return at_ns, SimpleNamespace(**(fields | changes))


def sound(run: Path) -> dict[str, Any]:
    write_episode(run / "episodes", made(steps=3, hole=None, cameras=("front",)))
    (run / "logs").mkdir()
    (run / "logs/gate_node.log").write_text("[INFO] [1.0] [gate_node]: RUN: ok\n")
    gates = [gate(0, False), gate(S, True), gate(3 * S, False, "stop requested"), gate(4 * S, False), gate(5 * S, True)]
    gates += [gate(6 * S, False, boot_id=2)]
    return {"decisions": [decision(S, 0), decision(2 * S, 1), decision(3 * S, 2, source="", lease=0)],
            "episodes": [state(S), state(2 * S)], "gates": gates}  # fmt: skip


BROKEN: dict[str, tuple[str, str, Any]] = {
    "an old observation": ("O3", "decisions", decision(4 * S, 3, observation_stamp=stamp(WALL_NS + 3 * S))),
    "no observation": ("O3", "decisions", decision(4 * S, 3, observation_stamp=stamp(0))),
    "two policies": ("O5", "decisions", decision(4 * S, 3, policy_version="v2")),
    "two configs": ("O5", "episodes", state(4 * S, config_hash="other")),
    "two calibrations": ("O5", "episodes", state(4 * S, calibration_hash="")),
    "two sources of one step": ("O6", "decisions", decision(4 * S, 1, source="teleop")),
    "a source nobody knows": ("O6", "decisions", decision(4 * S, 3, source="nobody")),
    "a step without a lease": ("O6", "decisions", decision(4 * S, 3, lease=0)),
    "armed with a latch": ("O10", "gates", gate(6 * S, True, "e-stop pressed", boot_id=2)),
    "a stop without a name": ("O10", "gates", gate(5 * S + 1, False)),
}


def test_nothing_is_found_in_a_sound_run(tmp_path: Path) -> None:
    assert broken(**sound(tmp_path), run=tmp_path, age_s=0.5) == []


@pytest.mark.parametrize("name", BROKEN)
def test_rule_that_is_broken_is_found(name: str, tmp_path: Path) -> None:
    rule, where, more = BROKEN[name]
    heard = sound(tmp_path)
    heard[where] = sorted([*heard[where], more], key=lambda one: one[0])
    found = broken(**heard, run=tmp_path, age_s=0.5)
    assert [text.partition(":")[0] for text in found] == [rule], found


def test_file_that_was_cut_or_changed_is_found(tmp_path: Path) -> None:
    heard = sound(tmp_path)
    path = tmp_path / "episodes/made-00000.mcap"
    whole, middle = path.read_bytes(), len(path.read_bytes()) // 2
    for data in (whole[:middle], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        path.write_bytes(data)
        (text,) = broken(**heard, run=tmp_path, age_s=0.5)
        assert text.startswith("O7: made-00000.mcap")


def test_traceback_is_found_and_that_of_a_node_told_to_end_is_not(tmp_path: Path) -> None:
    heard, log = sound(tmp_path), tmp_path / "logs/policy_node.log"
    trace = "Traceback (most recent call last):\n  File x\n"
    log.write_text(f"{trace}KeyboardInterrupt\n")
    assert broken(**heard, run=tmp_path, age_s=0.5) == []
    log.write_text(f"{trace}ValueError: what\n")
    assert [text[:15] for text in broken(**heard, run=tmp_path, age_s=0.5)] == ["O8: policy_node"]


def test_ages_are_not_judged_where_the_wall_clock_jumped(tmp_path: Path) -> None:
    heard = sound(tmp_path)
    heard["gates"].append(gate(7 * S, False, boot_id=2, off_ns=-3600 * S))
    heard["decisions"].append(decision(8 * S, 3, observation_stamp=stamp(WALL_NS)))
    assert broken(**heard, run=tmp_path, age_s=0.5) == []


def test_every_rule_has_a_recording_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BROKEN.values()} | {"O7", "O8"} == set(RULES)
