"""What the judge's commands are told: a config, and how to label, train and calibrate beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from armtune_bringup.compose import compose, set_apart
from armtune_bringup.settings import Config
from armtune_policies.contract import DIRECTIONS, ConfigError
from armtune_policies.reward.calibrate import CalibrationParams
from armtune_policies.reward.gather import LabelParams
from armtune_policies.reward.metrics import VoteRule

if TYPE_CHECKING:
    from armtune_policies.learn.reward.fit import FitParams

OnStep = Callable[[str, int, int], None]
"""Told what is worked at, how far it is, and how far it goes."""


@dataclass(frozen=True)
class Judging:
    """What the overrides say beside the config: ``fit.updates=4000 label.dropped=3 calibration.abstained=0.02``."""

    config: Config
    seed: int | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)
    label: LabelParams = field(default_factory=LabelParams)
    calibration: CalibrationParams = field(default_factory=CalibrationParams)

    @property
    def fit_params(self) -> FitParams:
        from armtune_policies.learn.reward.fit import FitParams

        return FitParams.from_mapping(self.fit)

    @property
    def questions(self) -> tuple[str, ...]:
        return tuple(self.config.task.sentence(direction) for direction in DIRECTIONS)


def read_overrides(overrides: Sequence[str]) -> Judging:
    """Take the judge's settings and ``seed=`` out of the overrides and compose the rest.

    Raises:
        ConfigError: one sentence that names what is wrong.
    """
    groups, others = set_apart(overrides, "fit", "label", "calibration")
    seed, rest = None, []
    for override in others:
        name, _, value = override.partition("=")
        if name != "seed":
            rest.append(override)
        elif value.isdecimal():
            seed = int(value)
        else:
            raise ConfigError(f"override {override!r}: expected a whole number, as in seed=3")
    label, calibration = (
        LabelParams.from_mapping(groups["label"]),
        CalibrationParams.from_mapping(groups["calibration"]),
    )
    return Judging(compose(rest), seed, groups["fit"], label, calibration)


def rule_of(config: Config) -> VoteRule:
    """Return the vote of a config."""
    return VoteRule(config.episode.vote_need, config.episode.vote_window, config.episode.vote_opening)
