"""Which graph runs: one at a time, and each is judged by the oracle when it is closed."""

from __future__ import annotations

from pathlib import Path

from rig import FaultStack


class Stage:
    """Keeps the newest graph running until another is asked for. Use as a context manager.

    ``stops`` counts the STOPs, ``violations`` what the arm's oracle found, ``broken`` what the run's, over all graphs
    closed so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._asked: tuple[str, ...] = ()
        self._running: FaultStack | None = None
        self.stops, self.violations, self.broken = 0, list[str](), list[str]()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def graph(self, *overrides: str) -> FaultStack:
        """Return the running graph if it was started with these overrides and is fit for more, else a new one."""
        running = self._running
        is_over = running is None or running.up.process.poll() is not None or running.is_worn()
        if is_over or self._asked != overrides:
            self._start(overrides)
        assert self._running is not None
        return self._running

    def fresh(self, *overrides: str) -> FaultStack:
        """Return a new graph for a test that ends it."""
        self._start(overrides)
        assert self._running is not None
        return self._running

    def _start(self, overrides: tuple[str, ...]) -> None:
        self.close()
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        self._running, self._asked = FaultStack(folder, *overrides).__enter__(), overrides

    def close(self, judged: bool = True) -> None:
        """End the running graph and let the oracle judge what its arm did.

        Where a test failed, what was heard of arming and stopping may be what failed: limits alone are judged then.
        """
        running, self._running = self._running, None
        if running is None:
            return
        running.__exit__()
        if running.config.experiment.time == "real":
            events = running.events() if judged else ()
            self.stops += sum(event.kind != "armed" for event in events)
            self.violations += running.witness.violations(0, events)
            self.broken += running.broken() if judged else ()
