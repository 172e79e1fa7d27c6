"""Files that are read wrong most easily: odd ids, names and times, blank lines, clocks, many series, random options."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.own.series_files import hourly, write
from rnnbench.datasets.own import kept_scores, series, series_words, table
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
    assert refusal(path) == "'date' reads as %Y%m (198001): dataset.date_format=%Y%m."
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


def test_a_blank_line_of_a_single_column_is_a_missing_value(tmp_path: Path) -> None:
    """Left out, all rows after it would move by one step."""
    cells = [str(row % 7) for row in range(400)]
    cells[50] = ""
    path = tmp_path / "a.csv"
    path.write_text("\n\nload\n" + "\n".join(cells) + "\n\n\n")
    assert (
        refusal(str(path)) == "1 value of 'load' is missing, first at line 54: fill them, or dataset.missing=forward."
    )
    made = read(str(path), missing="forward")
    assert len(made.values) == 400
    assert np.flatnonzero(~made.observed[:, 0]).tolist() == [50]
    path.write_text(path.read_text().replace("\n", "\r\n"))
    assert np.array_equal(read(str(path), missing="forward").values, made.values)
    frame = pd.DataFrame({"load": [1.0, np.nan, *np.arange(398) % 5]})  # which pandas writes as ""
    assert np.flatnonzero(~read(write(frame, path), missing="forward").observed[:, 0]).tolist() == [1]


def test_newest_first_is_the_same_series_where_the_clock_is_put_back(tmp_path: Path) -> None:
    local = pd.date_range("2024-10-20", periods=400, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"date": local.tz_localize(None), "load": np.arange(400.0)})
    for rows in (frame, frame[::-1]):
        made = read(write(rows, tmp_path / "a.csv"), timezone="Europe/Berlin")
        assert made.values[:, 0].tolist() == list(range(400))
        assert (made.times(made.parts[0]) == local.tz_convert("UTC").tz_localize(None).to_numpy()).all()


@pytest.mark.parametrize("rate", [30, 60, 7])
def test_steps_that_a_file_rounds_stay_on_their_grid(tmp_path: Path, rate: int) -> None:
    frame = pd.DataFrame({"time": (np.arange(4000) / rate).round(6), "y": np.arange(4000) % 11})
    made = read(write(frame, tmp_path / "a.csv"))
    assert len(made.values) == 4000
    assert made.step.size == pytest.approx(1 / rate, rel=1e-7)
    thinned = frame.drop(index=[700, 701])
    assert np.flatnonzero(~read(write(thinned, tmp_path / "a.csv"), missing="forward").observed[:, 0]).tolist() == [
        700,
        701,
    ]


def test_hints_name_what_would_help(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    dates = pd.date_range("2024-01-01", periods=400, freq="h")
    apart = {"Date": dates.strftime("%d/%m/%Y"), "Time": dates.strftime("%H:%M:%S"), "y": range(400)}
    assert refusal(write(pd.DataFrame(apart), path)) == (
        "2024-01-01 00:00 stands again and again: 'Time' holds the hours (00:00:00), so join it and 'Date' into one "
        "column."
    )
    mistyped = hourly().astype({"date": str})
    mistyped.loc[399, "date"] = "2204-01-17 15:00:00"
    assert refusal(write(mistyped, path), missing="forward").endswith(
        "most are missing between 2024-01-17 14:00 and 2204-01-17 15:00 (lines 400 and 401), one of which may be "
        "mistyped."
    )
    months = pd.DataFrame({"ds": pd.date_range("1990-01-01", periods=400, freq="MS"), "y": range(400)})
    thinned = write(months.drop(index=months.index[8::9]), path)
    assert refusal(thinned).endswith("(the commonest, 1 month, makes 88%): resample, or dataset.freq=MS.")
    assert refusal(thinned, freq="MS", input_steps=3, horizon=1).startswith("44 months are missing in 44 gaps")


def test_a_gap_across_a_border_is_named_by_its_series_and_time(tmp_path: Path) -> None:
    frame = pd.concat([hourly().assign(id=name) for name in ("a", "b")], ignore_index=True)
    frame.loc[[400 + 263, 400 + 264], "load"] = np.nan
    assert refusal(write(frame, tmp_path / "a.csv"), id="id", missing="linear").startswith(
        "a gap of 'load' of series 'b' at 2024-01-11 23:00 lies across the border of a split"
    )


def test_names_stay_on_one_line_and_apart_in_the_protocol(tmp_path: Path) -> None:
    frame = hourly().rename(columns={"load": "power\n in\tMW", "temp": "a,b"})
    made = read(write(frame, tmp_path / "a.csv"))
    assert made.targets == ("power in MW", "a,b")
    assert ", power in MW+'a,b', past -, " in series_words.protocol(made)
    frame.columns = ["date", "a+b", "c"]
    first = read(write(frame, tmp_path / "a.csv"))
    frame.columns = ["date", "a", "b+c"]
    second = read(write(frame, tmp_path / "a.csv"))
    told = [series_words.protocol(each).replace(each.sha256[:12], "") for each in (first, second)]
    assert told[0] != told[1]


def test_the_index_of_pandas_hides_no_column(tmp_path: Path) -> None:
    frame = hourly().drop(columns="date").rename(columns={"load": "index"})
    frame.index = np.random.default_rng(0).permutation(400)
    frame.to_parquet(tmp_path / "a.parquet")
    found = table.read(tmp_path / "a.parquet")
    assert np.array_equal(np.asarray(found.columns["index"].values), frame["index"].to_numpy())
    assert set(found.columns) == {"index", "temp", "__index_level_0__"}


def test_what_never_changes_is_not_outside_of_itself(tmp_path: Path) -> None:
    found = series.reading({"path": write(hourly().assign(flat=0.1), tmp_path / "a.csv"), **SMALL})
    assert not [each for each in found.warnings if "outside" in each]


def test_digits_that_float32_cannot_hold_are_warned_of(tmp_path: Path) -> None:
    frame = hourly().assign(load=lambda f: f["load"] + 1e9)
    path = write(frame, tmp_path / "a.csv")
    found = series.reading({"path": path, **SMALL, "scale": "none"})
    assert "'load' loses digits in float32 without a scale: dataset.scale=standard" in found.warnings
    assert not series.reading({"path": path, **SMALL}).warnings


def test_the_splits_are_told_where_the_longest_series_ends_before_test(tmp_path: Path) -> None:
    frame = hourly()
    long = pd.concat([frame[:300].assign(id="a"), frame[120:].assign(id="b")])
    options = {"path": write(long, tmp_path / "a.csv"), "id": "id", **SMALL}
    times = frame["date"].dt.strftime("%Y-%m-%d %H:%M")
    told = f"train to {times[263]}, val {times[276]} .. {times[312]}, test from {times[325]} in every series"
    assert told in series.reading(options).lines[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"freq": "100000000000D"}, "dataset.freq='100000000000D' is no frequency of pandas"),
        ({"time": "load", "id": "load"}, "column 'load' cannot be both dataset.time and dataset.id."),
    ],
)
def test_more_refusals(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    assert refusal(write(hourly(), tmp_path / "a.csv"), **options).startswith(sentence)


def test_a_time_that_is_no_time_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": [np.inf, *range(399)], "y": np.arange(400) % 7})
    assert refusal(write(frame, tmp_path / "a.csv")).startswith("a time of 'time' is missing, first at line 2")
    seconds = pd.DataFrame({"time": 1_700_000_000 + np.arange(400) / 2, "y": np.arange(400) % 7})
    found = series.reading({"path": write(seconds, tmp_path / "a.csv"), **SMALL})
    assert "every 0.5, 1700000000 .. 1700000199.5" in found.lines[0]


@pytest.mark.parametrize("code", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%y%m%d"])
def test_digits_of_a_clock_are_no_seconds_since_1970(tmp_path: Path, code: str) -> None:
    times = pd.date_range("2024-01-01", periods=400, freq="D" if code == "%y%m%d" else "h")
    path = write(pd.DataFrame({"date": times.strftime(code), "y": np.arange(400) % 7}), tmp_path / "a.csv")
    assert f"dataset.date_format={code}." in refusal(path, missing="forward")
    made = read(path, date_format=code)
    assert (made.times(made.parts[0]) == times.to_numpy()).all()
    seconds = pd.DataFrame({"date": times.astype("datetime64[s]").astype(np.int64), "y": np.arange(400) % 7})
    made = read(write(seconds, tmp_path / "a.csv"))
    assert (made.times(made.parts[0]) == times.to_numpy()).all()


def test_no_seasonal_floor_from_before_the_first_value(tmp_path: Path) -> None:
    frame = hourly()
    frame.loc[:100, "load"] = np.nan
    path = write(frame, tmp_path / "a.csv")
    told = {S: series.reading({"path": path, **SMALL, "missing": "forward", "season": S}).facts for S in (220, 300)}
    assert "seasonal" in told[220]["floors"]
    assert "seasonal" not in told[300]["floors"]


def test_parts_of_a_second_are_told(tmp_path: Path) -> None:
    times = [*pd.date_range("2024-01-01", periods=399, freq="10ms").astype(str), "2024-01-01 00:00:00.500"]
    path = write(pd.DataFrame({"ds": times, "y": np.arange(400) % 7}), tmp_path / "a.csv")
    assert refusal(path).startswith("2024-01-01 00:00:00.500 stands twice")


def test_kept_floors_are_of_what_was_observed(tmp_path: Path) -> None:
    """A value that equals what would be filled in makes the same values, and other seasonal floors."""
    made = read(write(hourly(), tmp_path / "a.csv"))
    unseen = replace(made, observed=np.where(np.arange(400)[:, None] < 5, False, made.observed))
    assert kept_scores._what(made) == kept_scores._what(read(str(tmp_path / "a.csv")))
    assert kept_scores._what(made) != kept_scores._what(unseen)
