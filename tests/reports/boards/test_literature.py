from __future__ import annotations

import pytest

from reports.synthetic import make_record
from rnnbench.reports.boards.literature import FILE, INPUT, is_protocol, literature_table, published_numbers
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.runs import build
from rnnbench.runs.plan import prepare

JSB = {"dataset": "jsb", "protocol": "next frame, 88 keys, official split, nats a frame, frame average",
       "metric": "nll_frame", "goal": "min", "floor": 10.49, "target": 8.1}  # fmt: skip

PAPERS_LENGTHS = ["dataset=chomsky", "dataset.longest_train=40", "dataset.longest_val=40", "dataset.longest_test=500"]


def jsb(*values, cell="lstm", params=298_908, peephole="off", **same):
    records = [make_record(cell, seed=seed, value=value, **(JSB | same)) for seed, value in enumerate(values)]
    return [r | {"params": params, "axes": r["axes"] | {"peephole": peephole}} for r in records]


def beside(records):
    frame = literature_table(chosen(records_frame(records))).frame
    return frame[frame["network"] == "LSTM 300K"].iloc[0]


def test_every_number_has_a_source_a_protocol_and_a_unit():
    numbers = published_numbers()
    assert list(numbers) == list(INPUT)
    assert numbers[["dataset", "protocol", "metric", "goal", "network", "value", "source"]].notna().all().all()
    assert set(numbers["goal"]) == {"min", "max"}
    assert numbers[numbers["metric"].str.endswith("accuracy")]["value"].between(0, 1).all()
    assert not numbers.duplicated(["dataset", "protocol", "metric", "network"]).any()
    assert numbers["cell"].notna().sum() == numbers["peephole"].notna().sum() == numbers["depth"].notna().sum()
    assert FILE.read_text().isascii()


def test_ours_stand_beside_them_with_the_difference_and_whether_it_is_inside():
    values = (8.40, 8.45, 8.43)
    row = beside(jsb(*values))
    assert (row["published"], row["n"], row["standing"]) == (8.45, 3, "inside")
    assert row["difference"] == pytest.approx(sum(values) / 3 - 8.45)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx(mean_ci(values))


@pytest.mark.parametrize(("values", "word"), [((8.0, 8.01, 8.02), "better"), ((9.0, 9.01, 9.02), "worse"),
                                              ((8.0, 8.1), "no interval")])  # fmt: skip
def test_outside_our_interval_the_better_one_is_named(values, word):
    assert beside(jsb(*values))["standing"] == word


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"protocol": "sequence average"}, "other protocol"), ({"params": 200_000}, "not run"),
     ({"cell": "mgu"}, "not run"), ({"peephole": "on"}, "not run")],
)  # fmt: skip
def test_what_is_not_the_same_never_stands_beside(changed, word):
    row = beside(jsb(8.4, 8.5, 8.6, **changed))
    assert row["standing"] == word
    assert row[["label", "mean", "difference"]].isna().all()


@pytest.mark.parametrize(
    ("dataset", "metric", "protocol", "fits"),
    [
        ("adding", "mse", "any, T=600, 50000/5000/10000, seed 3", True),
        ("adding", "mse", "any, T=6000, 50000/5000/10000, seed 0", False),
        ("adding", "mse", "any, T=600, 200/20/20, seed 0", False),
        ("copy_memory", "cross_entropy", "tcn, T=1000, 50000/5000/10000, seed 0", True),
        ("copy_memory", "cross_entropy", "tcn, T=10000, 50000/5000/10000, seed 0", False),
        ("selective_copy", "recall_accuracy", "L=4096, M=16, A=16, 9/9/9, seed 0", True),
        ("selective_copy", "recall_accuracy", "L=40, M=6, A=10, 50000/5000/10000, seed 0", False),
        ("smnist", "accuracy", "pixels 784x1, values/255, stratified 55000/5000/10000, split seed 0", True),
        ("smnist", "accuracy", "pixels 784x1, values/255, stratified 55000/5000/10000, split seed 0, cut", False),
    ],
)
def test_a_protocol_fits_whole_or_not_at_all(dataset, metric, protocol, fits):
    frame = literature_table(
        chosen(records_frame([make_record(dataset=dataset, protocol=protocol, metric=metric, goal="min")]))
    ).frame
    assert len(frame)
    assert ("other protocol" in set(frame["standing"])) != fits


