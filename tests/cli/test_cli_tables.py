"""`rnnbench tables` from the front door: what it prints and writes, and what it does with records it cannot read."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from reports.synthetic import fill_store, make_record, make_records
from rnnbench.cli import main
from rnnbench.cli.tables import TABLES
from rnnbench.reports.tables.write import FORMATS
from rnnbench.store.store import Store

BAD = {
    "truncated": json.dumps(make_record())[:200].encode(),
    "foreign": b'{"hello": 1}',
    "future": json.dumps(make_record() | {"schema_version": 99}).encode(),
    "corrupt": b"\xff\xfe\x00",
}
# Of three cells on two datasets; four published numbers are on adding.
ROWS = {"across": 3, "tasks": 6, "axes": 0, "cost": 6, "coverage": 6, "published": 4}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    return fill_store(Store.open(), [*make_records(seeds=range(4)), *make_records(dataset="adding", seeds=range(4))])


@pytest.fixture
def damaged(store) -> Store:
    """A store with one record of each kind that cannot be read."""
    for n, content in enumerate(BAD.values()):
        folder = store.folder(f"bad{n}bad{n}bad{n}")
        folder.mkdir()
        (folder / "record.json").write_bytes(content)
    return store


@pytest.mark.integration
def test_every_table_is_written_in_every_format(store, capsys):
    assert main(["tables"]) == 0
    said = capsys.readouterr()
    assert "across adding, digits · small · cpu · precision 32-true" in said.out
    written = {path.name for path in (store.root.parent / "tables").iterdir()}
    assert written == {f"{name}.{ending}" for name in TABLES for ending in FORMATS}


@pytest.mark.integration
def test_tables_made_again_are_equal_to_the_byte(store):
    folder = store.root.parent / "tables"
    assert main(["tables"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["tables"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.integration
@pytest.mark.parametrize("show", TABLES)
def test_the_asked_table_is_printed_in_the_asked_format(store, capsys, show):
    for form in ("rich", "csv", "markdown", "latex", "json"):
        assert main(["tables", "--show", show, "--format", form]) == 0
        out = capsys.readouterr().out
        if form == "csv":
            assert len(list(csv.DictReader(io.StringIO(out)))) == ROWS[show]
        elif form == "json":
            assert json.loads(out)["name"] == show


def test_all_tables_are_one_json_object_by_name(store, capsys):
    assert main(["tables", "--show", "all", "--format", "json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert tuple(whole) == TABLES
    assert {name: len(each["rows"]) for name, each in whole.items()} == ROWS
    assert all(each["name"] == name for name, each in whole.items())


def test_csv_of_all_tables_is_refused_before_anything_is_written(store, capsys):
    assert main(["tables", "--show", "all", "--format", "csv"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "rnnbench: --format csv prints one table: name it with --show, or take the files of all (--output DIR).\n"
    )
    assert not (store.root.parent / "tables").exists()


@pytest.mark.integration
def test_no_line_of_a_pipe_is_padded_with_blanks(store, capsys):
    assert main(["tables", "--show", "all"]) == 0
    assert main(["leaderboard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 50
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.integration
def test_a_selection_narrows_every_table(store, capsys, tmp_path):
    out = tmp_path / "mine"
    assert (
        main(["tables", "cell=gru,lstm", "dataset=digits", "--output", str(out), "--format", "csv", "--show", "tasks"])
        == 0
    )
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["label"], row["dataset"]) for row in rows} == {("GRU 64", "digits"), ("LSTM 64", "digits")}
    assert len(list(out.iterdir())) == len(TABLES) * len(FORMATS)
    assert not (store.root.parent / "tables").exists()


def test_words_may_stand_behind_options(store, capsys):
    assert main(["tables", "cell=gru", "--format", "csv", "--show", "tasks", "dataset=digits"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["label"], row["dataset"]) for row in rows} == {("GRU 64", "digits")}


def test_one_dataset_shows_the_task_table(store, capsys):
    assert main(["tables", "dataset=digits"]) == 0
    assert "digits accuracy" in capsys.readouterr().out


def test_records_that_cannot_be_read_are_named_counted_and_left_out(damaged, capsys):
    assert main(["tables", "--show", "coverage", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert all(f"bad{n}bad{n}bad{n}" in said.err for n in range(len(BAD)))
    assert "left out: 4 records cannot be read: " in said.err
    assert sum(int(row["runs"]) for row in csv.DictReader(io.StringIO(said.out))) == 24


@pytest.mark.integration
@pytest.mark.parametrize("command", [["leaderboard"], ["tables"]])
@pytest.mark.parametrize("kind", BAD)
def test_no_kind_of_damage_stops_a_table(store, capsys, command, kind):
    folder = store.folder("badbadbadbad")
    folder.mkdir()
    (folder / "record.json").write_bytes(BAD[kind])
    assert main(command) == 0
    assert "badbadbadbad" in capsys.readouterr().err


def test_a_store_of_unreadable_records_only_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = Store.open().folder("badbadbadbad")
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(BAD["truncated"])
    assert main(["tables"]) == 2
    assert "(1 record could not be read)" in capsys.readouterr().err


def test_bad_input_is_one_sentence(store, capsys):
    assert main(["tables", "dataset=digit"]) == 2
    assert "did you mean digits" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["tables", "--show", "nothing"])
    assert end.value.code == 2


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tables.md").read_text()


def shown(command):
    """The output that the page shows under a command, as words by line."""
    block = PAGE.split(f"`rnnbench {command}`")[1].split("```text\n")[1].split("```")[0]
    return [line.split() for line in block.splitlines() if line.strip()]


@pytest.mark.integration
@pytest.mark.parametrize(
    "words",
    [["tables", "quickstart"], ["tables", "convlstm_peephole", "--show", "axes"],
     ["tables", "tcn_jsb", "--show", "published"],
     ["compare", "quickstart cell=lstm peephole=off depth=1 direction=forward", "quickstart cell=gru"]],
    ids=lambda words: words[0] + words[-1],
)  # fmt: skip
def test_the_page_shows_what_the_commands_print(words, tmp_path, capsys):
    command = " ".join(f'"{word}"' if " " in word else word for word in words)
    results = tmp_path / "results"  # published sets alone: after `make demo` the checkout has a quickstart of its own
    results.mkdir()
    (results / "published").symlink_to(ROOT / "results" / "published")
    assert main([*words, "--results", str(results), "--output", str(tmp_path)]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    expected = shown(command)
    assert len(expected) > 4
    assert printed[: len(expected)] == expected


def test_the_page_names_every_table():
    first = PAGE.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", first, re.M)
    assert rows == list(TABLES)
