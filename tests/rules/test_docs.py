"""What is written for people says nothing about one machine, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rules.house import OUTSIDE, ROOT, report

TEXTS = sorted(
    path
    for pattern in ("*.md", "*.yaml", "*.toml", "*.sh", "*.xml", "Dockerfile", "Makefile", "*.py", "*.launch.py")
    for path in ROOT.rglob(pattern)
    if not set(path.relative_to(ROOT).parts) & OUTSIDE
)
OURS = re.compile(r"(?<![\w.$}{])/(?:work|root|home/\w+)/\w+")  # a home folder or a checkout of one machine
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def test_no_text_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path.name != "test_docs.py" and (match := OURS.search(line))
    ]
    assert not found, report(found, "Paths are relative to the checkout or named by a variable.")


@pytest.mark.parametrize("path", [p for p in TEXTS if p.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, f"{path.relative_to(ROOT)}: links to {', '.join(missing)}"
