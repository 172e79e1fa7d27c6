from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.errors import BadInput
from rnnbench.reports.compare.compare import COLUMNS, compare
from rnnbench.reports.compare.table import compare_table
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.selection.select import Selected
from rnnbench.reports.tables.markdown import to_markdown
from rnnbench.reports.tables.write import WRITERS


def side(records, **wanted):
    return Selected(records_frame(records), wanted=wanted)


def runs(cell="lstm", seeds=range(9), shift=0.0, **same):
    values = {s: 0.8 + shift + 0.02 * np.random.default_rng(s).normal() for s in seeds}
    return [make_record(cell, seed=s, value=v, **same) for s, v in values.items()]


def one(a, b, **wanted):
    found = compare(side(a), side(b))
    assert {name: str(dtype) for name, dtype in found.rows.dtypes.items()} == COLUMNS
    assert len(found.rows) == 1
    return found.rows.iloc[0], found


def noisy(records, spread=0.001):
    rng = np.random.default_rng(5)
    key = "test/accuracy"
    return [r | {"metrics": r["metrics"] | {key: r["metrics"][key] + spread * rng.normal()}} for r in records]


def test_equal_runs_are_the_same_and_no_test():
    row, found = one(runs(), runs())
    assert (row["verdict"], row["gain"], row["pairs"], row["speed_ratio"]) == ("same", 0, 9, 1)
    assert math.isnan(row["p"])
    assert found.losses.empty
    assert found.changed == []


def exactly(a, b):
    found = compare(side(a), side(b), exact=True)
    row = found.rows.iloc[0]
    return row["verdict"], None if pd.isna(row["bits"]) else bool(row["bits"]), len(found.losses)


@pytest.mark.integration
def test_equal_bits_are_asked_for_only_where_they_are_promised():
    same, other = runs(), noisy(runs(), spread=1e-9)
    assert exactly(same, runs()) == ("same", True, 0)
    assert exactly(same, other) == ("moved", False, 1)
    assert exactly(same, runs(seeds=range(4, 12))) == ("same", True, 0), "the seeds that both have"
    unseen = [r | {"metrics": r["metrics"] | {"test/loss": 0.123}} for r in same]
    assert exactly(same, unseen) == ("moved", False, 1), "another metric than the main one"
    verdict, bits, losses = exactly(same, [r | {"host": {"cpu": "another processor"}} for r in other])
    assert (verdict, bits, losses) == ("noise", None, 0)
    here, busy = ({"cpu": "a processor", "omp_wait_policy": policy} for policy in (None, "PASSIVE"))
    pair = ([r | {"host": host} for r in some] for some, host in ((same, here), (other, busy)))
    assert exactly(*pair) == ("moved", False, 1), "what changes a speed changes no bit"
    assert exactly(same, runs(seeds=range(20, 29)))[1] is None


GCC, CLANG = {"compiler": "gcc 12.2.0", "compiler_flags": "-O3"}, {"compiler": "clang 16.0.0", "compiler_flags": "-O3"}


@pytest.mark.parametrize("other", [CLANG, GCC | {"compiler_flags": "-O3 -mavx2"}, {}])
def test_compiled_cells_promise_equal_bits_only_with_one_toolchain(other):
    before, after = runs(), noisy(runs(), spread=1e-9)
    here = {"cpu": "a processor", "simd": "AVX2"}

    def of(some, toolchain):
        return [record | {"host": here | toolchain} for record in some]

    assert exactly(of(before, GCC), of(after, GCC)) == ("moved", False, 1)
    assert exactly(of(before, GCC), of(after, other)) == ("noise", None, 0)
    row, found = one(of(before, GCC), of(before, other))
    assert math.isnan(row["speed_ratio"])
    said = " ".join(str(other[key]) for key in other) or "unknown"
    assert found.changed == [f"toolchain: gcc 12.2.0 -O3 -> {said}"]


def test_a_loss_is_paired_by_seed_and_found_under_the_noise_between_seeds():
    row, found = one(runs(), noisy(runs(shift=-0.005)))
    assert (row["verdict"], row["test"], row["pairs"]) == ("worse", "flips", 9)
    assert row["gain"] == pytest.approx(-0.005, abs=0.002)
    assert len(found.losses) == 1
    row, _ = one(noisy(runs(shift=-0.005)), runs())
    assert row["verdict"] == "better"


def test_noise_is_no_change():
    row, found = one(runs(), noisy(runs(), 0.01))
    assert row["verdict"] == "noise"
    assert found.losses.empty


