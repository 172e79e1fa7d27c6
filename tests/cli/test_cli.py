"""The front door: every command's help, its output, and one sentence for whatever a user can get wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import rnnbench
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.cli import main
from rnnbench.runs import registry
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.config import FAMILIES
from rnnbench.store.store import Store

COMMANDS = ("run", "sweep", "leaderboard", "list", "show", "ablation", "predictions", "frames", "publish", "verify",
            "tune", "search", "wandb", "report", "serve")  # fmt: skip


class Said(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys) -> Call:
    """call("list", "cells"): the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str) -> Said:
        try:
            code = main(words)
        except SystemExit as end:  # argparse's own
            code = end.code
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def store(tmp_path) -> Store:
    """Three cells, three seeds, made up, in results/."""
    return fill_store(Store.open(tmp_path / "results"), make_records(("rnn", "lstm", "gru"), range(3)))


# help


def test_help_shows_every_command_and_how_to_begin(call):
    said = call("--help")
    assert said.code == 0
    assert all(re.search(rf"^    {name}\b", said.out, re.MULTILINE) for name in COMMANDS)
    assert "rnnbench sweep experiment=quickstart" in said.out
    assert "130 interrupted" in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(call, name):
    said = call(name, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"usage: rnnbench {name} ")
    assert "--results DIR" in said.out
    assert "--config-dir DIR" in said.out
    assert "Exit codes: 0 all ok" in said.out


def test_the_help_names_the_groups_there_are(call):
    said = call("run", "--help").out
    named = set(re.findall(r"(\w+)=", said.partition("Overrides are Hydra's")[2]))
    assert set(registry.GROUPS) <= named
    for group in ("budget", "optimizer", "schedule", "tracker"):
        (listed,) = re.findall(rf"\b{group}=([\w|]+)", said)
        assert set(listed.split("|")) <= set(registry.choices(group))


def test_the_version(call):
    assert call("--version") == (0, f"rnnbench {rnnbench.__version__}\n", "")


# what a user can get wrong: exit code 2, one sentence, nothing written

