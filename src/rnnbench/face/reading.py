"""Records from Python: as one frame, ranked, in tables, against each other, and their curves. Imports no torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.errors import BadInput, nearest
from rnnbench.face.selecting import selected
from rnnbench.face.surroundings import undisturbed
from rnnbench.face.views import View
from rnnbench.face.words import Words

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Table
    from rnnbench.store.curves import Curves
    from rnnbench.store.outcomes import Outcomes
    from rnnbench.store.samples import Samples

RUN = ["id", "dataset", "label", "seed"]  # what says in a long frame which run a row is of
CURVES = {"id": "str", "dataset": "str", "label": "str", "seed": "Int64", "step": "Int64"}
OUTCOMES = {
    "id": "str", "dataset": "str", "label": "str", "seed": "Int64", "item": "Int64", "loss": "float64",
    "count": "Int64", "right": "boolean",
}  # fmt: skip


def records(*selection: Words, results: str | Path | None = None) -> pd.DataFrame:
    """Finished runs as one tidy DataFrame, a row a run, failures included; an empty store gives an empty typed frame.

    selection: words as on the command line: names of sweeps, of published sets or of folders, and ``key=value``:
    ``records("quickstart", "cell=lstm,gru")``. Without words: all of the store. results: the store; default
    RNNBENCH_RESULTS, else ``results/``.

    Columns: id, status, label, cell, dataset, seed, value (the main metric on test), val, params, train_seconds and
    more, each metric under its own name; all of them stand in `rnnbench.reports.selection.frame.records_frame`. stale:
    whether other source made it. Raises BadInput on a name, folder or key that is none, saying what is known.
    """
    with undisturbed(torch=False):
        if results is not None and not selection and not Path(results).exists():
            raise BadInput(f"there is no folder {str(results)!r} to read records from.")
        return selected(selection, results, may_be_empty=True)[0].frame


@dataclass(frozen=True, eq=False, repr=False)
class Leaderboard(View):
    """Entries ranked on equal terms.

    frame: a row an entry and task, best first; its columns (rank, label, result, mean, low, high, n, score, params,
    train_seconds, coverage and more) stand in `rnnbench.reports.boards.leaderboard`. table: the same with its sections,
    one for each dataset, protocol and budget.
    """

    frame: pd.DataFrame
    table: Table
    remarks: tuple[str, ...] = ()

    def shown(self) -> list[Table]:
        """Its table."""
        return [self.table]


def leaderboard(*selection: Words, results: str | Path | None = None) -> Leaderboard:
    """What is recorded, ranked: ``leaderboard("quickstart", "dataset=digits").frame``. Words and errors as `records`.

    Raises BadInput where there is no finished run.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.boards.leaderboard import leaderboard as ranked
        from rnnbench.reports.boards.leaderboard_table import leaderboard_table
        from rnnbench.store.manifests import skipped_lines

        found, remarks = selected(selection, results)
        made = leaderboard_table(ranked(found.frame))
        return Leaderboard(made.frame, made, (*remarks, *skipped_lines(found.skipped)))


@dataclass(frozen=True, eq=False, repr=False)
class OneTable(View):
    """One of `tables`. frame: its numbers; table: the same with sections and legend."""

    table: Table
    remarks: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """Its numbers, a row each."""
        return self.table.frame

    def shown(self) -> list[Table]:
        """Itself."""
        return [self.table]


@dataclass(frozen=True, eq=False, repr=False)
class Tables(View, Mapping[str, OneTable]):
    """Every table by name: across, tasks, axes, cost, coverage, published. ``tables()["across"].frame``."""

    tables: Mapping[str, Table]
    remarks: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> OneTable:
        if name not in self.tables:
            raise KeyError(f"no table is called {name!r}; {nearest(str(name), self.tables)}")
        return OneTable(self.tables[name], self.remarks)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def shown(self) -> list[Table]:
        """All of them."""
        return list(self.tables.values())

    def __repr__(self) -> str:
        return f"<Tables: {', '.join(self.tables)}; [name].frame is a DataFrame>"


def tables(*selection: Words, results: str | Path | None = None) -> Tables:
    """Entries beside each other across datasets, by name: across, tasks, axes, cost, coverage, published.

    Words and errors as `leaderboard`.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.boards.all_tables import all_tables

        found, remarks = selected(selection, results)
        return Tables(all_tables(found.frame, found.skipped), remarks)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(View):
    """Two selections against each other. frame: a row an entry and task that both have: a, b (means), gain with its
    interval, p_holm, verdict, speed_ratio and more; the columns and verdicts stand in
    `rnnbench.reports.compare.compare`. losses: the rows that a gate would stop. changed: facts that differ (commit,
    torch, machine). only_a, only_b: entries without a counterpart; missing: what the second should have had."""

    frame: pd.DataFrame
    losses: pd.DataFrame
    table: Table
    changed: tuple[str, ...] = ()
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def shown(self) -> list[Table]:
        """Its table."""
        return [self.table]


def compare(a: Words, b: Words, *, exact: bool = False, results: str | Path | None = None) -> Comparison:
    """What changed from a to b, by how much against the noise: ``compare("cell=lstm", "cell=gru")``.

    a, b: a selection each, in one string or as a list of words; a store or a published set will do. Runs of one seed
    are paired. exact: runs of one seed, processor, torch and compiler whose metrics are not equal to the bit are a
    loss. Raises BadInput where the two share no entry, or one has several for one of the other.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.compare.compare import compare as compared
        from rnnbench.reports.compare.table import compare_table

        (first, said), (second, more) = (selected([side], results) for side in (a, b))
        found = compared(first, second, exact=exact)
        return Comparison(
            found.rows, found.losses, compare_table(found), tuple(found.changed), tuple(found.only_a),
            tuple(found.only_b), tuple(found.missing), tuple(dict.fromkeys([*said, *more])),
        )  # fmt: skip


