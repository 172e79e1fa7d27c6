"""What a search found: chosen by validation, failures included, effects where the size allows, importance."""

import json
import math

import numpy as np
import pytest

from reports.synthetic import fill_store, make_record, noise
from rnnbench.errors import BadInput
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.reports.search.command import main_search
from rnnbench.reports.search.importance import POOLED, importance
from rnnbench.reports.search.result import search_result
from rnnbench.reports.search.table import FIGURES, FILES, front_cells, to_markdown
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.selection.searched import with_searches
from rnnbench.store.manifests import read_manifests
from rnnbench.store.store import Store

RATE = {"key": "optimizer.lr", "text": "tag(log,interval(1e-4,1e-1))", "kind": "float", "low": 1e-4, "high": 0.1,
        "step": None, "scale": "log", "choices": []}  # fmt: skip
MOMENTUM = {"key": "optimizer.momentum", "text": "tag(log1m,interval(0,0.99))", "kind": "float", "low": 0, "high": 0.99,
            "step": None, "scale": "log1m", "choices": []}  # fmt: skip


def quality(rate):
    """Best at a rate of 0.01; momentum does nothing."""
    return 0.9 - 0.1 * (math.log10(rate) + 2) ** 2


def searched(n, gains, *, finals=0, failed=(), spread=0.01):
    """(rules, records) of a search of n trials for each cell; gains: cell -> what it is better by, on both splits."""
    rows, records = [], []
    for cell, gain in gains.items():
        rng = np.random.default_rng(len(cell))
        for number in range(n):
            rate, momentum = 10 ** rng.uniform(-4, -1), 1 - 10 ** rng.uniform(-2, 0)
            value = quality(rate) + gain + spread * noise("test", cell, number)
            val = quality(rate) + gain + spread * noise("val", cell, number)
            status = "diverged" if (cell, number) in failed else "ok"
            made = {"status": "diverged"} if status != "ok" else {"value": value, "val": val}
            record = make_record(cell, seed=number, lr=rate, **made)
            rows.append({"id": record["id"], "study": f"cell={cell}", "number": number, "stage": "trial",
                         "values": {"optimizer.lr": rate, "optimizer.momentum": momentum}})  # fmt: skip
            records.append(record)
        mine = [r for r in records if r["axes"]["cell"] == cell and r["status"] == "ok"]
        best = max(mine, key=lambda record: record["metrics"]["val/accuracy"])
        place = next(row for row in rows if row["id"] == best["id"])
        for seed in range(finals):
            rate = place["values"]["optimizer.lr"]
            record = make_record(cell, seed=100_000 + seed, lr=rate, value=0.5 + gain, val=0.1)
            rows.append(place | {"id": record["id"], "stage": "final"})
            records.append(record)
    rules = {
        "studies": [{"key": f"cell={cell}", "label": cell.upper()} for cell in gains], "space": [RATE, MOMENTUM],
        "trials_each": n, "baseline": f"cell={next(iter(gains))}", "sampler": "random", "pruner": "none",
        "final_seeds": finals, "seed": 0, "top": 0.1, "objectives": ["metric"], "trials": rows,
    }  # fmt: skip
    return rules, records


def row_of(result, cell):
    return result.studies.set_index("study").loc[f"cell={cell}"]


def test_the_best_share_is_chosen_by_validation_and_reported_on_test():
    rules, records = searched(40, {"lstm": 0.0})
    row = row_of(search_result("s", rules, records), "lstm")
    ordered = sorted(records, key=lambda r: -r["metrics"]["val/accuracy"])
    expected = [r["metrics"]["test/accuracy"] for r in ordered[:4]]
    assert row["top_n"] == 4
    assert row["top_test"] == pytest.approx(np.mean(expected))
    assert row["best_val"] == ordered[0]["metrics"]["val/accuracy"]
    assert row["best_trial"] == records.index(ordered[0])


def test_no_test_value_moves_what_is_chosen():
    rules, records = searched(40, {"lstm": 0.0, "gru": 0.05}, finals=3)
    before = search_result("s", rules, records).trials["chosen"].tolist()
    for n, record in enumerate(records):
        record["metrics"]["test/accuracy"] = noise("other", n)
    assert search_result("s", rules, records).trials["chosen"].tolist() == before