def test_where_less_is_better_a_rise_is_a_loss():
    same = {"metric": "accuracy", "goal": "min"}
    row, _ = one(runs(**same), noisy(runs(shift=0.05, **same)))
    assert row["verdict"] == "worse"
    assert row["gain"] < 0


def test_few_pairs_take_students_t_and_other_seeds_welchs():
    row, _ = one(runs(seeds=range(4)), noisy(runs(seeds=range(4), shift=-0.1)))
    assert (row["test"], row["verdict"]) == ("t", "perhaps worse")
    row, _ = one(runs(seeds=range(5)), runs(seeds=range(10, 15), shift=-0.2))
    assert (row["test"], row["verdict"], row["pairs"]) == ("welch", "perhaps worse", 0)
    row, _ = one(runs(seeds=range(2)), runs(seeds=range(2), shift=-0.2))
    assert (row["test"], row["verdict"]) == ("", "too few")


@pytest.mark.parametrize(
    ("n", "shift", "verdict"),
    [(3, -0.1, "noise"), (4, 0.1, "noise"), (5, -0.1, "perhaps worse"), (7, 0.1, "perhaps better"), (8, -0.1, "worse")],
)
def test_one_difference_in_every_pair_is_no_p_of_0(n, shift, verdict):
    row, found = one(runs(seeds=range(n)), runs(seeds=range(n), shift=shift))
    assert (row["verdict"], row["p"]) == (verdict, 2 / 2**n)
    assert len(found.losses) == ("worse" in verdict)


def test_from_8_pairs_on_many_entries_do_not_make_a_gate_blind():
    names = [f"c{n}" for n in range(7)]  # 7 x 2 / 2^8 is above .05: no sign flips of 8 pairs pass Holm
    a = [run for name in names for run in runs(name, seeds=range(8))]
    b = [run for name in names[1:] for run in noisy(runs(name, seeds=range(8)), 0.01)]
    rows = compare(side(a), side(b + noisy(runs(names[0], seeds=range(8), shift=-0.2)))).rows.set_index("label")
    assert rows.loc["C0 64", ["test", "verdict"]].tolist() == ["t", "perhaps worse"]
    assert set(rows["verdict"][1:]) == {"noise"}


def test_holm_is_over_the_rows_in_which_anything_differs():
    a = [*runs(), *runs("gru"), *runs("rnn")]
    b = [*noisy(runs(shift=-0.01)), *noisy(runs("gru")), *runs("rnn")]
    rows = compare(side(a), side(b)).rows.set_index("label")
    assert rows["verdict"].to_dict() == {"LSTM 64": "worse", "GRU 64": "noise", "RNN 64": "same"}
    assert rows["p_holm"]["LSTM 64"] == pytest.approx(2 * rows["p"]["LSTM 64"])


def test_runs_that_all_fail_are_a_loss_and_so_are_more_that_do():
    failed = [make_record("lstm", seed=s, status="diverged") for s in range(9)]
    row, found = one(runs(), failed)
    assert (row["verdict"], row["n_b"], row["runs_b"]) == ("lost", 0, 9)
    assert len(found.losses) == 1
    row, _ = one(runs(), [*runs(seeds=range(3)), *failed[3:]])
    assert row["verdict"] == "fails more"
    row, _ = one(runs(), [*runs(seeds=range(8)), failed[8]])
    assert row["verdict"] == "same"
    assert one(failed, failed)[0]["verdict"] == "too few"


def test_what_is_asked_for_differently_is_what_is_compared():
    found = compare(side(runs("lstm"), cell=["lstm"]), side(runs("gru", shift=0.1), cell=["gru"]))
    (row,) = found.rows.to_dict("records")
    assert (row["label"], row["label_b"], row["verdict"]) == ("LSTM 64", "GRU 64", "better")
    found = compare(side(runs(lr=0.01)), side(runs(lr=0.1, shift=0.1)))
    assert "optimizer.lr=0.01 -> adam, optimizer.lr=0.1" in found.rows["notes"][0]
    found = compare(side(runs(), precision=["32-true"]), side(runs(precision="bf16"), precision=["bf16"]))
    assert len(found.rows) == 1


