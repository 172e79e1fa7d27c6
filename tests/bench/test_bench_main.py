"""`make bench` is all of its parts, whatever the first one says."""

from __future__ import annotations

import pytest

from rnnbench.bench import __main__ as bench


@pytest.mark.parametrize(
    ("tables", "sweep", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (-9, 0, 1)], ids=str
)  # -9: killed
def test_every_part_runs_before_it_fails(monkeypatch, tables, sweep, code):
    ran = []
    codes = {bench.TABLES: tables, bench.SWEEP: sweep}
    monkeypatch.setattr(bench, "_run", lambda module, *words: ran.append((module, *words)) or codes[module])
    assert bench.main(["--write", "page.md"]) == code
    assert ran == [(bench.TABLES, "--write", "page.md"), (bench.SWEEP,)]


@pytest.mark.integration
def test_wrong_words_are_refused_before_anything_is_measured(capfd):
    assert bench.main(["speed"]) == 2
    said = capfd.readouterr()
    assert "unknown table 'speed'" in said.err
    assert said.out == ""
