"""One HTML page about a calibration, pictures inside: what fits, how well, how sure, what was left out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .detect import Corners
from .lens import NAMES
from .poses import Array
from .solve import Result, scale_warning
from .views import View

ARROW = 20.0
"""Residuals are drawn so many times as long."""
INK = "#0b6e99"


def report(result: Result, views: Sequence[View]) -> bytes:
    """Return the page; ``views`` are those of the folder, for their pictures."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).parent)
    page = Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template("report.html.j2")
    return page.render(**_facts(result), plots=_plots(result), pictures=_pictures(result, views)).encode()


def summary(result: Result) -> dict[str, Any]:
    """Return the few numbers that a person looks at first: pixels, millimetres, degrees, with deviations."""
    said: dict[str, Any] = {
        "views": len(result.solved.kept),
        "left_out": len(result.seen.names) + len(result.seen.left_out) - len(result.solved.kept),
        "picture_covered": round(result.coverage.share, 2),
        "rms_px": round(result.lens.rms_px, 3),
        "focal_px": round(float(result.lens.values[0]), 2),
        "focal_sd_px": round(float(result.lens.sd[0]), 2),
    }
    if (eye := result.hand_eye) is not None:
        sd = np.maximum(eye.sd, eye.jackknife_sd)
        said |= {
            "position_sd_mm": round(1e3 * float(np.linalg.norm(sd[:3])), 2),
            "rotation_sd_deg": round(float(np.degrees(np.linalg.norm(sd[3:]))), 3),
            "arm_mm": round(1e3 * eye.noise.arm_m, 2),
            "board_size": round(result.scale, 4),
        }
    return said


def _facts(result: Result) -> dict[str, Any]:
    lens = [(name, f"{value:.5g}", f"{sd:.2g}") for name, value, sd in zip(NAMES, result.lens.values, result.lens.sd)]
    facts: dict[str, Any] = {"about": result.about, "summary": summary(result), "lens": lens, "pose": [], "start": ""}
    worse = [name for i, name in enumerate(result.seen.names) if i not in result.solved.kept]
    left_out = result.seen.left_out | dict.fromkeys(worse, "its corners fit much worse than those of the others")
    facts |= {"left_out": left_out, "lacks": result.coverage.lacks, "warning": scale_warning(result)}
    if (eye := result.hand_eye) is not None:
        jackknife, axes = eye.jackknife_sd, ("x", "y", "z")
        facts["start"] = result.start
        facts["pose"] = [
            (f"{axes[i]} [mm]", f"{1e3 * eye.x[i, 3]:.1f}", f"{1e3 * eye.sd[i]:.2f}", f"{1e3 * jackknife[i]:.2f}")
            for i in range(3)
        ] + [
            (
                f"turn about {axes[i]} [deg]",
                "",
                f"{np.degrees(eye.sd[3 + i]):.3f}",
                f"{np.degrees(jackknife[3 + i]):.3f}",
            )
            for i in range(3)
        ]
    return facts


# -- plots -------------------------------------------------------------------------------


def _plots(result: Result) -> list[tuple[str, str]]:
    """Return captions and pictures as data addresses."""
    made = [
        ("Corners seen in each part of the picture.", _cells(result.coverage.cells)),
    ]
    if (eye := result.hand_eye) is not None:
        names = [result.seen.names[i] for i in result.with_arm]
        made.append(
            ("Residuals of all corners, measured to modelled: a round cloud about 0.", _cloud(eye.residuals_px))
        )
        errors = [1e3 * float(np.linalg.norm(error[:3])) for error in eye.arm_errors]
        made.append(("What each arm pose is taken to be off by.", _bars(names, errors, "mm")))
        moved = [1e3 * float(np.linalg.norm(change[:3])) for change in eye.without_one]
        caption = "How far the camera's place goes when one view is left out: no single view should matter much."
        made.append((caption, _bars(names, moved, "mm")))
    return [(caption, _address(png, "png")) for caption, png in made]


def _figure(wide: float = 6.0, high: float = 2.6) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide, high), dpi=110)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _cells(cells: NDArray[np.int64]) -> bytes:
    figure, axes = _figure(3.6, 2.6)
    axes.imshow(cells, cmap="viridis", vmin=0)
    for (row, column), count in np.ndenumerate(cells):
        axes.text(column, row, str(count), ha="center", va="center", color="white", fontsize=7)
    axes.set_axis_off()
    return _png(figure)


def _cloud(residuals: Sequence[Array]) -> bytes:
    figure, axes = _figure(3.6, 3.4)
    for one in residuals:
        axes.plot(one[:, 0], one[:, 1], ".", ms=2, alpha=0.6)
    reach = 1.1 * max(float(np.abs(np.concatenate(residuals)).max()), 0.1)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x [px]", ylabel="y [px]", aspect="equal")
    axes.grid(alpha=0.3)
    return _png(figure)


def _bars(names: Sequence[str], values: Sequence[float], unit: str) -> bytes:
    figure, axes = _figure()
    axes.bar(names, values, color=INK)
    axes.set(ylabel=unit, xlabel="view")
    axes.tick_params(axis="x", rotation=90, labelsize=7)
    axes.grid(axis="y", alpha=0.3)
    return _png(figure)


# -- pictures ----------------------------------------------------------------------------


def _pictures(result: Result, views: Sequence[View]) -> list[tuple[str, str]]:
    by_name = {view.name: view for view in views}
    shown = result.with_arm or result.solved.kept
    made = []
    for place, i in enumerate(shown):
        corners = result.seen.views[i]
        eye = result.hand_eye
        left = eye.residuals_px[place] if eye is not None else _left(result, i)
        off_px = float(np.sqrt((left**2).sum(axis=1).mean()))
        picture = _drawn(by_name[result.seen.names[i]].picture(), corners, left)
        made.append((f"{result.seen.names[i]}: {len(corners)} corners, {off_px:.2f} px", picture))
    return made


def _left(result: Result, i: int) -> Array:
    """Residuals [px] (N, 2) of a view by its own pose."""
    pose, corners = result.solved.poses[result.solved.kept.index(i)], result.seen.views[i]
    points = result.about.board.corners_m[corners.ids] @ pose[:3, :3].T + pose[:3, 3]
    return result.lens.project(points) - corners.px


def _drawn(picture: NDArray[np.uint8], corners: Corners, left: Array) -> str:
    """Return a picture with corners (rings) and, many times as long, where the model has them, as a data address."""
    canvas = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    for at, off in zip(corners.px, left):
        start = tuple(np.round(at).astype(int).tolist())
        end = tuple(np.round(at + ARROW * off).astype(int).tolist())
        cv2.circle(canvas, start, 5, (40, 160, 40), 1, cv2.LINE_AA)
        cv2.line(canvas, start, end, (40, 40, 220), 1, cv2.LINE_AA)
    _, jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return _address(jpeg.tobytes(), "jpeg")


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
