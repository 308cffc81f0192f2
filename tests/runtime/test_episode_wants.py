"""When ``episode_node`` wants the arm: its own parts without the wires, which are lists and a service nobody serves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.clock import Clock
from sensor_msgs.msg import JointState

from armtune_interfaces.msg import GateState, StepTick
from armtune_interfaces.srv import Lease
from armtune_policies.contract import Mode, TaskPair
from armtune_policies.episode import events as e
from armtune_policies.episode.motion import Leg
from armtune_policies.episode.settings import EpisodeParams
from armtune_policies.store.nouns import FINISHED, HOMING
from armtune_runtime.episode_node import EpisodeNode
from armtune_runtime.lease import HOME as WANTS_HOME
from armtune_runtime.lease_desk import LeaseDesk
from armtune_runtime.practice_settings import EpisodeNodeParams
from fixtures.wires import mjcf, robot

ROBOT = robot()
HOME = [*ROBOT.home_rad, ROBOT.finger_m(ROBOT.home_gripper)]
AWAY = [HOME[0] + 0.5, *HOME[1:]]
ROUTE = e.Follow((Leg((0.3, 0.0, 0.2)), Leg((0.3, 0.1, 0.2))))


class Unwired(EpisodeNode):
    """The node but for what reaches out of the process."""

    def __init__(self, params: EpisodeNodeParams) -> None:
        self.params = params
        self.set_up()
        self.start()

    def _connect(self) -> None:
        self.proposals: list[Any] = []
        self._state_pub = SimpleNamespace(publish=lambda _: None)  # type: ignore[assignment]
        self._proposal_pub = SimpleNamespace(publish=self.proposals.append)  # type: ignore[assignment]
        self.ended: list[e.Finish] = []
        self._goals.finished = self.ended.append  # type: ignore[method-assign]
        client = SimpleNamespace(service_is_ready=lambda: False)
        wire = SimpleNamespace(create_client=lambda *_: client)
        self._desk = LeaseDesk(wire, Lease, "motion", 2.0, self._steady, self._keeper)

    def get_clock(self) -> Clock:
        return Clock()

    def did_work(self) -> None:
        """Nobody watches."""

    def report(self, *_: Any, **__: Any) -> None:
        """Nobody reads."""

    def joints(self, position: list[float]) -> None:
        self._on_joints(JointState(name=[*ROBOT.joints, ROBOT.finger_joint], position=position))


@pytest.fixture(params=("real", "lockstep"))
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Unwired:
    params = EpisodeNodeParams(
        robot=ROBOT,
        mjcf=mjcf(),
        task=TaskPair(name="drawer", forward="open the drawer", backward="close the drawer", episode_steps=1),
        episode=EpisodeParams(vote_need=1, vote_window=1),
        run_id="run",
        run_folder=str(tmp_path),
        config_hash="c0ffee",
        rest_s=0.0,
        time=request.param,
    )
    one = Unwired(params)
    one._carry_out(one._conductor.gate(True, Mode.RUN, "", "", one._steady.now_ns()))
    one._handle(e.Begin())
    assert one._conductor.state.phase == HOMING
    return one


def test_stroke_wants_the_arm_where_the_way_home_needed_none(node: Unwired) -> None:
    node._desk.want("")
    node._carry_out([ROUTE])
    assert node._keeper.wanted == WANTS_HOME


def test_node_that_was_stopped_neither_wants_nor_moves_the_arm_whatever_arrives(node: Unwired) -> None:
    node.joints(AWAY)
    node.stop()
    node._keeper.lease = 7  # not given back yet
    tick = StepTick(lease=7, holder="motion")
    node._on_tick(tick)
    for position in (AWAY, HOME):
        node.joints(position)
    node._on_gate(GateState(mode=GateState.STOP))
    node._on_gate(GateState(mode=GateState.RUN, armed=True, lease=7, holder="motion"))
    node._pulse()
    node._move(tick, node._motions.joints([*ROBOT.joints, ROBOT.finger_joint], HOME))
    assert node._keeper.wanted == "" and not node.proposals


def test_node_that_is_started_again_ends_what_was_stopped(node: Unwired) -> None:
    node.stop()
    node.start()
    node._handle(e.AtHome())
    assert node._conductor.state.phase == FINISHED and node.ended == [e.Finish(True, "episode_node was stopped")]
