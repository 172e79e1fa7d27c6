"""The table of the scan: its rows, what is compared, what is judged."""

from __future__ import annotations

import pytest

from rnnbench import toolchain
from rnnbench.bench import scans as bench
from rnnbench.bench.goals import Size

TINY = (Size(3, 2, 4, 4, calls=1),)


@pytest.fixture
def measured(monkeypatch):
    """measured(milliseconds): every way takes so long."""

    def put(**ms: float) -> None:
        monkeypatch.setattr(
            bench, "times", lambda *_: {name.replace("_", "."): [value] * 5 for name, value in ms.items()}
        )

    return put


def test_a_cell_is_measured_by_every_way_that_there_is(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    found = bench.times("cell=mingru", TINY[0], 2)
    assert set(found) == {"scan", "eager", "nn.GRU"}
    assert all(len(ms) == 2 for ms in found.values())


@pytest.mark.integration
@pytest.mark.skipif(toolchain.find() is None, reason=toolchain.why_none())
def test_compiled_is_one_where_there_is_a_compiler(monkeypatch):
    monkeypatch.delenv("RNNBENCH_CC", raising=False)
    assert "compiled" in bench.times("cell=mingru", TINY[0], 1)


def test_rows_are_a_mingru_by_length_and_every_other_cell_that_scans(measured):
    measured(scan=2.0, eager=8.0, nn_GRU=10.0)
    result = bench.scans(5)
    assert not result.missed
    cases = [row[0] for row in result.rows]
    assert [case for case in cases if case.startswith("cell=mingru T")] == [
        f"cell=mingru T{steps} B16 I64 H64" for steps in (128, 512, 1024, 4096, 16384)
    ]
    assert {f"{name} {bench.MIDDLE}" for name in bench.scanning()} <= set(cases)
    assert result.rows[0][1:] == ("2.0", "4.00 (4.00..4.00)", "5.00 (5.00..5.00)", "-")


def test_what_is_clearly_slower_than_the_goal_is_missed(measured):
    measured(scan=2.0, eager=8.0, nn_GRU=7.8, compiled=1.0)
    assert bench.scans(5, names=()).missed == [
        "cell=mingru at T1024 B16 I64 H64 is 3.90 (3.90..3.90) times as fast as nn.GRU by a scan, goal 4"
    ]