@pytest.mark.parametrize(
    ("overrides", "dataset"),
    [(["dataset=adding", "dataset.T=600", "dataset.dialect=any"], "adding"),
     (["dataset=copy_memory", "dataset.T=1000", "dataset.dialect=tcn"], "copy_memory"),
     (["dataset=smnist"], "smnist"), (["dataset=psmnist", "dataset.permutation=lem_5544"], "psmnist"),
     (["dataset=moving_mnist", "dataset.test_set=official", "cell=convlstm"], "moving_mnist"),
     (["dataset=moving_mnist_shi", "cell=convlstm"], "moving_mnist_shi"),
     (["dataset=selective_copy", "dataset.L=4096", "dataset.M=16", "dataset.A=16"], "selective_copy"),
     *[([*PAPERS_LENGTHS, f"dataset.dialect={dialect}"], "chomsky")
       for dialect in ("parity", "modular_arithmetic", "reverse_string")]],
)  # fmt: skip
def test_what_a_source_ran_can_be_run_here(overrides, dataset):
    protocol = build.make_task(prepare([*overrides, "tracker=none"]).config).spec.protocol
    patterns = published_numbers().query("dataset == @dataset")["protocol"]
    assert any(is_protocol(protocol, pattern) for pattern in patterns), protocol


def test_our_protocol_is_printed_where_it_is_one_of_several():
    protocol = "any, T=600, 50000/5000/10000, seed 3"
    same = {"dataset": "adding", "protocol": protocol, "metric": "mse", "goal": "min", "params": 70_000}
    (section,) = literature_table(chosen(records_frame(jsb(0.1, 0.2, 0.3, **same)))).sections
    assert section.rows[0]["our protocol"] == protocol
    assert "our protocol" not in literature_table(chosen(records_frame(jsb(8.4, 8.5, 8.6)))).sections[0].rows[0]


def test_few_equal_runs_are_neither_better_nor_worse():
    assert beside(jsb(8.0, 8.0, 8.0))["standing"] == "no interval"
    assert beside(jsb(*[8.0] * 5))["standing"] == "better"


def test_other_metrics_than_the_main_one_are_found():
    digits = "MNIST-train 55000/5000, official test file"
    protocol = f"openstl, 10->10, 3.6 px/frame, {digits}, drawing 1, 100000/1000/10000, seed 0"
    same = {"dataset": "moving_mnist", "protocol": protocol, "metric": "mse_sum", "goal": "min"}
    records = [make_record("stlstm", seed=s, value=24.0 + s / 10, **same) for s in range(3)]
    for record in records:
        record["axes"] |= {"peephole": "off", "depth": 4}
        record |= {
            "params": 23_838_720,
            "metrics": record["metrics"] | {"test/ssim_openstl": 0.946 + record["seed"] / 1e3},
        }
    frame = literature_table(chosen(records_frame(records))).frame
    ours = frame[(frame["network"] == "PredRNN") & (frame["metric"] == "ssim_openstl")].iloc[0]
    assert ours["mean"] == pytest.approx(0.947)
    assert frame[(frame["network"] == "PredRNN") & (frame["metric"] == "mae_sum")]["standing"].tolist() == ["not run"]


def test_what_is_published_of_networks_that_we_do_not_have_is_shown_too():
    table = literature_table(chosen(records_frame(jsb(8.4, 8.5, 8.6))))
    assert "TCN 300K" in table.frame["network"].tolist()
    assert len(table.sections) == 1


def test_datasets_without_a_published_number_give_an_empty_table():
    table = literature_table(chosen(records_frame([make_record()])))
    assert table.frame.empty
    assert literature_table(chosen(records_frame([]))).frame.empty
