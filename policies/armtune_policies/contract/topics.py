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
HEALTH = "health"
"""A DiagnosticArray of the supervisor: disk, memory, heat, and how far each node's clock is off."""
POLICY_OFFER = "policy_offer"
POLICY_GUEST = "policy_guest"
"""A PolicyOffer for evaluation, which alone acts by it."""
REWARD_OFFER = "reward_offer"
POLICY_STATE = "policy_state"
LEARNER_STATE = "learner_state"
ESTOP = "estop"
CAMERA_CHECK = "camera_check"
"""A DiagnosticArray: whether each calibrated camera is where it was calibrated."""
DIAGNOSTICS = "/diagnostics"
CLOCK = "/clock"
TF_STATIC = "/tf_static"

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
PRACTICE_PAUSE = "practice/pause"
PRACTICE_RESUME = "practice/resume"
PRACTICE_RESET = "practice/reset"
"""A pause in which a person lays the scene anew."""
COLLECT = "collect"
"""A Practice action whose episodes a person begins, shows and ends."""
CORRECT = "correct"
"""A Practice action beside which a person sits: the policy acts, and they take over where it goes wrong."""
EVALUATE = "evaluate"
"""A Practice action whose episodes say how well a policy does: nothing is counted or learnt."""
ACTIONS = (PRACTICE, COLLECT, CORRECT, EVALUATE)

ROS2_JOINT_STATES = "/joint_states"
"""What ros2_control's joint_state_broadcaster says."""
ROBOT_DESCRIPTION = "/robot_description"
MANAGER_PARAMETERS = "/controller_manager/get_parameters"

KEYS = ("start", "success", "failure", "discard", "again")
"""What an operator says of an episode, each by a service; see ``operator``."""

JOY = "teleop/joy"
POSE = "teleop/pose"
LEADER = "teleop/leader"
TELEOP_STATE = "teleop/state"


def controller(name: str, kind: str) -> str:
    """Where a controller of ros2_control takes commands: ``joint_trajectory`` or ``commands``."""
    return f"/{name}/{kind}"


def proposal(source: str) -> str:
    """The one topic of one source of proposals."""
    return f"proposal/{source}"


def operator(key: str) -> str:
    """The service by which an operator says one of ``KEYS``."""
    return f"episode/{key}"


def image(camera: str) -> str:
    return f"{camera}/image_raw"


def depth(camera: str) -> str:
    """Depth in the colour camera's view [mm], as realsense-ros names it."""
    return f"{camera}/aligned_depth_to_color/image_raw"


def compressed(camera: str) -> str:
    """Where the full-size view of a camera is kept in an episode file, as image_transport names it."""
    return f"{image(camera)}/compressed"


def video(camera: str) -> str:
    """Where the full-size view is kept as a video stream."""
    return f"{image(camera)}/video"


def camera_info(camera: str) -> str:
    return f"{camera}/camera_info"


def extrinsics(camera: str) -> str:
    """Where a calibrated camera's place is said, latched."""
    return f"{camera}/extrinsics"


def faulty(topic: str) -> str:
    """Where a topic comes out before the fault injector of a simulated graph passes it on."""
    return f"faulty/{topic.lstrip('/')}"
