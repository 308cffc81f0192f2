from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dots import GO, episode

from armtune_policies.contract import Verdict
from armtune_policies.reward.gather import PRACTICE, LabelParams, by_labels, by_rule
from armtune_policies.reward.sheet import Labelled, apply_labels, labels_of, page
from armtune_policies.store.labels import read_labels, write_labels

Y, N, U = Verdict.YES, Verdict.NO, Verdict.UNKNOWN


def test_what_the_page_holds_can_be_stored_as_it_is(tmp_path: Path) -> None:
    one = episode(3)
    begun = (N,) * (one.steps - 2) + (Y, U)
    text = page([Labelled(one, begun)], "operator", "front")
    assert text.count("<img") == one.steps and "http" not in text
    data = re.search(r"const data=(.*?),next=", text)
    assert data is not None
    (tmp_path / "labels.json").write_text(data[1])
    apply_labels(tmp_path / "labels.json", tmp_path, {one.episode_id: one}, 1, 1)
    back = read_labels(tmp_path, one, "operator")
    assert back.verdicts == begun and back.success_step == one.steps - 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "other"}, "as the contact sheet saves them"),
        ({"episodes": {"elsewhere": ["no"]}}, "not in this run"),
        ({"episodes": {"dots-00003": ["no"]}}, "expected .* of unknown, no, yes"),
    ],
)
def test_labels_of_something_else_are_refused_and_nothing_is_stored(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    one = episode(3)
    value = {"kind": "armtune-labels", "label_set": "operator", "episodes": {}, **change}
    (tmp_path / "l.json").write_text(json.dumps(value))
    with pytest.raises(ValueError, match=why):
        apply_labels(tmp_path / "l.json", tmp_path, {one.episode_id: one}, 2, 3)
    assert not (tmp_path / "labels").exists()


def test_practice_is_labelled_by_its_sidecar_and_without_one_left_out(tmp_path: Path) -> None:
    one, other = episode(3), episode(4)
    verdicts = [N] * (one.steps - 3) + [U, Y, Y]
    write_labels(tmp_path, labels_of("operator", one.episode_id, verdicts, 2, 3))
    frames = by_labels([one, other], tmp_path, "operator", (GO,), ("front",))
    assert frames.used() == (one.episode_id,) and frames.kinds == (PRACTICE,)
    assert len(frames) == one.steps - 1 and frames.is_success.tolist()[-2:] == [True, True]
    assert np.array_equal(frames.images["front"][-1], one.images["front"][-1])


def test_the_rule_labels_ends_and_beginnings_and_leaves_out_what_is_not_whole() -> None:
    one = episode(3)
    whole = one.complete.copy()
    whole[2] = False
    back = "undo it"
    frames = by_rule(
        [replace(one, complete=whole)], (GO, back), ("front",), LabelParams(positive=2, dropped=1, begun=1), {GO: back}
    )
    asked = {(int(q), int(s)): bool(y) for q, s, y in zip(frames.question, frames.step, frames.is_success)}
    last = one.steps - 1
    assert asked[0, last] and asked[0, last - 1] and (0, last - 2) not in asked and not asked[0, 0]
    assert asked[1, 0] and not asked[1, last] and (0, 2) not in asked
