from __future__ import annotations

import math
import random

import pandas as pd
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.selection.frame import records_frame
from rnnbench.store.record import entry_id
from rnnbench.store.rows import COLUMNS, compact, device_kind


def test_no_records_give_every_column_with_its_dtype():
    frame = records_frame([])
    assert len(frame) == 0
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS


def test_one_row_a_run_with_the_values_of_its_record():
    record = make_record("gru", seed=3, options={"b": 2, "a": {"x": 1.0, "y": None}, "c": [1, 2]})
    row = records_frame([record]).iloc[0]
    assert row["id"] == record["id"]
    assert row["entry"] == entry_id(record["config"])
    assert (row["label"], row["cell"], row["operator"], row["depth"]) == ("GRU 64", "gru", "dense", 1)
    assert row["options"] == "a.x=1, b=2, c=[1, 2]"
    assert (row["dataset"], row["dataset_version"], row["data_hash"]) == ("digits", "1", "0123456789abcdef")
    assert (row["budget"], row["updates"], row["batch_size"], row["updates_done"]) == ("small", 500, 32, 500)
    assert row["value"] == record["metrics"]["test/accuracy"] == row["test/accuracy"]
    assert row["val"] == record["metrics"]["val/accuracy"]
    assert (row["floor"], row["floor_name"], row["target"]) == (0.1, "chance", 1.0)
    assert (row["commit"], row["dirty"], row["torch"]) == ("a1b2c3d4", False, "2.13.0")
    assert row["started"] == pd.Timestamp("2026-01-02T03:04:05Z")
    assert "test/loss" in records_frame([record]).columns


def test_what_compiled_a_cell_is_a_column_and_no_other_machine():
    here = {"cpu": "a processor", "simd": "AVX2"}
    compiled = here | {"compiler": "gcc 12.2.0", "compiler_flags": "-O3 -mavx2"}
    frame = records_frame([make_record(seed=seed, host=host) for seed, host in enumerate((here, compiled, "a name"))])
    frame = frame.sort_values("seed")
    assert frame["host"].tolist() == ["cpu=a processor, simd=AVX2", "cpu=a processor, simd=AVX2", "a name"]
    assert frame["toolchain"].isna().tolist() == [True, False, True]
    assert frame["toolchain"].iloc[1] == "gcc 12.2.0 -O3 -mavx2"


def test_fixed_dtypes_hold_whatever_the_records_miss():
    bare = {"schema_version": 1, "id": "x", "status": "error", "axes": {}, "dataset": {}, "seed": 0, "metrics": {}}
    frame = records_frame(
        [bare, make_record(), make_record(status="oom", seed=1, git=None, packages=None, floors=None)]
    )
    assert {name: str(frame.dtypes[name]) for name in COLUMNS} == COLUMNS
    missing = frame.set_index("id").loc["x"]
    assert missing[["value", "params", "dirty", "device", "started"]].isna().all()


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, "high", [1], True])
def test_a_metric_that_is_no_finite_number_is_missing(odd):
    frame = records_frame(
        [make_record(value=odd, val=odd), make_record(seed=1, metrics={"test/accuracy": 0.5, "odd": odd})]
    )
    assert frame["value"].isna().sum() == 1
    assert frame["odd"].isna().all()
    assert frame["value"].dtype == "float64"


def test_values_of_odd_types_never_stop_the_table():
    odd = make_record(params=1.5, started="yesterday", attempts="x", target="?")
    odd |= {"device": {"kind": "cuda", "name": "H100"}}
    row = records_frame([odd | {"axes": {"cell": ["a"], "hidden_size": [64, 32], "options": "none"}}]).iloc[0]
    assert row[["params", "hidden_size", "started", "attempts", "target"]].isna().all()
    assert (row["device_kind"], row["device"]) == ("cuda", "kind=cuda, name=H100")
    assert row["label"] == "cell=['a'], hidden_size=[64, 32]"


def test_order_and_repetition_of_records_do_not_show():
    records = make_records(seeds=range(4))
    shuffled = records + records[:3]
    random.Random(0).shuffle(shuffled)
    pd.testing.assert_frame_equal(records_frame(shuffled), records_frame(records))


def test_entry_without_config_is_made_of_axes_dataset_and_budget():
    records = [make_record(seed=s, config=None, id=f"{s}") for s in range(2)]
    failed = make_record(status="error", config=None, id="f", data_hash=None)
    other = make_record("gru", config=None, id="o")
    entries = records_frame([*records, failed, other]).set_index("id")["entry"]
    assert entries["0"] == entries["1"] == entries["f"] != entries["o"]


def test_axes_are_of_the_network_and_training_is_the_rest():
    options = {"cell.bias": 1, "clip": 0.5, "precision": "bf16"}
    row = records_frame([make_record(lr=0.1, options=options)]).iloc[0]
    assert row["training"] == "adam, clip=0.5, optimizer.lr=0.1"
    assert '"options":{"cell.bias":1}' in row["axes"]
    assert "adam" not in row["axes"]
    assert row["axes"] == records_frame([make_record(options={"cell.bias": 1.0})])["axes"][0]


def test_axes_text_leaves_the_label_out():
    a, b = (records_frame([make_record(label=label)])["axes"][0] for label in ("A", "B"))
    assert a == b


@pytest.mark.parametrize(
    ("device", "kind"),
    [("cpu", "cpu"), ("cuda:0", "cuda"), ("cuda (NVIDIA H100)", "cuda"), ("cpu, 2 threads", "cpu"), (None, None),
     ({"kind": "cuda"}, "cuda"), ({"name": "cpu"}, "cpu"), ("Some Card 5", "Some Card 5")],
)  # fmt: skip
def test_device_kind(device, kind):
    assert device_kind(device) == kind


def test_compact():
    assert compact(None) is None
    assert compact({}) is None
    assert compact("none") == "none"
    assert compact({"b": 1.0, "a": None, "c": {"d": {"e": "x"}}}) == "b=1, c.d.e=x"
