"""Who may say, hear, serve and ask what: one row a program, made into SROS2 policy files of one enclave a node.

What no row grants is denied. The table is compared with what each node of a live graph really has, so a node that gets
a new topic fails a test until it is granted here. docs/security.md says what such files cover and what not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import quoteattr

from armtune_drivers.relay import info_of
from armtune_policies.contract import topics

from .spec import NodeSpec

Names = tuple[str, ...]
VERSION = "0.2.0"
"""Of SROS2's policy files."""
OPERATOR = "operator"
"""The enclave of commands that a person runs: ``armtune arm``, ``practice``, ``stop``."""
PARAMETERS: Names = tuple(
    f"~/{name}"
    for name in ("describe_parameters", "get_parameter_types", "get_parameters", "get_type_description",
                 "list_parameters", "set_parameters", "set_parameters_atomically")
)  # fmt: skip
LIFECYCLE: Names = tuple(
    f"~/{name}"
    for name in ("change_state", "get_state", "get_available_states", "get_available_transitions",
                 "get_transition_graph")
)  # fmt: skip
EVERY_SAYS: Names = (topics.HEARTBEAT, topics.DIAGNOSTICS, "/rosout", "/parameter_events", "~/transition_event")
"""What every managed node says; each also hears the clock."""


@dataclass(frozen=True)
class Wires:
    """What one program may do; ``camera_*`` name a topic of each camera."""

    says: Names = ()
    hears: Names = ()
    serves: Names = ()
    asks: Names = ()
    runs: Names = ()
    """Actions it executes."""
    begins: Names = ()
    """Actions it calls."""
    camera_says: tuple[Callable[[str], str], ...] = ()
    camera_hears: tuple[Callable[[str], str], ...] = ()


_KEYS: Names = tuple(topics.operator(key) for key in topics.KEYS)
_PAUSES: Names = (topics.PRACTICE_PAUSE, topics.PRACTICE_RESUME, topics.PRACTICE_RESET)
_STEERS: Names = (topics.ARM, topics.STOP, topics.HOLD, topics.CLEAR)
_STEP: Names = (topics.STEP_TICK, topics.EPISODE_STATE, topics.GATE_STATE)
_ARM_SAYS: Names = (topics.JOINT_STATES, topics.CONTROLLER_STATE)

WIRES: Mapping[str, Wires] = {
    "gate_node": Wires(
        (topics.SETPOINT, topics.STEP_TICK, topics.DECISION, topics.GATE_STATE),
        (topics.proposal("policy"), topics.proposal("teleop"), topics.proposal("motion"), topics.JOINT_STATES,
         topics.EPISODE_STATE, topics.ESTOP, topics.CONTROLLER_STATE, topics.CAMERA_CHECK, topics.HEALTH,
         topics.HEARTBEAT),
        serves=(*_STEERS, topics.LEASE),
    ),
    "policy_node": Wires(
        (topics.proposal("policy"), topics.OBSERVATION, topics.POLICY_STATE),
        (*_STEP, topics.JOINT_STATES, topics.POLICY_OFFER, topics.POLICY_GUEST),
        asks=(topics.LEASE,),
        camera_hears=(topics.image,),
    ),
    "episode_node": Wires(
        (topics.proposal("motion"), topics.EPISODE_STATE),
        (topics.GATE_STATE, topics.STEP_TICK, topics.REWARD_ANSWER, topics.OBSERVATION, topics.DECISION,
         topics.LEARNER_STATE, topics.JOINT_STATES, topics.HEALTH),
        serves=(*_KEYS, *_PAUSES),
        asks=(topics.LEASE,),
        runs=topics.ACTIONS,
    ),
    "teleop_node": Wires(
        (topics.proposal("teleop"), topics.TELEOP_STATE),
        (*_STEP, topics.DECISION, topics.JOY, topics.POSE, topics.LEADER),
        asks=(topics.LEASE, *_KEYS),
    ),
    "reward_node": Wires(
        (topics.REWARD_ANSWER,), (topics.OBSERVATION, topics.EPISODE_STATE, topics.REWARD_OFFER)
    ),
    "recorder_node": Wires(
        (topics.STEP,),
        (topics.OBSERVATION, topics.DECISION, topics.REWARD_ANSWER, topics.EPISODE_STATE, topics.JOINT_STATES,
         topics.GATE_STATE),
        camera_hears=(topics.image,),
    ),
    "learner_node": Wires(
        (topics.LEARNER_STATE, topics.POLICY_OFFER), (topics.EPISODE_STATE, topics.POLICY_STATE)
    ),
    "transfer_node": Wires((topics.LEARNER_STATE, topics.POLICY_OFFER)),
    "supervisor_node": Wires((topics.SUPERVISOR, topics.HEALTH), (topics.HEARTBEAT,), asks=(topics.STOP,)),
    "console_node": Wires(
        (),
        (*_STEP, topics.POLICY_STATE, topics.LEARNER_STATE, topics.POLICY_OFFER, topics.REWARD_ANSWER, topics.DECISION,
         topics.STEP, topics.JOINT_STATES, topics.HEARTBEAT, topics.DIAGNOSTICS, topics.SUPERVISOR),
        asks=(*_STEERS, *_KEYS, *_PAUSES),
        begins=(topics.PRACTICE,),
        camera_hears=(topics.image,),
    ),
    "sim_node": Wires(
        (*_ARM_SAYS, topics.TRUTH, topics.CLOCK),
        (topics.SETPOINT,),
        serves=(topics.RESET_WORLD, topics.INJECT_FAULT),
        camera_says=(topics.image, topics.camera_info),
    ),
    "fault_node": Wires(
        (topics.JOINT_STATES, topics.proposal("policy"), topics.CLOCK),
        (topics.faulty(topics.JOINT_STATES), topics.faulty(topics.proposal("policy")), topics.faulty(topics.CLOCK),
         topics.CONTROLLER_STATE),
        serves=(topics.INJECT_FAULT,),
        asks=(topics.faulty(topics.INJECT_FAULT),),
        camera_says=(topics.image, topics.camera_info),
        camera_hears=(lambda c: topics.faulty(topics.image(c)), lambda c: topics.faulty(topics.camera_info(c))),
    ),
    "arm_node": Wires(_ARM_SAYS, (topics.SETPOINT,)),
    "ros2_control_node": Wires(
        (*_ARM_SAYS, topics.controller("*", "joint_trajectory"), topics.controller("*", "commands")),
        (topics.SETPOINT, topics.ROS2_JOINT_STATES, topics.ROBOT_DESCRIPTION, topics.DIAGNOSTICS),
        asks=(topics.MANAGER_PARAMETERS,),
    ),
    "camera_node": Wires(
        (topics.TF_STATIC,), camera_says=(topics.image, topics.depth, topics.camera_info, topics.extrinsics)
    ),
    "camera_check_node": Wires(
        (topics.CAMERA_CHECK,), (topics.EPISODE_STATE, topics.HEARTBEAT), camera_hears=(topics.image,)
    ),
}  # fmt: skip
"""By program."""