def test_failures_are_counted_and_rank_behind_everything():
    failed = {("lstm", n) for n in range(5)}
    rules, records = searched(40, {"lstm": 0.0}, failed=failed)
    result = search_result("s", rules, records)
    row = row_of(result, "lstm")
    assert (row["trials"], row["ok"], row["failures"], row["top_n"]) == (40, 35, "5 diverged", 4)
    assert (result.trials.loc[result.trials["status"] != "ok", "chosen"] == "").all()


def test_a_large_effect_is_decided_and_a_small_one_is_said_to_be_open():
    rules, records = searched(40, {"lstm": 0.0, "gru": 0.2, "rnn": 0.0})
    result = search_result("s", rules, records)
    gru, rnn = row_of(result, "gru"), row_of(result, "rnn")
    assert gru["verdict"] == "better"
    assert gru["low"] < gru["difference"] < gru["high"]
    assert gru["difference"] == pytest.approx(0.2, abs=0.02)
    assert rnn["verdict"] == "not decided"
    assert gru["method"] == "bootstrap, Bonferroni over 2"
    said = " ".join(result.sentences)
    assert "40 trials a study leave 4 to compare" in said
    assert "cannot be decided at this size" in said
    assert "Not decided: RNN." in said


def test_less_is_better_where_the_goal_says_so():
    rules, records = searched(40, {"lstm": 0.0, "gru": 0.2})
    for record in records:
        record["goal"] = "min"
    assert row_of(search_result("s", rules, records), "gru")["verdict"] == "worse"


@pytest.fixture
def two_datasets():
    """A search of two cells on two datasets: of one less is better, and none of its figures is the other's."""
    rules, records = searched(40, {"lstm": 0.0, "gru": 0.2}, finals=3)
    lower, others = searched(40, {"lstm": 10.0, "gru": 13.0}, finals=3)
    for n, record in enumerate(others):
        record |= {"id": f"{n:012x}", "metric": "mse", "goal": "min"}
        record["metrics"] = {key.replace("accuracy", "mse"): value for key, value in record["metrics"].items()}
        lower["trials"][n]["id"] = record["id"]
    for each, dataset in ((rules, "digits"), (lower, "adding")):
        for row in [*each["studies"], *each["trials"]]:
            key = "key" if "key" in row else "study"
            row[key] = f"{row[key]} dataset={dataset}"
    joined = {key: rules[key] + lower[key] for key in ("studies", "trials")}
    return rules | joined | {"baseline": "cell=lstm dataset=digits"}, records + others


def test_each_study_is_chosen_by_the_goal_of_its_own_dataset(two_datasets):
    rules, records = two_datasets
    result = search_result("s", rules, records)
    studies = result.studies.set_index("study")
    trials = result.trials[result.trials["stage"] == "trial"].groupby("study")["val"]
    for study, best in (("cell=gru dataset=digits", trials.max()), ("cell=gru dataset=adding", trials.min())):
        assert studies.loc[study, "best_val"] == best[study]
    assert (result.metric, result.goal) == ("accuracy, mse", "")


def test_a_study_is_compared_with_the_baseline_on_its_own_dataset(two_datasets):
    result = search_result("s", *two_datasets)
    studies = result.studies.set_index("study")
    assert studies["verdict"].to_dict() == {
        "cell=lstm dataset=digits": "baseline", "cell=gru dataset=digits": "better",
        "cell=lstm dataset=adding": "baseline", "cell=gru dataset=adding": "worse",
    }  # fmt: skip
    assert studies.loc["cell=gru dataset=adding", "method"] == "bootstrap, Bonferroni over 2", "two are compared"
    said = " ".join(result.sentences)
    assert " accuracy and ± " in said
    assert " mse: smaller differences" in said