BAD = [
    ("run cell=lsmt", "unknown cell 'lsmt'; did you mean lstm"),
    ("run dataset=digit", "unknown dataset 'digit'; did you mean digits"),
    ("run hidden_sise=8", "unknown option 'hidden_sise'; did you mean hidden_size"),
    (
        "run cell=lstm cell.forget_bais=1",
        "unknown option 'cell.forget_bais' of cell=lstm; did you mean cell.forget",
    ),
    ("run depth=x", "unknown depth 'x'; known: 1, 2,"),
    ("run cell=gru peephole=on", "cell=gru takes no peephole: a GRU has no cell state"),
    ("run cell=lstm,gru", "lists several values; use `rnnbench sweep`"),
    ("run experiment=quickstart", "is a whole sweep; use `rnnbench sweep experiment=quickstart`"),
    ("run params=0", "params=0 is no count; write 70000, 70k or 1.5M"),
    ("run seed=-1", "seed must be a whole number of at least 0, not -1"),
    ("run seed=1.5", "seed must be a whole number of at least 0, not 1.5"),
    ("run lstm", "'lstm' is no override; write key=value"),
    ("run optimizer=sgd optimizer.nesterov=on", "write true or false"),
    ("run cell=rnn clip=-1", "clip must be above 0"),
    ("run dataset=jsb direction=bidirectional", "would see the very steps"),
    ("run cell=mgu backend=native", "torch has no kernel for cell=mgu"),
    ("run --config-dir nowhere", "--config-dir nowhere: no such folder"),
    ("run --config-dir a_file", "--config-dir a_file: no such folder"),
    ("run budget=smoke tracker=none --results a_file", "results are kept in a folder, and a_file is a file"),
    ("run --retri", "unrecognized arguments: --retri; see `rnnbench --help`"),
    ("sweep cell=rnn,lsmt", "unknown cell 'lsmt'; did you mean lstm"),
    ("sweep cell=rnn seed=range(0)", "this sweep is empty"),
    ("sweep optimizer.lr=interval(0,1)", "is a continuous range; a sweep takes lists"),
    ("sweep experiment=quickstar", "unknown experiment 'quickstar'; did you mean quickstart"),
    ("sweep cell=rnn --name a/b", "a sweep's name is letters, digits"),
    ("sweep cell=rnn --workers 0", "'0' is no whole number of at least 1"),
    ("sweep cell=rnn --workers two", "'two' is no whole number of at least 1"),
    ("sweep cell=rnn budget=smoke --results a_file", "results are kept in a folder, and a_file is a file"),
    ("sweep cell=rnn budget=smoke --results a_file --dry-run", "results are kept in a folder, and a_file is a file"),
    ("leaderboard", "no finished runs in results/runs; `rnnbench sweep experiment=quickstart` makes some"),
    ("leaderboard --results a_file", "results are kept in a folder, and a_file is a file"),
    ("status --results a_file", "results are kept in a folder, and a_file is a file"),
    ("retry --results a_file", "results are kept in a folder, and a_file is a file"),
    ("clean --results a_file", "results are kept in a folder, and a_file is a file"),
    ("claims --results a_file", "results are kept in a folder, and a_file is a file"),
    ("serve --results a_file", "results are kept in a folder, and a_file is a file"),
    ("leaderboard --format html", "invalid choice: 'html'"),
    ("leaderboard cell=rnn", "no finished runs in results/runs; "),
    ("leaderboard cel=rnn", "nothing is selected by 'cel'; did you mean cell"),
    (
        "leaderboard quikstart",
        "no sweep, published set, folder with runs or run is called 'quikstart'; did you mean quick",
    ),
    ("leaderboard --dataset=", "'dataset=' selects nothing"),
    ("report nothing", "no sweep, published set, folder with runs or run is called 'nothing'"),
    ("report --dataset digits sed=1", "nothing is selected by 'sed'; did you mean seed"),
    ("serve --port 0 nothing", "no sweep, published set, folder with runs or run is called 'nothing'"),
    ("serve depth=deep", "depth=deep: it is a whole number"),
    ("list nonsense", "unknown group 'nonsense'; known: axes"),
    ("list cels", "unknown group 'cels'; did you mean cell"),
    ("list", "the following arguments are required: GROUP; see `rnnbench list --help`"),
    ("show nonsense", "no run 'nonsense' in results/runs; the store is empty"),
    ("frames", "the following arguments are required: NAME"),
    ("frames nonsense", "no sweep, published set, folder with runs or run is called 'nonsense'; "),
    ("frames x --clips 0", "'0' is no whole number of at least 1"),
    ("frames x --seed -1", "'-1' is no whole number of at least 0"),
    ("publish", "the following arguments are required: NAME"),
    (
        "publish nonsense",
        "no sweep is called 'nonsense'; none is in results: `rnnbench sweep experiment=quickstart` makes one",
    ),
    ("verify nonsense", "no published set is called 'nonsense'; "),
    (
        "verify",
        "nothing is published in results/published; `rnnbench publish NAME` freezes a sweep; of those that come",
    ),
    ("nonsense", "invalid choice: 'nonsense'"),
    ("", "the following arguments are required: COMMAND"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD, ids=[line or "nothing" for line, _ in BAD])
def test_bad_input_is_one_sentence_and_exit_code_2(call, tmp_path, line, sentence):
    (tmp_path / "a_file").write_text("kept")
    said = call(*line.split())
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.startswith("rnnbench: ")
    assert said.err.count("\n") == 1, "one line, and no traceback"
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"], "nothing is written"
    assert (tmp_path / "a_file").read_text() == "kept"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("leaderboard --dataset digit", "no run has dataset=digit here; did you mean digits?"),
        ("leaderboard --budget large", "no run has budget=large here; known: small."),
        ("leaderboard --format csv seed=first", "seed=first: it is a whole number."),
        ("report cell=gru dataset=digit", "no run has dataset=digit here; did you mean digits?"),
        ("leaderboard --output results/runs/../a_file", "a_file is a file; --output names a folder"),
        ("show nonsense", "no run 'nonsense' in results/runs; "),
    ],
)
def test_what_is_not_in_the_store_is_one_sentence_too(call, tmp_path, line, sentence):
    (tmp_path / "results" / "a_file").touch()
    said = call(*line.split())
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert re.fullmatch(r"rnnbench: .*\n", said.err)


