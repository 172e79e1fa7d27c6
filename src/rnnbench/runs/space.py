"""Hydra's sweep grammar -> the dimensions of a search, as plain values that know nothing of Hydra.

==========================================  ========================================================================
`optimizer.lr=interval(0.1,0.5)`            a number, uniform
`optimizer.lr=tag(log,interval(1e-4,0.1))`  a number, uniform in its logarithm
`optimizer.momentum=tag(log1m,interval(0,0.99))`  a number whose distance from 1 is uniform in its logarithm
`hidden_size=int(interval(20,200))`         a whole number, both ends included; tag(log, int(interval(20,200))) as well
`depth.dropout=range(0,0.5,0.1)`            a number of that grid, the end left out as ever
`cell=lstm,gru`, `choice(a,b)`, `glob(*)`   one of these
==========================================  ========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep

from rnnbench.errors import BadInput, nearest
from rnnbench.runs.axes import check_integer
from rnnbench.runs.compose import check_range, expand, parse

SCALES = ("linear", "log", "log1m")


@dataclass(frozen=True)
class Dimension:
    """One searched key. kind: float, int or choice; a choice has `texts` (whole overrides) and no bounds.

    low, high: both included, of the value itself. scale: linear, log (of the value) or log1m (of 1 - value).
    """

    key: str
    text: str  # as it was asked for
    kind: str
    low: float = 0
    high: float = 0
    step: float | None = None
    scale: str = "linear"
    texts: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the parameter that is sampled: of 1 - value on the scale log1m, else of the value."""
        if self.scale == "log1m":
            return _clean(1 - self.high), _clean(1 - self.low)
        return self.low, self.high

    def value(self, parameter: Any) -> float | int | str:
        """What a sampled parameter means: a number of six digits, or a choice in words."""
        if self.kind == "choice":
            return self.texts[int(parameter)].partition("=")[2].strip("'\"")
        if self.kind == "int":
            return int(parameter)
        value = 1 - parameter if self.scale == "log1m" else parameter
        return min(max(_clean(value), self.low), self.high)

    def override(self, parameter: Any) -> str:
        """The override that gives a run this value."""
        if self.kind == "choice":
            return self.texts[int(parameter)]
        return f"{self.key}={self.value(parameter)!r}"

    def grid(self) -> list[int | float]:
        """Every parameter of a discrete dimension, in order. Raises BadInput on a continuous one."""
        if self.kind == "choice":
            return list(range(len(self.texts)))
        if self.step is None:
            raise BadInput(f"{self.key}={self.text}: a grid takes lists; write choice(...), range(...) or a,b,c.")
        n = round((self.high - self.low) / self.step)
        return [int(self.low + i * self.step) if self.kind == "int" else _clean(self.low + i * self.step)
                for i in range(n + 1)]  # fmt: skip


def read_space(overrides: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """The searched keys among overrides, and the overrides that name one value. Raises BadInput in one sentence."""
    dimensions: dict[str, Dimension] = {}
    fixed = []
    for text in overrides:
        override = parse(text)
        if override.is_sweep_override():
            found = _dimension(override, text)
            dimensions[found.key] = found  # the last word counts, as with every override
        else:
            dimensions.pop(override.key_or_group, None)
            fixed.append(text)
    return list(dimensions.values()), [t for t in fixed if parse(t).key_or_group not in dimensions]


def _dimension(override: Override, text: str) -> Dimension:
    """One searched key, from Hydra's sweep grammar. Raises BadInput."""
    value, key, asked = override.value(), override.key_or_group, text.partition("=")[2]
    if key == "seed":
        raise BadInput("a search gives its trials their seeds; leave seed out, or give it one value for all trials.")
    scale = _scale(value, text)
    if isinstance(value, IntervalSweep):
        return _interval(key, asked, value, scale)
    if scale != "linear":
        raise BadInput(f"{text!r}: only an interval has a scale; write tag({scale}, interval(low, high)).")
    check_range(override)
    if isinstance(value, RangeSweep) and not value.step:
        raise BadInput(f"cannot read {text!r}: a range's step must not be zero.")
    if isinstance(value, RangeSweep) and not value.shuffle and len(steps := list(value.range())) > 1:
        return _range(key, asked, steps, abs(value.step))
    return _choice(key, asked, value, text)


def _scale(value: Any, text: str) -> str:
    """The scale that a value is tagged with. Raises BadInput on another tag."""
    tags = getattr(value, "tags", None) or set()
    if unknown := tags - set(SCALES):
        word = min(unknown)
        raise BadInput(f"{text!r}: unknown tag {word!r}; {nearest(word, SCALES)}")
    return max(tags, key=SCALES.index, default="linear")


def _range(key: str, asked: str, values: Sequence[int | float], step: float) -> Dimension:
    """Values in even steps: a number that samplers can order."""
    if all(isinstance(value, int) for value in values):
        return Dimension(key, asked, "int", min(values), max(values), _clean(step))
    return Dimension(key, asked, "float", _clean(min(values)), _clean(max(values)), _clean(step))


def _choice(key: str, asked: str, value: Any, text: str) -> Dimension:
    """Values without an order, each once. Raises BadInput where there are none, or one twice."""
    texts = tuple(each[0] for each in expand([text]))
    if getattr(value, "shuffle", False):
        texts = tuple(sorted(texts))  # a choice is remembered as its place: the next command must find it there
    if isinstance(value, Glob):  # said as what it finds today: with one more in the folder it is another space
        asked = ",".join(each.partition("=")[2].strip("'") for each in texts)
    if not texts or (isinstance(value, ChoiceSweep) and len(set(texts)) < len(texts)):
        raise BadInput(f"{text!r}: a search needs values, each once.")
    return Dimension(key, asked, "choice", texts=texts)


def _interval(key: str, asked: str, value: IntervalSweep, scale: str) -> Dimension:
    """Every number between two. Raises BadInput on ends that are none, or that the scale does not reach."""
    low, high = value.start, value.end
    if not (_finite(low) and _finite(high) and low < high):
        raise BadInput(f"{key}={asked}: an interval goes from its low end to its high one, interval(0.1, 0.5).")
    check_integer(key, [low, high])
    kind = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    if scale == "log" and low <= 0:
        raise BadInput(f"{key}={asked}: a logarithmic scale begins above 0, not at {low:g}.")
    if scale == "log1m" and kind == "int":
        raise BadInput(f"{key}={asked}: the scale log1m is for numbers below 1, not for whole ones.")
    if scale == "log1m" and high >= 1:
        raise BadInput(f"{key}={asked}: the scale log1m ends below 1, not at {high:g}.")
    return Dimension(key, asked, kind, low, high, None, scale)


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _clean(value: float) -> float:
    """A number of six digits: what stands in the command that makes a run again can be read and typed."""
    return float(f"{value:.6g}")
