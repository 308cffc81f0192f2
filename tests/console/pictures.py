"""Makes the README's pictures of the console anew: the shipped policy practises in simulation, Chromium looks on.

::

    make pictures
"""

from __future__ import annotations

import io
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from fixtures.browser import MISSING, chromium  # noqa: E402
from fixtures.up import Up  # noqa: E402
from harness import Stack  # noqa: E402

SHIPPED = ROOT / "policies/shipped/drawer"
EPISODES, BUSY_S = 10, 300.0
COLOURS, WIDTH_PX = 255, 1000
NURSE = """() => {
  const clear = document.querySelector('#latches button'), press = id => document.getElementById(id).click();
  if (clear) clear.click();
  else if (!document.getElementById('arm').disabled) { press('arm'); press('yes'); }
  else if (!document.getElementById('practise').disabled) press('practise');
  else if (!document.getElementById('question').hidden) press('resume');
}"""
"""What an operator does, whatever a busy machine makes of the gate."""
ACTS = "() => /step (8|9|1\\d)/.test(document.getElementById('p-index').textContent) && !lost.offsetHeight"
DONE = "n => fetch('/api/runs/one').then(r => r.json()).then(r => r.read >= n)"


def main() -> None:
    """Write ``docs/console-*.png``."""
    if MISSING:
        raise SystemExit(f"missing: {', '.join(MISSING)}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack, chromium() as browser:
        models = [f"{kind}.folder={SHIPPED / kind}" for kind in ("policy", "reward")]
        shipped = ("policy=shipped", "reward=shipped", *models, "console=local", f"console.port={port}")
        up = Up(Path(folder), stack.domain, *shipped)
        try:
            up.until_said("the console is at")
            up.until_said("learner_node: active")
            _take(browser, f"http://127.0.0.1:{port}/")
        finally:
            up.process.terminate()
            up.ends(timeout_s=20.0)


def _take(browser: Any, address: str) -> None:
    live = browser.new_page(viewport={"width": 1280, "height": 860})
    live.goto(address)
    live.wait_for_function("() => Number(document.querySelector('figure img')?.dataset.frames) > 3")
    _until(live, ACTS)
    _keep(live, "live")
    phone = browser.new_page(viewport={"width": 390, "height": 760}, color_scheme="dark")
    phone.goto(address)
    phone.wait_for_function("() => Number(document.querySelector('figure img')?.dataset.frames) > 0")
    _until(phone, ACTS)
    _keep(phone, "phone")
    phone.close()
    _until(live, DONE, EPISODES)
    progress = browser.new_page(viewport={"width": 1150, "height": 1300})
    progress.goto(f"{address}progress")
    progress.wait_for_function("n => document.querySelectorAll('#strip button').length >= n", arg=EPISODES)
    _keep(progress, "progress")


def _until(page: Any, script: str, argument: Any = None) -> None:
    end_s = time.monotonic() + BUSY_S
    while not page.evaluate(script, argument):
        if time.monotonic() > end_s:
            raise SystemExit(f"not within {BUSY_S:.0f} s: {script}\n{page.locator('body').inner_text()}")
        page.evaluate(NURSE)
        page.wait_for_timeout(300)


def _keep(page: Any, name: str) -> None:
    """Write what is seen, smaller and with a palette: a quarter of the bytes."""
    with Image.open(io.BytesIO(page.screenshot())) as seen:
        size = (min(seen.width, WIDTH_PX), seen.height * min(seen.width, WIDTH_PX) // seen.width)
        small = seen.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small = small.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
    small.save(ROOT / "docs" / f"console-{name}.png", optimize=True)
    print(f"docs/console-{name}.png")


if __name__ == "__main__":
    main()