def test_an_ambiguous_id_asks_for_more_digits(call, tmp_path):
    for run_id in ("abc1", "abc2"):
        (tmp_path / "results" / "runs" / run_id).mkdir(parents=True)
    said = call("show", "abc")
    assert said.code == 2
    assert "'abc' is the beginning of 2 runs (abc1, abc2); give more digits" in said.err


def test_overrides_may_stand_behind_options(call):
    first = call("sweep", "cell=rnn", "--dry-run", "seed=range(2)", "--workers", "2", "budget=smoke")
    assert first.code == 0
    assert first == call("sweep", "--dry-run", "--workers=2", "cell=rnn", "seed=range(2)", "budget=smoke")
    assert len(first.out.splitlines()) == 2


def test_ctrl_c_anywhere_is_exit_code_130(call, monkeypatch):
    def press(overrides, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnbench.runs.plan.prepare", press)
    assert call("run", "cell=rnn") == (130, "", "rnnbench: interrupted; the same command resumes.\n")


# list


@pytest.mark.parametrize(("word", "group"), [("datasets", "dataset"), ("experiments", "experiment"),
                                             ("peephole", "peephole")])  # fmt: skip
def test_list_shows_every_choice_with_what_it_is(call, word, group):
    said = call("list", word)
    assert (said.code, said.err) == (0, "")
    rows = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert [name for name, _ in rows] == list(registry.choices(group))
    for name, about in rows:
        assert (registry.config_dir() / group / f"{name}.yaml").read_text().startswith(f"# {about.strip()}")


def test_list_shows_the_cells_by_family_with_parameters_and_paper(call):
    said = call("list", "cells")
    assert (said.code, said.err) == (0, "")
    assert said == call("list", "cell")
    sizes, *blocks = said.out.rstrip("\n").split("\n\n")
    assert "one layer of 64 units on 64 inputs" in sizes
    shown = {}
    for block in blocks:
        heading, *lines = block.split("\n")
        family = next(key for key, words in FAMILIES.items() if words == heading)
        for row, paper in zip(lines[::2], lines[1::2], strict=True):
            name, rest = row.split(maxsplit=1)
            shown[name] = (family, paper.strip(), rest)
    assert set(shown) == set(registry.choices("cell")), "each once, and each with a paper"
    for name, (family, paper, rest) in shown.items():
        meta = registry.read("cell", name)["meta"]
        assert (family, paper) == (meta["family"], meta["paper"])
        params = f"{meta['params']:,}  " if "params" in meta else ""
        assert rest == params + registry.about("cell", name)
    assert list(dict.fromkeys(family for family, *_ in shown.values())) == [
        family for family in FAMILIES if any(family == of for of, *_ in shown.values())
    ]


def test_a_users_cell_is_listed_under_the_family_that_it_names_else_under_others(call, tmp_path):
    (tmp_path / "mylab" / "cell").mkdir(parents=True)
    wanted = "name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []"
    (tmp_path / "mylab" / "cell" / "mine.yaml").write_text(f"# My cell.\nmeta: {{{wanted}, family: ode, params: 12}}\n")
    (tmp_path / "mylab" / "cell" / "bare.yaml").write_text("# Bare.\nmeta: 3\n")
    blocks = call("list", "cells", "--config-dir", "mylab").out.split("\n\n")
    mine = next(block for block in blocks if "My cell." in block)
    assert mine.startswith(FAMILIES["ode"])
    assert re.search(r"^mine +12  My cell\.$", mine, re.MULTILINE)
    assert blocks[-1].splitlines()[0] == "Others"
    assert blocks[-1].splitlines()[1].split() == ["bare", "Bare."]


def test_list_axes_shows_every_axis_with_its_choices(call):
    said = call("list", "axes")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines()}
    assert rows == {group: list(registry.choices(group)) for group in registry.AXES}
    assert rows["depth"][:3] == ["1", "2", "3"]


