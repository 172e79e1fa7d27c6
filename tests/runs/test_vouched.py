"""The list of sources that compute alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnbench.runs import vouched
from rnnbench.runs.vouched import Work
from rnnbench.store.published import read_published

BASELINE = Path(__file__).parents[2] / "results" / "published" / "baseline"
GRU, LSTM = Work("gru", "1", "digits", "1"), Work("lstm", "1", "adding", "1")


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A list of its own: `old` ran both works, `new` the GRU on both datasets, `alone` is in no list."""
    lines = [vouched.line("old", [GRU, LSTM]), vouched.line("new", [GRU, GRU._replace(dataset="adding")])]
    path = tmp_path / "vouched.jsonl"
    path.write_text("".join(f"{line.text()}\n" for line in lines))
    monkeypatch.setattr(vouched, "FILE", path)
    return lines


def test_a_list_is_read_as_it_was_written(known):
    assert vouched.read(vouched.FILE) == {line.source: line for line in known}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("a", "b", "work", "expected"),
    [
        ("old", "new", GRU, True),
        ("new", "old", Work("gru", "1", "adding", "1"), True),
        ("old", "new", LSTM, False),
        ("old", "new", Work("lstm", "1", "digits", "1"), False),
        ("old", "new", Work("gru", "1", "mnist", "1"), False),
        ("old", "new", Work("gru", "2", "digits", "1"), False),
        ("old", "new", Work("gru", "1", "digits", "2"), False),
        ("old", "new", GRU._replace(device="cuda"), False),
        ("old", "new", GRU._replace(precision="bf16"), False),
        ("old", "alone", GRU, False),
        ("alone", "new", GRU, False),
        ("alone", "alone", LSTM, True),
    ],
)
def test_two_sources_are_equal_for_what_both_ran(a, b, work, expected):
    assert vouched.equal(a, b, work) is expected


def test_the_committed_list_can_be_read():
    lines = vouched.read()
    assert all(len(source) == 12 and line.cells and line.datasets for source, line in lines.items())
    made_by = {record["source_hash"] for record in read_published(BASELINE)}
    assert made_by <= {*lines}, "the baseline's own source"


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD", "{", "[]", "3", "\xff", "[" * 100_000, '{"source": "x"}',
        '{"source": 1, "cells": {}, "datasets": {}}',
        '{"source": "x", "cells": [], "datasets": {}}', '{"source": "x", "cells": {"gru": 1}, "datasets": {}}',
        '{"source": "x", "cells": {}, "datasets": {}, "more": 1}',
    ],
)  # fmt: skip
def test_a_damaged_line_vouches_for_nothing_and_hides_no_other(known, text):
    path = vouched.FILE
    path.write_bytes(text.encode("latin-1") + b"\n\n" + path.read_bytes())
    vouched.read.cache_clear()
    assert vouched.read(path) == {line.source: line for line in known}
    assert vouched.damaged(path) == [1]


def test_of_two_lines_of_one_source_the_first_counts(known):
    with vouched.FILE.open("a") as file:
        file.write(vouched.line("new", [LSTM]).text() + "\n")
    vouched.read.cache_clear()
    assert not vouched.equal("old", "new", LSTM)
    assert vouched.damaged(vouched.FILE) == []