@pytest.mark.integration
def test_at_the_papers_size_welchs_test_is_corrected():
    from scipy.stats import ttest_ind

    rules, records = searched(200, {"lstm": 0.0, "gru": 0.2, "rnn": 0.0})
    result = search_result("s", rules, records)
    gru = row_of(result, "gru")
    chosen = {
        cell: result.trials.query(f"study == 'cell={cell}' and chosen != ''")["test"] for cell in ("lstm", "gru")
    }  # fmt: skip
    assert len(chosen["gru"]) == 20
    assert gru["p"] == pytest.approx(min(1, 2 * ttest_ind(chosen["gru"], chosen["lstm"], equal_var=False).pvalue))
    assert (gru["verdict"], gru["method"]) == ("better", "Welch, Bonferroni over 2")


def test_too_few_trials_make_no_effect():
    rules, records = searched(10, {"lstm": 0.0, "gru": 0.2})
    row = row_of(search_result("s", rules, records), "gru")
    assert (row["verdict"], math.isnan(row["difference"])) == ("too few trials", True)


@pytest.mark.integration
def test_importance_finds_the_option_that_matters():
    rules, records = searched(40, {"lstm": 0.0, "gru": 0.02})
    found = importance(search_result("s", rules, records)).set_index(["study", "key"])["importance"]
    assert found["cell=lstm", "optimizer.lr"] > 0.8
    assert found["cell=gru", "optimizer.momentum"] < 0.2
    assert found[POOLED, "optimizer.lr"] > 0.8
    assert 0 <= found[POOLED, "variant"] < 0.3


def test_importance_says_why_it_is_missing():
    rules, records = searched(6, {"lstm": 0.0})
    found = importance(search_result("s", rules, records))
    assert found["importance"].isna().all()
    assert set(found["note"]) == {"fewer than 10 trials with a value"}


# files


@pytest.fixture
def store(tmp_path):
    rules, records = searched(9, {"lstm": 0.0, "gru": 0.2}, finals=3, failed={("lstm", 3)})
    store = fill_store(Store.open(tmp_path), records)
    (tmp_path / "sweeps").mkdir()
    manifest = {"name": "s", "command": "rnnbench tune x", "skipped": [], "runs": [r["id"] for r in records]}
    (tmp_path / "sweeps" / "s.json").write_text(json.dumps(manifest | {"search": rules}))
    return store


@pytest.mark.integration
def test_files_are_the_same_bytes_every_time_and_say_what_was_searched(store, tmp_path):
    _, first, remarks = main_search(store, "s", tmp_path / "a")
    _, second, _ = main_search(store, "s", tmp_path / "b")
    assert remarks == []
    assert [path.name for path in first] == [*FILES, *FIGURES]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    page = (tmp_path / "a" / "search.md").read_text()
    assert "2 studies of 9 trials, sampler random, seed 0." in page
    assert "- `optimizer.momentum=tag(log1m,interval(0,0.99))`" in page
    assert "9 (1 diverged)" in page
    assert "(n=3)" in page
    assert (tmp_path / "a" / "search_trials.csv").read_text().count("\n") == 1 + 24


def test_a_final_that_failed_is_said():
    rules, records = searched(9, {"lstm": 0.0}, finals=3)
    records[-1] |= {"status": "diverged", "metrics": {}}
    result = search_result("s", rules, records)
    assert row_of(result, "lstm")["finals"] == 2
    assert "Of 3 runs on fresh seeds 1 diverged: the winners' figures are of the others." in result.sentences


def test_a_search_that_is_not_finished_says_so(store):
    rules, records = searched(9, {"lstm": 0.0})
    result = search_result("s", rules, records[:5])
    assert "4 runs are not finished: the figures will change." in result.sentences
    assert "9 (4 open)" in to_markdown(result, importance(result))


@pytest.mark.integration
def test_a_published_search_is_rebuilt_from_its_records(store):
    folder = publish(store, "s")
    assert verify(folder) == []
    assert {"search.md", "search_trials.csv", "search.png"} <= {path.name for path in folder.iterdir()}
    page = folder / "search.md"
    page.write_text(page.read_text().replace("GRU", "LSTM"))
    assert verify(folder) == ["search.md"]
    (store.root.parent / "sweeps" / "s.json").unlink()
    _, files, _ = main_search(store, "s", figures=False)
    assert files[0] == page
    assert "GRU" in page.read_text(), "without the store's own, the published set is read"


