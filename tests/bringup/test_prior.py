"""Prior episodes: eight variants of other tasks, and a second call makes only what is missing."""

from __future__ import annotations

from pathlib import Path

from armtune_bringup.compose import compose
from armtune_bringup.prior import Variant, make_prior, variants
from armtune_policies.store.episode_reader import list_episodes, read_episode


def test_there_are_eight_variants_of_other_tasks_whatever_is_practised() -> None:
    for task in ("drawer", "bin_sort", "lid"):
        found = variants(task)
        assert len({one.run_id for one in found}) == 8
        assert task not in {one.task for one in found} and len({(one.task, one.direction) for one in found}) == 4


def test_each_variant_has_its_steps_and_a_second_call_makes_what_is_missing(tmp_path: Path) -> None:
    config = compose(["task=drawer", "policy.height_px=32", "policy.width_px=32"])
    first = make_prior(config, tmp_path, steps=1)
    assert all(made.episodes == 1 and made.steps > 1 for made in first.values())
    names = [path.name for path in list_episodes(tmp_path)]
    (tmp_path / "episodes" / names[0]).unlink()
    told: list[Variant] = []
    again = make_prior(config, tmp_path, 1, lambda variant, made: told.append(variant) if made.episodes else None)
    assert len(told) == 8 and all(made.episodes == 1 for made in again.values())
    episodes = [read_episode(path) for path in list_episodes(tmp_path)]
    assert {one.sentence for one in episodes} == {
        compose([f"task={task}"]).task.sentence(d) for task in ("bin_sort", "lid") for d in ("forward", "backward")
    }
