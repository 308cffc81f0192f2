"""One episode as a page that needs nothing but a browser, and as a Rerun recording."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from armtune_bringup.report.plots import png
from armtune_bringup.report.video import mp4
from armtune_policies.contract import STATE_NAMES, ActionSpec, Mode, Verdict
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.errors import needs
from armtune_policies.store.labels import LabelSet, derive
from armtune_policies.store.rate import measured_hz
from armtune_policies.store.views import read_views

LEAST_PX = 240
"""Smaller pictures are enlarged for the page, pixel by pixel."""
TEMPLATE = "episode.html.j2"
Frames = list[npt.NDArray[np.uint8]]


def page(episode: Episode, labels: LabelSet) -> bytes:
    """Return an episode as HTML: video of each camera, actions, rewards, interventions, all in the one file."""
    rate_hz = measured_hz(episode) or ActionSpec().rate_hz
    videos = [(camera, _embedded(mp4(frames, rate_hz), "video/mp4")) for camera, frames in pictures(episode).items()]
    plots = [("what was commanded, and what was proposed where that differs", action_plot(episode, rate_hz)),
             ("where the tool was", state_plot(episode, rate_hz)),
             ("what was judged, who held the arm", reward_plot(episode, labels, rate_hz))]  # fmt: skip
    told = [(name, _embedded(data, "image/png")) for name, data in plots]
    folder = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template(TEMPLATE)
    return template.render(
        episode=episode, facts=facts(episode, labels, rate_hz), videos=videos, plots=told, rows=_rows(episode)
    ).encode()


def facts(episode: Episode, labels: LabelSet, rate_hz: float) -> list[tuple[str, str]]:
    """Return what a person asks of an episode first."""
    about, held = episode.about, episode.intervention
    steps = f"{episode.steps}, {int((~episode.complete).sum())} of them without a part"
    by = "nobody" if labels.success_step is None else f"step {labels.success_step}"
    return [
        ("outcome", f"{about.outcome}{f': {about.reason}' if about.reason else ''}"),
        ("success", f"{by}, by label set {labels.name}"),
        ("steps", f"{steps}; {rate_hz:.2f} a second"),
        ("a person held the arm", f"{int(held.sum())} steps"),
        ("changed by the gate", f"{sum(bool(one) for one in episode.limited_by)} steps"),
        ("policy", episode.policy_version or "none"),
        ("config", about.config_hash or "unknown"),
        ("calibration", about.calibration_hash or "unknown"),
        *sorted((key, value) for key, value in episode.metadata.items() if key in ("imported_from", "world_seed")),
    ]


def pictures(episode: Episode) -> dict[str, Frames]:
    """Return by camera what is shown: full-size views where there are some, else what the policy saw."""
    views = read_views(episode.path) if episode.path.is_file() else {}
    found: dict[str, Frames] = {}
    for camera, images in episode.images.items():
        kept = views.get(camera, {})
        if kept:
            first = kept[min(kept)]
            shown, frames = first, []
            for step in range(episode.steps):
                shown = kept.get(step, shown)
                frames.append(shown)
        else:
            frames = [images[step] for step in range(episode.steps)]
        found[camera] = [_even(_enlarged(frame)) for frame in frames]
    return found


def action_plot(episode: Episode, rate_hz: float) -> bytes:
    """Return a PNG of the allowed and the proposed tool deltas."""
    t_s = np.arange(episode.steps) / rate_hz
    figure = Figure(figsize=(9.0, 5.4), dpi=100)
    rows = figure.subplots(3, 1, sharex=True)
    parts = (
        (slice(0, 3), 1000.0, "move [mm]"),
        (slice(3, 6), 180 / np.pi, "turn [deg]"),
        (slice(6, 7), 1.0, "opening"),
    )
    names = ActionSpec().names
    for axes, (part, scale, label) in zip(rows, parts):
        for name, allowed, proposed in zip(names[part], episode.allowed[:, part].T, episode.proposed[:, part].T):
            (line,) = axes.step(t_s, scale * allowed, where="post", lw=1.3, label=name)
            axes.step(t_s, scale * proposed, where="post", lw=0.8, ls=":", color=line.get_color())
        _finish(axes, episode, rate_hz, label)
    rows[-1].set_xlabel("time [s]; dotted: proposed; shaded: a person held the arm")
    return png(figure)


def state_plot(episode: Episode, rate_hz: float) -> bytes:
    """Return a PNG of the tool's position and the opening."""
    figure = Figure(figsize=(9.0, 2.6), dpi=100)
    axes = figure.add_subplot()
    t_s = np.arange(episode.steps) / rate_hz
    for name, values in zip((*STATE_NAMES[:3], STATE_NAMES[6]), episode.state[:, [0, 1, 2, 6]].T):
        axes.plot(t_s, values, lw=1.3, label=name)
    _finish(axes, episode, rate_hz, "[m], opening")
    return png(figure)