def test_two_entries_that_the_task_cannot_tell_apart_are_void():
    def at(cell, value, spread=0.001):
        runs_of = [make_record(cell, seed=seed, value=value, floor=0.25) for seed in range(9)]
        return [record | {"solved": 0.99} for record in noisy(runs_of, spread)]

    def verdict(first, second, cells=("lstm", "gru")):
        wanted = [{"cell": [cell]} for cell in cells] if cells else [{}, {}]
        row = compare(side(first, **wanted[0]), side(second, **wanted[1])).rows.iloc[0]
        return row["verdict"], row["notes"].rpartition("; ")[2]

    solved = "both have solved the task"
    assert verdict(at("lstm", 0.995), at("gru", 0.995, 0.0011)) == ("void", solved)
    assert verdict(at("lstm", 1.0, 0), at("gru", 1.0, 0)) == ("void", solved)
    assert verdict(at("lstm", 0.26), at("gru", 0.26, 0.0011)) == ("void", "neither has learned the task")
    assert verdict(at("lstm", 0.9), at("gru", 0.9, 0.0011))[0] == "noise"
    assert verdict(at("lstm", 0.992), at("gru", 0.999))[0] == "better", "the task had room for it"
    assert verdict(at("lstm", 1.0, 0), at("lstm", 1.0, 0), cells=())[0] == "same", "one entry, before and after"


