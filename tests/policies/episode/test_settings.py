"""Settings of an episode: the shipped file says what the code means by default, and nothing that it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from armtune_policies.contract import ConfigError
from armtune_policies.episode.settings import EpisodeParams

SHIPPED = Path(__file__).resolve().parents[3] / "configs/episode/default.yaml"


def test_shipped_file_is_what_the_code_does_without_one() -> None:
    assert EpisodeParams.from_mapping(yaml.safe_load(SHIPPED.read_text())) == EpisodeParams()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"vote_need": 4}, "expected at most vote_window"),
        ({"stuck": 5}, "stuck: expected more than max_failures"),
        ({"vote_neeed": 2}, "vote_neeed"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, int], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        EpisodeParams.from_mapping({**yaml.safe_load(SHIPPED.read_text()), **given})
