"""A page's tables: found by their marks, written in their places, everything else left as it is."""

from __future__ import annotations

import re

import pytest

from rnnbench.bench import document
from rnnbench.bench.harness import Result
from rnnbench.errors import BadInput

PAGE = """# Page

Before <!-- end --> and between.

<!-- table: one -->
old
<!-- end -->
<!-- table: two -->
<!-- end -->
After.
"""


def test_places_are_found_by_their_marks():
    assert document.places(PAGE) == {"one": "old\n", "two": ""}


def test_a_table_is_written_into_its_place_and_again(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for body in ("new\nlines with \\1 in them\n", "newest\n"):
        assert document.write(page, "one", body)
        assert document.places(page.read_text()) == {"one": body, "two": ""}
    assert page.read_text() == PAGE.replace("old", "newest")
    assert not document.write(page, "three", "new\n")
    assert page.read_text() == PAGE.replace("old", "newest")


@pytest.mark.parametrize("text", [None, "no place\n", b"\xff"])
def test_a_page_without_a_place_is_refused(tmp_path, text):
    page = tmp_path / "page.md"
    if text is not None:
        page.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput, match=r"--write .*page\.md: it (has no place|cannot be read)"):
        document.read(page)


def test_a_table_as_a_page_has_it():
    result = Result("Speeds", ("cell", "a", "b"), [("lstm", "1.00", "2.00")])
    assert document.markdown(result, "Measured here.").splitlines() == [
        "Speeds. Measured here.", "", "| cell | a | b |", "|---|--:|--:|", "| lstm | 1.00 | 2.00 |",
    ]  # fmt: skip
    assert document.markdown(Result("Speeds: left out, for a reason", (), ())) == "Speeds: left out, for a reason.\n"


@pytest.mark.parametrize("compiler", [None, ""], ids=["as it is", "none"])
def test_where_it_was_measured(monkeypatch, compiler):
    """Processor, compiler, torch and commit are named, whatever there is."""
    if compiler is not None:
        monkeypatch.setenv("RNNBENCH_CC", compiler)
    assert re.fullmatch(
        r"Measured on .+, torch \d[\w.+]+, (commit \w{12}|of no checkout)( with changes)?\.", document.where()
    )
    assert ("no compiler" in document.where()) == (document.toolchain.find() is None)
