"""Which module reads what, imported when it is asked for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import readers
from rnnbench.errors import BadInput


def test_a_reader_is_given_the_options_as_they_are(monkeypatch):
    asked = []
    made = SimpleNamespace(reading=lambda options: asked.append(options) or Reading(("one row",)))
    monkeypatch.setitem(sys.modules, "rnnbench.datasets.own.text", made)
    assert readers.reading("text", {"path": "a.txt"}).lines == ("one row",)
    assert asked == [{"path": "a.txt"}]


def test_an_unknown_reader_is_refused_with_the_nearest():
    with pytest.raises(BadInput, match=r"serie.*series"):
        readers.reading("serie", {})
