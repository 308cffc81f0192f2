"""Names of topics and services, relative to the robot's namespace; used by every node."""

from __future__ import annotations

JOINT_STATES = "joint_states"
SETPOINT = "setpoint"
STEP_TICK = "step_tick"
DECISION = "decision"
OBSERVATION = "observation"
EPISODE_STATE = "episode_state"
REWARD_ANSWER = "reward_answer"
STEP = "step"
GATE_STATE = "gate_state"
HEARTBEAT = "heartbeat"
CONTROLLER_STATE = "controller_state"
SUPERVISOR = "supervisor"
POLICY_OFFER = "policy_offer"
POLICY_STATE = "policy_state"
LEARNER_STATE = "learner_state"
ESTOP = "estop"
DIAGNOSTICS = "/diagnostics"
CLOCK = "/clock"

TRUTH = "sim/truth"
"""Only evaluation and the test oracle may subscribe."""
RESET_WORLD = "sim/reset"
INJECT_FAULT = "sim/fault"

LEASE = "gate/lease"
ARM = "gate/arm"
STOP = "gate/stop"
HOLD = "gate/hold"
CLEAR = "gate/clear"
PRACTICE = "practice"


def proposal(source: str) -> str:
    """The one topic of one source of proposals."""
    return f"proposal/{source}"


def image(camera: str) -> str:
    return f"{camera}/image_raw"


def camera_info(camera: str) -> str:
    return f"{camera}/camera_info"


def faulty(topic: str) -> str:
    """Where a topic comes out before the fault injector of a simulated graph passes it on."""
    return f"faulty/{topic.lstrip('/')}"
