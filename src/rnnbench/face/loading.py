"""Networks and data from Python: a finished run's model with its weights, and a dataset's splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.face.surroundings import undisturbed
from rnnbench.face.views import View, section, table
from rnnbench.face.words import Words, overrides_of
from rnnbench.reports.tables.frames import typed_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from rnnbench.datasets import Batch, Split, Task, TaskSpec
    from rnnbench.reports.tables.table import Table

SPLITS = {"split": "str", "sequences": "Int64", "inputs": "str", "targets": "str", "lengths": "str"}


def load_model(run: str, *, results: str | Path | None = None, config_dir: str | Path | None = None) -> nn.Module:
    """The network of a finished run with the weights of its best validation step, in eval mode, on the CPU.

    run: the id of a record, or an unambiguous beginning of it. results: the store. It needs the record and ``best.pt``,
    and no data: the record knows the sizes.

    config_dir: the folder with the cell or dataset of your own that the run was made with. A record names it, and never
    grants it: nothing is imported because a record says so, only from this folder or those of RNNBENCH_CONFIG_DIR.
    Raises BadInput without it, naming the folder; where there is no such run; where it did not end ok; of a published
    run, which has no weights, with the command that makes them again.
    """
    if not isinstance(run, str):
        raise BadInput(f'load_model takes the id of a run, e.g. record["id"], not a {type(run).__name__}.')
    with undisturbed(torch=True):
        from rnnbench.face.running import taken
        from rnnbench.runs.load import load_model as load

        taken([], config_dir)
        return load(run, results=results)


@dataclass(frozen=True, eq=False)
class Part:
    """One split of a dataset, as it lies in memory: maybe compact (bytes of pixels, symbols, places in a film).

    inputs: N T F or N T; targets: N, N K or N T [K]; lengths: N, or None where all are of length T. `batch` gives what
    a network is fed.
    """

    task: Task
    split: Split

    @property
    def inputs(self) -> Tensor:
        """Of every sequence, N first."""
        return self.split.x

    @property
    def targets(self) -> Tensor:
        """Of every sequence, N first."""
        return self.split.y

    @property
    def lengths(self) -> Tensor | None:
        """Of every sequence, N; None where all are equally long."""
        return self.split.lengths

    def batch(self, index: Sequence[int] | Tensor | None = None) -> Batch:
        """What a network is fed: x (B T F, B T or B T C H W), y and lengths of the sequences at index; None: of all.

        A negative index counts from the end.
        """
        import torch

        places = torch.arange(self.split.size) if index is None else torch.as_tensor(index, dtype=torch.int64)
        places = torch.where(places < 0, places + self.split.size, places)
        return self.task.batch(self.split, places)

    def __len__(self) -> int:
        return self.split.size

    def __repr__(self) -> str:
        return f"<{len(self)} sequences: inputs {_shape(self.inputs)}, targets {_shape(self.targets)}>"


@dataclass(frozen=True, eq=False, repr=False)
class LoadedData(View):
    """A dataset as runs see it. spec: what is known of it (protocol, sizes, metric, floor, target). train, val, test:
    its splits. frame: their sizes."""

    task: Task
    spec: TaskSpec
    train: Part
    val: Part
    test: Part
    remarks: tuple[str, ...] = ()

    @cached_property
    def floors(self) -> Mapping[str, float]:
        """Trivial predictors by name, in the main metric on test."""
        from rnnbench.datasets import Data

        with undisturbed(torch=True):
            return dict(self.task.floors(Data(self.train.split, self.val.split, self.test.split)))

    @property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """A row a split: how many sequences of which shapes."""
        rows = [
            {
                "split": name, "sequences": len(part), "inputs": _shape(part.inputs), "targets": _shape(part.targets),
                "lengths": None if part.lengths is None else f"{int(part.lengths.min())} to {int(part.lengths.max())}",
            }
            for name, part in (("train", self.train), ("val", self.val), ("test", self.test))
        ]  # fmt: skip
        return typed_frame(rows, SPLITS)

    def shown(self) -> list[Table]:
        """Its splits, on the terms of its protocol."""
        rows = [{str(k): v for k, v in row.items() if v == v} for row in self.frame.dropna(axis=1).to_dict("records")]
        said = f"{self.spec.protocol} · {self.spec.metric}, floor {self.spec.floor}"
        return [table("data", self.frame, [section(self.spec.name, rows, terms=said)], ("split", "inputs", "targets"))]


def load_data(
    dataset: str = "digits", *overrides: Words, config_dir: str | Path | None = None, **options: Any
) -> LoadedData:
    """A dataset's splits, spec and floors: ``load_data("adding", T=100)``, ``load_data("digits", "view=pixels")``.

    dataset: a name that `rnnbench list datasets` shows. overrides, options: of the dataset, with or without
    ``dataset.`` before them. config_dir: a folder with a dataset of your own. Data is read from RNNBENCH_DATA, and
    fetched there at first use.

    Raises BadInput on an unknown name or option, MissingData where a file is missing, with the command that gets it.
    """
    words = [_of_dataset(word) for word in overrides_of(overrides, options)]
    with undisturbed(torch=True):
        from rnnbench.datasets.base import loading
        from rnnbench.face.running import taken
        from rnnbench.runs.axes import settle
        from rnnbench.runs.build import make_task
        from rnnbench.runs.compose import compose

        config, _ = compose(taken([f"dataset={dataset}", *words], config_dir))
        task = make_task(settle(config))
        data = loading.load(task)
        train, val, test = (Part(task, split) for split in data)
        return LoadedData(task, task.spec, train, val, test)


def _of_dataset(word: str) -> str:
    key, sign, value = word.partition("=")
    if not sign:
        raise BadInput(f"{word!r} is no option of a dataset; write key=value, e.g. view=pixels.")
    return word if key.lstrip("+").startswith("dataset.") else f"dataset.{key}={value}"


def _shape(tensor: Tensor) -> str:
    return f"{' × '.join(map(str, tensor.shape))} {str(tensor.dtype).removeprefix('torch.')}"