def test_what_is_no_search_is_refused(store, tmp_path):
    (tmp_path / "sweeps" / "plain.json").write_text(
        json.dumps({"command": "rnnbench sweep x", "runs": [], "skipped": []})
    )
    with pytest.raises(BadInput, match="plain is a sweep, not a search"):
        main_search(store, "plain")
    with pytest.raises(BadInput, match="no sweep, published set or folder with runs is called 'x'"):
        main_search(store, "x")
    (tmp_path / "sweeps" / "plain.json").write_text("{")
    with pytest.raises(BadInput, match=r"plain\.json is damaged; the sweep's command, given again, writes it anew"):
        main_search(store, "plain")


# the leaderboard


def searches(store):
    return {name: manifest["search"] for name, manifest in read_manifests(store.results)[0].items()}


def test_a_study_is_one_row_shown_by_its_finals(store):
    frame = with_searches(records_frame(store.iterate()), searches(store))
    table = leaderboard(frame).set_index("cell")
    assert table["trials"].to_dict() == {"lstm": 9, "gru": 9}
    assert table["settings"].tolist() == ["tuned", "tuned"]
    assert table["n"].tolist() == [3, 3]
    assert table["mean"].to_dict() == pytest.approx({"lstm": 0.5, "gru": 0.7}), "of the finals, not of the trials"
    assert "in the other trials 1 diverged" in table.loc["lstm", "notes"]


def test_of_two_searches_over_the_same_runs_one_has_the_trials_and_the_finals(store):
    folder = store.root.parent / "sweeps"
    (folder / "t.json").write_text((folder / "s.json").read_text())
    table = leaderboard(with_searches(records_frame(store.iterate()), searches(store)))
    assert table["trials"].tolist() == [9, 9]
    assert table["n"].tolist() == [3, 3]


def test_an_entry_that_was_also_run_outside_stays_a_row_of_its_own(store):
    first = searches(store)["s"]["trials"][0]
    outside = make_record("lstm", seed=77, lr=first["values"]["optimizer.lr"])
    frame = records_frame([*store.iterate(), outside])
    table = leaderboard(with_searches(frame, searches(store)))
    assert sorted(table["cell"]) == ["gru", "lstm", "lstm"]
    assert sorted(table.loc[table["cell"] == "lstm", "trials"]) == [1, 8]


def test_without_a_search_the_leaderboard_is_what_it_was(store):
    frame = records_frame(store.iterate())
    assert with_searches(frame, {}).equals(frame)


def test_of_several_objectives_the_front_is_shown_each_with_its_own_finals():
    rules, records = searched(6, {"lstm": 0.0})
    rules["objectives"] = ["metric", "params"]
    for n, record in enumerate(records):  # larger is better, but for the last: the largest, and poor
        record["metrics"] |= {"val/accuracy": 0.5 + 0.05 * n if n < 5 else 0.2, "test/accuracy": 0.5}
        record["params"] = 100 + n
    for number, value in ((0, 0.4), (4, 0.7)):
        final = make_record("lstm", seed=100_000 + number, lr=0.5 + number, value=value, val=0.1)
        rules["trials"].append(rules["trials"][number] | {"id": final["id"], "stage": "final"})
        records.append(final)
    result = search_result("s", rules, records)
    cells = front_cells(result)
    assert [row["trial"] for row in cells] == ["4", "3", "2", "1", "0"]
    assert [row["params"] for row in cells] == ["104", "103", "102", "101", "100"]
    assert [row["on fresh seeds, test"] for row in cells] == ["0.7", "", "", "", "0.4"]
    assert row_of(result, "lstm")["final_test"] == 0.7, "of the best by validation, not of all winners together"
    assert "## The front" in to_markdown(result, importance(result))


def test_a_study_without_a_value_is_no_part_of_the_front():
    rules, records = searched(6, {"lstm": 0.0, "gru": 0.1})
    rules["objectives"] = ["metric", "params"]
    for record in records:
        record["params"] = 100
        if record["axes"]["cell"] == "gru":
            record |= {"status": "diverged", "metrics": {}}
    assert {row["study"] for row in front_cells(search_result("s", rules, records))} == {"LSTM"}
