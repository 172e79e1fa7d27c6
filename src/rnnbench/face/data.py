"""What lies in a file of one's own, before anything is trained: read, checked and said. Imports no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.face.handed import HandedOver, in_file
from rnnbench.face.surroundings import undisturbed
from rnnbench.face.views import View, section, table
from rnnbench.face.words import Words, overrides_of
from rnnbench.reports.tables.frames import typed_frame
from rnnbench.store.text import json_text

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Table

FACTS = {"fact": "str", "value": "str"}
READ_AS = ("own_series", "own_sequences", "own_text")


@dataclass(frozen=True, eq=False, repr=False)
class ReadData(View):
    """What was read of a dataset's file.

    dataset: which dataset it was read as; because: why, where that was not said. lines: what is there and what a run
    makes of it; warnings: what may be a mistake; facts: plain values by name (input_steps, horizon, classes, ...).
    command: what to run next. frame: a row a fact.
    """

    dataset: str
    because: str
    lines: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: Mapping[str, Any]
    command: str
    remarks: tuple[str, ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """A row a fact."""
        return typed_frame([{"fact": name, "value": str(value)} for name, value in self.facts.items()], FACTS)

    def shown(self) -> list[Table]:
        """What was read, a row a line."""
        rows = [{"read": line} for line in self.lines]
        said = [*(f"warning: {each}" for each in self.warnings), self.command]
        return [table("data", self.frame, [section(self.dataset, rows, said)], ("read",))]

    def text(self) -> list[str]:
        """The same as the command line says it."""
        said = [*self.lines, *(f"warning: {each}" for each in self.warnings)]
        if self.because:
            said.append(f"read as dataset={self.dataset} ({self.because}); another: {_others(self.dataset)}")
        return [*said, f"next: {self.command}"]

    def as_data(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "dataset": self.dataset, "because": self.because or None, "lines": [*self.lines],
            "warnings": [*self.warnings], "facts": dict(self.facts), "command": self.command,
        }  # fmt: skip


def read_data(
    data: HandedOver | None = None, *overrides: Words, config_dir: str | Path | None = None, **options: Any
) -> ReadData:
    """Read a file of your own, and say what a run would make of it: ``read_data("load.csv", horizon=12).lines``.

    data: a path, or what `sweep` takes as its data: a DataFrame, arrays, texts. None: of a dataset by its name,
    ``read_data(dataset="co2")``. overrides, options: of the dataset, with or without ``dataset.`` before them. Without
    ``dataset=...`` it is chosen by suffix and content. config_dir: a folder with a dataset of your own. Trains nothing,
    and reads the same as a run does.

    Raises BadInput on whatever a run would refuse, MissingData where there is no such file.
    """
    words = [of_dataset(word) for word in overrides_of(overrides, options)]
    with undisturbed(torch=False):
        from rnnbench.face.running import taken

        path, dataset = (None, None) if data is None else in_file(data)
        because = "" if dataset is None else "of what was handed over"
        return look(path, taken(words, config_dir), dataset, because)


def look(path: str | None, words: Sequence[str], dataset: str | None = None, because: str = "") -> ReadData:
    """What a dataset's file holds. path: of the user's; words: overrides of the dataset. dataset, because: the one that
    is taken where no word says another, and why; None: by suffix and content."""
    from rnnbench.datasets.own import readers
    from rnnbench.datasets.own.kinds import kind_of
    from rnnbench.runs import own_files, readings, typed_paths
    from rnnbench.runs.compose import compose, key_of, last_value
    from rnnbench.store.content import content_of

    named = last_value(words, "dataset")
    asked = [word for word in words if key_of(word) != "dataset"]
    if path is not None:
        content_of(path, "the path")  # says what is near where nothing is there
        asked.insert(0, f"dataset.path={typed_paths.literal(path)}")
    if named is None and dataset is None:
        if path is None:
            raise BadInput("name a file, or a dataset: rnnbench data load.csv, or rnnbench data dataset=co2.")
        dataset, because = kind_of(Path(os.path.expanduser(path)))
    chosen = str(named if named is not None else dataset)
    config, _ = compose([f"dataset={chosen}", *asked])
    meta = config["dataset"]["meta"]
    if "reader" not in meta:
        run = shlex.join(["rnnbench", "run", f"dataset={chosen}", *asked])
        raise BadInput(f"dataset={chosen} is read by a run alone: {run}")
    try:
        reading = readings.of(own_files.with_content(config), fetch=True)
    except BadInput as error:
        if named is not None:
            raise
        said = str(error).removesuffix(".")
        raise type(error)(f"{said} (read as dataset={chosen}; another: {_others(chosen)}).") from None
    assert reading is not None  # it has a reader, and was fetched
    experiment = f"own_{readers.kind(meta['reader'])}"
    words = [f"experiment={experiment}", *([] if chosen == experiment else [f"dataset={chosen}"]), *asked]
    batch_size = _batch_size(experiment, config["budget"]["batch_size"])
    if (train := readings.trained_on(meta["reader"], reading)) is not None and train < batch_size:
        words.append(f"budget.batch_size={train}")
    command = shlex.join(["rnnbench", "sweep", *words])
    return ReadData(
        chosen, "" if named is not None else because, reading.lines, reading.warnings, reading.facts, command
    )


def _batch_size(experiment: str, default: int) -> int:
    """The batch of an experiment; default: of one that names none."""
    from rnnbench.runs.compose import last_value
    from rnnbench.sweeps.plan import experiment_grids

    return int(last_value(experiment_grids(experiment)[0], "budget.batch_size") or default)


def of_dataset(word: str) -> str:
    """A word as an option of the dataset, unless it says which dataset."""
    key, sign, value = word.partition("=")
    if not sign:
        raise BadInput(f"{word!r} is no option of a dataset; write key=value, e.g. horizon=12.")
    bare = key.lstrip("+")
    return word if bare == "dataset" or bare.startswith("dataset.") else f"dataset.{key}={value}"


def _others(dataset: str) -> str:
    return " or ".join(f"dataset={name}" for name in READ_AS if name != dataset)


def as_json(found: ReadData) -> str:
    """The reading for a program."""
    import json

    return json_text(json.dumps(found.as_data(), indent=1, ensure_ascii=False, default=str)) + "\n"
