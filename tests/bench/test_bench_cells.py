"""The tables of compiled cells: their rows, what is compared, what is judged; on backends that need no compiler."""

from __future__ import annotations

import pytest
import torch

from registry import CELLS, build
from rnnbench import toolchain
from rnnbench.bench import cells as bench
from rnnbench.bench.goals import GOALS, SEVERAL_MAPS, SIZES, Goal, Size
from rnnbench.nn import Layer
from rnnbench.nn.cells import Cell
from rnnbench.runs import registry

AVX2 = "x86-64 avx2"
SMALL = Size(3, 2, 3, 4, calls=2)


def processor(monkeypatch, kind):
    monkeypatch.setattr(toolchain, "processor_kind", lambda: kind)


@pytest.fixture
def two_cells(monkeypatch):
    """A registry where an LSTM and a GRU compile, and a third cell does not say."""
    metas = {
        "lstm": {"compiles": True, "peephole_shapes": ["per_channel"]},
        "gru": {"compiles": True},
        "mgu": {},
        "convlstm": {"compiles": False, "peephole_shapes": ["per_channel"]},
    }
    monkeypatch.setattr(registry, "choices", lambda group: dict.fromkeys(metas))
    monkeypatch.setattr(registry, "read", lambda group, name: {"meta": metas[name]})


def test_rows_are_the_cells_that_say_they_compile(two_cells):
    assert bench.compiling() == ["cell=lstm", "cell=lstm peephole=on", "cell=gru"]


OF_TORCHS_KINDS = ["rnn", "rnn_relu", "irnn", "gru", "gru_cho", "gru_update", "mgu"]
OF_TORCHS_KINDS += ["lstm", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr"]


def test_the_other_dense_cells_are_set_against_the_eager_loop_alone():
    dense = {name for name, node in CELLS.items() if node["meta"]["operator"] == "dense"}
    assert {name for name in dense if bench.family_of(build(name)) is None} == dense - set(OF_TORCHS_KINDS)


@pytest.mark.parametrize("name", OF_TORCHS_KINDS)
def test_every_cell_of_torchs_kinds_is_set_against_a_kernel_of_its_size(name):
    """Batch first as ours is, and for every kind of processor there is a goal of its family."""
    cell = bench.make_cell(f"cell={name}", SMALL)
    output, _ = bench.torch_kernel(cell)(torch.randn(2, 3, 3))
    assert output.shape == (2, 3, 4)
    family = bench.family_of(cell)
    assert all(family.goal in goals.families for goals in GOALS.values())
    assert (family.goal == SEVERAL_MAPS) == (name == "fgr")


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "rnn_relu"])
def test_the_kernel_does_the_work_that_the_cell_does(name):
    """From the same weights it gives what ours gives: so what is timed is the same work."""
    cell = bench.make_cell(f"cell={name}", SMALL)
    kernel = bench.torch_kernel(cell)
    with torch.no_grad():
        for ours, theirs in zip(_weights(cell), kernel.parameters(), strict=True):
            theirs.copy_(ours)
    x = torch.randn(2, 3, 3)
    assert torch.allclose(kernel(x)[0], Layer(cell, backend="native")(x)[0], atol=1e-6)


def _weights(cell: Cell) -> list[torch.Tensor]:
    return [cell.W.weight, cell.U.weight, cell.W.bias, cell.U.bias]


class Stranger(Cell):
    """A cell of no family."""


def test_a_cell_of_no_family_has_no_kernel_and_no_goal(monkeypatch):
    processor(monkeypatch, AVX2)
    assert bench.torch_kernel(Stranger(3, 4)) is None
    monkeypatch.setattr(bench, "make_cell", lambda overrides, size: Stranger(3, 4))
    assert bench.goal_of("cell=stranger", SIZES[0]) is None
    assert bench.gain_of({"eager": [4.0, 8.0], "compiled": [2.0, 2.0]}, "compiled") == (None, 3.0)


def test_a_goal_is_for_one_kind_of_processor_and_the_listed_sizes(monkeypatch):
    processor(monkeypatch, AVX2)
    assert bench.goal_of("cell=lstm peephole=on", SIZES[0]) == Goal(1.5, 9)
    assert bench.goal_of("cell=mgu", SIZES[4]) == Goal(1.25, 1.35)
    assert bench.goal_of("cell=fgr", SIZES[1]) == Goal(None, 3.5)
    assert bench.goal_of("cell=lstm", SMALL) is None
    processor(monkeypatch, "aarch64")
    assert bench.goal_of("cell=lstm", SIZES[0]) is None


def test_a_gain_is_judged_by_both_of_its_numbers():
    goal = Goal(1.5, 9)
    assert bench.Gain(1.5, 9.0).misses(goal) == []
    assert bench.Gain(1.28, 7.7).misses(goal) == []
    assert bench.Gain(1.2, 7.7).misses(goal) == ["1.20 times as fast as torch's kernel, goal 1.5"]
    assert bench.Gain(1.6, 7.0).misses(goal) == ["7.00 times as fast as eager, goal 9"]
    assert len(bench.Gain(0.1, 0.1).misses(goal)) == 2
    assert bench.Gain(0.1, 0.1).misses(Goal(None, 9)) == ["0.10 times as fast as eager, goal 9"]
    assert bench.Gain(0.1, 0.1).misses(None) == []
    assert bench.Gain(None, 9.0).misses(goal) == []


HAS_COMPILER = pytest.mark.skipif(toolchain.find() is None, reason="there is no compiler")


