"""Your own sequences with a label each: npz, tables, .ts files of the UEA and UCR archives, or recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rnnbench.datasets.base.kept_floors import kept
from rnnbench.datasets.base.measured import measured
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.spec import Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.own import order_free, sequences
from rnnbench.datasets.own.sequences import Found, Scaled

# How a protocol begins, as datasets.own.sequences writes it.
FORM = re.compile(
    r"(?P<channels>[\d,]+) channels?, (?:(?P<classes>\d+) classes|regression), up to (?P<steps>\d+) steps"
)


SURE = 30.0  # the logit of a floor's class, where the others have 0
PERFECT = (0.0, "a perfect prediction")
TARGETS = {"accuracy": (1.0, "perfect accuracy"), "mse": PERFECT, "mae": PERFECT}  # by the main metric


class OwnSequences(Task):
    """Classify whole sequences of your own, or predict a number of each.

    path: npz, csv, tsv, txt, gz, parquet, ts, or a folder with labels.csv and wav files (`datasets.own.sequences`).
    test_path: the test set, else it is drawn. label, id, time, group, columns: columns of a table. task: `classify` |
    `regress`. split: shares of train, val and test. test_group: the group that is the test set. scale: `standard` (each
    channel by train's mean and standard deviation), `each` (by the sequence's own) or `none`. max_steps: longer
    sequences are refused, or cut (longer=truncate). audio: of recordings. separator to encoding: how a table is
    written; null is inferred. name, source: of a dataset that rnnbench knows where to find.

    x: B T C, float32, zeros after the end; y: N classes, or N 1 numbers, standardised by train unless scale=none;
    lengths: N where they differ. Metrics `accuracy`, `macro_f1`, `balanced_accuracy`, `min_recall`, or `mse`, `mae`,
    `r2`; metrics, metric: others, and the main one, also by torchmetrics' names (`datasets.base.named_metrics`). Floors
    `majority` and `chance`, or `mean`; reference `order_free`. Raises BadInput on wrong options or data, MissingData on
    a missing file, when the spec is first asked for.
    """

    def __init__(
        self,
        path: str | None = None,
        test_path: str | None = None,
        label: str | None = None,
        id: str | None = None,
        time: str | None = None,
        group: str | None = None,
        columns: Sequence[str] | None = None,
        task: str = "classify",
        split: Sequence[float] = (0.7, 0.1, 0.2),
        test_group: str | None = None,
        data_seed: int = 0,
        scale: str = "standard",
        max_steps: int | None = None,
        longer: str = "refuse",
        audio: Mapping[str, Any] | None = None,
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        date_format: str | None = None,
        timezone: str | None = None,
        encoding: str | None = None,
        name: str = "own_sequences",
        source: str | None = None,
        metrics: Sequence[Any] | None = None,
        metric: str | None = None,
    ) -> None:
        self.options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self.name = name
        self.asked = sequences.options_of(self.options)

    def found(self) -> Found:
        """What was read of the file."""
        return sequences.read(self.options)

    @cached_property
    def content(self) -> Found:
        """The same, read once."""
        return self.found()

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Reads the file: its channels, classes and longest sequence are part of it."""
        found = self.content
        return self._spec(found.protocol, len(found.channels), len(found.classes), found.max_steps, found.classes)

    def recall(self, protocol: str) -> None:
        """The spec as the protocol begins: channels, classes and steps; the classes' names are in the record."""
        if said := FORM.search(protocol):
            channels = int(said["channels"].replace(",", ""))
            self.spec = self._spec(protocol, channels, int(said["classes"] or 0), int(said["steps"]))

    def _spec(self, protocol: str, channels: int, classes: int, steps: int, labels: tuple[str, ...] = ()) -> TaskSpec:
        """classes: how many, none of a regression; labels: what they are called, where that is known."""
        classify = classes > 0
        chosen = self.asked.measured(classes)
        target = TARGETS.get(chosen.metric)
        return TaskSpec(
            name=self.name,
            protocol=protocol,
            inputs="features",
            input_size=channels,
            outputs="sequence",
            output_size=classes if classify else 1,
            loss="cross_entropy" if classify else "mse",
            metric=chosen.metric,
            metrics=chosen.metrics,
            goal=chosen.goal,
            floor="majority" if classify else "mean",
            target=target[0] if target else None,
            target_source=target[1] if target else "",
            max_length=steps,
            reference="order_free",
            labels=labels,
        )

    def reading(self) -> Reading:
        """What was read, inferred and left out."""
        return self.content.reading

    def load(self) -> Data:
        """Read, check, split and scale the file."""
        return Data(*map(_tensors, self.content.parts))

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance` and `majority`, or `mean`; `order_free`, the reference: see datasets.own.order_free."""
        return kept(self, data, lambda: self._floors(data), by="scikit-learn")

    def _floors(self, data: Data) -> dict[str, float]:
        train, val, test = (_features(split) for split in data)
        seen = np.concatenate([train, val])  # the reference has nothing to choose by validation, so it learns from it
        y, more, wanted = (split.y.numpy() for split in data)
        if self.spec.loss == "cross_entropy":
            answers = order_free.predicted(seen, np.concatenate([y, more]), test)
            if self.spec.metric != "accuracy":
                return self._class_floors_otherwise(data, torch.from_numpy(answers).long())
            right = answers == wanted
            return {**class_floors(self.spec.output_size, data.train.y, data.test.y), "order_free": float(right.mean())}
        y, more, wanted = (part[:, 0].astype(np.float64) for part in (y, more, wanted))
        fitted = order_free.fitted_numbers(seen, np.concatenate([y, more]), test)
        if self.spec.metric != "mse":
            return self._measured(data, {"mean": np.full(len(wanted), y.mean()), "order_free": fitted})
        errors = {"mean": y.mean() - wanted, "order_free": fitted - wanted}
        return {name: float(np.square(error).mean()) for name, error in errors.items()}

    def _class_floors_otherwise(self, data: Data, fitted: Tensor) -> dict[str, float]:
        """The floors in another metric than accuracy: as a network's that is sure of the same classes."""
        K = self.spec.output_size
        most = torch.full((data.test.size,), int(data.train.y.bincount(minlength=K).argmax()))
        return self._measured(data, {"majority": SURE * one_hot(most, K), "order_free": SURE * one_hot(fitted, K)})

    def _measured(self, data: Data, said: Mapping[str, Any]) -> dict[str, float]:
        """The main metric on test of what predictors say, N K logits or N numbers."""
        shape = (data.test.size, self.spec.output_size)
        values = {name: torch.as_tensor(each).float().reshape(shape) for name, each in said.items()}
        return {name: measured(self, data.test, each)[self.spec.metric] for name, each in values.items()}


def _tensors(part: Scaled) -> Split:
    lengths = None if part.lengths is None else torch.from_numpy(part.lengths)
    return Split(torch.from_numpy(part.x), torch.from_numpy(part.y), lengths)


def _features(split: Split) -> Any:
    lengths = None if split.lengths is None else split.lengths.tolist()
    return order_free.mean_and_std(split.x.numpy(), lengths)
