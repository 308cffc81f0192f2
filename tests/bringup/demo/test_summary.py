from __future__ import annotations

from pathlib import Path

from armtune_bringup.demo.folder import Folder
from armtune_bringup.demo.summary import rates
from armtune_bringup.report import page
from armtune_bringup.report.facts import Practised, Rate
from armtune_policies.contract import TaskPair
from armtune_policies.store.files import write_json

TASK = TaskPair(name="drawer", forward="open it", backward="close it")


def test_rates_are_read_by_direction_and_label(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for label, won in (("before", 3), ("after", 9)):
        both = {"forward": {"successes": won, "n": 10}, "backward": {"successes": 10, "n": 10}}
        write_json(folder.measured(label), both)
    found = rates(folder, ("before", "after"))
    assert found["forward"] == {"before": Rate(3, 10), "after": Rate(9, 10)}


def test_the_page_says_every_rate_and_marks_every_episode() -> None:
    html = page.render(
        task=TASK,
        run_id="r",
        config_hash="abc",
        config="task: <drawer>",
        episodes=[Practised(0, "forward", "success", 7, "v1"), Practised(1, "backward", "timeout", 40, "v2")],
        steps=47,
        minutes=0.16,
        by_hand={"laid": 1, "lifts": 2},
        labels=("before",),
        rates={"forward": {"before": Rate(3, 10)}, "backward": {"before": Rate(10, 10)}},
        versions=["v1", "v2"],
        videos=[("videos/a.mp4", "forward, before practice")],
        models=[{"name": "policy", "digest": "d", "parity": 1e-6, "metrics": "loss 0.1"}],
        machine="2 cores",
    ).decode()
    assert "3/10 = 30%" in html
    assert html.count('<span class="success"') == 1
    assert "task: &lt;drawer&gt;" in html  # nothing of a config is markup
