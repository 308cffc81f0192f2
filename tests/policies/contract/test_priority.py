"""Niceness counts against other sessions too, and nobody else's session is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
ASK = """
from armtune_policies.contract.priority import ask_priority
print(ask_priority(7), open("/proc/self/autogroup").read().split()[-1])
"""
IS_SHARED = AUTOGROUP.exists() and AUTOGROUP.read_text()  # blank: a control group decides, sessions do not
pytestmark = pytest.mark.skipif(not IS_SHARED, reason="this machine shares processors out by other than sessions")


@pytest.mark.parametrize("leads", (True, False))
def test_only_a_process_that_leads_its_session_asks_for_all_of_it(leads: bool) -> None:
    ask = [sys.executable, "-c", ASK]
    said = subprocess.run(ask, start_new_session=leads, stdout=subprocess.PIPE, text=True, check=True).stdout
    before = AUTOGROUP.read_text().split()[-1]
    assert said.split() == ["7", "7" if leads else before]