def test_list_shows_the_users_own_choices_beside_ours(call, tmp_path):
    (tmp_path / "mylab" / "cell").mkdir(parents=True)
    (tmp_path / "mylab" / "cell" / "mine.yaml").write_text("# My cell.\nmeta: {}\n")
    said = call("list", "cells", "--config-dir", "mylab").out
    assert re.search(r"^mine +My cell\.$", said, re.MULTILINE)
    assert re.search(r"^lstm ", said, re.MULTILINE)
    (tmp_path / "mylab" / "cell" / "gru.yaml").write_text("# Not the GRU.\nmeta: {}\n")
    refused = call("run", "cell=gru", "--config-dir", "mylab")
    assert refused.code == 2
    assert "are both cell=gru; rename yours" in refused.err


# sweep --dry-run


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(call, tmp_path):
    said = call("sweep", "cell=rnn,gru", "peephole=off,on", "seed=range(2)", "budget=smoke", "--dry-run")
    assert said.code == 0
    rows = [line.split(maxsplit=2) for line in said.out.splitlines()]
    assert [(status, title) for status, _, title in rows] == [
        ("new", f"{label} · digits · seed {seed}") for label in ("RNN", "GRU") for seed in (0, 1)
    ]
    counts, *skipped, todo = said.err.splitlines()
    assert counts == "sweep: 4 runs: 4 new, 4 skipped cells"
    assert [line.split(":")[:2] for line in skipped] == [["  skipped", " 2 cells"]] * 2
    assert todo == "to do: 4 runs, time unknown: nothing like them is recorded"
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_done_from_new_from_damaged(call, tmp_path):
    line = ("sweep", "cell=rnn,gru,mgu", "budget=smoke", "--dry-run")
    done, damaged, _ = (row.split()[1] for row in call(*line).out.splitlines())
    store = Store.open(tmp_path / "results")
    store.write(make_record() | {"id": done, "source_hash": None})
    store.folder(damaged).mkdir()
    store.record_path(damaged).write_text("{")
    assert [row.split()[0] for row in call(*line).out.splitlines()] == ["done", "damaged", "new"]


# run


def test_a_recorded_run_is_shown_and_not_repeated(call, tmp_path):
    line = ("run", "cell=rnn", "budget=smoke", "tracker=none")
    run_id = call("sweep", "--dry-run", "cell=rnn", "budget=smoke").out.split()[1]
    store = Store.open(tmp_path / "results")
    path = store.write(
        make_record("rnn") | {"id": run_id, "source_hash": None, "finished": "2026-01-02T03:04:05+00:00"}
    )
    before = path.read_bytes()
    said = call(*line)
    assert (said.code, said.err) == (0, "already recorded (2026-01-02T03:04:05+00:00):\n")
    assert said.out.startswith("ok  RNN 64 · digits")
    assert str(path.relative_to(tmp_path)) in said.out
    assert path.read_bytes() == before
    assert [p.name for p in store.folder(run_id).iterdir()] == ["record.json"]


def test_a_recorded_failure_is_exit_code_1_and_says_how_to_retry(call, tmp_path):
    run_id = call("sweep", "--dry-run", "cell=rnn", "budget=smoke").out.split()[1]
    failed = make_record("rnn", status="diverged", reason="the loss is not finite at update 2")
    Store.open(tmp_path / "results").write(failed | {"id": run_id})
    said = call("run", "cell=rnn", "budget=smoke", "tracker=none")
    assert said.code == 1
    assert "the loss is not finite at update 2" in said.out
    assert said.err.endswith("do it again with --retry\n")


