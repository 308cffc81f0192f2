"""The full-size views that an episode file keeps beside its steps, as evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import records, schemas
from .encoding import VIEW_TOPICS, Decoder
from .mcap_scan import entries
from .nouns import Observation

NEAR_NS = 50_000_000
"""A view taken this long before or after the frame that the policy saw is still shown beside its step."""


def read_views(path: Path) -> dict[str, dict[int, np.ndarray]]:
    """Return by camera the view nearest to each step's own frame, at most ``NEAR_NS`` off, rgb8 (H, W, 3), by step.

    Raises:
        ValueError: when it is no episode file.
    """
    wanted = _wanted(path)
    found: dict[str, dict[int, np.ndarray]] = {}
    off_ns: dict[tuple[str, int], int] = {}
    decoders: dict[str, Decoder] = {}
    for entry in entries(path):
        end = VIEW_TOPICS.get(entry.type_name)
        if end is None or not entry.topic.endswith(end):
            continue
        camera = entry.topic.removesuffix(end)
        message = schemas.decode(entry.type_name, entry.data, entry.schema)
        stamp = message.timestamp if entry.type_name == schemas.COMPRESSED_VIDEO else message.header.stamp
        frames = decoders.setdefault(entry.topic, Decoder())(entry.type_name, message)
        for frame in frames[-1:]:
            step, gap_ns = _nearest(wanted, camera, records.to_ns(stamp))
            if step >= 0 and gap_ns <= NEAR_NS and gap_ns < off_ns.get((camera, step), gap_ns + 1):
                off_ns[camera, step] = gap_ns
                found.setdefault(camera, {})[step] = frame
    return {camera: dict(sorted(views.items())) for camera, views in found.items()}


def _wanted(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return by camera the steps and the stamps [ns] of the frames that the policy saw."""
    rows: dict[str, list[tuple[int, int]]] = {}
    for entry in entries(path):
        if entry.type_name == schemas.OBSERVATION:
            value = records.decode(entry.type_name, entry.data, entry.schema)
            if isinstance(value, Observation):
                for camera, stamp_ns in value.image_stamps_ns.items():
                    rows.setdefault(camera, []).append((value.step, stamp_ns))
    split = {camera: np.array(sorted(pairs, key=lambda p: p[1]), np.int64) for camera, pairs in rows.items()}
    return {camera: (pairs[:, 0], pairs[:, 1]) for camera, pairs in split.items()}


def _nearest(wanted: dict[str, tuple[np.ndarray, np.ndarray]], camera: str, stamp_ns: int) -> tuple[int, int]:
    """Return the step whose frame was taken nearest to a time, and how far off; -1 for none."""
    if camera not in wanted:
        return -1, 0
    steps, stamps = wanted[camera]
    place = int(np.argmin(np.abs(stamps - stamp_ns)))
    return int(steps[place]), int(abs(stamps[place] - stamp_ns))
