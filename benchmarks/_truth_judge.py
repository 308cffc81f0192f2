"""The simulator's truth as a judge in the reward node's place: what a perfect classifier would answer.

    python -m benchmarks._truth_judge wx250s

For measurements in lockstep only: an observation and the truth of one step bear the same stamp. Ends when stdin does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = 64


@contextmanager
def truth_judge(robot: str, domain_id: int) -> Iterator[None]:
    """Run the judge beside a graph."""
    command = [sys.executable, "-m", "benchmarks._truth_judge", robot]
    env = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        process.communicate(timeout=10)


def main(robot: str) -> None:
    """Answer until stdin ends."""
    import rclpy

    from armtune_interfaces.msg import EpisodeState, Observation, RewardAnswer, Truth
    from armtune_policies.contract import topics
    from armtune_safety.managed_node import EVENT_QOS, LATCHED_QOS

    rclpy.init()
    node = rclpy.create_node("truth_judge", namespace=robot)
    answers = node.create_publisher(RewardAnswer, topics.REWARD_ANSWER, EVENT_QOS)
    direction = {"": ""}
    truths: dict[tuple[int, int], Truth] = {}
    asked: dict[tuple[int, int], Observation] = {}

    def answer() -> None:
        for stamp in [stamp for stamp in asked if stamp in truths]:
            seen, truth = asked.pop(stamp), truths[stamp]
            way = direction.get(seen.episode_id, "")
            done = {"forward": truth.forward_success, "backward": truth.backward_success}.get(way)
            verdict = RewardAnswer.UNKNOWN if done is None else RewardAnswer.YES if done else RewardAnswer.NO
            said = RewardAnswer(episode_id=seen.episode_id, step=seen.step, verdict=verdict, model_digest="truth")
            said.probability = float("nan") if done is None else float(done)
            answers.publish(said)

    def on_truth(truth: Truth) -> None:
        truths[truth.stamp.sec, truth.stamp.nanosec] = truth
        for old in list(truths)[:-KEPT]:
            del truths[old]
        answer()

    def on_observation(seen: Observation) -> None:
        asked[seen.header.stamp.sec, seen.header.stamp.nanosec] = seen
        answer()

    def on_episode(state: EpisodeState) -> None:
        direction[state.episode_id] = state.direction

    node.create_subscription(EpisodeState, topics.EPISODE_STATE, on_episode, LATCHED_QOS)
    node.create_subscription(Truth, topics.TRUTH, on_truth, EVENT_QOS)
    node.create_subscription(Observation, topics.OBSERVATION, on_observation, EVENT_QOS)
    gone = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), gone.set()), daemon=True).start()
    while not gone.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)


if __name__ == "__main__":
    main(sys.argv[1])
