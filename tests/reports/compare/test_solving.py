"""Time to solve of two entries: read off validation, censored where it never came, and told below the comparison."""

from __future__ import annotations

import json
import math

import pytest

from reports.synthetic import make_record
from rnnbench.reports.compare.compare import compare
from rnnbench.reports.compare.solving import COLUMNS, time_to_solve, times
from rnnbench.reports.compare.table import compare_table
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.selection.select import select
from rnnbench.reports.statistics.survival import logrank_p
from rnnbench.reports.tables.markdown import to_markdown
from rnnbench.store.store import Store


def run(seed, cell="lstm", *, solved=0.9, **same):
    return make_record(cell, seed=seed, value=0.95, dataset="parity", **same) | {"solved": solved}


def curve(*values, metric="accuracy"):
    return [{"step": 100 * n, f"val/{metric}": value} for n, value in enumerate(values, 1)]


def of(records, curves):
    return times(records_frame(records), {record["id"]: rows for record, rows in zip(records, curves, strict=True)})


def by_id(found, records):
    """What `of` gives, in the order of the records."""
    order = sorted(range(len(records)), key=lambda n: records[n]["id"])
    return [list(pair) for _, pair in sorted(zip(order, zip(*found, strict=True), strict=True))]


def test_the_first_validation_at_or_above_the_threshold_counts():
    records = [run(seed) for seed in range(3)]
    found = of(records, [curve(0.5, 0.9, 0.8), curve(0.95), curve(0.5, 0.89)])
    assert by_id(found, records) == [[200, True], [100, True], [500, False]], "500 is the budget"


def test_where_less_is_better_and_what_became_of_others():
    less = {"metric": "mse", "goal": "min"}
    records = [
        run(0, solved=0.01, **less),
        run(1, solved=0.01, status="diverged", **less),
        run(2, solved=0.01, status="timeout", **less),  # the synthetic one had done 120 updates
        run(3, solved=None, **less),
    ]
    curves = [curve(0.1, 0.01, metric="mse"), *[curve(0.1, None, metric="mse")] * 2, curve(0.001, metric="mse")]
    found = of(records[:3], curves[:3])
    assert by_id(found, records[:3]) == [[200, True], [500, False], [120, False]]
    assert of(records[3:], curves[3:]) == ([], []), "no notion of it"
    assert times(records_frame(records), {}) == ([], []), "no curves"


def test_a_row_has_medians_censored_runs_and_the_exact_p():
    a, b = [run(seed) for seed in range(4)], [run(seed, "gru") for seed in range(4)]
    early, late = {r["id"]: curve(0.5, 0.95) for r in a}, {r["id"]: curve(*[0.5] * 5) for r in b}
    row = time_to_solve(records_frame(a), records_frame(b), (early, late))
    assert row.keys() == COLUMNS.keys()
    assert (row["solve_a"], row["timed_a"], row["censored_a"]) == (200, 4, 0)
    assert (row["solve_b"], row["timed_b"], row["censored_b"]) == (math.inf, 4, 4)
    assert row["p_solve"] == logrank_p([200] * 4, [True] * 4, [500] * 4, [False] * 4) == pytest.approx(2 / 70)
    nothing = time_to_solve(records_frame(a), records_frame(b), (early, {}))
    assert math.isnan(nothing["p_solve"])
    assert nothing["timed_a"] is None


def test_a_comparison_reads_the_curves_of_both_sides_and_says_it_below(tmp_path):
    store = Store.open(tmp_path)
    for cell, at in (("lstm", 2), ("gru", 4)):
        for seed in range(8):
            record = run(seed, cell)
            store.write(record)
            rows = curve(*[0.95 if n >= at + (seed == 0) else 0.5 for n in range(1, 6)][: 4 if cell == "gru" else 5])
            (store.folder(record["id"]) / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare(select(store, ["cell=lstm"]), select(store, ["cell=gru"]))
    (row,) = found.rows.to_dict("records")
    assert (row["solve_a"], row["solve_b"], row["censored_a"], row["censored_b"]) == (200, 400, 0, 1)
    assert row["p_solve"] < 0.001
    text = to_markdown(compare_table(found))
    assert (
        "LSTM 64 -> GRU 64: updates to solve 200 -> 400 (medians), never in 0 of 8 -> 1 of 8 runs, log-rank p" in text
    )
    assert "censored" in text
    for record in store.iterate():
        (store.folder(record["id"]) / "history.jsonl").unlink()
    without = compare(select(store, ["cell=lstm"]), select(store, ["cell=gru"]))
    assert "pdates to solve" not in to_markdown(compare_table(without))
