"""The contract: names, units, shapes, rates and digests everyone shares.

The leaf of the house: standard library only, imports nothing of ours. Read ``step`` and
``spec`` first; the rest is vocabulary.
"""

from . import topics
from .checked import AS_TRAINED, Checked, ConfigError, choice, flatten, num, text
from .clock import Clock, ManualClock, SteadyClock
from .digest import digest, file_digest
from .modes import HOLD_REQUESTED, OPERATOR, OPERATOR_LOST, PRIORITY, SINGULAR, WALL, Kind, Mode, Verdict
from .spec import STATE_NAMES, STATE_UNITS, ActionSpec, ObservationSpec, contract_digest
from .step import Decision, Proposal, RewardAnswer, StepTick
from .task import DIRECTIONS, Direction, TaskPair, opposite

__all__ = [
    "AS_TRAINED",
    "DIRECTIONS",
    "HOLD_REQUESTED",
    "OPERATOR",
    "OPERATOR_LOST",
    "PRIORITY",
    "SINGULAR",
    "STATE_NAMES",
    "STATE_UNITS",
    "WALL",
    "ActionSpec",
    "Checked",
    "Clock",
    "ConfigError",
    "Decision",
    "Direction",
    "Kind",
    "ManualClock",
    "Mode",
    "ObservationSpec",
    "Proposal",
    "RewardAnswer",
    "SteadyClock",
    "StepTick",
    "TaskPair",
    "Verdict",
    "choice",
    "contract_digest",
    "digest",
    "file_digest",
    "flatten",
    "num",
    "opposite",
    "text",
    "topics",
]
