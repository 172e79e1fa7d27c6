from __future__ import annotations

import random
import re

import pandas as pd
import pytest
from rich.console import Console

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.boards.leaderboard_table import FORMATS, leaderboard_table
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables import markdown, terminal
from rnnbench.reports.tables.write import write_table


def varied():
    """Two datasets, a search, failures of every kind, two precisions, a tie, too few seeds."""
    records = make_records(("rnn", "gru"), range(5)) + make_records(("lstm",), range(3), (0.001, 0.01))
    records += [make_record("lstm", seed=s, lr=0.1, status="diverged") for s in range(2)]
    records += [make_record("convlstm", seed=s, status="oom", data_hash=None, reason="a | b\nc") for s in range(3)]
    records += make_records(("gru",), range(2), device="cuda:0", precision="bf16-mixed")
    same = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 1 / 6, "target": None}
    return records + [make_record(c, seed=s, value=0.1 + s / 100, **same) for c in ("rnn", "gru") for s in range(12)]


@pytest.fixture(scope="module")
def table():
    return leaderboard(records_frame(varied()))


def to_markdown(board):
    return markdown.to_markdown(leaderboard_table(board))


def write(board, folder, name="leaderboard"):
    return write_table(leaderboard_table(board, name), folder, FORMATS)


def rendered(table, width=100):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(terminal.to_rich(leaderboard_table(table)))
        return console.export_text()


def test_markdown_tables_are_whole(table):
    text = to_markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == len(table) + 2 * 2
    assert text.endswith("\n")


def test_markdown_says_terms_results_failures_and_settings(table):
    text = to_markdown(table)
    assert "## adding · small" in text
    assert "mse ↓" in text
    assert "accuracy ↑" in text
    assert "floor 0.1667 (chance) · no target" in text
    assert "500 updates of 32" in text
    assert "| tuned (3) | 3/3 |" in text
    assert re.search("- LSTM 64: adam.*; in the other trials 2 diverged: loss is", text)
    assert "| 0/3: 3 oom |" in text
    assert r"- ConvLSTM 64: 3 oom: a \| b c" in text
    assert "(n<3)" in text
    assert text.count(" ≈ |") == 2
    assert "bf16-mixed" in text


def test_bold_only_for_a_clear_lead():
    clear = [make_record(c, seed=s, value=v + s / 1000) for c, v in (("gru", 0.9), ("rnn", 0.5)) for s in range(3)]
    assert "| 1 | **GRU 64** | digits | **0.90100 ± 0.00248** |" in to_markdown(leaderboard(records_frame(clear)))


@pytest.mark.parametrize("width", [100, 120])
def test_terminal_table_fits_its_width_and_hides_nothing(table, width):
    text = rendered(table, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    for part in ("0.1667", "tuned", "n<3", "steps/s", "coverage", "ConvLSTM 64: 3 oom", "bf16-mixed", "cuda"):
        assert part in text
    assert "nan" not in text.lower().split()


def test_terminal_table_of_alike_runs_says_once_on_what_they_ran():
    text = rendered(leaderboard(records_frame(make_records())))
    assert text.count("32-true") == 1


def test_a_target_and_several_optimizers_are_told():
    records = make_records(("gru",))
    other = make_records(("lstm",))
    assert "adam" not in to_markdown(leaderboard(records_frame(records + other)))
    other = [record | {"axes": record["axes"] | {"optimizer": "sgd"}} for record in other]
    text = to_markdown(leaderboard(records_frame(records + other)))
    assert "- GRU 64: adam\n- LSTM 64: sgd\n" in text
    assert "target 1 ·" in text


def test_no_runs():
    table = leaderboard(records_frame([]))
    assert to_markdown(table) == "No finished runs yet.\n"
    assert "No finished runs yet." in rendered(table)


def test_same_records_in_any_order_give_the_same_bytes(tmp_path):
    records = varied()
    first = write(leaderboard(records_frame(records)), tmp_path / "a")
    random.Random(1).shuffle(records)
    again = write(leaderboard(records_frame(records)), tmp_path / "b")
    assert [p.name for p in first] == ["leaderboard.csv", "leaderboard.md", "leaderboard.parquet"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    before = [p.read_bytes() for p in first]
    write(leaderboard(records_frame(records)), tmp_path / "a")
    assert [p.read_bytes() for p in first] == before
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(p.name for p in first)


def test_files_never_say_nan_and_parquet_keeps_every_digit(tmp_path, table):
    csv, md, parquet = write(table, tmp_path / "new" / "folder", name="digits")
    assert not re.search(r"\b(nan|NaN|None|NaT)\b|<NA>", csv.read_text() + md.read_text())
    pd.testing.assert_frame_equal(pd.read_parquet(parquet).drop(columns="result"), table)
    flat = pd.read_csv(csv)
    assert list(flat.columns) == [c for name in table.columns for c in (["result", name] if name == "mean" else [name])]
    assert flat["mean"].tolist() == pytest.approx(table["mean"].tolist(), rel=1e-5, nan_ok=True)


def test_an_empty_leaderboard_can_be_written(tmp_path):
    paths = write(leaderboard(records_frame([])), tmp_path)
    assert all(path.exists() for path in paths)


def test_markup_in_names_stays_text():
    records = make_records(("gru",), label="a*b|c`d<e>[red]")
    table = leaderboard(records_frame(records))
    assert r"a\*b\|c\`d\<e>[red]" in to_markdown(table)
    assert "a*b|c`d<e>[red]" in rendered(table).replace("\n", "")


def test_solved_stands_beside_the_mean_of_a_task_that_can_be_solved_and_nowhere_else(tmp_path):
    solved = [record | {"solved": 0.5} for record in make_records(("lstm",), range(8), dataset="parity")]
    mixed = leaderboard(records_frame([*solved, *make_records(("gru",), range(3))]))
    digits, parity = to_markdown(mixed).split("## parity")
    assert "| n | floor |" in digits
    assert "| n | solved | best seed | floor |" in parity
    assert "| 8 of 8 |" in parity
    assert "(a run that failed did not)" in parity
    assert "8 of 8" in rendered(mixed)
    path = next(path for path in write(mixed, tmp_path) if path.suffix == ".csv")
    row = pd.read_csv(path).set_index("dataset").loc["parity"]
    assert (row["solved"], row["solved_of"]) == (8, 8)
    assert (row["solved_low"], row["solved_high"]) == pytest.approx((0.6306, 1), abs=1e-4)
    plain = leaderboard(records_frame(make_records()))
    assert "solved" not in to_markdown(plain).lower()
