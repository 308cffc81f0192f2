"""What a graph says of itself, as plain values; takes messages, imports none."""

from __future__ import annotations

from typing import Any

from armtune_policies.contract import ConfigError, Mode
from armtune_policies.store.nouns import EVALUATION, HIDDEN


def status(robot: str, gate: Any, episode: Any = None, policy: Any = None) -> dict[str, Any]:
    """Return one flat mapping from GateState and, where there are, EpisodeState and PolicyState.

    While policies are evaluated it is not said which of them acts: who asks may be who judges.
    """
    said: dict[str, Any] = {"robot": robot, "mode": Mode(gate.mode).name, "armed": gate.armed}
    said |= {"reasons": list(gate.reasons), "latches": list(gate.latches), "holder": gate.holder}
    said["refusals"] = dict(zip(gate.refusals, (int(count) for count in gate.refusal_counts)))
    if episode is not None:
        said |= {"run": episode.run_id, "episode": episode.episode_id, "phase": episode.phase}
        said |= {"direction": episode.direction, "task": episode.sentence, "why": episode.reason}
    if policy is not None:
        is_blind = episode is not None and episode.purpose == EVALUATION
        said |= {
            "policy": HIDDEN if is_blind else policy.active_version,
            "provider": policy.provider,
            "refused": policy.refused_reason,
        }
        said["inference_p50_ms"] = round(policy.inference_p50_s * 1e3, 2)
    return said


def missing(summary: Any) -> str:
    """Return what is not up yet, blank when nothing is; takes the supervisor's summary, None before it was heard.

    A node that was lost is the supervisor's business, and does not count.
    """
    if summary is None:
        return "the supervisor was not heard"
    return next((f"{said.name} is {said.message}" for said in summary.status if said.level == said.WARN), "")


def the_one(found: set[str], robot: str, domain_id: int) -> str:
    """Return the only graph found on a domain.

    Args:
        found: Namespaces of the graphs seen.
        robot: The one that was asked for and not seen, blank for any.
        domain_id: ROS domain looked at.

    Raises:
        ConfigError: when there is none, or more than one.
    """
    if not found or robot:
        missing = f"robot {robot!r}" if robot else "graph"
        raise ConfigError(f"no {missing} found on ROS domain {domain_id}; start one: armtune up sim")
    if len(found) > 1:
        raise ConfigError(f"several graphs run here ({', '.join(sorted(found))}); choose one by --robot")
    return next(iter(found))
