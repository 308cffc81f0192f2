"""Adversaries for the gate: seeded streams of everything its topics and services may bring.

One stream is one gate's life of a few control periods, with a witness that writes down each setpoint.
``run(seed)`` plays it; the oracle of ``armtune_sim`` judges what was written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from gate_rig import BOOT, TICK_S, Rig, gate_params

from armtune_policies.contract import PRIORITY, Decision, Kind, Proposal
from armtune_policies.episode.carry import carry
from armtune_policies.episode.motion import Leg, pushing
from armtune_policies.episode.nudge import stroke
from armtune_policies.episode.settings import EpisodeParams
from armtune_runtime.motions import SOURCE as MOTION
from armtune_runtime.motions import Motions
from armtune_safety.failsafe import FROZEN
from armtune_safety.kinematics import Kinematics
from armtune_safety.settings import GateParams
from armtune_sim.motion_log import MotionLog
from armtune_sim.oracle import FOLLOWS_RAD, UNEVEN, Event, Oracle, Violation

SOURCES = tuple(PRIORITY)
AWKWARD = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -5e-324, -0.0, 1e-17, 2.0**53, math.pi)
EPISODE = "run-00000"


settings_of = cache(gate_params)
"""Read from the config files once a process."""


class Witness(Rig):
    """A rig that writes down every setpoint, when, and where the arm was; ``lag`` 0 is a perfect arm.

    Between ``block``, its joints' least and most, the arm can move; None is no obstacle.
    ``own`` are the numbers of proposals that are parts of a nudge, or of the way home after one.
    """

    def __init__(self, time: str, kinematics: Kinematics, lag: float = 0.0, arm: str = "wx250s") -> None:
        super().__init__(settings_of(time, arm), kinematics)
        self.rows: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.events: list[Event] = []
        self.lag = lag
        self.mute = False
        self.block: tuple[np.ndarray, np.ndarray] | None = None
        self.own: set[int] = set()

    @property
    def now_ns(self) -> int:
        """The time of the newest setpoint: what is done now acts on the next."""
        return self.rows[-1][0] if self.rows else self.clock.t_ns

    def note(self, kind: str) -> None:
        self.events.append(Event(self.now_ns, kind))

    def emit(self, dt_s: float, t_ns: int) -> None:
        """One setpoint, written down; the arm goes there, or part of the way."""
        setpoint = self.gate.setpoint(dt_s)
        self.q = self.q * self.lag + setpoint * (1.0 - self.lag)
        if self.block:
            self.q[:-1] = np.clip(self.q[:-1], *self.block)
        self.setpoints.append(setpoint)
        self.rows.append((t_ns, setpoint, self.q.copy()))

    def log(self) -> MotionLog:
        return MotionLog.of(*map(list, zip(*self.rows)))


@dataclass
class Story:
    """What one adversary does. Its theme says how often it does what."""

    seed: int
    witness: Witness
    rng: np.random.Generator
    theme: str
    leases: list[int] = field(default_factory=lambda: [0])
    source: str = "policy"
    episode: str = EPISODE
    old: list[Proposal] = field(default_factory=list)
    phase: float = 0.0
    decisions: list[Decision] = field(default_factory=list)
    line: bool | None = None
    """What the e-stop goes on saying, once it has said a word."""
    motions: Motions | None = None
    is_nudging: bool = False

    def __post_init__(self) -> None:
        if self.theme == "nudges":
            self.source, self.episode = MOTION, ""
        elif self.chance(0.5):
            self.source = str(self.pick(*SOURCES))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, *of: object) -> object:
        return of[int(self.rng.integers(len(of)))]

    # -- what is proposed --------------------------------------------------------------

    def values(self) -> tuple[Sequence[float], Kind]:
        """Seven numbers, most of them a motion."""
        rng, high = self.rng, np.array(self.witness.gate.spec.high)
        size = 10.0 ** rng.uniform(-2, 1) if self.chance(0.3) else 1.0
        v = rng.uniform(-1, 1, 7) * high * size
        v[6] = rng.uniform(0, 1) if self.chance(0.9) else rng.normal(0, 3)
        if self.theme == "corners":
            v[:6] = high[:6] * rng.choice([-1.0, 0.0, 1.0], 6)
        elif self.theme == "walk":
            drift_m = 0.03 * np.array([np.sin(self.seed), np.cos(self.seed), 0.0])
            v[:3] = np.clip(rng.normal(drift_m, 0.03), -0.05, 0.05)
        elif self.theme == "sweep":
            self.phase += 0.2 * (1 + len(self.decisions))
            v[:6] = high[:6] * np.sin(self.phase + np.arange(6)) * (1 + self.seed % 3)
        elif self.theme == "pi":
            axis = rng.normal(size=3)
            v[3:6] = axis / np.linalg.norm(axis) * (np.pi + rng.choice([-1, 0, 1]) * 10.0 ** rng.uniform(-16, -1))
        if self.chance(0.6 if self.theme == "numbers" else 0.02):
            v[int(rng.integers(7))] = self.pick(*AWKWARD)
        if self.chance(0.5 if self.theme == "homing" else 0.03):
            return self.joint_target(), Kind.JOINT_TARGET
        if self.chance(0.01):
            return v[: int(rng.integers(7))], Kind.TOOL_DELTA
        return v, Kind.TOOL_DELTA

    def joint_target(self) -> Sequence[float]:
        robot = self.witness.params.robot
        if self.chance(0.4):
            return [*robot.home_rad, 1.0]
        low, high = np.array(robot.joint_lower_rad), np.array(robot.joint_upper_rad)
        q = self.rng.uniform(low - 0.5, high + 0.5)
        if self.chance(0.5):
            q = self.witness.q[:-1] + self.rng.normal(0, 0.3, robot.dof)
        if self.chance(0.05):
            q[0] = self.pick(*AWKWARD)
        return [*q, self.rng.uniform()]

    def own_motion(self) -> tuple[Sequence[float], Kind]:
        """What ``episode_node`` would propose: a nudge's next part, or the way home's after it, and again."""
        if self.motions is None:
            self.motions = motions_of(self.witness.params)
            self.set_out()
        while (part := self.motions.proposal("", 0, 0, self.witness.q)) is None:
            self.set_out()
        return part.values, part.kind

    def set_out(self) -> None:
        assert self.motions is not None
        self.is_nudging = not self.is_nudging
        self.motions.follow(self.legs()) if self.is_nudging else self.motions.go_home()

    def legs(self) -> Sequence[Leg]:
        """A nudge, or carrying, about the hand, under the table and beyond walls too; all of it, or its end."""
        rng, at = self.rng, self.witness.kinematics.tool_pose(self.witness.q[:-1])[0]
        states = np.concatenate([at + rng.normal(0, 0.1, (8, 3)), np.zeros((8, 4))], axis=1)
        goal = at + rng.normal(0, 0.2, 3)
        pushes = pushing(stroke(states, rng.uniform(0, 1, 8), goal, rng))
        legs = carry(states[0, :3], goal, rng) if self.chance(0.3) else pushes
        return legs[int(rng.integers(len(legs))) :]

    def propose(self) -> None:
        """A proposal for the open step; some of them are somebody else's, old, or made up."""
        tick, rng = self.witness.gate.open_tick, self.rng
        if tick is None:
            return
        is_own = self.theme == "nudges" and self.chance(0.9)
        values, kind = self.own_motion() if is_own else self.values()
        more = {"kind": kind, "source": self.source, "episode_id": self.episode, "lease": self.leases[-1]}
        more |= {"observation_stamp_ns": 0} if is_own else {}
        if self.chance(0.35 if self.theme == "replay" else 0.03):
            lies = {
                "seq": int(rng.integers(-2, 9)),
                "step": int(rng.integers(0, 9)),
                "lease": int(self.pick(*self.leases)),
                "source": str(self.pick(*SOURCES, "nobody")),
                "episode_id": str(self.pick("", EPISODE, "run-00009")),
                "spec_digest": "0" * 16,
                "observation_stamp_ns": int(self.witness.clock.t_ns + rng.normal(0, 1e9)),
            }
            for name in rng.choice(list(lies), int(rng.integers(1, 3)), replace=False):
                more[str(name)] = lies[str(name)]
        proposal = self.witness.proposal(values, tick.step, **more)
        self.witness.own |= {proposal.seq} if is_own else set()
        if self.old and self.chance(0.4 if self.theme == "replay" else 0.02):
            proposal = self.old[int(rng.integers(len(self.old)))]
        self.old.append(proposal)
        if self.witness.gate.judge(proposal) and self.witness.params.time == "real":
            self.advance(rng.uniform(1e-4, 2e-3))

    # -- what else is done to it ---------------------------------------------------------

    def take_lease(self) -> None:
        source = self.source if self.chance(0.9 if self.theme == "nudges" else 0.5) else str(self.pick(*SOURCES))
        duration_s = float(self.pick(0.05, 0.3, 1.0, 5.0, math.nan, -1.0, math.inf, 0.0)) if self.chance(0.5) else 5.0
        episode = str(self.pick(EPISODE, EPISODE, "", "run-00001"))
        number, _ = self.witness.gate.acquire(source, episode, duration_s)
        if number:
            self.leases.append(number)
            self.source, self.episode = source, episode

    def lease_act(self) -> None:
        number, gate = int(self.pick(*self.leases)), self.witness.gate
        act = self.pick("take", "take", "renew", "release")
        if act == "take":
            self.take_lease()
        elif act == "renew":
            gate.renew(number, float(self.pick(0.1, 2.0, math.nan)))
        else:
            gate.release(number)

    def damage_joints(self) -> None:
        w, rng = self.witness, self.rng
        names, positions = list(w.names), [*w.q[:-1], w.params.robot.finger_m(w.q[-1])]
        act = self.pick("drop", "nan", "shuffle", "double", "extra", "far", "jam", "mute", "mute")
        if act == "drop":
            names, positions = names[1:], positions[1:]
        elif act == "nan":
            positions[int(rng.integers(len(names)))] = self.pick(*AWKWARD[:5])
        elif act == "shuffle":
            order = rng.permutation(len(names))
            names, positions = [names[i] for i in order], [positions[i] for i in order]
        elif act == "double":
            names[0] = names[1]
        elif act == "extra":
            names, positions = [*names, "tail"], [*positions, math.nan if self.chance(0.3) else 0.1]
        elif act == "far":
            positions[int(rng.integers(len(names) - 1))] += float(rng.choice([-1, 1]) * rng.uniform(7, 100))
        elif act == "jam":
            w.q[:-1], w.block = w.q[:-1] + rng.normal(0, 0.05, len(names) - 1), None
            positions = [*w.q[:-1], positions[-1]]
        elif act == "mute":
            w.mute = not w.mute
        w.gate.on_joints(names, positions, w.clock.t_ns)

    def stop_act(self) -> None:
        w, gate = self.witness, self.witness.gate
        act = self.pick("stop", "estop", "hold", "free", "free", "doubled", "clear", "clear", "arm", "arm", "wrong arm")
        if act == "stop":
            gate.stop("stream")
        elif act == "estop":
            self.say(self.chance(0.5))
        elif act in ("hold", "free"):
            gate.hold(act == "hold")
            gate.doubled(int(act == "hold" and self.chance(0.3)))
        elif act == "clear":
            self.say(False)
            for latch in gate.state().latches:
                gate.clear(latch)
        elif act == "arm":
            self.arm()
        elif act == "wrong arm" and gate.arm(BOOT + 1) == "":
            w.events.append(Event(-1, "armed with a wrong boot id"))
        self.look()

    def say(self, pressed: bool) -> None:
        self.line = pressed
        self.witness.gate.estop(pressed)

    def arm(self) -> None:
        was = self.witness.gate.armed
        if self.witness.gate.arm(BOOT) == "" and not was:
            self.witness.note("armed")
            self.take_lease()

    def look(self) -> None:
        """Write down a STOP, whoever asked for it."""
        is_armed = bool(self.witness.events and self.witness.events[-1].kind == "armed")
        if is_armed and not self.witness.gate.armed:
            self.witness.note("gave way" if FROZEN in self.witness.gate.state().latches else "stop")

    def obstruct(self) -> None:
        """Something is in the way of some joints, in front of them or just behind; or gone."""
        w, rng = self.witness, self.rng
        q, joints = w.q[:-1], len(w.q) - 1
        room = np.where(rng.random(joints) < 0.5, np.inf, rng.uniform(0.0, 0.3, (2, joints)))
        w.block = (q - room[0], q + room[1]) if self.chance(0.6) else None

    # -- time ----------------------------------------------------------------------------

    def advance(self, dt_s: float) -> None:
        """Real time: the clock goes on, the arm speaks, a setpoint goes out."""
        w, before_ns = self.witness, self.witness.clock.t_ns
        w.clock.advance(dt_s)
        w.wall.advance(dt_s)
        if not w.mute:
            w.sense()
        if self.line is not None:
            w.gate.estop(self.line)
        w.gate.state()
        self.look()
        w.emit(min((w.clock.t_ns - before_ns) / 1e9, 2 * TICK_S), w.clock.t_ns)

    def disturb(self) -> None:
        rates = {"leases": (0.5, 0.02, 0.02), "joints": (0.03, 0.5, 0.1), "stops": (0.05, 0.03, 0.5)}
        for p, act in zip(
            rates.get(self.theme, (0.04, 0.02, 0.04)), (self.lease_act, self.damage_joints, self.stop_act)
        ):
            if self.chance(p):
                act()
                self.look()

    def period(self) -> None:
        """One control period; the proposal, if any, comes at its start or somewhere within it."""
        w, real = self.witness, self.witness.params.time == "real"
        if self.theme == "pressed" and self.chance(0.5):
            self.obstruct()
        w.gate.begin_period(w.clock.t_ns)
        start_ns, ticks = w.clock.t_ns, 20
        due = 0 if self.chance(0.7) else int(self.rng.integers(ticks))
        upset = int(self.rng.integers(ticks))
        for i in range(ticks):
            if i == due and self.chance(0.95):
                self.propose()
                if self.chance(0.1):
                    self.propose()
            if i == upset:
                self.disturb()
            if real:
                self.advance(TICK_S if self.chance(0.5) else self.rng.uniform(0.005, 0.02))
            else:
                w.gate.state()
                self.look()
                w.emit(TICK_S, start_ns + (i + 1) * 10_000_000)
        self.decisions.append(w.gate.end_period())
        if not real:
            w.clock.set_ns(start_ns + ticks * 10_000_000)
            if not w.mute:
                w.sense()
        self.look()


