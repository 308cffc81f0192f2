"""Words of a benchmark's command line: its own with their types, the rest untouched, a slip told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from armtune_policies.contract import ConfigError
from benchmarks import console, crash, soak
from benchmarks._words import only_ours, read_words

pytestmark = pytest.mark.unhurried
OURS = {"minutes": 3.0, "seed": 0, "seeds": [0, 1], "noise": "", "folder": "runs/x"}


def test_own_words_have_the_type_of_their_default_and_the_rest_is_untouched() -> None:
    told, rest = read_words("x", ["minutes=2", "task=drawer", "seeds=[3]", "noise=", "folder=7", "a=b=c"], OURS)
    assert told == {"minutes": 2.0, "seed": 0, "seeds": [3], "noise": "", "folder": "7"}
    assert isinstance(told["minutes"], float) and rest == ["task=drawer", "a=b=c"]
    assert OURS["minutes"] == 3.0


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("quick", "armtune bench x: expected name=value, as in minutes=3.0, got 'quick'; `armtune bench x --help`"),
        ("=3", "expected name=value"),
        ("minutes=soon", "minutes: expected a number, as in 'minutes=3.0', got 'soon'"),
        ("minutes=.nan", "minutes: expected a number of at least 0, got .nan"),
        ("minutes=-1", "minutes: expected a number of at least 0, got -1"),
        ("seed=1.5", "seed: expected a whole number, as in 'seed=0', got '1.5'"),
        ("seed=yes", "seed: expected a whole number"),
        ("seeds=3", "seeds: expected a list, as in 'seeds=[0, 1]', got '3'"),
        ("seeds=[", "seeds: expected a list"),
    ],
)
def test_slip_is_told_with_what_was_expected(word: str, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_words("x", [word], OURS)
    assert str(told.value).startswith(says) or says in str(told.value)


@pytest.mark.parametrize(
    ("main", "words", "says"),
    [
        (crash.main, ["n=many"], "n: expected a whole number, as in 'n=200', got 'many'"),
        (crash.main, ["kills=3"], "armtune bench crash: expected some of n; got 'kills=3'"),
        (console.main, ["watchers=3"], "armtune bench console: expected some of viewers, seconds; got 'watchers=3'"),
        (soak.main, ["minutes=long"], "minutes: expected a number, as in 'minutes=60.0', got 'long'"),
    ],
)
def test_benchmarks_refuse_a_slip_before_they_begin(
    main: Callable[[list[str]], Any], words: list[str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says.replace("[", r"\[")):
        main(words)


def test_what_is_left_over_is_refused_where_there_are_no_overrides() -> None:
    only_ours("x", [], OURS)
    with pytest.raises(ConfigError, match="expected some of minutes, seed, seeds, noise, folder; got 'task=drawer'"):
        only_ours("x", ["task=drawer"], OURS)