def curves(*selection: Words, results: str | Path | None = None) -> pd.DataFrame:
    """Every run's history as one tidy DataFrame, a row a run and validation: id, dataset, label, seed, step, then the
    metrics by name (``train/loss``, ``val/loss``, ``val/accuracy``, ``lr``, ...), missing where a run has none.

    ``curves("convlstm_peephole").groupby(["label", "step"])["val/mse_sum"].mean()``. Words and errors as `records`. A
    published set has curves where it was frozen with them (``curves.jsonl``); runs without a history have no rows.
    """
    with undisturbed(torch=False):
        found = selected(selection, results, may_be_empty=True)[0]
        wanted = set(found.frame["id"])
        histories: Curves = {}
        for place in found.places:  # of several that have a run, the one named first
            histories = place.curves((wanted & place.ids) - histories.keys()) | histories
        return _long(found.frame, histories)


def outcomes(*selection: Words, results: str | Path | None = None) -> pd.DataFrame:
    """How every run did on every item of its test split, a row a run and item: id, dataset, label, seed, item, loss,
    count, right.

    item: its place in the test split, a sequence, window, clip or chunk of text; the same one of all runs of one
    data_hash. loss: its mean over what the item counts, missing where that is nothing; count: how much that is (steps,
    symbols; else 1): the mean of the losses by count is the run's test/loss. right: missing where an item is neither
    right nor wrong.

    ``outcomes("dataset=digits").pivot_table("loss", "item", ["label", "seed"])``. Words and errors as `records`. Runs
    of versions that kept no outcomes have no rows, nor have those whose file does not belong to their record.
    """
    with undisturbed(torch=False):
        found = selected(selection, results, may_be_empty=True)[0]
        wanted = set(found.frame["id"])
        kept: dict[str, Outcomes] = {}
        for place in found.places:  # of several that have a run, the one named first
            kept = place.outcomes((wanted & place.ids) - kept.keys()) | kept
        return _by_item(found.frame, kept)


def predictions(run: str, *, results: str | Path | None = None) -> Samples:
    """What one run predicted on test, as it was kept: arrays and texts of a kind (`rnnbench.store.samples`).

    ``kind`` says which: `frames`, `series` (forecasts with the trivial ones), `classes` (``counts``, the confusion
    matrix of the whole test split, and the worst items), `values`, `steps` or `text`. run: the beginning of an id, or
    what else means one run, also a published one. Raises BadInput where there is no such run, or it kept nothing.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.selection.places import open_place
        from rnnbench.store.gathered import resolve_run
        from rnnbench.store.samples import read
        from rnnbench.store.store import Store

        found = resolve_run(Store.open(results), run)
        path = open_place(found).samples(found.name)
        if not path.exists():
            raise BadInput(
                f"run {found.name} keeps no samples; where its weights are, `rnnbench predictions {found.name}` makes "
                "them."
            )
        return read(path)


def _by_item(runs: pd.DataFrame, kept: Mapping[str, Outcomes]) -> pd.DataFrame:
    """The outcomes of a runs frame, one run under the other."""
    parts = [_of_run(each, kept[each["id"]]) for each in runs[RUN].to_dict("records") if each["id"] in kept]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in OUTCOMES.items()})
    return pd.concat(parts, ignore_index=True).astype(OUTCOMES)


def _of_run(run: Mapping[Hashable, Any], of: Outcomes) -> pd.DataFrame:
    right = pd.array([pd.NA] * of.items if of.right is None else of.right, dtype="boolean")
    right[of.count == 0] = pd.NA
    columns = {"item": range(of.items), "loss": of.loss, "count": of.count, "right": right}
    return pd.DataFrame(dict.fromkeys(RUN) | columns, columns=list(OUTCOMES)).assign(
        **{str(k): v for k, v in run.items()}
    )


def _long(runs: pd.DataFrame, histories: Curves) -> pd.DataFrame:
    """The histories of a runs frame, one under the other."""
    known = runs[list(CURVES)[:-1]].to_dict("records")
    rows = [{**each, **row} for each in known for row in histories.get(str(each["id"]), [])]
    metrics = sorted({name for row in rows for name in row} - set(CURVES))
    columns = CURVES | dict.fromkeys(metrics, "float64")
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=kind) for name, kind in columns.items()}
    )
