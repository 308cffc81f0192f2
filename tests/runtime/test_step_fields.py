"""What is told of a row: its own episode's direction, and no more than came."""

from __future__ import annotations

from dataclasses import replace

import pytest

from armtune_policies.contract import Decision, Kind, Mode, RewardAnswer, Verdict
from armtune_policies.store.nouns import EpisodeState
from armtune_policies.store.step_table import Row
from armtune_runtime.step_fields import as_fields

OVER = EpisodeState(episode_id="run-00000", direction="forward", sentence="open it")
NEXT = EpisodeState(episode_id="run-00001", direction="backward", sentence="close it")


@pytest.mark.parametrize("state", [OVER, NEXT])
def test_row_is_told_by_the_state_of_its_own_episode(state: EpisodeState) -> None:
    told = as_fields(Row(state.episode_id, 3), OVER, NEXT)
    assert (told["direction"], told["sentence"]) == (state.direction, state.sentence)
    assert told["complete"] is False and not {"state", "allowed", "probability"} & set(told)
    assert "direction" not in as_fields(Row("run-00002", 0), OVER, NEXT)


def test_parts_that_came_are_told() -> None:
    head = (1, 1, OVER.episode_id, 3, "policy", 0, "v", 0)
    made = Decision(*head, Kind.TOOL_DELTA, (0.2,) * 7, (0.1,) * 7, ("speed",), "", Mode.RUN)
    row = replace(
        Row(OVER.episode_id, 3), decision=made, answer=RewardAnswer(OVER.episode_id, 3, 0.5, Verdict.YES, "m", 0.0)
    )
    told = as_fields(row, OVER)
    assert (told["proposed"], told["allowed"], told["limited_by"]) == ([0.2] * 7, [0.1] * 7, ["speed"])
    assert (told["source"], told["mode"], told["probability"]) == ("policy", int(Mode.RUN), 0.5)
    assert told["verdict"] == int(row.verdict) == int(Verdict.YES)