def test_a_damaged_record_is_named_and_kept(call, tmp_path):
    run_id = call("sweep", "--dry-run", "cell=rnn", "budget=smoke").out.split()[1]
    path = tmp_path / "results" / "runs" / run_id / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    said = call("run", "cell=rnn", "budget=smoke", "tracker=none")
    assert said.code == 2
    assert re.fullmatch(rf"rnnbench: results/runs/{run_id}/record.json is not whole JSON .*\n", said.err)
    assert path.read_text() == "{"
    shown = call("show", run_id[:5])
    assert shown.code == 0
    assert "damaged record" in shown.out


@pytest.mark.integration
def test_a_run_from_start_to_show(call, tmp_path):
    line = ("run", "cell=gru", "budget=smoke", "budget.updates=8", "tracker=none", "hidden_size=8")
    said = call(*line)
    assert (said.code, said.err) == (0, "digits: 1,077/360/360 sequences of 8 steps, 8 features\n")
    assert "ok  GRU h=8 · digits" in said.out
    (run_id,) = Store.open(tmp_path / "results").ids()
    shown = call("show", run_id[:6])
    assert shown.code == 0
    assert f"ok  {run_id}" in shown.out
    assert "rnnbench run cell=gru budget=smoke budget.updates=8 hidden_size=8" in shown.out
    assert call("leaderboard", "--format", "csv").code == 0
    path = Store.open(tmp_path / "results").record_path(run_id)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source_hash": "0123456789ab"}))
    known = call(*line)
    assert known.code == 0
    assert known.err.splitlines()[1:] == [
        "stale: the source of nn/, datasets/ or training/ has changed since", "do it again with --retry",
    ]  # fmt: skip
    assert call(*line, "--retry").code == 0
    assert json.loads(path.read_text())["source_hash"] == source_hash()
    assert path.with_name("record.stale-1.json").exists()


@pytest.mark.integration
def test_a_failed_run_is_retried_when_asked(call, tmp_path):
    line = ("run", "cell=rnn_relu", "optimizer=sgd", "optimizer.lr=1e20", "clip=null", "budget=smoke", "tracker=none")
    assert call(*line).code == 1
    assert call(*line).err.splitlines()[-1] == "do it again with --retry"
    assert call(*line, "--retry").code == 1
    (run_id,) = Store.open(tmp_path / "results").ids()
    assert (tmp_path / "results" / "runs" / run_id / "record.failed-1.json").exists()
    assert Store.open(tmp_path / "results").read(run_id)["attempts"] == 2


# leaderboard


@pytest.mark.usefixtures("store")
def test_the_leaderboard_is_printed_and_written(call, tmp_path):
    said = call("leaderboard")
    assert said.code == 0
    assert all(label in said.out for label in ("RNN 64", "LSTM 64", "GRU 64"))
    files = sorted(path.name for path in (tmp_path / "results" / "tables").iterdir())
    assert {"leaderboard.csv", "leaderboard.md", "leaderboard.parquet"} <= set(files)
    assert "\nwritten: results/tables/leaderboard.csv, " in said.err
    markdown = call("leaderboard", "--format", "markdown")
    assert markdown.out == (tmp_path / "results" / "tables" / "leaderboard.md").read_text()


def test_runs_of_other_source_are_counted_and_noted(call, store):
    fill_store(store, [make_record("mgu", seed=s) | {"source_hash": source_hash()} for s in range(2)])
    said = call("leaderboard", "--format", "csv")
    assert "stale: 9 of 11 runs: the source of nn/, datasets/ or training/ has changed since (see notes)\n" in said.err
    notes = {row["label"]: row["notes"] for row in csv.DictReader(io.StringIO(said.out))}
    assert notes == {"GRU 64": "3 stale", "LSTM 64": "3 stale", "RNN 64": "3 stale", "MGU 64": ""}


