"""Files that are read wrong most easily: odd ids, names and times, blank lines, clocks, many series, random options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.own.series_files import hourly, write
from rnnbench.datasets.own import series, table
from rnnbench.datasets.own.series import Options, Series
from rnnbench.errors import BadInput

SMALL = {"input_steps": 48, "horizon": 12}


def read(path: str, **options: Any) -> Series:
    return series.read(Options.of({"path": path, **SMALL, **options}))


def refusal(path: str, **options: Any) -> str:
    with pytest.raises(BadInput) as caught:
        series.reading({"path": path, **SMALL, **options})
    return str(caught.value)


@pytest.mark.parametrize("ids", [("007", "7"), ("1234567890123456788", "1234567890123456789"), ("1.0", "1")])
def test_ids_are_texts_even_where_they_look_like_numbers(tmp_path: Path, ids: tuple[str, str]) -> None:
    frame = hourly(200)
    long = pd.concat([frame.assign(unique_id=name) for name in ids])
    made = read(write(long, tmp_path / "a.csv"))
    assert sorted(part.id or "" for part in made.parts) == sorted(ids)
    assert read(str(tmp_path / "a.csv"), id="unique_id").sha256 == made.sha256


def test_a_column_that_is_predicted_names_no_series(tmp_path: Path) -> None:
    path = write(hourly().rename(columns={"load": "series"}), tmp_path / "a.csv")
    made = read(path, target="series")
    assert (made.targets, len(made.parts)) == (("series",), 1)


def test_years_that_nanoseconds_do_not_count_are_refused(tmp_path: Path) -> None:
    path = write(pd.DataFrame({"year": range(1000, 1400), "y": np.arange(400) % 7}), tmp_path / "a.csv")
    assert refusal(path, time="year").startswith("'year' reads as years, and 1000 is beyond 1678 to 2261")


def test_whole_numbers_that_are_months(tmp_path: Path) -> None:
    months = pd.date_range("1980-01-01", periods=400, freq="MS")
    path = write(pd.DataFrame({"date": months.strftime("%Y%m"), "y": np.arange(400) % 7}), tmp_path / "a.csv")
    assert refusal(path) == "'date' reads as months (198001): dataset.date_format=%Y%m."
    made = read(path, date_format="%Y%m")
    assert (made.step.words, made.season) == ("monthly", 12)
    assert (made.times(made.parts[0]) == months.to_numpy()).all()


def test_columns_that_are_named_for_something_are_read(tmp_path: Path) -> None:
    frame = hourly().assign(minute=np.arange(400) * 60, price=1.5).drop(columns="date")
    path = write(frame, tmp_path / "a.csv")
    made = read(path, columns=["load"], time="minute", future="price")
    assert (made.time, made.targets, made.future) == ("minute", ("load",), ("price",))
    assert read(path, columns=["load"], target="temp").targets == ("temp",)


def test_an_empty_path_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hourly().to_parquet(tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    assert refusal("").startswith("dataset.path names a table with a column of numbers")


@pytest.mark.parametrize("when", ["hashed", "read"])
def test_a_reading_of_another_content_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """A file that is replaced after its bytes were hashed, or while it is read."""
    path = Path(write(hourly(), tmp_path / "a.csv"))
    kept: list[Any] = []
    monkeypatch.setattr(table, "LEAST", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = "path_hash" if when == "hashed" else "_reader"
    honest = getattr(table, name)

    def replaced(*args: Any) -> Any:
        found = honest(*args)
        write(hourly(seed=1), path)
        os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(table, name, replaced)
    monkeypatch.setattr(table.Place, "keep", lambda *args: kept.append(args))
    with pytest.raises(BadInput, match=r"a\.csv is being written while it is read"):
        table.read(path)
    assert not kept
