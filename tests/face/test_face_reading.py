"""Records, leaderboard, tables, comparison and curves from Python: the numbers that the commands print."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from rich.console import Console

import rnnbench
from reports.synthetic import fill_store, make_record, make_records
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.reports.selection.frame import records_frame
from rnnbench.store.rows import COLUMNS
from rnnbench.store.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Three cells on two datasets, one run that diverged, one record that cannot be read; histories of two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    records = [*make_records(seeds=range(4)), *make_records(dataset="adding", seeds=range(4))]
    made = fill_store(Store.open(), [*records, make_record("gru", seed=9, status="diverged")])
    for run, first in ((records[0]["id"], 0.2), (records[1]["id"], 0.4)):
        rows = [{"step": 10, "val/accuracy": first, "lr": 0.001}, {"step": 20, "val/accuracy": first + 0.1}]
        (made.folder(run) / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (made.root / "bad").mkdir()
    (made.root / "bad" / "record.json").write_text("{")
    return made


def printed(capsys, *words: str) -> str:
    """What a command prints."""
    assert main(list(words)) == 0
    return capsys.readouterr().out


def rows(text: str) -> list[dict[str, object]]:
    return json.loads(text)["rows"]


def plain(frame: pd.DataFrame) -> list[dict[str, object]]:
    """A frame's rows as JSON has them: what is missing is None."""
    objects = frame.astype(object)
    return json.loads(json.dumps(objects.where(objects.notna(), None).to_dict("records")))


def test_records_are_the_runs_frame_with_what_is_stale(store):
    found = rnnbench.records()
    assert_frame_equal(found.drop(columns="stale"), records_frame(store.records().values()))
    assert found["stale"].all(), "made-up source"
    assert len(rnnbench.records("cell=gru", "dataset=digits")) == 5
    assert set(rnnbench.records("cell=gru,rnn seed=1")["cell"]) == {"gru", "rnn"}
    assert_frame_equal(rnnbench.records(results=store.root.parent), found)
    assert_frame_equal(rnnbench.records(store.root.parent), found)


def test_records_of_an_empty_store_are_an_empty_typed_frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_RESULTS", raising=False)
    found = rnnbench.records()
    assert found.empty
    assert found.drop(columns="stale").dtypes.astype(str).to_dict() == COLUMNS
    assert found["stale"].dtype == bool
    assert rnnbench.curves().empty
    assert list(rnnbench.curves()) == ["id", "dataset", "label", "seed", "step"]
    with pytest.raises(BadInput, match="no finished runs"):
        rnnbench.leaderboard()


def test_a_folder_or_name_that_is_none_says_so(store):
    with pytest.raises(BadInput, match="is called 'no/such/folder'"):
        rnnbench.records("no/such/folder")
    with pytest.raises(BadInput, match=r"^there is no folder 'nowhere'"):
        rnnbench.records(results="nowhere")
    with pytest.raises(BadInput, match="nothing is selected by 'cells'; did you mean cell"):
        rnnbench.leaderboard("cells=gru")


def test_the_leaderboard_is_what_the_command_prints(store, capsys):
    board = rnnbench.leaderboard("dataset=digits")
    assert rows(printed(capsys, "leaderboard", "dataset=digits", "--format", "json")) == plain(board.frame)
    assert "stale: 13 of 13 runs: the source of nn/, datasets/ or training/ has changed since" in board.remarks
    assert any("is not whole JSON" in line for line in board.remarks)
    assert repr(board).startswith("<Leaderboard: 3 rows, ")


@pytest.mark.integration
def test_every_table_is_what_the_command_prints(store, capsys):
    made = rnnbench.tables()
    said = json.loads(printed(capsys, "tables", "--show", "all", "--format", "json"))
    assert list(made) == list(said) == ["across", "tasks", "axes", "cost", "coverage", "published"]
    for name, table in made.items():
        assert said[name]["rows"] == plain(table.frame), name
    with pytest.raises(KeyError, match="no table is called 'axis'; did you mean axes"):
        made["axis"]


@pytest.mark.parametrize(
    "sides", [("cell=lstm", "cell=gru"), (["cell=rnn", "dataset=digits"], "cell=gru dataset=digits")]
)
def test_a_comparison_is_what_the_command_prints(store, capsys, sides):
    found = rnnbench.compare(*sides)
    words = [side if isinstance(side, str) else " ".join(side) for side in sides]
    assert rows(printed(capsys, "compare", *words, "--format", "json")) == plain(found.frame)
    assert len(found.losses) <= len(found.frame)
    assert any("cannot be read" in line for line in found.missing)


def test_a_comparison_of_what_has_nothing_in_common_is_refused(store):
    with pytest.raises(BadInput, match="two datasets, metrics or protocols do not compare"):
        rnnbench.compare("dataset=digits", "dataset=adding")


def test_curves_are_long_and_tidy(store):
    found = rnnbench.curves()
    assert list(found) == ["id", "dataset", "label", "seed", "step", "lr", "val/accuracy"]
    assert found["step"].tolist() == [10, 20] * 2
    assert found["lr"].isna().tolist() == [False, True] * 2
    for run, part in found.groupby("id"):
        assert part["val/accuracy"].tolist() == [row["val/accuracy"] for row in store.history(run)]
    label = found["label"].iloc[0]
    assert_frame_equal(rnnbench.curves([f"label={label}"]), found[found["label"] == label])


def test_a_notebook_is_given_tables_with_every_text_escaped(tmp_path):
    label = "<script>alert(1)</script> & GRU"
    fill_store(Store.open(tmp_path), make_records(("gru", "rnn"), label=label))
    for answer in (rnnbench.leaderboard(results=tmp_path), rnnbench.tables(results=tmp_path)):
        shown = answer._repr_html_()
        assert shown.count("<table>") == shown.count("</table>") >= 1
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; GRU" in shown
        assert "<script" not in shown


@pytest.mark.integration
def test_a_long_table_is_cut_in_a_notebook_and_not_in_the_frame(tmp_path):
    cells = [make_record("gru", label=f"GRU {n}", options={"cell.k": n}) for n in range(230)]
    for n, record in enumerate(cells):
        record["axes"]["hidden_size"] = n
    fill_store(Store.open(tmp_path), cells)
    board = rnnbench.leaderboard(results=tmp_path)
    assert len(board.frame) == 230
    assert board._repr_html_().count("<tr>") == 201
    assert "and 30 rows more" in board._repr_html_()


@pytest.mark.integration
def test_a_terminal_is_given_tables(store):
    for answer in (rnnbench.leaderboard(), rnnbench.tables(), rnnbench.tables()["cost"],
                   rnnbench.compare("cell=rnn", "cell=gru")):  # fmt: skip
        console = Console(file=io.StringIO(), width=110)
        console.print(answer)
        said = console.file.getvalue()
        assert "GRU 64" in said
        assert "stale: " in said
        assert max(map(len, said.splitlines())) <= 110


def test_answers_are_frozen(store):
    with pytest.raises(AttributeError):
        rnnbench.leaderboard().frame = None