@pytest.mark.usefixtures("store")
def test_csv_for_a_pipe_has_one_row_an_entry_best_first(call):
    rows = list(csv.DictReader(io.StringIO(call("leaderboard", "--format", "csv").out)))
    assert [row["label"] for row in rows] == ["GRU 64", "LSTM 64", "RNN 64"]
    assert [row["n"] for row in rows] == ["3"] * 3


@pytest.mark.usefixtures("store")
def test_the_output_folder_and_the_store_can_be_named(call, tmp_path, monkeypatch):
    assert call("leaderboard", "--output", "elsewhere/deep").code == 0
    assert (tmp_path / "elsewhere" / "deep" / "leaderboard.md").exists()
    (tmp_path / "results").rename(tmp_path / "moved")
    assert call("leaderboard").code == 2
    assert call("leaderboard", "--results", "moved").code == 0
    monkeypatch.setenv("RNNBENCH_RESULTS", "moved")
    assert call("leaderboard").code == 0


@pytest.mark.integration
def test_one_dataset_or_budget_only(call, store):
    fill_store(store, [make_record("lstm", dataset="adding"), make_record("lstm", budget="paper")])

    def rows(*words):
        text = call("leaderboard", "--format", "csv", *words).out
        return {(row["dataset"], row["budget"]) for row in csv.DictReader(io.StringIO(text))}

    assert rows() == {("digits", "small"), ("adding", "small"), ("digits", "paper")}
    assert rows("--dataset", "adding") == rows("dataset=adding") == {("adding", "small")}
    assert rows("--budget", "paper") == rows("budget=paper") == {("digits", "paper")}
    assert rows("--dataset", "digits", "budget=paper") == {("digits", "paper")}


@pytest.mark.integration
@pytest.mark.usefixtures("store")
def test_the_files_of_a_part_do_not_take_the_place_of_the_whole(call, tmp_path):
    tables = tmp_path / "results" / "tables"
    assert call("leaderboard").code == 0
    whole = {path.name: path.read_bytes() for path in tables.iterdir()}
    said = call("leaderboard", "cell=gru,lstm", "--format", "markdown", "seed=0,1")
    assert said.out == (tables / "leaderboard_cell-gru-lstm_seed-0-1.md").read_text()
    assert "RNN" not in said.out
    assert {path.name: path.read_bytes() for path in tables.iterdir() if path.name in whole} == whole
    assert call("leaderboard", "cell=gru", "--output", "mine").code == 0
    assert sorted(path.name for path in Path("mine").iterdir()) == sorted(whole)


@pytest.mark.usefixtures("store")
def test_a_leaderboard_for_a_paper_and_for_a_program(call):
    latex = call("leaderboard", "--format", "latex").out
    assert latex.startswith("% needs \\usepackage{array,booktabs}")
    assert "LSTM 64 & digits &" in latex
    found = json.loads(call("leaderboard", "--format", "json", "cell=gru").out)
    assert [(row["label"], row["rank"], row["n"]) for row in found["rows"]] == [("GRU 64", 1, 3)]


PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.mark.parametrize(
    ("words", "datasets", "stale"),
    [(["quickstart", "dataset=digits"], {"digits"}, 0), (["quickstart", "tcn_jsb"], {"digits", "adding", "jsb"}, 0),
     ([str(PUBLISHED / "quickstart"), "cell=lstm,gru", "dataset=adding"], {"adding"}, 0),
     (["results", "tcn_jsb", "seed=0"], {"digits", "jsb"}, 3)],
    ids=["part", "two", "folder", "store"],
)  # fmt: skip
def test_a_leaderboard_is_of_stores_published_sets_and_folders(call, store, words, datasets, stale):
    (store.root.parent / "published").symlink_to(PUBLISHED)
    said = call("leaderboard", *words, "--format", "csv")
    assert said.code == 0
    assert {row["dataset"] for row in csv.DictReader(io.StringIO(said.out))} == datasets
    assert ("stale: 3 of " in said.err) == bool(stale), "what is frozen is what it is"
    assert "skipped" not in said.err
    assert re.search(r"^written: results/tables/leaderboard_[\w.-]+\.csv, ", said.err, re.M)


