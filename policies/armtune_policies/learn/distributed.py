"""Offline training by several processes, each with its part of the data: data larger than one machine.

The processes' parts, in order of rank, are the whole in its order. An update's rows are drawn
from the whole by one generator that all have, each process gathers those it holds, and the
update's random numbers are drawn for the whole batch, too. So the training is that of one
process with all the data, but for rounding, however many processes there are; a checkpoint goes
on with another number of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .agent import Agent, Layout
from .context import Batch, Draws
from .crew import Alone, Crew
from .pixels import with_shifts
from .pretrain import OnReport, Pretraining, Report, silent
from .replay import Replay, Rows, RowShape
from .settings import AgentParams


class Sums(NamedTuple):
    """What a process holds: rows that can be drawn, and the sum, least and greatest of their weights."""

    rows: int
    weight: float
    least: float
    most: float


class Shard(Replay):
    """A process's part of a replay that no process holds whole."""

    def __init__(self, capacity: int, shape: RowShape, params: AgentParams, crew: Crew) -> None:
        super().__init__(capacity, shape, params)
        self.crew = crew
        self._known: list[Sums] = []

    def sample(self, rng: np.random.Generator, count: int) -> Batch:
        """Return this process's rows of ``count`` drawn from the whole; all processes must draw from like generators.

        Raises:
            ValueError: when a process has none to draw.
        """
        mine, rows = self._drawn(rng, count)
        # A process that has none of this batch goes along with a row that counts for nothing.
        place, rows = (mine, rows) if len(mine) else (np.zeros(1, np.intp), self.usable[:1])
        batch = with_shifts(self.gather(rows), rng, count, self._params.shift_px, place)
        return batch._replace(place=torch.from_numpy(mine))

    def _drawn(self, rng: np.random.Generator, count: int) -> tuple[Rows, Rows]:
        """Return which of ``count`` draws fall on this process, and its rows there; drawn as ``Replay.draw`` does."""
        sums = self.sums()
        before = sums[: self.crew.rank]
        if min(one.least for one in sums) == max(one.most for one in sums):
            at = rng.integers(sum(one.rows for one in sums), size=count) - sum(one.rows for one in before)
        else:
            drawn = rng.random(count) * sum(one.weight for one in sums) - sum(one.weight for one in before)
            at = np.searchsorted(np.cumsum(self._weights()), drawn, side="right")
            at = np.where(drawn >= 0, at, -1)
        mine = np.flatnonzero((at >= 0) & (at < len(self)))
        return mine, self.usable[at[mine]]

    def sums(self) -> list[Sums]:
        """Return what each process holds; asked once.

        Raises:
            ValueError: when one has no row to draw.
        """
        if not self._known:
            ours = self._weights() if len(self) else np.zeros(1)
            said = self.crew.pooled([[len(self), float(ours.sum()), float(ours.min()), float(ours.max())]])
            self._known = [Sums(*one) for one in said]
            if not all(one.rows for one in self._known):
                rows = [one.rows for one in self._known]
                raise ValueError(f"usable steps by process: {rows}; expected some each, start fewer processes")
        return self._known

    def _weights(self) -> npt.NDArray[np.float64]:
        return self._weight[self.usable].astype(np.float64)

    def spread(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the whole's observation vectors, (D,) each."""
        vectors = torch.from_numpy(self.seen_by(self.usable)).double().to(self.crew.device)
        count = self.crew.sum(torch.tensor(float(len(vectors)), device=self.crew.device))
        mean = self.crew.sum(vectors.sum(dim=0)) / count
        variance = self.crew.sum((vectors - mean).square().sum(dim=0)) / count
        return mean.float(), variance.sqrt().float()


class CrewAgent(Agent):
    """An agent that updates in step with its likes in other processes."""

    crew: Crew

    def __init__(self, layout: Layout, params: AgentParams, seed: int, crew: Crew) -> None:
        """Every process gets the same ``layout``, ``params`` and ``seed``.

        Raises:
            ValueError: for ``compiled``: a process's rows are not as many in each update.
        """
        if params.compiled:
            raise ValueError("agent.compiled: expected false with several processes, got true")
        self.crew = crew
        self._place: Tensor = torch.empty(0, dtype=torch.int64)
        super().__init__(layout, params, seed, crew.device)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update with this process's rows of a batch of ``params.batch``."""
        if batch.place is not None:
            self._place = batch.place.to(self.device)
        self.crew.part = len(self._place) / self.params.batch
        return super().update(batch)

    def losses(self, batch: Batch, draws: Draws, with_actor: bool = True) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the whole batch's losses; the gradient is that of this process's part."""
        total, parts, scales = super().losses(batch, draws, with_actor)
        ours = total * self.crew.part
        sums = self.crew.mean(torch.stack([total.detach(), *(part.float() for part in parts.values())]))
        # To the bit the same in all processes: each decides by it whether to step, and none may step alone.
        return sums[0] + (ours - ours.detach()), dict(zip(parts, sums[1:])), scales

    def draw(self, size: int) -> Draws:
        """Draw for the whole batch and keep what belongs to ``size`` rows of this process."""
        whole = super().draw(self.params.batch)
        place = self._place if len(self._place) else torch.zeros(size, dtype=torch.int64, device=self.device)
        return Draws(whole.current[:, place], whole.next[:, place], whole.random[:, place], whole.subset)

    def _optimiser(self) -> torch.optim.Optimizer:
        made = super()._optimiser()
        made.register_step_pre_hook(lambda *_: self.crew.sum_gradients(self._weights()))
        return made


def make_replay(capacity: int, shape: RowShape, params: AgentParams, crew: Alone) -> Replay:
    """Return an empty replay for this process's part of the data."""
    return Shard(capacity, shape, params, crew) if isinstance(crew, Crew) else Replay(capacity, shape, params)


def make_agent(layout: Layout, params: AgentParams, seed: int, crew: Alone) -> Agent:
    """Return a fresh agent, the same in each process."""
    return CrewAgent(layout, params, seed, crew) if isinstance(crew, Crew) else Agent(layout, params, seed)


def run(training: Pretraining, crew: Alone, on_report: OnReport = silent) -> None:
    """Run a training whose agent and replay are this crew's; only the first process has a folder, and reports.

    Raises:
        CrewLost: when another process ends.
        ValueError: when processes have other data or settings, or drifted apart.
    """
    if not isinstance(crew, Crew):
        training.run(on_report)
        return
    crew.agree(training.digest, "data and settings")
    training.agent.restore(crew.of_first(training.agent.state()))

    def report(at: Report) -> None:
        sums = torch.stack([weight.detach().double().sum() for weight in training.agent.nets.parameters()])
        crew.agree([value.hex() for value in sums.tolist()], f"weights after {at.update} updates")
        if crew.rank == 0:
            on_report(at)

    training.run(report)
