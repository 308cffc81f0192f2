"""Who asked for practice or for a session of a person's, whether they are still there, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armtune_policies.contract import DIRECTIONS, Clock, topics
from armtune_policies.episode.events import Begin, Finish
from armtune_policies.episode.tally import Tally
from armtune_policies.store.nouns import DEMONSTRATION, EVALUATION, PRACTICE

SESSIONS = (topics.COLLECT, topics.CORRECT)
"""Goals beside which a person sits: the same command again goes on with what a killed one left."""
WATCHED = (*SESSIONS, topics.EVALUATE)
"""Goals that end when whoever asked is gone."""
PURPOSES = {topics.COLLECT: DEMONSTRATION, topics.EVALUATE: EVALUATION}
FOUND_S, GONE_S = 10.0, 1.0
"""How long whoever asked may take to be seen on the graph, and how long they may then be missing [s]."""


class GoalDesk:
    """Takes the goals of Practice actions, one at a time.

    Args:
        ros: ``rclpy.action``, which only nodes import.
        action: The action's type.
        clock: Steady.
        begin: Told to begin.
        taken_over: Called where nothing is to begin, for another session goes on with what is on.
        tally: Gives what it came to.
    """

    def __init__(
        self,
        ros: Any,
        action: Any,
        clock: Clock,
        begin: Callable[[Begin], object],
        taken_over: Callable[[], None],
        tally: Callable[[], Tally],
    ) -> None:
        self._ros, self._action, self._clock = ros, action, clock
        self._begin, self._taken_over, self._tally = begin, taken_over, tally
        self.is_open = self._is_ending = False
        self._goal: Any = None
        self._name, self._until_ns = "", 0
        self._finish = Finish(False, "")

    def serve(self, node: Any, name: str) -> Any:
        """Return the server of one action, to be destroyed."""
        ros, answer = self._ros, self._ros.GoalResponse
        return ros.ActionServer(
            node, self._action, name, self.result,
            goal_callback=lambda wish: answer.ACCEPT if self.takes(name, wish.direction) else answer.REJECT,
            cancel_callback=lambda _: ros.CancelResponse.ACCEPT,
            handle_accepted_callback=lambda goal: self.accepted(name, goal),
        )  # fmt: skip

    def takes(self, name: str, direction: str = "") -> bool:
        """Whether another goal may come; a session that was killed is taken over by the next of its kind.

        Not by one that comes while the killed one's arm is brought home: it comes again. Practice takes turns, so a
        direction is asked for in evaluation only.
        """
        is_known = not direction or (direction in DIRECTIONS and name == topics.EVALUATE)
        is_free = self._goal is None or (name == self._name and name in SESSIONS and not self._is_ending)
        return self.is_open and is_known and is_free

    def accepted(self, name: str, goal: Any) -> None:
        """Begin, unless another session's goes on.

        The goal is executed when practice is over: an awaiting coroutine is polled without pause.
        """
        before, self._goal, self._name, self._is_ending = self._goal, goal, name, False
        self._until_ns = self._clock.now_ns() + round(FOUND_S * 1e9)
        if before is not None:
            before.execute()
            self._taken_over()
        else:
            asked = goal.request
            self._begin(Begin(asked.episodes, asked.steps, PURPOSES.get(name, PRACTICE), asked.direction))

    def end_wanted(self, listeners: Callable[[str], int]) -> str:
        """Return why practice is to end, blank while it goes on: who asked has cancelled, or is gone without a word.

        Practice needs nobody beside it: a browser may close, a network fail for a night. A session needs its person.

        Args:
            listeners: Counts the subscribers of a topic; each client of an action is one of its feedback.
        """
        if self._goal is None:
            return ""
        now_ns = self._clock.now_ns()
        if listeners(f"{self._name}/_action/feedback"):
            self._until_ns = now_ns + round(GONE_S * 1e9)
        is_gone = self._name in WATCHED and now_ns > self._until_ns
        self._is_ending = is_gone or self._goal.is_cancel_requested
        return "cancelled" if self._goal.is_cancel_requested else "whoever asked for it is gone" if is_gone else ""

    def finished(self, finish: Finish) -> None:
        """Tell who asked that it is over."""
        self._finish = finish
        self._goal.execute()

    def result(self, goal: Any) -> Any:
        """Return what it came to, once executed."""
        if goal is not self._goal:
            goal.abort()
            return self._action.Result(reason="taken over by another session")
        finish, self._goal = self._finish, None
        (goal.canceled if finish.is_cancelled and goal.is_cancel_requested else goal.succeed)()
        return self._action.Result(reason=finish.reason, **vars(self._tally()))

    def tell(self, state: Any) -> None:
        """Publish where practice stands to who asked."""
        if self._goal is not None:
            self._goal.publish_feedback(self._action.Feedback(state=state, steps=self._tally().steps))