THEMES = ("numbers", "corners", "walk", "sweep", "pi", "replay", "leases", "joints", "stops", "homing", "nudges",
          "pressed")  # fmt: skip


@cache
def motions_of(params: GateParams) -> Motions:
    """The motions of ``episode_node``, made once a process; a story sets out anew."""
    return Motions(params.robot, EpisodeParams(), params.rate_hz, params.mjcf)


@cache
def tools(arm: str = "wx250s") -> tuple[Kinematics, Oracle, GateParams]:
    """Kinematics of an arm, an oracle and the settings of both; made once a process."""
    params = settings_of(arm=arm)
    kinematics = Kinematics(params.robot, params.mjcf, params.safety.joint_margin_rad)
    return (
        kinematics,
        Oracle(params.robot, params.safety, kinematics, unevenness=UNEVEN, follows_rad=FOLLOWS_RAD),
        params,
    )


@dataclass(frozen=True)
class Outcome:
    """What came of one stream."""

    seed: int
    theme: str
    violations: tuple[Violation, ...]
    moved: bool
    accepted: tuple[str, ...]
    """The source of each step that was accepted."""
    refused: int
    nudged: int
    """Steps that were part of a nudge."""


def run(seed: int, longest: int = 5, arm: str = "wx250s") -> Outcome:
    """Play the stream of a seed and judge it."""
    kinematics, oracle, _ = tools(arm)
    rng = np.random.default_rng(seed)
    theme, time = THEMES[seed % len(THEMES)], "real" if (seed // len(THEMES)) % 3 == 0 else "lockstep"
    witness = Witness(time, kinematics, lag=float(rng.choice([0.0, 0.0, 0.3])), arm=arm)
    story = Story(seed, witness, rng, theme)
    witness.emit(TICK_S, witness.clock.t_ns)
    if rng.random() < 0.95:
        witness.armed(story.source, story.episode)
        witness.note("armed")
        story.leases.append(witness.lease)
    for _ in range(int(rng.integers(2, longest + 1))):
        story.period()
    return judged(story, oracle)


def judged(story: Story, oracle: Oracle) -> Outcome:
    """The oracle's word, and that of the decisions: finite, and nothing refused was commanded."""
    log = story.witness.log()
    found = oracle.judge(log, story.witness.events)
    found += [
        Violation("wrong arm", e.t_ns, e.kind)
        for e in story.witness.events
        if e.kind not in ("armed", "stop", "gave way")
    ]
    for d in story.decisions:
        if not (len(d.allowed) == 7 and np.all(np.isfinite(d.allowed))):
            found.append(Violation("decision", d.stamp_ns, f"expected 7 finite numbers, got {d.allowed}"))
    accepted = tuple(d.source for d in story.decisions if d.source)
    moved = bool(np.max(np.ptp(log.setpoint, axis=0)) > 1e-4)
    nudged = sum(d.seq in story.witness.own for d in story.decisions if d.source == MOTION)
    refused = len(story.decisions) - len(accepted)
    return Outcome(story.seed, story.theme, tuple(found), moved, accepted, refused, nudged)


def run_many(seeds: Sequence[int], arm: str = "wx250s") -> tuple[list[Outcome], Counter[str]]:
    """Play many; return the outcomes with violations, and counts of what happened."""
    counts: Counter[str] = Counter()
    bad: list[Outcome] = []
    for seed in seeds:
        outcome = run(seed, arm=arm)
        counts["streams"] += 1
        counts["moved"] += outcome.moved
        counts["accepted"] += len(outcome.accepted)
        counts.update(f"by {source}" for source in outcome.accepted)
        counts["nudged"] += outcome.nudged
        counts["refused"] += outcome.refused
        counts[outcome.theme] += outcome.moved
        if outcome.violations:
            bad.append(outcome)
    return bad, counts