_PERSON = Wires(
    (topics.ESTOP, topics.JOY, topics.REWARD_OFFER, topics.POLICY_GUEST),
    (*_STEP, topics.DIAGNOSTICS, topics.SUPERVISOR, topics.POLICY_STATE, topics.LEARNER_STATE, topics.TELEOP_STATE,
     topics.STEP, topics.JOINT_STATES),
    asks=(*_STEERS, *_KEYS, *_PAUSES, topics.RESET_WORLD),
    begins=topics.ACTIONS,
    camera_hears=(topics.image,),
)  # fmt: skip


@dataclass(frozen=True)
class Granted:
    """What one enclave may do, remaps done; names are relative to its namespace, or begin with / or ~."""

    enclave: str
    namespace: str
    node: str
    says: frozenset[str]
    hears: frozenset[str]
    serves: frozenset[str]
    asks: frozenset[str]
    runs: frozenset[str]
    begins: frozenset[str]


def granted(rows: Sequence[NodeSpec], cameras: Sequence[str]) -> tuple[Granted, ...]:
    """Return what each node of a graph may do, and last what the person may who steers it.

    Args:
        rows: As ``graph`` makes them.
        cameras: Their names.
    """
    found = []
    for row in rows:
        # The supervisor takes every other node through its life, those on the workstation, too.
        led = row.parameters["nodes"] if row.executable == "supervisor_node" else ()
        more = tuple(f"{name}/{what}" for name in led for what in ("change_state", "get_state"))
        wires = WIRES[row.executable]
        if row.executable == "camera_node" and row.parameters["camera.source"] == "topic":
            theirs = row.parameters["camera.paths"]
            wires = replace(wires, hears=(*wires.hears, *theirs, *map(info_of, theirs)))
        found.append(_granted(row.name, row.namespace, wires, cameras, dict(row.remaps), more))
    person = _granted(OPERATOR, rows[0].namespace, _PERSON, cameras, {}, ())
    return (*found, person)


def _granted(
    node: str, namespace: str, wires: Wires, cameras: Sequence[str], remaps: Mapping[str, str], more: Names
) -> Granted:
    def named(names: Iterable[str], of_camera: Iterable[Callable[[str], str]] = ()) -> frozenset[str]:
        every = (*names, *(name(camera) for name in of_camera for camera in cameras))
        return frozenset(remaps.get(name, name) for name in every)

    is_node = node != OPERATOR
    return Granted(
        enclave=f"/{namespace}/{node}",
        namespace=f"/{namespace}",
        node=node,
        says=named((*wires.says, *(EVERY_SAYS if is_node else ())), wires.camera_says),
        hears=named((*wires.hears, topics.CLOCK), wires.camera_hears),
        serves=named((*wires.serves, *PARAMETERS, *(LIFECYCLE if is_node else ()))),
        asks=named((*wires.asks, *more)),
        runs=named(wires.runs),
        begins=named(wires.begins),
    )


def policy_file(grants: Sequence[Granted]) -> str:
    """Return an SROS2 policy file: what ``ros2 security generate_artifacts -p`` takes."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<policy version="{VERSION}">', "  <enclaves>"]
    for one in grants:
        lines += [f"    <enclave path={quoteattr(one.enclave)}>", "      <profiles>"]
        lines += [f"        <profile ns={quoteattr(one.namespace)} node={quoteattr(one.node)}>"]
        for kind, how, names in (
            ("topic", "publish", one.says),
            ("topic", "subscribe", one.hears),
            ("service", "reply", one.serves),
            ("service", "request", one.asks),
            ("action", "execute", one.runs),
            ("action", "call", one.begins),
        ):
            if names:
                lines += [f'          <{kind}s {how}="ALLOW">']
                lines += [f"            <{kind}>{name}</{kind}>" for name in sorted(names)]
                lines += [f"          </{kind}s>"]
        lines += ["        </profile>", "      </profiles>", "    </enclave>"]
    return "\n".join([*lines, "  </enclaves>", "</policy>", ""])
