"""`make bench` compares what is equal, tells a missed limit from noise, and says in its exit code which it was."""

from __future__ import annotations

import pytest
import torch

from rnnbench import toolchain
from rnnbench.bench import frames as bench_frames
from rnnbench.bench import memory as bench_memory
from rnnbench.bench import tables as bench
from rnnbench.bench.harness import Result, interleaved, middle, ratio
from rnnbench.nn import Column, count_params
from rnnbench.runs import processor


@pytest.mark.parametrize("fed_back", [False, True])
def test_the_common_convlstm_computes_what_ours_does(fed_back):
    """From the same weights: i f o g of [x, h] as one kernel. So what is timed is the same work."""
    ours = bench_frames.conv_lstm(3, 4, 3).double()
    common = bench_frames.CommonConvLSTM(3, 4, 3).double()
    with torch.no_grad():
        ours.cell.W.bias.normal_()
        i, f, g, o = torch.cat([ours.cell.W.weight, ours.cell.U.weight], 1).chunk(4)
        common.conv.weight.copy_(torch.cat([i, f, o, g]))
        i, f, g, o = ours.cell.W.bias.chunk(4)
        common.conv.bias.copy_(torch.cat([i, f, o, g]))
    assert count_params(ours) == count_params(common)
    x = torch.randn(2, 5, 3, 6, 7, dtype=torch.float64)
    if fed_back:
        one = bench_frames.FedBack(Column([ours]), (3, 4)).double()
        two = bench_frames.FedBack(common, (3, 4)).double()
        two.head.load_state_dict(one.head.state_dict())
        assert torch.allclose(one(x), two(x), atol=1e-12)
    else:
        assert torch.allclose(ours(x)[0], common(x), atol=1e-12)


def test_a_median_with_its_interval():
    """Order statistics: of 15 values the 4th and the 12th, of 3 the least and the most."""
    assert middle(range(15)) == (7, 3, 11)
    assert middle([3, 1, 2]) == (2, 1, 3)
    assert middle([5]) == (5, 5, 5)
    assert ratio([2, 9, 4], [1, 3, 2]) == (2, 2, 3)
    assert str(ratio([2, 9, 4], [1, 3, 2])) == "2.00 (2.00..3.00)"


def test_ways_take_turns_to_begin_a_round():
    seen = []
    times = interleaved({name: lambda name=name: seen.append(name) for name in "abc"}, 3)
    assert "".join(seen) == "abc" + "bca" + "cab" + "abc"
    assert {name: len(ms) for name, ms in times.items()} == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize(("missed", "code"), [([], 0), (["it takes too long"], 1)])
def test_a_missed_limit_is_the_exit_code_and_a_sentence(monkeypatch, capsys, missed, code):
    found = Result("A table of [x, h]", ("case", "ratio"), [("one", "2.00")], missed)
    monkeypatch.setattr(bench, "tables", lambda rounds, updates: {"one": lambda: found, "two": lambda: 1 / 0})
    monkeypatch.setattr(bench.training, "set_up", lambda: None)  # of this very process
    assert bench.main(["one"]) == code
    said = capsys.readouterr()
    assert "A table of [x, h]" in said.out
    assert "2.00" in said.out
    assert said.err == "".join(f"limit missed: {sentence}\n" for sentence in missed)


def test_a_table_that_fails_hides_no_other(monkeypatch, capsys):
    found = Result("A table", ("case", "ratio"), [("one", "2.00")], ["it takes too long"])
    monkeypatch.setattr(bench, "tables", lambda rounds, updates: {"broken": lambda: 1 / 0, "one": lambda: found})
    monkeypatch.setattr(bench.training, "set_up", lambda: None)
    assert bench.main([]) == 1
    said = capsys.readouterr()
    assert "A table" in said.out
    assert "ZeroDivisionError" in said.err
    assert said.err.endswith("table failed: broken\nlimit missed: it takes too long\n")


def test_tables_are_written_into_the_places_that_a_page_has(monkeypatch, tmp_path):
    """With where they were measured, and the goals with them; a table without a place is printed only."""
    page = tmp_path / "page.md"
    marks = "<!-- table: {} -->\n<!-- end -->\n"
    page.write_text(marks.format("one") + marks.format("goals"))
    found = Result("A table", ("case", "ratio"), [("one", "2.00")])
    monkeypatch.setattr(bench, "tables", lambda rounds, updates: {"one": lambda: found, "two": lambda: found})
    monkeypatch.setattr(bench.training, "set_up", lambda: None)
    assert bench.main(["--write", str(page)]) == 0
    written = bench.document.places(page.read_text())
    assert written["one"] == bench.document.markdown(found, bench.document.where())
    assert written["goals"] == bench.document.markdown(bench.goals.table())
    assert set(written) == {"one", "goals"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--write", "nowhere.md"], "--write nowhere.md: it cannot be read"),
        (["--processor", "a better one"], "this processor is "),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(monkeypatch, capsys, words, sentence):
    if words[0] == "--processor" and toolchain.find() is None:
        pytest.skip("there is no compiler")
    monkeypatch.setattr(bench, "tables", lambda rounds, updates: {"one": lambda: 1 / 0})
    with pytest.raises(SystemExit) as caught:
        bench.main(words)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert "ZeroDivisionError" not in said.err


def test_an_unknown_table_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        bench.main(["speed"])
    assert caught.value.code == 2
    known = ", ".join(bench.tables(1, 1))
    assert known.startswith("harness, backends, ")
    assert f"unknown table 'speed'; known: {known}" in capsys.readouterr().err


@pytest.mark.integration
def test_a_fresh_process_tells_what_a_training_holds():
    """Not what this process holds: getrusage would, of a child of a large process."""
    start, peak = bench_memory.memory_of("ConvLSTM encoder-forecaster", 2, 2, 1, 3, 1)
    assert 20 < start < peak < start + 200


@pytest.mark.integration
def test_every_table_of_frames_is_filled(monkeypatch):
    """With one round, and small: the figures mean nothing."""
    monkeypatch.setattr(bench_frames, "T", 2)
    monkeypatch.setattr(bench_frames, "CASES", ((2, 3, 3, 1),))
    monkeypatch.setattr(bench_frames, "BF16_CASES", ((2, 3, 3, 1),))
    monkeypatch.setattr(bench_frames, "memory_of", lambda name, steps, *size: (100.0, 100.0 + steps))
    bf16_rows = int(processor.multiplies_bf16())  # elsewhere it is emulated, and left out
    for make, rows in ((bench_frames.common_form, 2), (bench_frames.bf16, bf16_rows), (bench_frames.doubling, 4)):
        result = make(1)
        assert [len(row) for row in result.rows] == [len(result.columns)] * rows
    assert [row[1] for row in bench_frames.memory().rows] == ["102", "102"]