@pytest.mark.parametrize(
    "other", [{"protocol": "other"}, {"data_hash": "ffff"}, {"updates": 9}, {"precision": "bf16"}, {"device": "cuda"}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_what_does_not_compare_is_refused_with_the_reason(other):
    name = {"device": "device_kind"}.get(*other, *other)
    with pytest.raises(BadInput, match=f"another .*{name}"):
        compare(side(runs()), side(runs(**other)))


def test_two_datasets_and_several_entries_for_one_are_refused():
    with pytest.raises(BadInput, match="two datasets"):
        compare(side(runs(), dataset=["digits"]), side(runs(), dataset=["adding"]))
    with pytest.raises(BadInput, match="the second selection has 2 entries"):
        compare(side(runs(), cell=["lstm"]), side([*runs("gru"), *runs("rnn")], cell=["gru", "rnn"]))


def test_what_only_one_side_has_is_listed_and_missing_where_it_was_before():
    found = compare(side([*runs(), *runs("gru")]), side([*runs(), *runs("rnn")]))
    assert found.only_a == ["digits · small · GRU 64"]
    assert found.only_b == ["digits · small · RNN 64"]
    assert found.losses.empty
    assert found.missing == ["digits · small · GRU 64: gone"]
    assert compare(side(runs()), side([*runs(), *runs("gru")])).missing == []


@pytest.mark.parametrize(
    ("a", "b", "gone"),
    [
        ({}, {"cell": ["lstm"]}, 0),  # ConvLSTM was not asked for
        ({}, {"cell": ["convlstm"]}, 1),  # it was
        ({}, {"optimizer.lr": ["0.5"]}, 0),
        ({}, {"commit": ["a1b2"]}, 1),  # some of the runs, and all entries
        ({}, {"seed": ["0", "1"]}, 1),
        ({"hidden_size": ["64", "32"]}, {"hidden_size": ["32"]}, 0),  # the runs have 64
        ({"hidden_size": ["64"]}, {"hidden_size": ["32"]}, 1),  # another, not fewer
    ],
    ids=str,
)
def test_only_words_of_the_second_alone_excuse_what_they_leave_out(a, b, gone):
    here = [*runs(), *runs("convlstm")]
    found = compare(side(here, **a), side(runs(), **b))
    assert len(found.missing) == gone
    (line,) = found.only_a
    assert line.endswith(" (not asked of the second)") == (not gone)


def test_records_of_either_side_that_cannot_be_read_are_missing():
    a, b = side(runs()), side(runs())
    a.problems, b.problems = {"x": "cut off"}, {"y": "cut off"}
    assert compare(a, b).missing == ["x: cannot be read", "y: cannot be read"]


def skipping(found, reason, runs):
    """A selection whose sweep has left these runs to another machine."""
    found.heads = {"baseline": {"command": "", "runs": [], "skipped": [{"reason": reason, "cells": 9, "runs": runs}]}}
    return found


def test_exactly_the_runs_that_a_machine_could_not_do_are_not_missing():
    whole = [*runs(), *runs("gru", backend="compiled")]
    ids = [record["id"] for record in whole if record["backend"] == "compiled"]
    why = "backend=compiled: no compiler here."
    found = compare(side(whole), skipping(side(runs()), why, ids), exact=True)
    assert found.missing == []
    assert found.losses.empty
    assert found.only_a == ["digits · small · GRU 64 (skipped in the second: backend=compiled: no compiler here)"]
    for others in (ids[1:], [], ["0123456789ab"]):
        gone = compare(side(whole), skipping(side(runs()), why, others)).missing
        assert gone == ["digits · small · GRU 64: gone"]
    lost = compare(side([*whole, *runs("rnn")]), skipping(side(runs()), why, ids)).missing
    assert lost == ["digits · small · RNN 64: gone"], "nothing else is excused"


def test_bits_of_compiled_runs_are_asked_for_under_one_compiler_alone():
    host = {"cpu": "a", "simd": "AVX2", "system": "Linux x86_64", "malloc_tuned": True, "omp_wait_policy": None}
    gcc, other = host | {"compiler": "gcc 12.2.0"}, host | {"compiler": "clang 16.0.0"}
    flags = [{"compiler_flags": text} for text in ("-O3 -mavx2 -mfma", "-O3 -march=x86-64")]
    mine = runs(backend="compiled", host=gcc | flags[0])
    moved = noisy(mine, spread=1e-9)
    assert exactly(mine, mine) == ("same", True, 0)
    assert exactly(mine, moved) == ("moved", False, 1)
    for tools in (gcc | flags[1], other | flags[0]):
        theirs = [record | {"host": tools} for record in moved]
        assert exactly(mine, theirs)[1:] == (None, 0)


def test_seeds_that_are_gone_are_missing_where_too_few_are_left():
    found = compare(side(runs()), side(runs(seeds=range(2))))
    assert found.missing == ["digits · LSTM 64: 2 of 9 seeds have a value, too few for a test"]
    assert compare(side(runs()), side(runs(seeds=range(2)), seed=["0", "1"])).missing == []
    assert compare(side(runs()), side(runs(seeds=range(3)))).missing == []
    assert compare(side(runs(seeds=range(2))), side(runs(seeds=range(2), shift=0.1))).missing == []


def test_one_word_in_another_order_asks_for_the_same():
    both = [*runs(), *runs("gru")]
    assert len(compare(side(both, cell=["lstm", "gru"]), side(both, cell=["gru", "lstm"])).rows) == 2


def test_means_are_over_the_pairs_so_that_their_difference_is_the_gain():
    row, found = one(runs(seeds=range(10)), runs(seeds=range(8)))
    assert (row["verdict"], row["gain"], row["n_a"], row["n_b"], row["pairs"]) == ("same", 0, 10, 8, 8)
    assert row["a"] == row["b"]
    (cells,) = compare_table(found).sections[0].rows
    assert (cells["n"], cells["first"]) == ("8 of 10 and 8 seeds", cells["second"])
    row, found = one(runs(seeds=range(5)), runs(seeds=range(4, 8)))
    assert row["b"] - row["a"] == pytest.approx(row["gain"])
    assert compare_table(found).sections[0].rows[0]["n"] == "5 and 4 seeds"
    assert compare_table(one(runs(), runs())[1]).sections[0].rows[0]["n"] == "9 pairs"


def test_changed_facts_are_said():
    other = [record | {"source_hash": "aaaa", "git": {"commit": "b" * 40, "dirty": False}} for record in runs()]
    assert compare(side(runs()), side(other)).changed == [
        "commit: a1b2c3d4 -> bbbbbbbbbbbb",
        "source_hash: feedc0de -> aaaa",
    ]


def test_speeds_of_two_machines_have_no_ratio_and_are_never_a_loss():
    slow = [record | {"steps_per_second": 0.1} for record in runs()]
    row, found = one(runs(), slow)
    assert row["speed_ratio"] < 0.01
    assert found.losses.empty
    row, _ = one(runs(), [record | {"host": "another"} for record in slow])
    assert math.isnan(row["speed_ratio"])
    assert "speeds of several machines" in row["notes"]


def test_the_table_has_every_format_and_marks_losses():
    table = compare_table(compare(side(make_records(seeds=range(9))), side(noisy(runs("gru", shift=-0.2)))))
    assert "**worse**" in to_markdown(table)
    assert "1 entry compared: 1 worse" in to_markdown(table)
    assert "only in the first: digits · small · LSTM 64" in to_markdown(table)
    assert all(writer(table) for writer in WRITERS.values())


def test_no_p_is_printed_as_0():
    rng, seven = np.random.default_rng(0), runs(seeds=range(7))
    b = [run | {"metrics": run["metrics"] | {"test/accuracy": 0.2 + rng.normal() / 1e4}} for run in seven]
    a = [run | {"metrics": run["metrics"] | {"test/accuracy": 0.9}} for run in seven]
    row, found = one(a, b)
    assert 0 < row["p"] < 1e-9, "no rounding, and far from it"
    assert compare_table(found).sections[0].rows[0]["p (Holm)"] == "<.001"


def test_no_gain_is_minus_nothing():
    same = {"metric": "accuracy", "goal": "min"}
    assert compare_table(one(runs(**same), runs(**same))[1]).sections[0].rows[0]["gain"] == "0 [0, 0]"
