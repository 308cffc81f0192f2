"""Who acts in practice and in evaluation, and what a run that goes on begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armtune_policies.contract import ActionSpec, ObservationSpec
from armtune_policies.runtime.policy import Policy
from armtune_policies.runtime.seats import FILE, Seats

MakeModel = Callable[..., Path]
SPEC, ACTION = ObservationSpec(height_px=16, width_px=16), ActionSpec()


@pytest.fixture
def seats(make_model: MakeModel, tmp_path: Path) -> Callable[[], Seats]:
    """Take seats as ``policy_node`` does when it is started."""
    first = make_model("first")
    return lambda: Seats(Policy.load(first, ACTION, SPEC), tmp_path / "run")


def test_guest_acts_in_evaluation_alone_and_practice_goes_on_as_it_was(
    seats: Callable[[], Seats], make_model: MakeModel, other_head: bytes
) -> None:
    one = seats()
    one.invite(make_model("guest", kind="head", head=other_head), "guest", "")
    one.offer(make_model("learnt", kind="head"), "learnt", "")
    assert one.settle(10.0) and one.state.guest_version.startswith("guest-")
    one.at_episode_start(is_evaluation=True)
    assert one.current.version.startswith("guest-") and one.state.waiting_version.startswith("learnt-")
    one.at_episode_start(is_evaluation=False)
    assert one.current.version.startswith("learnt-")
    one.at_episode_start(is_evaluation=True)
    assert one.state.active_version.startswith("guest-")
    one.close()


def test_what_practice_was_refused_is_told_whatever_a_guest_was(
    seats: Callable[[], Seats], make_model: MakeModel, tmp_path: Path
) -> None:
    one = seats()
    one.invite(tmp_path / "nobody", "guest-1", "")
    assert one.settle(10.0) and one.state.refused_version == "guest-1"
    one.offer(tmp_path / "nothing", "learnt-1", "")
    assert one.settle(10.0) and one.state.refused_version == "learnt-1"
    one.close()


def test_a_guest_that_is_refused_is_told_whatever_practice_was_refused_before(
    seats: Callable[[], Seats], tmp_path: Path
) -> None:
    one = seats()
    one.offer(tmp_path / "nothing", "learnt-1", "")
    assert one.settle(10.0)
    one.invite(tmp_path / "nobody", "guest-1", "")
    assert one.settle(10.0) and one.state.refused_version == "guest-1"
    one.close()


def test_offer_of_what_acts_already_takes_back_the_one_that_waits(
    seats: Callable[[], Seats], make_model: MakeModel, other_head: bytes
) -> None:
    """As the learner's guard does, which goes back before a worse head was ever swapped in."""
    one = seats()
    good, worse = make_model("good", kind="head"), make_model("worse", kind="head", head=other_head)
    one.offer(good, "good", "")
    assert one.settle(10.0)
    one.at_episode_start(is_evaluation=False)
    acting = one.current.version
    one.offer(worse, "worse", "")
    one.offer(good, acting, "")
    assert one.settle(10.0) and one.state.waiting_version == ""
    one.at_episode_start(is_evaluation=False)
    assert one.current.version == acting
    one.close()


def test_without_a_guest_practices_policy_is_what_is_evaluated(seats: Callable[[], Seats]) -> None:
    one = seats()
    one.at_episode_start(is_evaluation=True)
    assert one.current.version.startswith("first-") and one.state.guest_version == ""
    one.close()


def test_run_that_goes_on_begins_with_what_practice_acted_by_last_and_never_with_a_guest(
    seats: Callable[[], Seats], make_model: MakeModel, other_head: bytes
) -> None:
    one = seats()
    one.offer(make_model("learnt", kind="head"), "learnt", "")
    one.invite(make_model("guest", kind="head", head=other_head), "guest", "")
    assert one.settle(10.0)
    for is_evaluation in (False, True):
        one.at_episode_start(is_evaluation)
    assert one.settle(10.0)
    one.close()
    again = seats()
    assert again.current.version.startswith("learnt-") and again.trouble == ""
    again.close()


def test_run_whose_last_head_is_gone_begins_with_its_first_policy_and_says_why(
    seats: Callable[[], Seats], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).write_text('{"folder": "gone"}')
    one = seats()
    assert one.current.version.startswith("first-") and "not with what it acted by last" in one.trouble
    one.close()
