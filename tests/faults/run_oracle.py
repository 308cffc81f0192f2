"""What must hold of any run, read off its files and of what was heard of it: O3, O5 to O8 and O10. Pure.

O1 and O2 are the arm's own log's (``armtune_sim.oracle``), O4 each row's bounds, O9 the soak's. Each violation begins
with the name of its rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from armtune_bringup.console import calm
from armtune_policies.contract import PRIORITY
from armtune_policies.store.episode_reader import list_episodes, read_episode
from armtune_policies.store.mcap_scan import checksums

Heard = Sequence[tuple[int, Any]]
"""Messages with the steady time [ns] of their arrival."""
RULES = ("O3", "O5", "O6", "O7", "O8", "O10")
SLACK_S = 0.01
"""What a state that was heard soonest may still have taken."""
JUMPED_NS = 1_000_000_000


def broken(decisions: Heard, episodes: Heard, gates: Heard, run: Path, age_s: float, ended: bool = True) -> list[str]:
    """Return what a run broke.

    Args:
        decisions: ``Decision`` as heard.
        episodes: ``EpisodeState`` as heard.
        gates: ``GateState`` as heard.
        run: Its folder.
        age_s: How old what a command is based on may be when its period begins [s].
        ended: Whether it has: then no file may be unfinished but those of a recorder that was killed.
    """
    found = [*_old(decisions, gates, age_s), *_mixed(decisions, episodes), *_sources(decisions), *_stops(gates)]
    return [*found, *_files(run), *(_logs(run) if ended else ())]


def _ns(stamp: Any) -> int:
    return int(stamp.sec * 1_000_000_000 + stamp.nanosec)


def _old(decisions: Heard, gates: Heard, age_s: float) -> Iterator[str]:
    """Periods begin at a time of the steady clock, observations are stamped by the wall's: how far that is off, the
    gate's states say, the one that was heard soonest.
    """
    off_ns = [_ns(state.stamp) - at_ns for at_ns, state in gates]
    if not off_ns or max(off_ns) - min(off_ns) > JUMPED_NS:
        return
    for _, d in decisions:
        if not d.source or (d.source != "policy" and _ns(d.observation_stamp) == 0):  # motions see no picture
            continue
        age = (_ns(d.stamp) + max(off_ns) - _ns(d.observation_stamp)) / 1e9
        if not age <= age_s + SLACK_S:
            yield f"O3: {d.episode_id} step {d.step} of {d.source} is based on what was {age:.2f} s old"


def _mixed(decisions: Heard, episodes: Heard) -> Iterator[str]:
    for what in ("config_hash", "calibration_hash"):
        yield from _more_than_one(((e.episode_id, getattr(e, what)) for _, e in episodes if e.episode_id), what)
    by_policy = ((d.episode_id, d.policy_version) for _, d in decisions if d.source == "policy" and d.episode_id)
    yield from _more_than_one(by_policy, "policy_version")


def _more_than_one(pairs: Iterator[tuple[str, str]], what: str) -> Iterator[str]:
    values: dict[str, set[str]] = defaultdict(set)
    for episode, value in pairs:
        values[episode].add(value)
    yield from (f"O5: {name} has {what} {', '.join(sorted(v))}" for name, v in values.items() if len(v) > 1)


def _sources(decisions: Heard) -> Iterator[str]:
    seen: dict[tuple[int, str, int], str] = {}
    for _, d in decisions:
        if d.source and (d.source not in PRIORITY or not d.lease):
            yield f"O6: {d.episode_id} step {d.step} is of {d.source!r} under lease {d.lease}"
        key = (d.boot_id, d.episode_id, d.step)
        if d.episode_id and seen.setdefault(key, d.source) != d.source:
            yield f"O6: {d.episode_id} step {d.step} is of {seen[key]!r} and of {d.source!r}"


def _files(run: Path) -> Iterator[str]:
    for path in list_episodes(run):
        try:
            said, has = checksums(path)
            read_episode(path)
        except (ValueError, OSError) as why:
            yield f"O7: {path.name}: {why}"
            continue
        if said not in (0, has):
            yield f"O7: {path.name}: its checksum is another"


def _logs(run: Path) -> Iterator[str]:
    for path in sorted((run / "logs").glob("*.log")):
        lines = calm(path.read_text(errors="replace").splitlines())
        yield from (f"O8: {path.stem}: {line}" for line in lines if line.startswith("Traceback (most recent"))


def _stops(gates: Heard) -> Iterator[str]:
    """Each STOP is said with its latches; armed again is only who has none."""
    before = None
    for _, state in gates:
        if state.armed and state.latches:
            yield f"O10: armed with {', '.join(state.latches)} uncleared"
        is_same = before is not None and before.boot_id == state.boot_id
        if is_same and before.armed and not state.armed and not state.latches:
            yield "O10: stopped without a name for it"
        before = state
