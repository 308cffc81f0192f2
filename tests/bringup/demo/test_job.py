from __future__ import annotations

from pathlib import Path

import pytest

from armtune_bringup.demo.folder import Folder
from armtune_bringup.demo.job import in_use, run_demo
from armtune_policies.contract import ConfigError
from armtune_policies.runtime.policy import Policy
from fixtures.console import write_run
from fixtures.tiny_models import ACTION, OBSERVATION, tiny_head, tiny_policy


def test_what_is_measured_after_practice_is_what_its_last_episode_was_acted_by(tmp_path: Path) -> None:
    first = Policy.load(tiny_policy(tmp_path / "first"), ACTION, OBSERVATION)
    for number in (1, 2):
        tiny_head(tmp_path / "run" / "models" / f"head-{number:04d}", tmp_path / "first", seed=number)
    older, newer = (first.with_head(tmp_path / "run" / "models" / f"head-{number:04d}") for number in (1, 2))
    assert len({first.version, older.version, newer.version}) == 3
    assert in_use(Folder(tmp_path / "run"), first).version == first.version
    write_run(tmp_path, "run", "ts", policy=older.version)  # the guard went back from the newer one
    assert in_use(Folder(tmp_path / "run"), first).version == older.version


@pytest.mark.parametrize(("override", "more", "says"), [
    ("task=lid", {"fast": True}, "no agent is shipped for task lid and these cameras; add --anew"),
    ("agent.utd=2", {}, "agent.utd=2: the agent that is shipped for drawer is trained already; add --anew"),
    ("experiment.demos=5", {"fast": True}, "experiment.demos=5: the agent that is shipped for drawer is trained"),
    ("practice.steps=5", {"anew": True}, "neither episodes nor practice"),
    ("experiment.steps=0", {"anew": True}, "N > 0"),
])  # fmt: skip
def test_what_would_be_ignored_is_refused_before_anything_is_written(
    tmp_path: Path, override: str, more: dict[str, bool], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        run_demo([override, f"experiment.folder={tmp_path}"], **more)
    assert not list(tmp_path.iterdir())
