"""Scalars reach TensorBoard, W&B and MLflow as their own readers see them; a missing package is named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from armtune_policies.contract import ConfigError
from armtune_policies.learn.logs import MOST_ROWS, Log, LogParams
from armtune_policies.store.files import read_json


def written(folder: Path, *to: str, start: int = 0, until: int = 3) -> Log:
    with Log(folder, LogParams(to=to), "calql", "0123456789abcdef", start, {"gamma": 0.99}) as log:
        for step in range(start + 1, until + 1):
            log.write(step, {"loss/td": 0.5 * step})
    return log


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def test_a_curve_goes_on_from_the_checkpoint_and_stays_short(tmp_path: Path) -> None:
    written(tmp_path, until=6)
    assert [row[0] for row in written(tmp_path, start=4, until=5).rows] == [1, 2, 3, 4, 5]
    assert read_json(tmp_path / "curve.json")["rows"][-1] == [5, {"loss/td": 2.5}]
    log = Log(tmp_path / "long", LogParams(), "x", "k", 0, {})
    log.rows = [(step, {}) for step in range(MOST_ROWS)]
    log.write(MOST_ROWS, {})
    assert len(log.rows) == MOST_ROWS // 2 + 1 and log.rows[-1][0] == MOST_ROWS


def test_unknown_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="to: expected some of tensorboard, wandb, mlflow; got 'csv'"):
        LogParams(to=("csv",))


@pytest.mark.parametrize("package", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_named_before_anything_is_written(tmp_path: Path, package: str) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ValueError, match=f"logs.to={package} needs its package: run `pip install {package}`"):
        written(tmp_path, package)
    assert list(tmp_path.iterdir()) == []


@needs("tensorboard")
def test_tensorboard_reads_the_scalars_of_a_run_that_went_on(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written(tmp_path, "tensorboard", until=5)
    written(tmp_path, start=3, until=4)  # where it is installed it needs no naming
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/td")] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


@needs("mlflow")
def test_mlflow_reads_one_run_with_settings_and_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    written(tmp_path, "mlflow")
    written(tmp_path, "mlflow", start=3, until=4)
    runs = mlflow.search_runs(experiment_names=["armtune"], output_format="list")
    assert len(runs) == 1 and runs[0].data.params["gamma"] == "0.99"
    history = mlflow.MlflowClient().get_metric_history(runs[0].info.run_id, "loss/td")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


@needs("wandb")
def test_wandb_writes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    written(tmp_path, "wandb")
    assert list(tmp_path.glob("wandb/offline-run-*/run-0123456789abcdef.wandb"))
