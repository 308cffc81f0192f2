from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armtune_policies.contract import Checked, ConfigError, choice, flatten, num, text


@dataclass(frozen=True, kw_only=True)
class Inner(Checked):
    low_m: tuple[float, ...] = num(low=-1, high=1)


@dataclass(frozen=True, kw_only=True)
class Outer(Checked):
    rate_hz: float = num(5.0, low=1, high=50)
    time: str = choice("real", of=("real", "lockstep"))
    names: tuple[str, ...] = text(())
    inner: Inner = text()


def outer(**values: object) -> Outer:
    return Outer.from_mapping({"inner": {"low_m": [0.5]}, **values})


def test_values_are_normalised_to_the_declared_types() -> None:
    made = outer(rate_hz=10)
    assert made.rate_hz == 10.0
    assert isinstance(made.rate_hz, float)
    assert made.inner.low_m == (0.5,)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate_hz": "5"}, "expected float, got '5'"),
        ({"rate_hz": True}, "expected float, got True"),
        ({"rate_hz": 0.0}, "expected a number in [1, 50], got 0.0"),
        ({"rate_hz": math.nan}, "expected a finite number, got nan"),
        ({"time": "fast"}, "expected one of real, lockstep; got 'fast'"),
        ({"names": "front"}, "expected a list, got 'front'"),
        ({"speed": 1.0}, "unknown key 'speed'; known: inner, names, rate_hz, time"),
        ({"inner": {"low_m": [0.0, 2.0]}}, "low_m: expected a number in [-1, 1], got 2.0"),
        ({"inner": {}}, "missing key 'low_m'"),
    ],
)
def test_a_bad_value_is_refused_in_words_that_say_expected_and_got(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        outer(**values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("at", "says"), [(None, "Outer.inner.low_m: "), ("", "inner.low_m: "), ("x", "x.inner.low_m: ")]
)
def test_a_value_within_settings_is_named_as_a_user_would_set_it(at: str | None, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Outer.from_mapping({"inner": {"low_m": [2.0]}}, at)
    assert str(refused.value).startswith(says)


@given(st.floats())
def test_only_numbers_within_range_are_accepted(value: float) -> None:
    if 1 <= value <= 50:
        assert outer(rate_hz=value).rate_hz == value
    else:
        with pytest.raises(ConfigError):
            outer(rate_hz=value)


def test_flat_names_build_the_same_settings_again() -> None:
    assert flatten(outer()) == {"rate_hz": 5.0, "time": "real", "inner.low_m": [0.5]}
