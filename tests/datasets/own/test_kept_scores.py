"""Floors of a long series are computed once, equal to the bit, and never taken for those of something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.own.series_files import hourly, write
from rnnbench.datasets.own import kept_scores, series, series_floors
from rnnbench.datasets.own.series import Options, Series
from rnnbench.datasets.own.series_floors import Scores

KEPT = series_floors.floors


@pytest.fixture
def computed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Series]:
    """Every series whose floors are computed; all are kept."""
    seen: list[Series] = []
    monkeypatch.setattr(kept_scores, "LEAST", 0)
    monkeypatch.setattr(series_floors, "floors", lambda made: seen.append(made) or KEPT(made))
    return seen


def read(folder: Path, seed: int = 0, **options: object) -> Series:
    path = write(hourly(seed=seed), folder / f"load{seed}.csv")
    return series.read(Options.of({"path": path, "input_steps": 30, "horizon": 12, **options}))


def bits(scores: dict[str, Scores]) -> dict[str, tuple[object, ...]]:
    return {
        name: (each.mse, each.mae, each.mase, each.smape, each.mae_raw, each.mse_by.tobytes(), each.mae_by.tobytes())
        for name, each in scores.items()
    }


def test_floors_are_computed_once_and_equal_to_the_bit(computed: list[Series], cache: Path) -> None:
    first = kept_scores.floors(read(cache))
    again = kept_scores.floors(read(cache))
    assert len(computed) == 1
    assert list(again) == list(first) == ["last", "seasonal", "mean", "drift", "linear"]
    assert bits(again) == bits(first) == bits(KEPT(read(cache)))
    assert series.reading({"path": str(cache / "load0.csv"), "input_steps": 30, "horizon": 12}).facts["floors"]
    assert len(computed) == 1


def test_what_moves_a_floor_has_floors_of_its_own(computed: list[Series], cache: Path, monkeypatch) -> None:
    ways = [
        {}, {"seed": 1}, {"target": "load"}, {"target": ["temp", "load"]}, {"season": 12}, {"horizon": 6},
        {"stride": 2}, {"input_steps": 31}, {"scale": "none"},
    ]  # fmt: skip
    for options in ways:
        kept = kept_scores.floors(read(cache, **options))
        assert bits(kept) == bits(KEPT(read(cache, **options)))
    assert len(computed) == len(ways)
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    kept_scores.floors(read(cache))
    monkeypatch.setattr(kept_scores, "_source", lambda: "edited")
    kept_scores.floors(read(cache))
    assert len(computed) == len(ways) + 2


def test_where_values_begin_counts(computed: list[Series], cache: Path) -> None:
    made = read(cache)
    kept_scores.floors(made)
    late = replace(made, observed=made.observed & (np.arange(400) >= 310)[:, None])
    assert "seasonal" not in kept_scores.floors(late)  # a season before the first window of test nothing was there
    assert len(computed) == 2


def test_a_column_that_mase_cannot_measure_stays_none(computed: list[Series], cache: Path) -> None:
    path = write(hourly().assign(load=np.arange(400) % 24 + 0.0)[["date", "load"]], cache / "rhythm.csv")
    for _ in range(2):
        made = series.read(Options.of({"path": path, "input_steps": 30, "horizon": 12}))
        assert {each.mase for each in kept_scores.floors(made).values()} == {None}
    assert len(computed) == 1


@pytest.mark.parametrize("damage", [lambda old: b"", lambda old: old[: len(old) // 2], lambda old: b"PK\3\4nothing"])
def test_a_damaged_file_is_computed_anew(computed: list[Series], cache: Path, damage) -> None:
    first = kept_scores.floors(read(cache))
    (file,) = (cache / "floors").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert bits(kept_scores.floors(read(cache))) == bits(first)
    assert bits(kept_scores.floors(read(cache))) == bits(first)
    assert len(computed) == 2


def test_where_nothing_can_be_written_nothing_is_kept(computed: list[Series], cache: Path) -> None:
    (cache / "floors").write_text("a file")
    assert bits(kept_scores.floors(read(cache))) == bits(kept_scores.floors(read(cache)))
    assert len(computed) == 2


def test_short_series_are_not_kept(cache: Path) -> None:
    kept_scores.floors(read(cache))
    assert not (cache / "floors").exists()
