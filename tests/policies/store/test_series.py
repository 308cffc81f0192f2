from __future__ import annotations

import resource
from pathlib import Path

import pytest

from armtune_policies.store.series import Series

COLUMNS = ("t", "x")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_rows_are_in_the_file_when_their_number_is_reached_and_when_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "a.csv"
    series = Series(file, COLUMNS, every=2)
    series.append((1, 0.1 + 0.2))
    assert lines(file) == ["t,x"]
    series.append((2, "hold"))
    assert lines(file) == ["t,x", "1,0.30000000000000004", "2,hold"]
    series.append((3, 1))
    series.close()
    series.close()
    assert lines(file)[-1] == "3,1"


@pytest.mark.parametrize("cut", range(1, 13))
def test_file_goes_on_after_its_last_whole_row_when_it_was_cut_anywhere(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "a.csv"
    whole = b"t,x\n1,2\n33,44\n"
    file.write_bytes(whole[:-cut])
    series = Series(file, COLUMNS)
    series.append((5, 6))
    series.close()
    kept = whole[: whole[:-cut].rfind(b"\n") + 1] or b"t,x\n"
    assert file.read_bytes() == kept + b"5,6\n"


def test_file_is_left_alone_when_its_columns_are_others(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected columns t,x"):
        Series(file, COLUMNS)
    assert file.read_text() == "a,b\n1,2\n"


def test_row_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 2 values a row, got 3"):
        Series(tmp_path / "a.csv", COLUMNS).append((1, 2, 3))


@pytest.mark.fault("F33")
def test_write_that_the_system_refuses_is_one_sentence_with_the_path(tmp_path: Path) -> None:
    series = Series(tmp_path / "a.csv", COLUMNS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*a\.csv"):
            series.append((1, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
