"""The report page as data and as a file: complete, self-contained, the same for the same records, and never markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports.page.paged import EVIL, SHORT, evil_store, falling, full_store, write_history, write_sweep
from reports.predictions import framed
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.reports.page import board as page_board
from rnnbench.reports.page import curves as page_curves
from rnnbench.reports.page.board import board, bounds, flattened
from rnnbench.reports.page.curves import learning_curves
from rnnbench.reports.page.pictures import pictures
from rnnbench.reports.page.render import application, charts_library, embedded, page_data, render, write_page
from rnnbench.reports.page.searches import _axis, _place
from rnnbench.reports.page.source import open_source, planned
from rnnbench.store.published import published_in
from rnnbench.store.samples import dumps
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration  # the library of charts takes seconds to be put together

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return full_store(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def data(full):
    return page_data(open_source(full))


def test_a_page_counts_who_solved_the_task(tmp_path):
    solved = [record | {"solved": 0.5} for record in make_records(("lstm",), range(8), dataset="parity")]
    store = fill_store(Store.open(tmp_path), [*solved, *make_records(("gru",))])
    entries = {entry["cell"]: entry for entry in board(open_source(store))["entries"]}
    lstm, gru = entries["lstm"], entries["gru"]
    assert (lstm["solved"], lstm["solved_share"], lstm["solved_interval"]) == ("8 of 8", 1.0, "1.00 [0.63, 1.00]")
    assert (gru["solved"], gru.get("solved_share")) == ("", None)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script" and self.get_starttag_text().startswith("<script"):
            self.scripts.append(data)


def test_entries_are_the_leaderboards_with_their_runs(data):
    entries = data["board"]["entries"]
    gru = next(n for n, e in enumerate(entries) if e["cell"] == "gru" and e["settings"] == "default")
    assert entries[gru]["rank"] == 1
    assert entries[gru]["result"].startswith("0.93")
    assert data["board"]["runs"][gru]["seed"] == [0, 1, 2, 3]
    lost = next(n for n, e in enumerate(entries) if e["cell"] == "nig")
    assert entries[lost]["rank"] is None
    assert data["board"]["runs"][lost]["reason"] == ["loss is not finite at update 120"] * 2
    assert {block["metric"] for block in data["board"]["blocks"]} == {"accuracy", "mse"}


def test_a_search_is_shown_by_the_runs_of_its_winner(data):
    entries = data["board"]["entries"]
    tuned = [n for n, entry in enumerate(entries) if entry["settings"].startswith("tuned")]
    assert [entries[n]["settings"] for n in tuned] == ["tuned (24)"] * 2
    assert all(min(data["board"]["runs"][n]["seed"]) >= 100_000 for n in tuned)


def test_the_front_has_whom_nobody_beats_in_both(tmp_path):
    rows = {"rnn": (0.9, 10, 5), "lstm": (0.95, 20, 5), "gru": (0.9, 15, 4), "mgu": (0.8, 30, 30)}
    records = [
        make_record(cell, seed=seed, value=value, train_seconds=float(seconds), params=params)
        for cell, (value, seconds, params) in rows.items() for seed in range(3)
    ]  # fmt: skip
    found = board(open_source(fill_store(Store(tmp_path / "runs"), records)))
    assert {e["cell"]: e["front"] for e in found["entries"]} == {
        "lstm": ["train_seconds", "params"], "rnn": ["train_seconds"], "gru": ["params"], "mgu": [],
    }  # fmt: skip


def test_times_of_two_backends_are_not_compared(tmp_path):
    records = [
        make_record("gru", seed=seed, backend=backend, value=0.9, train_seconds=seconds)
        for backend, seconds in (("torch", 1.0), ("eager", 9.0)) for seed in range(3)
    ]  # fmt: skip
    found = board(open_source(fill_store(Store(tmp_path / "runs"), records)))
    assert ["train_seconds" in entry["front"] for entry in found["entries"]] == [True, True]


def test_configs_are_kept_as_what_differs(data):
    configs = data["board"]["configs"]
    assert configs["shared"]["budget.updates"] == "500"
    entries = data["board"]["entries"]
    gru = next(n for n, e in enumerate(entries) if e["cell"] == "gru" and e["settings"] == "default")
    assert configs["own"][gru]["cell.name"] == "gru"
    assert "seed" not in configs["shared"]


def test_a_config_is_flat_and_without_what_changes_no_result():
    config = {
        "seed": 1,
        "cell": {"meta": {"name": "gru", "version": 2, "paper": "x"}, "leak": None},
        "harness": {"a": 1},
    }
    assert flattened({"config": config}) == {"cell.leak": "null", "cell.name": "gru", "cell.version": "2"}


def test_what_is_left_out_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(page_board, "RUNS", 3)
    monkeypatch.setattr(page_curves, "RUNS", 4)
    records = [*make_records(("rnn", "gru"), range(4)), make_record("gru", seed=9, status="oom")]
    store = fill_store(Store(tmp_path / "runs"), records)
    for record in records:
        write_history(store, record, falling(record))
    source = open_source(store)
    found = board(source)
    assert found["left_out"] == 3
    assert [status for runs in found["runs"] for status in runs["status"]].count("oom") == 1, "failures stay in sight"
    curves = learning_curves(source, found)
    assert (len(curves["entries"]), curves["left_out"]) == (1, 1)


def test_curves_are_thinned_on_the_same_steps_for_all_seeds(tmp_path):
    records = [*make_records(("gru",), range(2)), make_record("gru", seed=2, status="diverged")]
    store = fill_store(Store(tmp_path / "runs"), records)
    for record in records:
        write_history(store, record, falling(record, 500 if record["status"] == "ok" else 100))
    source = open_source(store)
    curves = learning_curves(source, board(source))["entries"][0]
    assert len(curves["steps"]) == page_curves.POINTS
    assert (curves["steps"][0], curves["steps"][-1]) == (25, 12_500)
    assert set(curves["metrics"]) == {"val/accuracy", "val/loss", "train/loss", "train/grad_norm_max"}
    assert [sum(v is not None for v in row) for row in curves["metrics"]["val/loss"]] == [60, 60, 12]


def test_searches_and_ablations_are_those_of_their_commands(data):
    (search,) = data["searches"]["found"]
    assert [row["study"] for row in search["table"]] == ["LSTM", "GRU"]
    assert len(search["trials"]) == 48
    assert all(0 <= place <= 1 for trial in search["trials"] for place in trial["places"])
    best = search["best"]["cell=gru"]
    assert [value for _, value in best] == sorted(value for _, value in best)
    (ablation,) = data["ablations"]["found"]
    (study,) = ablation["studies"]
    assert {row["variant"] for row in study["effects"]} == {"on", "conv"}
    assert study["baseline"] == "off"
    assert {row["norm"] for row in study["norms"]} == {"median", "p99", "max"}
    assert {row["gate"] for row in study["saturation"]} == {"i", "f", "o"}


def test_a_place_on_an_axis_follows_its_scale():
    log = _axis({"key": "lr", "kind": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}, [])
    assert [_place(log, v) for v in (1e-4, 1e-3, 1e-2)] == [0, 0.5, 1]
    assert log["ticks"] == [[0.0, "0.0001"], [0.5, "0.001"], [1.0, "0.01"]]
    close = _axis({"key": "m", "kind": "float", "low": 0, "high": 0.99, "scale": "log1m"}, [])
    assert [_place(close, v) for v in (0.99, 0.9, 0)] == [0, 0.5, 1]
    assert close["ticks"] == [[1.0, "0"], [0.5, "0.9"], [0.0, "0.99"]]
    words = _axis({"key": "depth", "kind": "choice"}, ["10", "2", "1", "2"])
    assert [_place(words, v) for v in ("1", "2", "10")] == [0, 0.5, 1]
    assert _place(log, None) is None


def test_failures_say_how_many_why_and_which(data):
    (failure, *others) = data["coverage"]["failures"]
    assert (failure["status"], failure["runs"], failure["label"]) == ("diverged", 2, "NIG 64")
    assert len(failure["ids"]) == 2
    assert [row["runs"] for row in others] == [1]
    assert data["coverage"]["skipped"] == [{"sweep": "quick", "reason": "a GRU has no peepholes", "cells": 4}]
    quick = next(row for row in data["coverage"]["sweeps"] if row["name"] == "quick")
    assert (quick["planned"], quick["recorded"], quick["ok"]) == (21, 21, 19)


def test_stale_runs_are_said_to_be_so(full):
    groups = page_data(open_source(full), stale=lambda frame: frame["source_hash"] == "feedc0de")["provenance"][
        "groups"
    ]
    assert [group["stale"] for group in groups] == [True] * len(groups)


def test_only_runs_of_the_store_are_stale_and_of_a_mixed_group_only_a_part(full, tmp_path):
    frozen = make_records(("cifg",), range(2))
    write_frozen(tmp_path / "old", frozen)
    source = open_source(full, ["quick", "status=ok", "dataset=digits", str(tmp_path / "old")])
    groups = page_data(source, stale=lambda frame: [True] * len(frame))["provenance"]["groups"]
    assert sorted((group["stale"], group["runs"]) for group in groups) == [(False, 2), (True, 16)]
    groups = page_data(source, stale=lambda frame: [False] * len(frame))["provenance"]["groups"]
    assert [(group["stale"], group["runs"]) for group in groups] == [(False, 18)], "nothing to tell apart"


def test_a_page_is_of_what_its_words_select(full):
    assert len(open_source(full, ["quick"]).frame) == 21
    part = open_source(full, ["quick", "dataset=adding"])
    assert (set(part.frame["dataset"]), part.title) == ({"adding"}, "quick, dataset adding")
    assert [planned(source, "quick") for source in (open_source(full, ["quick"]), part)] == [21, None]
    assert list(open_source(full, ["cell=mgu"]).heads) == ["quick"], "no sweep that has no run in it"
    with pytest.raises(BadInput, match=r"no sweep, published set, folder with runs or run is called 'quik'.*quick"):
        open_source(full, ["quik"])
    with pytest.raises(BadInput, match="no run has dataset=digit here"):
        open_source(full, ["dataset=digit"])


def write_frozen(folder, records, **head):
    """A published set of records with their histories."""
    folder.mkdir(parents=True)
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    lines = [{"id": record["id"], "rows": falling(record)} for record in records]
    (folder / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "sweep.json").write_text(json.dumps({"name": folder.name, "command": "x", "skipped": []} | head))


def test_a_page_of_several_places_has_everything_of_each(full, tmp_path):
    write_frozen(tmp_path / "old", make_records(("cifg",), range(3)), not_run={"cell=nig": "2 of 2 runs"})
    path = tmp_path / "old" / "records.jsonl"
    path.write_text(path.read_text() + "{\n")
    other = fill_store(Store(tmp_path / "other" / "runs"), make_records(("mut1",), range(3)))
    for record in make_records(("mut1",), range(3)):
        write_history(other, record, falling(record))
    write_sweep(other, "quick", make_records(("mut1",), range(3)))
    data = page_data(open_source(full, ["quick", "peep", str(tmp_path / "old"), str(tmp_path / "other")]))
    place = {entry["cell"]: n for n, entry in enumerate(data["board"]["entries"])}
    assert {"gru", "cifg", "mut1"} <= set(place)
    assert {place[cell] for cell in ("gru", "cifg", "mut1")} <= set(data["curves"]["entries"])
    assert {place[cell] for cell in ("gru", "cifg", "mut1")} <= set(data["board"]["configs"]["own"])
    assert [each["name"] for each in data["ablations"]["found"]] == ["peep"]
    sweeps = {row["name"]: row["recorded"] for row in data["coverage"]["sweeps"]}
    assert sweeps == {"quick": 21, "peep": 18, "old": 3, f"quick ({tmp_path.name}/other)": 3}
    assert [row["record"] for row in data["coverage"]["damaged"]] == ["old, line 4"]
    assert [row["entry"] for row in data["coverage"]["not_run"]] == ["cell=nig"]


def test_predictions_of_a_store_and_a_published_set_are_one_picture(tmp_path):
    store = Store(tmp_path / "runs")
    framed.fill(store, [framed.frame_record("convlstm", seed=seed) for seed in range(2)])
    kept, other = (framed.frame_record("convgru", seed=seed) for seed in range(2))
    folder = tmp_path / "old"
    write_frozen(folder, [kept, other], samples={kept["id"]: "of its file"})
    (folder / "samples").mkdir()
    (folder / "samples" / f"{kept['id']}.npz").write_bytes(dumps(framed.make_samples(kept["id"])))
    source = open_source(store, [str(tmp_path), str(folder)])
    found = pictures(source, board(source))
    (sheet,) = found["sheets"]
    assert found["remarks"] == []
    assert "ConvLSTM" in sheet["text"]
    assert "ConvGRU" in sheet["text"]
    (folder / "sweep.json").unlink()  # nobody knows now which were kept
    alone = open_source(store, [str(folder)])
    assert pictures(alone, board(alone))["sheets"] == []


def test_a_page_is_one_file_that_asks_for_nothing(full, data, tmp_path):
    text = write_page(open_source(full), tmp_path / "a" / "report.html").read_text()
    assert len(text) - len(embedded(data)) < 2_000_000
    elements = Elements(text)
    assert not [attrs for _, attrs in elements.found if "src" in attrs]
    assert [attrs["href"] for _, attrs in elements.found if "href" in attrs] == ["data:,", "#board"]
    assert [tag for tag, _ in elements.found if tag in ("link", "img", "iframe", "object", "form")] == ["link"]
    policy = next(attrs["content"] for _, attrs in elements.found if attrs.get("http-equiv"))
    hashes = set(re.findall(r"'sha256-([^']+)'", policy))
    codes = (application(), charts_library())
    assert hashes == {base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes}
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "connect-src 'none'" in policy
    assert "connect-src 'self'" in render(data, live="now")


def test_the_same_records_give_the_same_bytes(full, tmp_path):
    again = full_store(tmp_path / "elsewhere" / "deep")
    assert render(page_data(open_source(again))) == render(page_data(open_source(full)))


def test_nothing_of_a_record_is_an_element_of_the_file(tmp_path):
    evil = render(page_data(open_source(evil_store(tmp_path / "evil"))))
    plain = render(page_data(open_source(full_store(tmp_path / "full"))))
    assert [tag for tag, _ in Elements(evil).found] == [tag for tag, _ in Elements(plain).found]
    assert EVIL not in evil
    assert SHORT not in evil
    held = json.loads(re.search(r'id="data">(.*?)</script>', evil, re.S)[1])
    assert EVIL in held["coverage"]["failures"][0]["reason"], "it is there, as text"


def test_a_title_is_escaped(full):
    data = page_data(open_source(full)) | {"title": EVIL}
    assert "<title>&lt;/script&gt;" in render(data)


def test_json_in_a_page_can_end_no_script_and_no_line():
    text = embedded({"a": "</script><!--", "b": "\u2028 \ud800 & \u202e\x9b\x85"})
    assert not set("<>&\u2028\u202e\x9b\x85") & set(text)
    assert json.loads(text)["a"] == "</script><!--"
    text.encode()


def test_the_code_of_the_page_makes_no_markup():
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert word not in application()


@pytest.mark.integration
@pytest.mark.parametrize("name", sorted(published_in(PUBLISHED)))
def test_a_published_set_is_enough(name, frozen, tmp_path, capsys):
    assert main(["report", name, "--results", str(frozen), "-o", str(tmp_path / "page.html")]) == 0
    data = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "page.html").read_text(), re.S)[1])
    assert data["board"]["entries"]
    assert not data["ablations"]["remarks"]
    assert not [group for group in data["provenance"]["groups"] if group["stale"]]
    assert bool(data["frames"]["sheets"]) == (PUBLISHED / name / "samples").exists()
    assert bool(data["curves"]["entries"]) == (PUBLISHED / name / "curves.jsonl").exists()


def test_a_part_of_a_published_set_is_a_page(frozen, tmp_path, capsys):
    words = ["quickstart", "cell=lstm,gru", "dataset=digits"]
    assert main(["report", "--results", str(frozen), "-o", str(tmp_path / "page.html"), *words]) == 0
    data = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "page.html").read_text(), re.S)[1])
    assert data["title"] == "quickstart, cell lstm or gru, dataset digits"
    assert {entry["cell"] for entry in data["board"]["entries"]} == {"lstm", "gru"}
    assert [(row["name"], row["planned"]) for row in data["coverage"]["sweeps"]] == [("quickstart", None)]


def test_a_page_without_curves_says_why(frozen, tmp_path):
    store = fill_store(Store(tmp_path / "runs"), make_records(("rnn",), range(2)))
    source = open_source(store)
    assert "No run here has left a history" in learning_curves(source, board(source))["why"]
    source = open_source(Store(frozen / "runs"), ["quickstart"])
    assert "no curves.jsonl" in learning_curves(source, board(source))["why"]


def test_why_is_empty_where_there_are_curves(data):
    assert data["curves"]["why"] == ""


def test_bounds_are_those_of_the_metrics_that_are_known():
    assert [bounds(name) for name in ("accuracy", "sequence_accuracy")] == [[0.0, 1.0]] * 2
    assert [bounds(name) for name in ("mse", "mse_sum", "nll_frame", "cross_entropy")] == [[0.0, None]] * 4
    assert [bounds(name) for name in ("loss", "reward")] == [[None, None]] * 2, "a density may give a negative loss"


def test_the_command_writes_beside_the_store_and_refuses_in_one_sentence(full, tmp_path, capsys):
    results = str(full.root.parent)
    assert main(["report", "--dataset", "adding", "--results", results]) == 0
    assert "report_dataset-adding.html" in capsys.readouterr().out
    assert main(["report", "quick", "cell=lstm,gru", "--results", results]) == 0
    assert "report_quick_cell-lstm-gru.html" in capsys.readouterr().out
    written = {path.name for path in (full.root.parent / "tables").iterdir()}
    assert written == {"report_dataset-adding.html", "report_quick_cell-lstm-gru.html"}
    for words in (["nothing"], ["-o", str(tmp_path)], ["--budget", "huge"]):
        assert main(["report", *words, "--results", results]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["report", "--results", str(tmp_path / "empty")]) == 2
    assert "no finished runs" in capsys.readouterr().err
