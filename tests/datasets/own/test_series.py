"""A user's series without torch: what each option makes of a file, the floors, and every refusal in one sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from datasets.own.series_files import case, expected, hourly, split, write
from rnnbench.datasets.own import series, series_floors, sources
from rnnbench.datasets.own.series import Options, Series
from rnnbench.datasets.own.series_words import floor_values, protocol
from rnnbench.errors import BadInput

SMALL = {"input_steps": 48, "horizon": 12}


def read(path: str, **options: Any) -> Series:
    return series.read(Options.of({"path": path, **SMALL, **options}))


def refusal(path: str, **options: Any) -> str:
    with pytest.raises(BadInput) as caught:
        series.reading({"path": path, **SMALL, **options})
    return str(caught.value)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write(hourly(), tmp_path / "load.csv")


def test_floors_are_what_a_loop_over_the_origins_of_test_makes_of_them(good: str) -> None:
    made = read(good)
    values = pd.read_csv(good)[["load", "temp"]].to_numpy()
    ranges = split(400, 12)
    assert made.parts[0].ranges == ranges == ((0, 264), (276, 313), (325, 400))
    wanted = expected(values, ranges, 48, 12, 24)
    scores = series_floors.floors(made)
    for name, each in wanted.items():
        found = scores[name]
        assert [found.mse, found.mae, found.mase, found.smape] == pytest.approx(list(each.values()), rel=1e-9)
    least = min(("last", "seasonal", "mean"), key=lambda name: wanted[name]["mse"])
    assert floor_values(scores)["best"] == pytest.approx(wanted[least]["mse"], rel=1e-9)


def test_drift_and_the_linear_reference(good: str) -> None:
    made = read(good, target="load")
    values = pd.read_csv(good)["load"].to_numpy()
    z = (values - values[:264].mean()) / values[:264].std()
    train = np.array([np.r_[z[o - 48 : o], 1, z[o : o + 12]] for o in range(48, 253)])
    X, Y = train[:, :49], train[:, 49:]
    weights = np.linalg.solve(X.T @ X + 1e-3 * np.eye(49), X.T @ Y)
    linear, drift = [], []
    for o in range(325, 389):
        linear.append(np.r_[z[o - 48 : o], 1] @ weights - z[o : o + 12])
        slope = (z[o - 1] - z[o - 48]) / 47
        drift.append(z[o - 1] + slope * np.arange(1, 13) - z[o : o + 12])
    scores = series_floors.floors(made)
    assert scores["linear"].mse == pytest.approx(np.square(linear).mean(), rel=1e-8)
    assert scores["drift"].mse == pytest.approx(np.square(drift).mean(), rel=1e-9)


def test_best_is_never_the_linear_reference(good: str) -> None:
    scores = series_floors.floors(read(good))
    assert scores["linear"].mse < min(scores[name].mse for name in series_floors.TRIVIAL)
    assert series_floors.best(series_floors.values(scores)) != "linear"


def test_what_is_printed(tmp_path: Path) -> None:
    frame = hourly().drop(index=[100, 101, 200])
    found = series.reading({"path": write(frame, tmp_path / "a.csv"), "missing": "forward", **SMALL})
    lines = found.lines
    assert lines[0] == (
        "a.csv: 397 rows, hourly, 2024-01-01 00:00 .. 2024-01-17 15:00, 2 numeric columns (load, temp), separator ',', "
        "UTF-8"
    )
    assert lines[1] == (
        "2 gaps (3 missing hours, first after 2024-01-05 03:00): inputs filled from the past; 25 of 205 training "
        "windows have a missing target and are left out"
    )
    assert lines[2] == (
        "season 24; 12 hours of load, temp from 48 with calendar (hour, weekday); train to 2024-01-11 23:00, val "
        "2024-01-12 12:00 .. 2024-01-14 00:00, test from 2024-01-14 13:00 (gaps of 12 hours); windows 180/26/64"
    )
    assert lines[3].startswith("floors on test, mse: ")
    assert "(the best)" in lines[3]
    assert found.facts["windows"] == [180, 26, 64]
    assert (found.facts["input_steps"], found.facts["horizon"], found.facts["season"]) == (48, 12, 24)
    assert json.loads(json.dumps(found.as_dict()))["facts"]["columns"] == ["load", "temp"]


@pytest.mark.parametrize(
    ("freq", "season", "horizon", "steps", "calendar"),
    [
        ("h", 24, 24, 96, ["hour", "weekday"]),
        ("15min", 96, 12, 384, ["hour", "weekday"]),
        ("D", 7, 7, 28, ["weekday", "day_of_year"]),
        ("W", 52, 52, 208, ["day_of_year"]),
        ("MS", 12, 12, 48, ["day_of_year"]),
        ("ME", 12, 12, 48, ["day_of_year"]),
        ("QS", 4, 12, 24, ["day_of_year"]),
        ("YS", None, 12, 24, []),
    ],
)
def test_the_step_settles_season_and_lengths(tmp_path, freq, season, horizon, steps, calendar) -> None:
    rows = 3000 if freq in ("15min", "D") else 1400 if freq in ("h", "W") else 700
    times = pd.date_range("1800-01-01" if freq in ("ME", "MS", "QS", "YS") else "1980-01-01", periods=rows, freq=freq)
    frame = pd.DataFrame({"ds": times.strftime("%Y-%m-%d %H:%M:%S"), "y": np.sin(np.arange(rows))})
    if freq == "YS":
        frame = frame[:400]
    made = series.read(Options.of({"path": write(frame, tmp_path / "a.csv")}))
    assert (made.season, made.plan.horizon, made.plan.input_steps) == (season, horizon, steps)
    assert [name.removeprefix("sin_") for name in made.calendar[::2]] == calendar


def test_the_day_of_the_year_is_told_from_two_years_of_train_on(tmp_path) -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=1500), "y": np.arange(1500.0) % 13})
    path = write(frame, tmp_path / "a.csv")
    assert "sin_day_of_year" in read(path, split=[0.7, 0.1, 0.2]).calendar
    assert "sin_day_of_year" not in read(path, split=[0.4, 0.3, 0.3]).calendar


def test_calendar_values_are_sines_of_the_clock(good: str) -> None:
    made = read(good)
    row = 29  # 2024-01-02 05:00, a Tuesday
    known = dict(zip(made.calendar, made.known[row], strict=True))
    assert known["sin_hour"] == pytest.approx(np.sin(2 * np.pi * 5 / 24))
    assert known["cos_weekday"] == pytest.approx(np.cos(2 * np.pi * 1 / 7))


def test_usual_names_need_no_option(tmp_path) -> None:
    frame = hourly(300)
    long = pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": frame["date"], "y": frame["load"] * k})
            for name, k in (("b", 2), ("a", 1))
        ]
    )
    made = read(write(long, tmp_path / "long.csv"))
    assert [part.id for part in made.parts] == ["a", "b"]
    assert made.targets == ("y",)
    assert made.values[300:, 0] == pytest.approx(2 * made.values[:300, 0])
    assert made.scaled()[:300] == pytest.approx(made.scaled()[300:])  # each by its own train
    assert [len(each) for each in made.origins] == [
        2 * len(each) for each in read(write(long[300:], tmp_path / "one.csv")).origins
    ]


def test_every_column_of_numbers_is_a_target_but_those_that_are_something_else(tmp_path) -> None:
    frame = hourly().assign(price=lambda f: f["load"] + 1, word="x")
    path = write(frame, tmp_path / "a.csv")
    made = read(path, future="price")
    assert (made.targets, made.future, made.left_out) == (("load", "temp"), ("price",), ("left out: word (text)",))
    assert read(path, target="temp", past=["load"]).past == ("load",)


def test_cut_by_calendar_and_by_each_series(tmp_path) -> None:
    frame = hourly(500)
    late = frame[100:]
    long = pd.concat([frame.assign(id="a"), late.assign(id="b")])
    path = write(long, tmp_path / "a.csv")
    common, each = read(path, id="id"), read(path, id="id", cut="each")
    for part in common.parts:
        times = common.times(part)
        low, _ = part.ranges[2]
        assert times[low - part.rows[0]] == common.times(common.parts[0])[common.parts[0].ranges[2][0]]
    ranges = [tuple(row - part.rows[0] for row in part.ranges[2]) for part in each.parts]
    assert ranges == [split(500, 12)[2], split(400, 12)[2]]
    assert "by each series' time" in protocol(each)


def test_borders_are_rows_and_take_no_gap_unasked(good: str) -> None:
    made = read(good, borders=[200, 300, 390])
    assert made.parts[0].ranges == ((0, 200), (200, 300), (300, 390))
    assert [len(each) for each in made.origins] == [200 - 60 + 1, 100 - 12 + 1, 90 - 12 + 1]
    assert made.origins[1][0] == 200  # its input reaches back over the border
    assert read(good, borders=[200, 300, 390], gap=5).parts[0].ranges[1] == (205, 300)


def test_no_window_of_train_touches_a_row_of_val_or_test(good: str) -> None:
    for options in ({}, {"gap": 0}, {"borders": [200, 300, 390]}, {"anchor": "seasonal", "season": 60}):
        made = read(good, **options)
        train, val, test = made.origins
        held = made.parts[0].ranges
        assert train.max() + 12 <= held[0][1] <= held[1][0]
        assert train.min() - made.plan.reach >= 0
        assert set(range(val.min(), val.max() + 12)) <= set(range(*held[1]))
        assert set(range(test.min(), test.max() + 12)) == set(range(*held[2]))


def test_numbers_of_test_move_no_scale(tmp_path, good: str) -> None:
    frame = pd.read_csv(good)
    before = read(good)
    frame.loc[276:, ["load", "temp"]] *= 7
    after = read(write(frame, tmp_path / "b.csv"))
    assert np.array_equal(before.mean, after.mean)
    assert np.array_equal(before.std, after.std)
    assert np.array_equal(before.seasonal_error, after.seasonal_error)
    train = pd.read_csv(good)[["load", "temp"]].to_numpy()[:264]
    assert before.mean[0] == pytest.approx(train.mean(0))
    assert before.std[0] == pytest.approx(train.std(0))


def test_stride_and_gap(good: str) -> None:
    made = read(good, stride=5, gap=3)
    assert np.unique(np.diff(made.origins[0])).tolist() == [5]
    assert made.parts[0].ranges == split(400, 3)


def test_scale_none_keeps_the_units_and_mean_is_still_train_s(good: str) -> None:
    made = read(good, scale="none")
    assert np.array_equal(made.scaled(), made.values)
    values = pd.read_csv(good)[["load", "temp"]].to_numpy()
    error = [values[:264].mean(0) - values[o : o + 12] for o in range(325, 389)]
    assert series_floors.floors(made)["mean"].mse == pytest.approx(np.square(error).mean())


def gappy(tmp_path: Path, rows: list[int], column: str = "load") -> str:
    frame = hourly()
    frame.loc[rows, column] = np.nan
    return write(frame, tmp_path / "gaps.csv")


def test_forward_fills_inputs_and_leaves_windows_with_a_missing_target_out(tmp_path) -> None:
    made = read(gappy(tmp_path, [100, 101]), missing="forward")
    raw = pd.read_csv(tmp_path / "gaps.csv")["load"]
    assert made.values[:, 0] == pytest.approx(raw.ffill())
    assert made.mean[0, 0] == pytest.approx(raw[:264].mean())
    wanted = [o for o in range(48, 253) if not raw[o : o + 12].isna().any()]
    assert made.origins[0].tolist() == wanted


def test_what_has_nothing_before_it_is_no_input(tmp_path) -> None:
    made = read(gappy(tmp_path, [0, 1, 2]), missing="forward")
    assert made.origins[0][0] == 51
    assert np.isfinite(made.values).all()


def test_linear_draws_a_line_and_keeps_every_window(tmp_path) -> None:
    made = read(gappy(tmp_path, [100, 101]), missing="linear")
    raw = pd.read_csv(tmp_path / "gaps.csv")["load"]
    assert made.values[:, 0] == pytest.approx(raw.interpolate())
    assert len(made.origins[0]) == 205
    pairs = (raw - raw.shift(24))[24:264].abs()
    assert made.seasonal_error[0, 0] == pytest.approx(pairs.mean() / raw[:264].std(ddof=0))


def test_a_line_over_a_border_or_without_an_end_is_refused(tmp_path) -> None:
    assert "lies across the border of a split" in refusal(gappy(tmp_path, [263, 264]), missing="linear")
    assert refusal(gappy(tmp_path, [398, 399]), missing="linear").startswith("'load' ends with missing values")
    found = series.reading({"path": gappy(tmp_path, [350]), "missing": "linear", **SMALL})
    assert any("drawn by a line in val and test" in sentence for sentence in found.warnings)


@pytest.mark.parametrize(("how", "value"), [("first", 1.0), ("last", 5.0), ("mean", 3.0)])
def test_duplicates(tmp_path, how: str, value: float) -> None:
    frame = hourly()
    again = frame.iloc[[50]].copy()
    frame.loc[50, "load"], again["load"] = 1.0, 5.0
    path = write(pd.concat([frame, again]), tmp_path / "a.csv")
    assert refusal(path) == ("2024-01-03 02:00 stands twice (lines 52 and 402): dataset.duplicates=mean|first|last.")
    made = read(path, duplicates=how)
    assert made.values[50, 0] == pytest.approx(value)
    assert len(made.values) == 400


def test_numbers_or_nothing_may_count_the_time(tmp_path) -> None:
    frame = pd.DataFrame({"time": np.arange(300) * 0.1, "y": np.arange(300.0) % 7})
    made = read(write(frame, tmp_path / "a.csv"), season=7)
    assert (made.step.kind, made.calendar, made.season) == ("number", (), 7)
    without = read(write(frame[["y"]], tmp_path / "b.csv"))
    assert (without.step.kind, without.season) == ("rows", None)
    assert np.array_equal(without.values, made.values)
    assert "no column of times" in series.describe(without).lines[0]


def test_a_frequency_may_be_forced(tmp_path) -> None:
    days = pd.bdate_range("2020-01-01", periods=400)
    path = write(pd.DataFrame({"date": days, "y": np.arange(400.0) % 5}), tmp_path / "a.csv")
    assert refusal(path) == (
        "the steps of 'date' are irregular (the commonest, 1 day, makes 80%): resample, or dataset.freq=B."
    )
    made = read(path, freq="B")
    assert (len(made.values), made.season, made.step.words) == (400, 5, "freq B")
    missing = len(pd.date_range(days[0], days[-1])) - 400
    assert refusal(path, freq="D").startswith(f"{missing} days are missing in 80 gaps, first after 2020-01-03:")
    assert refusal(path, freq="fortnight").startswith("dataset.freq='fortnight' is no frequency of pandas")


SENTENCES = [
    ({"target": "laod"}, "no column 'laod'; did you mean 'load'?"),
    ({"future": ["word"]}, "dataset.future=[word] is text; only numbers are taken."),
    ({"past": ["date"]}, "dataset.past=[date] is the time already."),
    ({"target": "load", "past": "load"}, "column 'load' is one of dataset.target"),
    ({"strategy": "recursive"}, "dataset.strategy=recursive is not there yet"),
    ({"anchor": "seasonal", "season": "none"}, "dataset.anchor=seasonal needs a season"),
    ({"input_steps": 6}, "what is known of the 12 coming steps is shown beside the last 6"),
    ({"split": [0.5, 0.5, 0.5]}, "dataset.split must be three shares that make 1"),
    ({"borders": [300, 200, 390]}, "dataset.borders must be the three rows"),
    ({"borders": [300, 390, 500]}, "400 rows, and dataset.borders end at 500"),
    ({"borders": [300, 305, 400]}, "dataset.borders=[300, 305, 400] leave 5 rows to val, which takes at least 12"),
    ({"missing": "guess"}, "dataset.missing must be one of refuse, forward, linear; got 'guess'."),
    ({"gap": -1}, "dataset.gap must be a whole number of at least 0"),
    ({"season": "weekly"}, "dataset.season must be a whole number of at least 1"),
    ({"source": "co2"}, "dataset.path names a table with a column of numbers, or dataset.source a known one: not both"),
    ({"colour": "red"}, "dataset.colour is no option of own_series"),
    ({"input_steps": 300}, "400 rows are too few: one window takes 312 (300 + 12); three splits with two gaps of 12"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), SENTENCES)
def test_refusals(tmp_path, options: dict[str, Any], sentence: str) -> None:
    path = write(hourly().assign(word="x"), tmp_path / "load.csv")
    assert refusal(path, **options).startswith(sentence)


def test_the_least_rows_are_enough_and_one_less_is_not(tmp_path) -> None:
    frame = hourly()
    assert refusal(write(frame[:143], tmp_path / "a.csv")) == (
        "143 rows are too few: one window takes 60 (48 + 12); three splits with two gaps of 12 take at least 144."
    )
    assert min(len(each) for each in read(write(frame[:144], tmp_path / "b.csv")).origins) == 1


def test_infinity_missing_values_and_the_clock(tmp_path) -> None:
    frame = hourly()
    frame.loc[5, "load"] = np.inf
    assert refusal(write(frame, tmp_path / "a.csv")) == "infinity in 'load' at line 7."
    assert refusal(gappy(tmp_path, [7, 9, 30], "temp")) == (
        "3 values of 'temp' are missing, first at line 9: fill them, or dataset.missing=forward."
    )
    local = pd.date_range("2024-10-20", periods=400, freq="h", tz="Europe/Berlin").tz_localize(None)
    assert refusal(write(hourly().assign(date=local), tmp_path / "c.csv")) == (
        "2024-10-27 02:00 stands twice: the clock was put back; write the offset, or dataset.timezone=Europe/Berlin."
    )


@pytest.mark.parametrize(
    ("zone", "start", "freq", "last", "lost"),
    [
        ("Europe/Berlin", "2024-03-24", "h", "2024-03-31 01:00", "1 hour is"),
        ("America/New_York", "2024-03-05", "30min", "2024-03-10 01:30", "60 minutes are"),
        ("Australia/Sydney", "2024-10-01", "15min", "2024-10-06 01:45", "60 minutes are"),
    ],
)
def test_an_hour_that_the_clock_leaves_out_in_spring_is_named(tmp_path, zone, start, freq, last, lost) -> None:
    local = pd.date_range(start, periods=800, freq=freq, tz=zone).tz_localize(None)
    frame = pd.DataFrame({"date": local, "load": np.arange(800.0)})
    path = write(frame, tmp_path / "a.csv")
    assert refusal(path) == (
        f"{lost} missing in 1 gap after {last}, when the clock was put forward: write the offset, or "
        f"dataset.timezone={zone}; where it was not, dataset.missing=forward."
    )
    assert read(path, timezone=zone).lost.gaps.rows == 0  # the remedy is one
    other = write(frame.drop(index=[20, 21, 22, 23]), tmp_path / "b.csv")  # another gap beside it: nothing is claimed
    assert "clock" not in refusal(other)


def test_columns_that_are_no_numbers_are_shown_with_their_first_cell_and_empty_ones_are_left_out(tmp_path) -> None:
    frame = hourly()
    priced = frame.assign(load=[f"${value:.2f}" for value in frame["load"]], temp="warm")
    path = write(priced, tmp_path / "a.csv")
    first = priced["load"][0]
    assert refusal(path) == f"a.csv holds no column of numbers to predict: load (text '{first}'), temp (text)."
    made = read(write(frame.assign(notes=""), tmp_path / "b.csv"))
    assert (made.targets, made.left_out) == (("load", "temp"), ("left out: notes (empty)",))
    assert "has no value among the rows of train" in refusal(
        write(frame.assign(notes=""), tmp_path / "c.csv"), target="notes", missing="forward"
    )


def test_a_column_of_rising_years_is_the_time(tmp_path) -> None:
    frame = pd.DataFrame({"Year": np.arange(1700, 2000), "spots": np.arange(300) % 11})
    made = read(write(frame, tmp_path / "a.csv"))
    assert (made.time, made.targets, made.step.words) == ("Year", ("spots",), "yearly")
    monthly = frame.assign(Year=1980 + np.arange(300) // 12)
    made = read(write(monthly, tmp_path / "b.csv"))
    assert (made.time, made.targets) == (None, ("Year", "spots"))
    dated = hourly().assign(year=np.arange(1700, 2100))
    made = read(write(dated, tmp_path / "c.csv"))
    assert (made.time, made.targets) == ("date", ("load", "temp", "year"))


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("# exported\n# station 5\n", "has 2 fields, the header 1: leave out the lines of comments before the header."),
        ("sep=,\n", "a.csv begins with sep=,, which only Excel knows: remove its first line."),
    ],
)
def test_lines_before_the_header_are_named(tmp_path, before, sentence) -> None:
    (tmp_path / "a.csv").write_text(before + hourly()[["date", "load"]].to_csv(index=False))
    assert refusal(str(tmp_path / "a.csv")).endswith(sentence)


def test_a_header_that_stands_again_is_named(tmp_path) -> None:
    lines = hourly()[["load", "temp"]].to_csv(index=False).splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*lines[:200], lines[0], *lines[200:]]))
    assert refusal(str(tmp_path / "a.csv")) == "the header stands again at line 201 of a.csv: remove that line."


def test_warnings_of_very_many_columns_are_counted(tmp_path) -> None:
    frame = pd.DataFrame({f"c{n}": np.arange(200.0) + n for n in range(20)})
    told = series.describe(read(write(frame, tmp_path / "a.csv"), horizon=4)).warnings
    of_levels = [each for each in told if "on average in test" in each or "more like" in each]
    assert [each.split(" ")[0] for each in of_levels] == ["'c0'", "'c1'", "'c2'", "'c3'", "'c4'", "'c5'", "and"]
    assert of_levels[-1] == "and 14 more like the last"


def test_a_clock_change_is_the_same_for_all_series_and_of_local_times_only(tmp_path) -> None:
    local = pd.date_range("2024-03-24", periods=400, freq="h", tz="Europe/Berlin").tz_localize(None)
    frame = pd.DataFrame({"unique_id": ["a"] * 400 + ["b"] * 400, "ds": [*local, *local], "y": np.arange(800.0)})
    assert refusal(write(frame, tmp_path / "a.csv")).startswith(
        "2 hours are missing in 2 gaps, first after 2024-03-31 01:00 in series 'a', when the clock was put forward: "
    )
    utc = hourly().assign(date=[f"{each:%Y-%m-%d %H:%M}Z" for each in local])
    assert refusal(write(utc, tmp_path / "b.csv")) == (
        "1 hour is missing in 1 gap after 2024-03-31 01:00: dataset.missing=forward."
    )


def test_a_constant_column_is_not_scaled_by_rounding(tmp_path) -> None:
    made = read(write(hourly().assign(flat=0.1), tmp_path / "a.csv"), past="flat", target="load")
    assert made.std[0, 1] == 1.0
    assert np.abs(made.scaled()[:, 1]).max() < 1e-12


def test_numbers_beyond_all_units_are_refused(tmp_path) -> None:
    frame = hourly()
    frame.loc[3, "temp"] = 1e200
    assert refusal(write(frame, tmp_path / "a.csv")).startswith("1e+200 in 'temp' at line 5 is beyond 1e+30:")


@pytest.mark.parametrize("first", ["2001-01-01", "2001-01-15 06:00", "2001-02-28", "2001-01-31"])
def test_months_keep_their_day(tmp_path, first: str) -> None:
    start = pd.Timestamp(first)
    step = pd.offsets.MonthEnd() if start.is_month_end else pd.DateOffset(months=1)
    times = pd.date_range(start, periods=200, freq=step)
    frame = pd.DataFrame({"date": times.strftime("%Y-%m-%d %H:%M"), "y": np.arange(200.0) % 5})
    made = read(write(frame, tmp_path / "a.csv"), input_steps=24, gap=0)
    assert made.step.words == "monthly"
    assert np.array_equal(made.times(made.parts[0]), times.to_numpy("datetime64[ns]"))


def test_a_long_file_may_have_short_series(tmp_path) -> None:
    frame = hourly(500)[["date", "load"]]
    long = pd.concat([frame.assign(id="a"), frame[:345].assign(id="b")])
    path = write(long, tmp_path / "a.csv")
    made = read(path, id="id")
    warnings = series.describe(made).warnings
    assert "1 of 2 series have no window in test (b)" in warnings
    late = pd.concat([frame.assign(id="a"), frame[450:].assign(id="b")])
    assert refusal(write(late, tmp_path / "b.csv"), id="id") == (
        "'load' of series 'b' has no value among the rows of train: leave it out, or dataset.cut=each."
    )
    assert refusal(str(tmp_path / "b.csv"), id="id", cut="each").startswith("series 'b': 50 rows are too few")


def test_warnings(tmp_path) -> None:
    frame = hourly().assign(flat=1.0)
    frame["plan"] = frame["load"].shift(-3, fill_value=0.0)
    frame.loc[325:, "temp"] += 100
    found = series.reading(
        {"path": write(frame, tmp_path / "a.csv"), "target": ["load", "temp"], "past": ["plan", "flat"], **SMALL}
    )
    said = "\n".join(found.warnings)
    assert "'flat' never changes in train" in said
    assert "'plan' all but equals 'load' 3 hours later (r = 1.0000)" in said
    assert "'temp' is 10" in said
    assert "outside train's" in said
    assert len(found.warnings) == 3


def test_a_seasonal_error_of_0_is_left_out_and_said(tmp_path) -> None:
    frame = hourly()
    frame["temp"] = np.arange(400) % 24.0
    found = series.reading({"path": write(frame, tmp_path / "a.csv"), **SMALL})
    only = series.reading({"path": str(tmp_path / "a.csv"), "target": "load", **SMALL})
    assert any(sentence.startswith("mase leaves out 1 of 2 columns") for sentence in found.warnings)
    assert found.facts["floors"]["last"]["mase"] == pytest.approx(only.facts["floors"]["last"]["mase"])


def test_every_option_that_moves_a_number_is_in_the_protocol(good: str) -> None:
    options: dict[str, Any] = {
        "target": "load", "past": "temp", "calendar": "none", "input_steps": 50, "horizon": 10, "season": 12,
        "missing": "forward", "duplicates": "mean", "split": [0.6, 0.2, 0.2], "gap": 3, "borders": [200, 300, 390],
        "channels": "shared", "anchor": "none", "stride": 2, "scale": "none", "freq": "1h",
        "encoding": "utf-8", "separator": ",", "decimal": ".",
    }  # fmt: skip
    plain = protocol(read(good))
    told = set()
    for name, value in options.items():
        more = {"target": "load"} if name == "past" else {}
        told.add(protocol(read(good, **{name: value, **more})))
    assert len(told | {plain}) == len(options) + 1


@pytest.mark.data
@pytest.mark.integration
def test_collected_cases() -> None:
    """Every case of a series in the collection: read, or refused with its sentence."""
    sentences = {
        "s06": "3 hours are missing in 2 gaps, first after 2024-01-05 03:00: dataset.missing=forward.",
        "s08": "3 values of 'temp' are missing, first at line 9: fill them, or dataset.missing=forward.",
        "s10": "2024-01-03 02:00 stands twice (lines 52 and 53): dataset.duplicates=mean|first|last.",
        "s14": (
            "2024-10-27 02:00 stands twice: the clock was put back; write the offset, or "
            "dataset.timezone=Europe/Berlin."
        ),
        "s18": "the first line of s18_no_header.csv holds no names (10.0, 5.175): add a header.",
        "s20": (
            "60 rows are too few: one window takes 60 (48 + 12); three splits with two gaps of 12 take at least 144."
        ),
        "s22": "s22_empty.csv is empty.",
        "s24": "infinity in 'load' at line 7.",
        "s26": "no column 'laod'; did you mean 'load'?",
        "s28": "2024-01-01 05:00 stands twice in series 'A' (lines 7 and 782): dataset.duplicates=mean|first|last.",
    }
    printed = {
        "s02": "decimal comma",
        "s12": "not in order of time: sorted",
        "s16": "day first",
        "s29": "weather (text)",
    }
    first = None
    seen = 0
    with Path(case("INDEX.csv")).open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "own_series"]
    for row in rows:
        pairs = (word.removeprefix("dataset.").split("=") for word in row["options"].split())
        options = {"path": case(row["file"]), **{key: yaml.safe_load(value) for key, value in pairs}}
        seen += 1
        if row["kind"] == "error":
            with pytest.raises(BadInput) as caught:
                series.reading(options)
            assert str(caught.value) == sentences[row["id"]]
            continue
        made = series.read(Options.of(options))
        assert len(made.values) == 400
        assert printed.get(row["id"], "") in series.describe(made).lines[0]
        if row["id"] in ("s01", "s02", "s04", "s12", "s16", "s29", "s31"):
            first = made.values if first is None else first
            assert np.array_equal(made.values, first)
    assert seen == 18


@pytest.mark.data
@pytest.mark.parametrize(
    ("key", "file", "options"),
    [
        ("s01 both targets", "s01_good.csv", {}),
        ("s01 target=load", "s01_good.csv", {"target": "load"}),
        ("s06/s07 forward", "s06_gaps.csv", {"missing": "forward"}),
        ("s06/s07 linear", "s06_gaps.csv", {"missing": "linear"}),
    ],
)
def test_accepted_values_of_the_cases(key: str, file: str, options: dict[str, Any]) -> None:
    wanted = json.loads(Path(case("ACCEPT.json")).read_text())[key]
    made = read(case(file), **options)
    _compare(made, wanted)


@pytest.mark.data
@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("co2 linear", {"source": "co2", "missing": "linear", "input_steps": 104, "horizon": 52}),
        ("co2 forward", {"source": "co2", "missing": "forward", "input_steps": 104, "horizon": 52}),
    ],
)
def test_accepted_values_of_a_set_with_gaps(key: str, options: dict[str, Any]) -> None:
    wanted = json.loads(Path(case("gaps_floors.json")).read_text())[key]
    _compare(series.read(Options.of(options)), wanted)


def _compare(made: Series, wanted: dict[str, Any]) -> None:
    assert [list(each) for each in made.parts[0].ranges] == [wanted["train"], wanted["val"], wanted["test"]]
    assert [len(each) for each in made.origins] == wanted["windows"]
    assert made.mean[0] == pytest.approx(wanted["column_mean"], abs=6e-7)
    assert made.std[0] == pytest.approx(wanted["column_std"], abs=6e-7)
    scores = series_floors.floors(made)
    for name in ("mean", "last", f"seasonal{made.season}"):
        found = scores[name.rstrip("0123456789")]
        values = [wanted[name][each] for each in ("mse", "mae", "mase")]
        assert [found.mse, found.mae, found.mase] == pytest.approx(values, abs=6e-7)


@pytest.mark.parametrize(
    ("options", "rows", "windows", "wanted"),
    [
        (
            {"source": "seattle_weather", "season": 365, "horizon": 7, "input_steps": 28},
            (1014, 144, 289), 283,
            {
                "last": (1.089043, 0.614297, 0.8550),
                "seasonal": (1.103672, 0.645646, 0.9067),
                "mean": (1.070892, 0.759892, 1.1634),
            },
        ),
        (
            {"source": "seattle_weather", "season": 365, "horizon": 7, "input_steps": 28, "target": "temp_max"},
            (1014, 144, 289), 283,
            {
                "last": (0.389008, 0.486882, 0.8807),
                "seasonal": (0.448246, 0.518738, 0.9384),
                "mean": (1.105155, 0.861277, 1.5580),
            },
        ),
        (
            {"source": "co2", "season": 52, "horizon": 52, "input_steps": 208, "missing": "linear"},
            (1526, 218, 436), 385,
            {
                "last": (0.109834, 0.267521, 2.2423),
                "seasonal": (0.036798, 0.173607, 1.4551),
                "mean": (12.369010, 3.489695, 29.2494),
            },
        ),
        (
            {"source": "sunspots", "time": "YEAR", "season": 11, "horizon": 11, "input_steps": 44},
            (202, 28, 57), 47,
            {
                "last": (4.472154, 1.683533, 2.6661),
                "seasonal": (1.200884, 0.828342, 1.3118),
                "mean": (2.857773, 1.323765, 2.0964),
            },
        ),
    ],
)  # fmt: skip
def test_accepted_values_of_the_sets_that_come_along(options, rows, windows, wanted) -> None:
    made = series.read(Options.of(options))
    assert sources.locate(options["source"]).name == made.file
    assert tuple(high - low for low, high in made.parts[0].ranges) == rows
    assert len(made.origins[2]) == windows
    scores = series_floors.floors(made)
    for name, (mse, mae, mase) in wanted.items():
        assert [scores[name].mse, scores[name].mae] == pytest.approx([mse, mae], abs=6e-7)
        assert scores[name].mase == pytest.approx(mase, abs=6e-5)


@pytest.mark.data
@pytest.mark.integration
def test_accepted_values_of_etth1() -> None:
    case("etth1_floors.json")
    wanted = json.loads(Path(case("etth1_floors.json")).read_text())
    for horizon in (24, 48, 96):
        for target, prefix in ((None, "M"), ("OT", "S_OT")):
            made = series.read(Options.of({
                "source": "etth1", "borders": [8640, 11520, 14400], "input_steps": 96, "horizon": horizon,
                "target": target, "calendar": "none",
            }))  # fmt: skip
            key = f"{prefix}/H{horizon}"
            assert len(made.origins[2]) == wanted[f"{key}/windows"]
            scores = series_floors.floors(made)
            for name, floor in (("last", "last"), ("seasonal24", "seasonal"), ("mean", "mean")):
                found = scores[floor]
                assert [found.mse, found.mae] == pytest.approx(wanted[f"{key}/{name}"], rel=1e-9)
                assert found.mase == pytest.approx(wanted[f"{key}/{name}/mase24"], rel=1e-9)
                assert found.smape == pytest.approx(wanted[f"{key}/{name}/smape"], rel=1e-7)
                assert found.mae_raw == pytest.approx(wanted[f"{key}/{name}/mae_raw"], rel=1e-9)
            honest = "last" if (prefix, horizon) in (("S_OT", 24), ("S_OT", 48), ("S_OT", 96)) else "seasonal"
            assert series_floors.best(series_floors.values(scores)) == honest
            if prefix == "M" and horizon == 96:
                steps = wanted["M/H96/seasonal24/per_h(1,24,25,48,96)_mse"]
                assert scores["seasonal"].mse_by.mean(1)[[0, 23, 24, 47, 95]] == pytest.approx(steps, rel=1e-9)
                columns = list(wanted["M/H96/last/per_channel_mse"].values())
                assert scores["last"].mse_by.mean(0) == pytest.approx(columns, abs=6e-7)
            linear = {("M", 24): (0.308627, 0.350597), ("M", 96): (0.381480, 0.392967)}.get((prefix, horizon))
            if linear is not None:
                assert [scores["linear"].mse, scores["linear"].mae] == pytest.approx(linear, abs=6e-7)