@pytest.mark.parametrize("backend", ["native", "eager", pytest.param("compiled", marks=HAS_COMPILER)])
def test_the_table_has_a_row_a_cell_and_a_column_a_size(backend, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = bench.cells(1, ["cell=gru", "cell=lstm"], [SMALL, SMALL._replace(steps=2)], backend)
    assert result.columns == ("cell", "T3 B2 I3 H4", "T2 B2 I3 H4")
    assert [row[0] for row in result.rows] == ["cell=gru", "cell=lstm"]
    assert all(float(number) > 0 for row in result.rows for pair in row[1:] for number in pair.split(" / "))
    assert result.missed == []


def test_what_is_slow_is_missed_where_there_are_goals(monkeypatch):
    slow = {"kernel": [1.0] * 3, "eager": [9.0] * 3, "compiled": [1.0] * 3}
    monkeypatch.setattr(bench, "times", lambda *asked: slow)
    monkeypatch.setattr(bench, "why_not", lambda backend: "")
    processor(monkeypatch, AVX2)
    result = bench.cells(3, ["cell=lstm"], SIZES[:1])
    assert result.rows == [("cell=lstm", "1.00 / 9.00*")]
    assert result.missed == ["cell=lstm at T50 B32 I8 H32: 1.00 times as fast as torch's kernel, goal 1.5"]
    assert result.title.endswith("* over 15 % below its goal")
    processor(monkeypatch, "x86-64 avx512")
    result = bench.cells(3, ["cell=lstm"], SIZES[:1])
    assert (result.rows, result.missed) == ([("cell=lstm", "1.00 / 9.00")], [])


def test_a_cell_that_is_refused_is_a_row_that_says_so():
    """Its yaml says that it compiles: what refuses it is a fault, and a missed one."""
    result = bench.cells(1, ["cell=mgu", "cell=gru"], [SMALL], "native")
    assert result.rows[0] == ("cell=mgu", "refused")
    assert result.rows[1][1] != "refused"
    assert len(result.missed) == 1
    assert result.missed[0].startswith("cell=mgu at T3 B2 I3 H4: backend=native: ")


@pytest.mark.parametrize("table", [bench.cells, bench.lowest, bench.compile_times])
def test_without_a_compiler_a_table_is_one_line_that_says_why(monkeypatch, table):
    monkeypatch.setenv("RNNBENCH_CC", "")
    result = table()
    assert result.title.endswith(": left out, for RNNBENCH_CC is empty, so no C compiler is used")
    assert (list(result.columns), list(result.rows), list(result.missed)) == ([], [], [])


@HAS_COMPILER
@pytest.mark.integration
@pytest.mark.timeout(300)
def test_every_cell_is_compiled_once_with_an_empty_cache_and_once_from_it(monkeypatch):
    """The first row is what a process pays once; from the cache the compiler is not called."""
    processor(monkeypatch, "another")
    result = bench.compile_times(["cell=gru", "cell=rnn"])
    assert [row[0] for row in result.rows] == ["cell=gru in float64, first of the process", "cell=gru", "cell=rnn"]
    seconds = [[float(number) for number in row[1:]] for row in result.rows]
    for cold, of_the_compiler, again, none in seconds:
        assert cold >= of_the_compiler > 0
        assert again > 0
        assert none == 0
    assert result.missed == []


@pytest.mark.parametrize(
    ("cold", "again", "missed"),
    [
        ((0.4, 0.7), (0.1, 0.0), []),
        ((0.4, 0.8), (0.1, 0.0), ["cell=gru is compiled in 1.20 s, goal 1 s"]),
        ((0.4, 0.5), (0.1, 0.5), ["cell=gru is compiled again, though the cache has it"]),
    ],
)
def test_what_compiling_may_cost(monkeypatch, cold, again, missed):
    """Of a cell, not of what a process pays once."""
    answers = iter([[(5.0, 0.7), cold], [(3.0, 0.0), again]])
    caches = []
    monkeypatch.setattr(bench, "in_a_child", lambda call, more: caches.append(more) or next(answers))
    monkeypatch.setattr(bench, "why_not", lambda backend: "")
    processor(monkeypatch, AVX2)
    assert bench.compile_times(["cell=gru"]).missed == missed
    assert caches[0] == caches[1]
    assert caches[0]["XDG_CACHE_HOME"]


@pytest.mark.parametrize(("eager", "missed"), [(0.9, 0), (0.8, 1)])
def test_the_oldest_processor_s_build_is_no_slower_than_eager(monkeypatch, eager, missed):
    calls = []
    found = {"eager": [eager] * 5, "compiled": [1.0] * 5}
    monkeypatch.setattr(bench, "in_a_child", lambda call: calls.append(call) or found)
    monkeypatch.setattr(bench, "why_not", lambda backend: "")
    processor(monkeypatch, AVX2)
    result = bench.lowest(5, ["cell=gru"])
    assert calls == ["times_built_for('x86-64', 'cell=gru', 5, 'compiled')"]
    assert result.rows == [("cell=gru", "x86-64", f"{eager:.2f} ({eager:.2f}..{eager:.2f})", ">= 1")]
    assert len(result.missed) == missed


@HAS_COMPILER
def test_a_lesser_kind_of_processor_holds_within_the_block_only():
    here = toolchain.find()
    kinds = toolchain.lesser_kinds(here.processor)
    with bench.built_for(kinds[0]):
        assert toolchain.find() == here.at(kinds[0])
    with bench.built_for(None):
        assert toolchain.find() == here
    assert toolchain.find() == here
    with pytest.raises(ValueError, match="this processor is"), bench.built_for("a better one"):
        raise AssertionError
