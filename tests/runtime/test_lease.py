from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from armtune_runtime.lease import ANSWER_NS, RETRY_NS, Ask, LeaseKeeper


def holding(lease: int = 7, episode: str = "run-00000") -> LeaseKeeper:
    keeper = LeaseKeeper()
    keeper.want(episode)
    ask = keeper.due(0)
    assert ask == Ask(episode)
    keeper.answered(ask, True, lease, 0)
    return keeper


def test_nothing_is_asked_when_no_episode_is_wanted() -> None:
    assert LeaseKeeper().due(0) is None


def test_one_call_is_open_at_a_time_when_the_gate_is_slow() -> None:
    keeper = LeaseKeeper()
    keeper.want("a")
    assert keeper.due(0) == Ask("a")
    assert keeper.due(ANSWER_NS - 1) is None
    assert keeper.due(ANSWER_NS) == Ask("a")


def test_call_is_repeated_after_a_pause_when_refused() -> None:
    keeper = LeaseKeeper()
    keeper.want("a")
    keeper.answered(keeper.due(0), False, 0, 1)
    assert keeper.due(RETRY_NS) is None
    assert keeper.due(RETRY_NS + 1) == Ask("a")


def test_lease_is_released_when_the_episode_is_over() -> None:
    keeper = holding(7, "a")
    assert keeper.due(1) is None
    keeper.want("")
    assert keeper.due(2) == Ask("a", 7)
    keeper.answered(Ask("a", 7), True, 0, 3)
    assert keeper.lease == 0 and keeper.due(4) is None


def test_lease_is_kept_when_the_gate_names_it() -> None:
    keeper = holding(7, "a")
    keeper.seen(7, 1)
    assert keeper.due(10 * RETRY_NS) is None and keeper.lease == 7


def test_lease_is_given_back_first_when_the_next_episode_is_wanted() -> None:
    keeper = holding(7, "a")
    keeper.want("b")
    assert keeper.due(1) == Ask("a", 7)
    keeper.answered(Ask("a", 7), True, 0, 2)
    assert keeper.due(3) == Ask("b")


def test_lease_is_given_back_when_granted_after_the_episode_ended() -> None:
    keeper = LeaseKeeper()
    keeper.want("a")
    ask = keeper.due(0)
    keeper.want("")
    keeper.answered(ask, True, 9, 1)
    assert keeper.due(2) == Ask("a", 9)


def test_lease_is_not_given_back_when_its_holder_fell_silent() -> None:
    keeper = holding(7, "a")
    keeper.fall_silent()
    keeper.want("")
    assert keeper.due(1) is None and keeper.due(10 * ANSWER_NS) is None
    keeper.want("a")
    assert keeper.due(10 * ANSWER_NS) is None and keeper.lease == 7, "it had not run out"
    keeper.seen(0, 10 * ANSWER_NS)
    assert keeper.due(10 * ANSWER_NS) == Ask("a")


def test_lease_granted_to_one_who_fell_silent_meanwhile_runs_out_too() -> None:
    keeper = LeaseKeeper()
    keeper.want("a")
    ask = keeper.due(0)
    keeper.fall_silent()
    keeper.answered(ask, True, 9, 1)
    assert keeper.due(2) is None


def test_lease_is_asked_for_again_when_the_gate_names_another_holder() -> None:
    keeper = holding(7, "a")
    keeper.seen(3, RETRY_NS)
    assert keeper.lease == 7, "a state sent before the grant may come after it"
    keeper.seen(3, RETRY_NS + 1)
    assert keeper.lease == 0
    assert keeper.due(2 * RETRY_NS) == Ask("a")


def test_lease_is_lost_when_the_gate_took_it_back_right_after_granting_it() -> None:
    keeper = holding(7, "a")
    keeper.seen(7, 1)
    keeper.seen(0, 2)
    assert keeper.due(RETRY_NS) is None and keeper.lease == 7
    assert keeper.due(RETRY_NS + 1) == Ask("a") and keeper.lease == 0


@given(st.lists(st.tuples(st.sampled_from("wgrds"), st.integers(0, 3)), max_size=40))
def test_at_most_one_call_is_open_whatever_happens(events: list[tuple[str, int]]) -> None:
    keeper, now_ns, open_calls = LeaseKeeper(), 0, []
    for kind, number in events:
        now_ns += 100_000_000
        if kind == "w":
            keeper.want(("", "a", "b", "c")[number])
        elif kind == "s":
            keeper.seen(number, now_ns)
        elif kind == "d":
            ask = keeper.due(now_ns)
            if ask:
                assert all(now_ns - t_ns >= ANSWER_NS for _, t_ns in open_calls)
                open_calls.append((ask, now_ns))
        elif open_calls:
            keeper.answered(open_calls.pop()[0], kind == "g", number, now_ns)


def test_free_arm_is_asked_for_at_once_after_a_refusal() -> None:
    keeper = LeaseKeeper()
    keeper.want("a")
    keeper.answered(keeper.due(0), False, 0, 1)
    assert keeper.due(2) is None
    keeper.seen(0, 3)
    assert keeper.due(4) == Ask("a")


def test_steps_outside_an_episode_are_none_of_an_episodes() -> None:
    assert [Ask(word).counted for word in ("home", "hand", "run-00000")] == ["", "", "run-00000"]
