"""A contact sheet: a page of frames to look through and flip, and the label sidecars that come of it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from armtune_policies.contract import Verdict
from armtune_policies.store.episode_reader import Episode
from armtune_policies.store.files import read_json
from armtune_policies.store.labels import LabelSet, write_labels

KIND = "armtune-labels"
NAMES = {v.name.lower(): v for v in Verdict}


@dataclass(frozen=True)
class Labelled:
    """One episode, the verdicts it has so far, one a step, and how its steps are to be ordered."""

    episode: Episode
    verdicts: tuple[Verdict, ...]


def jpeg(image: npt.NDArray[np.uint8], quality: int = 85) -> bytes:
    """Return an rgb8 image (H, W, 3) as JPEG.

    Raises:
        ValueError: when it cannot be encoded.
    """
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    return bytes(data)


def page(rows: Sequence[Labelled], label_set: str, camera: str) -> str:
    """Return the page, one file without anything from elsewhere.

    A click, or space on the frame in focus, goes yes, no, unknown; arrows move; "save" gives a JSON file for
    ``apply_labels``.

    Args:
        rows: Episodes with the labels to begin from.
        label_set: What the sidecars will be called.
        camera: Which camera is shown.
    """
    parts = []
    for row in rows:
        title = html.escape(f"{row.episode.episode_id}: {row.episode.sentence} ({row.episode.outcome})")
        parts.append(f'<section data-episode="{html.escape(row.episode.episode_id)}"><h2>{title}</h2><div>')
        for step, verdict in enumerate(row.verdicts):
            if not row.episode.complete[step]:
                continue
            data = base64.b64encode(jpeg(row.episode.images[camera][step])).decode()
            parts.append(
                f'<button class="{verdict.name.lower()}" data-step="{step}" title="step {step}">'
                f'<img src="data:image/jpeg;base64,{data}" alt="step {step}"></button>'
            )
        parts.append("</div></section>")
    lengths = {row.episode.episode_id: [v.name.lower() for v in row.verdicts] for row in rows}
    head = json.dumps({"kind": KIND, "label_set": label_set, "episodes": lengths}).replace("<", "\\u003c")
    return _PAGE.replace("%TITLE%", html.escape(label_set)).replace("%BODY%", "".join(parts)).replace("%DATA%", head)


def apply_labels(path: Path, run: Path, episodes: Mapping[str, Episode], need: int, window: int) -> list[Path]:
    """Store what a page saved as label sidecars of a run; return their paths.

    Args:
        path: The JSON file that the page gave.
        run: The run's folder.
        episodes: The run's episodes by id.
        need: Answers of yes that complete the vote ...
        window: ... among so many newest ones: the step that completes it is the label set's success.

    Raises:
        ValueError: when the file is not such a one, or is of other episodes; nothing is stored then.
    """
    value = read_json(path)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise ValueError(f"{path}: expected labels as the contact sheet saves them, got another file")
    sets = [_label_set(path, value, name, words, episodes, need, window) for name, words in value["episodes"].items()]
    return [write_labels(run, labels) for labels in sets]


def _label_set(
    path: Path, value: Mapping[str, Any], name: str, words: Any, episodes: Mapping[str, Episode], need: int, window: int
) -> LabelSet:
    if name not in episodes:
        raise ValueError(f"{path}: labels of episode {name!r}, which is not in this run")
    steps = episodes[name].steps
    if not isinstance(words, list) or len(words) != steps or any(word not in NAMES for word in words):
        raise ValueError(f"{path}: {name}: expected {steps} of {', '.join(NAMES)}, got something else")
    return labels_of(str(value["label_set"]), name, [NAMES[word] for word in words], need, window)


def labels_of(label_set: str, episode_id: str, verdicts: Sequence[Verdict], need: int, window: int) -> LabelSet:
    """Return a label set whose success is where the vote over its verdicts completes."""
    from .vote import first_complete

    return LabelSet(label_set, episode_id, tuple(verdicts), first_complete(list(verdicts), need, window))


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>labels: %TITLE%</title><style>
:root{font:15px/1.4 system-ui,sans-serif;color:#222;background:#fff}
body{max-width:1200px;margin:1rem auto;padding:0 1rem}
h2{font-size:1rem;margin:1.2rem 0 .3rem}
header{position:sticky;top:0;background:#fff;padding:.5rem 0;display:flex;gap:1rem}
section div{display:flex;flex-wrap:wrap;gap:4px}
section button{border:4px solid #bbb;padding:0;background:none;line-height:0}
section button.yes{border-color:#2a7d46}section button.no{border-color:#b5483a}
section button:focus{outline:3px solid #0b6e99}
img{width:96px;height:96px}kbd{border:1px solid #999;border-radius:3px;padding:0 .3em}</style>
<header><button id="save">save labels</button><span id="count"></span>
<span><kbd>space</kbd> yes (green), no (red), unknown (grey); <kbd>&larr;</kbd> <kbd>&rarr;</kbd> move</span></header>
%BODY%<script>
const data=%DATA%,next={yes:"no",no:"unknown",unknown:"yes"},all=[...document.querySelectorAll("section button")];
let changed=0;const count=()=>document.getElementById("count").textContent=changed+" changed";count();
for(const b of all)b.onclick=()=>{const w=next[b.className];b.className=w;changed++;count();
 data.episodes[b.closest("section").dataset.episode][+b.dataset.step]=w};
onkeydown=e=>{const i=all.indexOf(document.activeElement),d={ArrowRight:1,ArrowLeft:-1}[e.key];
 if(d){(all[i+d]||all[0]).focus();e.preventDefault()}};
onbeforeunload=e=>{if(changed)e.preventDefault()};
document.getElementById("save").onclick=()=>{const a=document.createElement("a");
 a.href=URL.createObjectURL(new Blob([JSON.stringify(data)],{type:"application/json"}));
 a.download="labels-"+data.label_set+".json";a.click();changed=0;count()};
</script></html>"""