def test_an_unfinished_sweep_is_said_to_be_so(call, store):
    folder = store.root.parent / "sweeps"
    folder.mkdir()
    manifest = {"command": "rnnbench sweep x", "runs": [*store.ids()[:2], "0" * 12], "skipped": []}
    (folder / "mine.json").write_text(json.dumps(manifest))
    assert call("leaderboard", "mine").err.startswith("note: 1 of the 3 runs of mine are not finished\n")


def test_a_corrupt_record_is_named_and_left_out(call, store):
    path = store.record_path(store.ids()[0])
    path.write_text(path.read_text()[:50])
    said = call("leaderboard", "--format", "csv")
    assert said.code == 0
    assert f"left out: results/runs/{path.parent.name}/record.json is not whole JSON" in said.err
    assert sorted(row["n"] for row in csv.DictReader(io.StringIO(said.out))) == ["2", "3", "3"]


def test_the_leaderboard_tells_what_sweeps_skipped(call, store):
    folder = store.root.parent / "sweeps"
    folder.mkdir()
    skipped = [{"reason": "cell=gru takes no peephole", "cells": 3}]
    (folder / "a.json").write_text(json.dumps({"command": "x", "runs": [], "skipped": skipped}))
    assert "skipped: 3 cells: cell=gru takes no peephole\n" in call("leaderboard").err


# publish and verify


@pytest.mark.integration
def test_published_tables_are_verified(call, store, tmp_path):
    folder = store.root.parent / "sweeps"
    folder.mkdir()
    manifest = {"name": "demo", "command": "rnnbench sweep x", "runs": store.ids(), "skipped": []}
    (folder / "demo.json").write_text(json.dumps(manifest))
    assert call("publish", "first", "--sweep", "demo") == (0, "published: results/published/first\n", "")
    assert call("publish", "demo").code == 0
    again = call("publish", "first", "--sweep", "demo").out
    n = len(store.ids())
    assert f"replaced: a set of {n} runs; {n} of them are in the new one of {n}, unchanged" in again
    assert call("verify") == (0, "demo: equal\nfirst: equal\n", "")
    table = tmp_path / "results" / "published" / "first" / "leaderboard.md"
    table.write_text(table.read_text().replace("GRU", "GRV"))
    assert call("verify") == (1, "demo: equal\nfirst: differs from what its records give: leaderboard.md\n", "")
    assert call("verify", "demo").code == 0
    unknown = call("verify", "demp")
    assert (unknown.code, unknown.err) == (2, "rnnbench: no published set is called 'demp'; did you mean demo?\n")


def test_verify_with_nothing_published_is_no_success(call):
    """A mistyped folder in CI must not be green."""
    found = call("verify")
    assert (found.code, found.out) == (2, "")
    assert "nothing is published in results/published; `rnnbench publish NAME` freezes a sweep; of those " in found.err


# as a process