def reward_plot(episode: Episode, labels: LabelSet, rate_hz: float) -> bytes:
    """Return a PNG of probability, verdicts, the reward that follows, and the modes of the gate."""
    figure = Figure(figsize=(9.0, 3.4), dpi=100)
    upper, lower = figure.subplots(2, 1, sharex=True)
    t_s = np.arange(episode.steps) / rate_hz
    upper.plot(t_s, episode.probabilities, ".-", color="#0b6e99", lw=1.0, label="probability of success")
    said = np.array([int(v) for v in labels.verdicts])
    for verdict, colour in ((Verdict.YES, "#2da44e"), (Verdict.NO, "#8c959f")):
        at = said == verdict
        upper.plot(t_s[at], np.full(at.sum(), 1.08), "|", color=colour, ms=8, label=verdict.name.lower())
    upper.set_ylim(-0.05, 1.15)
    rows = derive(episode, labels)
    lower.step(t_s[rows.steps], rows.reward, where="mid", color="#1b1f24", lw=1.3, label="reward")
    lower.step(t_s, episode.modes, where="post", color="#d9730d", lw=1.0, label="gate: 0 run, 1 slow, 2 hold, 3 stop")
    for axes, label in ((upper, "judged"), (lower, "reward, mode")):
        _finish(axes, episode, rate_hz, label)
    return png(figure)


def rerun_file(episode: Episode, path: Path) -> Path:
    """Write an episode as a Rerun recording.

    Raises:
        ValueError: when ``rerun-sdk`` is not installed.
    """
    needs("a Rerun recording", "rerun-sdk")
    import rerun

    stream: Any = rerun.RecordingStream("armtune", recording_id=episode.episode_id)
    stream.save(str(path))
    shown = pictures(episode)
    for step in range(episode.steps):
        stream.set_time("step", sequence=step)
        if episode.stamps_ns[step] >= 0:
            stream.set_time("stamp", timestamp=np.datetime64(int(episode.stamps_ns[step]), "ns"))
        for camera, frames in shown.items():
            stream.log(f"camera/{camera}", rerun.Image(frames[step]).compress(jpeg_quality=90))
        for key, names in (("state", STATE_NAMES), ("allowed", ActionSpec().names), ("proposed", ActionSpec().names)):
            for name, value in zip(names, getattr(episode, key)[step]):
                if np.isfinite(value):
                    stream.log(f"{key}/{name}", rerun.Scalars(float(value)))
        if np.isfinite(episode.probabilities[step]):
            stream.log("reward/probability", rerun.Scalars(float(episode.probabilities[step])))
        stream.log("gate/mode", rerun.Scalars(float(episode.modes[step])))
        if episode.limited_by[step] or episode.refused[step]:
            stream.log("gate/said", rerun.TextLog(", ".join(episode.limited_by[step]) or episode.refused[step]))
        stream.log("intervention", rerun.Scalars(float(episode.intervention[step])))
    stream.flush()
    return path


def _rows(episode: Episode) -> list[dict[str, Any]]:
    return [
        {
            "step": step, "mode": Mode(int(episode.modes[step])).name.lower(), "source": episode.sources[step],
            "said": ", ".join(episode.limited_by[step]) or episode.refused[step],
            "verdict": Verdict(int(episode.verdicts[step])).name.lower(), "complete": bool(episode.complete[step]),
        }
        for step in range(episode.steps)
    ]  # fmt: skip


def _finish(axes: Any, episode: Episode, rate_hz: float, label: str) -> None:
    for step in np.flatnonzero(episode.intervention):
        axes.axvspan((step - 0.5) / rate_hz, (step + 0.5) / rate_hz, color="#bf8700", alpha=0.18, lw=0)
    axes.set_ylabel(label, fontsize=9)
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper left")
    axes.grid(alpha=0.3)


def _enlarged(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    times = -(-LEAST_PX // min(frame.shape[:2]))
    if times == 1:
        return frame
    size = (frame.shape[1] * times, frame.shape[0] * times)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _even(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def _embedded(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
