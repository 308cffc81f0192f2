"""Scalars of a training: to TensorBoard, W&B or MLflow, and to a curve that is drawn beside the result.

A training that goes on writes on from where its checkpoint was: what came after that is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from armtune_policies.contract import Checked, ConfigError, text
from armtune_policies.store.files import read_json, write_json

CURVE = "curve.json"
MOST_ROWS = 2000
"""A longer curve keeps every other row."""
KINDS = ("tensorboard", "wandb", "mlflow")
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


@dataclass(frozen=True, kw_only=True)
class LogParams(Checked):
    """Where scalars go."""

    to: tuple[str, ...] = text((), doc="tensorboard, wandb, mlflow; blank: TensorBoard where it is installed")
    project: str = text("armtune", doc="project of W&B, experiment of MLflow")

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in self.to:
            if kind not in KINDS:
                raise ConfigError(f"to: expected some of {', '.join(KINDS)}; got {kind!r}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Where they really go."""
        return self.to or KINDS[:1] * (find_spec("tensorboard") is not None)


class Sink(Protocol):
    """One that takes scalars."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Log:
    """A training's scalars, in ``folder`` and wherever the settings say. Use as a context manager.

    Args:
        folder: The training's own.
        params: Where else they go.
        name: What W&B and MLflow call it.
        key: Names the training: one that goes on is the same run there.
        start: The step it goes on from.
        settings: Shown beside it.

    Raises:
        ValueError: when a package is missing, saying which.
    """

    def __init__(
        self, folder: Path, params: LogParams, name: str, key: str, start: int, settings: Mapping[str, Any]
    ) -> None:
        for kind in params.kinds:
            if find_spec(PACKAGES[kind]) is None:
                raise ValueError(f"logs.to={kind} needs its package: run `pip install {PACKAGES[kind]}`, then again")
        self.path = Path(folder) / CURVE
        rows = read_json(self.path)["rows"] if self.path.is_file() else []
        self.rows: list[tuple[int, dict[str, float]]] = [(int(at), row) for at, row in rows if at <= start]
        about = About(Path(folder), params.project, name, key, start, dict(settings))
        self._sinks = [OPENERS[kind](about) for kind in params.kinds]

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.close()

    def last(self, prefix: str) -> dict[str, float]:
        """Return the newest scalars whose names begin so, without that beginning."""
        row = self.rows[-1][1] if self.rows else {}
        return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Take scalars of one step; steps rise."""
        for sink in self._sinks:
            sink.write(step, scalars)
        self.rows.append((step, dict(scalars)))
        if len(self.rows) > MOST_ROWS:
            self.rows = self.rows[::2]
        write_json(self.path, {"rows": self.rows})


@dataclass(frozen=True)
class About:
    """What a sink is told of the training."""

    folder: Path
    project: str
    name: str
    key: str
    start: int
    settings: dict[str, Any]


class _TensorBoard:
    def __init__(self, about: About) -> None:
        from torch.utils.tensorboard import SummaryWriter  # seconds to import, so only when used

        self._writer = SummaryWriter(str(about.folder / "tensorboard"), purge_step=about.start + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, about: About) -> None:
        import wandb

        about.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                project=about.project, name=about.name, id=about.key, resume="allow", dir=str(about.folder),
                config=about.settings,
            )  # fmt: skip
        except wandb.Error as why:
            raise ValueError(f"logs.to=wandb: {why}; log in by `wandb login`, or set WANDB_MODE=offline") from None

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """To ``MLFLOW_TRACKING_URI``, or where MLflow keeps things without it."""

    def __init__(self, about: About) -> None:
        import mlflow

        self._mlflow = mlflow
        try:
            self._begin(about)
        except mlflow.MlflowException as why:
            raise ValueError(f"logs.to=mlflow: {why}; check MLFLOW_TRACKING_URI") from None

    def _begin(self, about: About) -> None:
        mlflow = self._mlflow
        mlflow.set_experiment(about.project)
        found = mlflow.search_runs(
            experiment_names=[about.project], filter_string=f"tags.armtune = '{about.key}'", output_format="list"
        )
        if found:
            mlflow.start_run(run_id=found[0].info.run_id)
        else:
            mlflow.start_run(run_name=about.name, tags={"armtune": about.key})
            mlflow.log_params(about.settings)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(scalars), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


OPENERS: dict[str, Callable[[About], Sink]] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _MLflow}