def process(*words: str, cwd: Path, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.integration
def test_the_module_is_the_command(tmp_path):
    module = process("-m", "rnnbench", "list", "axes", cwd=tmp_path)
    command = subprocess.run([Path(sys.executable).parent / "rnnbench", "list", "axes"], capture_output=True, text=True)
    assert (module.returncode, module.stderr) == (command.returncode, command.stderr) == (0, "")
    assert module.stdout == command.stdout != ""
    assert process("-m", "rnnbench", "run", "cell=x", cwd=tmp_path).returncode == 2


@pytest.mark.integration
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    line = f"{sys.executable} -m rnnbench list cells | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("0\n", "")
    head = subprocess.run(["bash", "-c", line.replace("true", "head -1")], cwd=tmp_path, capture_output=True, text=True)
    assert head.stdout.splitlines()[1:] == ["0"]
    assert head.stderr == ""


WITHOUT_TORCH = """
import sys, time
began = time.process_time()  # other processes may share the machine
from rnnbench.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = [name for name in ("torch", "pytorch_lightning", "wandb", "torchmetrics", "sklearn") if name in sys.modules]
print("CODE", code, "HEAVY", heavy, "SECONDS", time.process_time() - began, file=sys.stderr)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "list cells",
        "leaderboard",
        "report",
        "show {id}",
        "sweep cell=rnn,lstm --dry-run",
        "run cell=gru peephole=on",
    ],
)
def test_what_computes_nothing_loads_no_torch(tmp_path, store, line):
    words = line.format(id=store.ids()[0]).split()
    seconds = []
    for _ in range(2):
        done = process("-c", WITHOUT_TORCH, *words, cwd=tmp_path)
        code, heavy, took = re.search(r"CODE (\d+) HEAVY (.*) SECONDS (.*)", done.stderr).groups()
        assert (code, heavy) == ("2" if words[0] == "run" else "0", "[]")
        seconds.append(float(took))
    assert min(seconds) < 4, "under a second on an idle core"


LIGHT = """
import sys
from rnnbench.cli import main
code = main(sys.argv[1:])
from rnnbench.training import stand_ins
real = [name for name in (stand_ins.DYNAMO, stand_ins.PLOT, stand_ins.SIGNAL) if not stand_ins.waits(name)]
known = ("sympy", "scipy.stats", "matplotlib", "pandas", "sklearn", "PIL.Image", "torchvision", "wandb", "tensorboard",
         "torch._inductor", "torch.distributed.tensor", "torch.onnx")
print("CODE", code, "LOADED", real + [name for name in known if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    "line",
    [
        "cell=lstm dataset=digits peephole=on optimizer=adamw schedule=cosine precision=bf16",
        "cell=gru dataset=adding dataset.T=5 dataset.train=64 dataset.val=8 dataset.test=8 optimizer=sgd",
        "cell=convlstm dataset=moving_digits dataset.val=2 dataset.test=2 forecast=rollout budget.batch_size=2",
    ],
)
def test_a_run_imports_nothing_heavy_that_it_does_not_use(tmp_path, line):
    """Of its start half was the import of these, by Lightning, torchmetrics, torch's optimizers and scikit-learn."""
    words = f"{line} budget=smoke budget.updates=2 budget.val_every=1 hidden_size=4 tracker=none".split()
    done = process("-c", LIGHT, "run", *words, "--results", str(tmp_path), cwd=tmp_path)
    assert "CODE 0 LOADED []" in done.stderr


@pytest.mark.integration
def test_a_hundred_records_are_a_leaderboard_in_seconds(tmp_path):
    fill_store(Store.open(tmp_path / "results"), make_records(("rnn", "lstm", "gru"), range(34)))
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = process("-m", "rnnbench", "leaderboard", cwd=tmp_path, env=os.environ | {"COLUMNS": "200"})
    assert (done.returncode, "LSTM 64" in done.stdout) == (0, True)
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert took.ru_utime + took.ru_stime - began.ru_utime - began.ru_stime < 6, "about one second of a core"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tune", "cell=gru"], "nothing to search"),
        (["tune", "optimizer.lr=interval(0.1,0.2)", "--sampler", "bayes"], "unknown sampler 'bayes'"),
        (["tune", "experiment=quickstart"], "is a sweep, not a search"),
        (["sweep", "experiment=odyssey"], "use `rnnbench tune experiment=odyssey`"),
        (["run", "experiment=odyssey"], "experiment=odyssey is a whole search; use `rnnbench tune experiment=odyssey`"),
        (["search", "nothing"], "no sweep, published set or folder with runs is called 'nothing'"),
    ],
)
def test_a_search_that_cannot_be_is_one_sentence(call, words, said):
    answer = call(*words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err
    assert not Path("results").exists()
