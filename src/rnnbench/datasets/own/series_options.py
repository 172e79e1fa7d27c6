"""The options of `own_series`, checked before any file is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.own import series_metrics, windows
from rnnbench.datasets.own.table import Options as TableOptions
from rnnbench.errors import BadInput, nearest

CHOICES = {
    "calendar": ("auto", "none"),
    "missing": ("refuse", "forward", "linear"),
    "duplicates": ("refuse", "first", "last", "mean"),
    "cut": ("calendar", "each"),
    "channels": ("mixed", "shared"),
    "anchor": ("last", "none", "seasonal"),
    "scale": ("standard", "none"),
}
TEXTS = (
    "path", "source", "time", "id", "separator", "decimal", "thousands", "date_format", "timezone", "encoding"
)  # fmt: skip
LISTS = ("target", "past", "future", "columns")


@dataclass(frozen=True)
class Options:
    """Every option as `conf/dataset/own_series.yaml` explains it. Raises BadInput on what none of them can be."""

    name: str = "own_series"
    path: str | None = None
    source: str | None = None
    time: str | None = None
    id: str | None = None
    target: Any = None
    past: Any = ()
    future: Any = ()
    calendar: str = "auto"
    input_steps: int | None = None
    horizon: int | None = None
    season: Any = "auto"
    freq: str = "auto"
    missing: str = "refuse"
    duplicates: str = "refuse"
    split: Any = (0.7, 0.1, 0.2)
    gap: Any = "horizon"
    cut: str = "calendar"
    borders: Any = None
    channels: str = "mixed"
    anchor: str = "last"
    stride: int = 1
    strategy: str = "direct"
    scale: str = "standard"
    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    columns: Any = None
    metrics: Any = None
    metric: Any = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """From a dataset's node. Raises BadInput on a name that is no option."""
        known = [each.name for each in fields(cls)]
        for name in options:
            if name not in known:
                raise BadInput(f"dataset.{name} is no option of own_series; {nearest(str(name), known)}")
        return cls(**options)

    def __post_init__(self) -> None:
        self._settle_names()
        for option, known in CHOICES.items():
            one_of(option, getattr(self, option), known)
        for option in ("input_steps", "horizon"):
            if getattr(self, option) is not None:
                whole(option, getattr(self, option), 1)
        whole("stride", self.stride, 1)
        if self.season not in ("auto", "none", None):
            whole("season", self.season, 1, "rows of one season, auto or none")
        if self.gap != "horizon":
            whole("gap", self.gap, 0, "rows left out between two splits, or horizon")
        if self.strategy == "recursive":
            raise BadInput(
                "dataset.strategy=recursive is not there yet: it would be validated on other numbers than a direct "
                "network; dataset.strategy=direct predicts all steps at once."
            )
        one_of("strategy", self.strategy, ("direct",))
        if not isinstance(self.freq, str) or not self.freq:
            raise BadInput(f"dataset.freq must be auto or a frequency of pandas, such as 1h or MS; got {self.freq!r}.")
        windows.rows_of(self.borders)
        assert self.shares
        series_metrics.choose(self.metrics, self.metric)

    def _settle_names(self) -> None:
        """Names of columns as texts: one may be called 2020."""
        for option in ("time", "id"):
            if isinstance(getattr(self, option), int):
                object.__setattr__(self, option, str(getattr(self, option)))
        for option in TEXTS:
            value = getattr(self, option)
            if value is not None and not isinstance(value, str):
                raise BadInput(f"dataset.{option} must be a text; got {value!r}.")
        for option in LISTS:
            object.__setattr__(self, option, _names(option, getattr(self, option)))

    @property
    def shares(self) -> tuple[Fraction, Fraction, Fraction]:
        """The shares of train, val and test."""
        return windows.exact_shares(self.split)

    @property
    def table(self) -> TableOptions:
        """How the file is written."""
        return TableOptions(
            separator=self.separator,
            decimal=self.decimal,
            thousands=self.thousands,
            date_format=self.date_format,
            timezone=self.timezone,
            encoding=self.encoding,
            columns=self._columns,
        )

    @property
    def _columns(self) -> tuple[str, ...] | None:
        """The columns to read where not all are: those that are named for something are among them."""
        if not self.columns:
            return None
        named = (*self.columns, self.time, self.id, *self.target, *self.past, *self.future)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def _names(option: str, value: Any) -> tuple[str, ...]:
    """Names of columns: null, one, or a list of them."""
    if value is None:
        return ()
    given = [value] if isinstance(value, (str, int, float)) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, (str, int, float)) for each in given):
        raise BadInput(f"dataset.{option} must be a column or a list of columns; got {value!r}.")
    names = tuple(map(str, given))
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"dataset.{option} names {name!r} twice.")
    return names
