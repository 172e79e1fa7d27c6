"""Text of strangers wherever it is written for people: shown, never obeyed."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.reports.tables import frames
from rnnbench.reports.tables.html import to_html
from rnnbench.reports.tables.table import Section, Table
from rnnbench.reports.tables.terminal import to_rich
from rnnbench.reports.tables.write import WRITERS
from rnnbench.store.text import MOST_SAID, UNSAFE, csv_cell, json_text, printable, sentence

OBEYED = "".join(map(chr, UNSAFE))
EVIL = f"=1+1 {OBEYED} |*_`<b>[x](y)"


def test_what_a_terminal_obeys_is_exactly_what_is_escaped():
    """By Unicode's own word: controls, halves of characters, and marks that turn text around or break its line."""
    turning = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    for code in range(0x110000):
        letter = chr(code)
        is_obeyed = (
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in turning
        )
        is_mark = letter in "\u061c\u200e\u200f"
        assert (code in UNSAFE_SET) == ((is_obeyed or is_mark) and letter not in "\t\n"), hex(code)


UNSAFE_SET = frozenset(UNSAFE)


@given(st.text(st.characters() | st.sampled_from(OBEYED)))
def test_printable_text_holds_none_of_it_and_loses_nothing_else(text):
    shown = printable(text)
    assert UNSAFE_SET.isdisjoint(map(ord, shown))
    if UNSAFE_SET.isdisjoint(map(ord, text)):
        assert shown == text
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_json_says_the_same(text):
    said = json_text(json.dumps([text], ensure_ascii=False))
    assert json.loads(said) == [text]
    assert UNSAFE_SET.isdisjoint(map(ord, said))


@pytest.mark.parametrize("form", ["csv", "md", "tex", "json"])
def test_no_file_for_people_holds_any_of_it(form):
    held = EVIL.encode("utf-8", "replace").decode()  # no frame holds half a character
    row = {EVIL: EVIL, "n": "1"}
    section = Section(EVIL, [row], EVIL, [EVIL], frozenset({(0, EVIL)}))
    table = Table("evil", pd.DataFrame({held: [held], "n": [1]}), [section], "", frozenset({EVIL}))
    written = WRITERS[form](table)
    assert isinstance(written, str)
    assert UNSAFE_SET.isdisjoint(map(ord, written))
    assert UNSAFE_SET.isdisjoint(map(ord, to_html(table)))


def test_a_terminal_gets_none_of_it():
    from rich.console import Console

    section = Section(EVIL, [{EVIL: EVIL}], EVIL, [EVIL], frozenset({(0, EVIL)}))
    out = io.StringIO()
    Console(file=out, width=400).print(to_rich(Table("evil", pd.DataFrame(), [section], "", frozenset({EVIL}))))
    assert UNSAFE_SET.isdisjoint(map(ord, out.getvalue()))
    assert "\\x1b" in out.getvalue()


RUN = ("=1+1", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "=", "-", "+a", "-1 +A1", "-1 [a|b", "+1 (x)")
LEFT = ("", "a=b", "x-1", "-1", "+0.5", "-1e-05", "-.5", "+12,345.6%", "-0.5 [-0.7, -0.3], n=8", "+0.5 ± 0.1", "−0.5")


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_is_text(text):
    assert csv_cell(text) == f"'{text}"
    assert csv_cell(f"\r{text}") == f"\\x0d{text}", "a control is no control any more"


@pytest.mark.parametrize("value", [*LEFT, -1.5, 3, None, True])
def test_numbers_and_all_else_stay_what_they_are(value):
    assert csv_cell(value) == value


def test_numbers_of_a_csv_are_read_back_as_numbers():
    frame = pd.DataFrame({"=n": [-1.5, 2.0], "text": ["-a", None], "whole": pd.array([-3, None], "Int64")})
    written = frames.frame_to_csv(frame)
    assert list(csv.reader(io.StringIO(written))) == [["'=n", "text", "whole"], ["-1.5", "'-a", "-3"], ["2", "", ""]]
    assert pd.read_csv(io.StringIO(written))["'=n"].tolist() == [-1.5, 2.0]


MARKUP = {
    "[a](b)": "\\[a\\](b)", "x [a](b)": "x [a\\](b)", "![a](b)": "![a\\](b)", "[a][b]": "\\[a\\][b]",
    "_a_": "\\_a\\_", "a_b_c": "a_b_c", "~~a~~": "\\~\\~a\\~\\~", "~5": "~5", "&lt;": "\\&lt;", "a & b": "a & b",
    "<?a": "\\<?a", "< 5": "< 5", "LSTM [depth=2]": "LSTM [depth=2]", "a|b\nc": "a\\|b c",
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MARKUP.items(), ids=list(MARKUP))
def test_markdown_is_escaped_where_it_is_some(text, expected):
    from rnnbench.reports.tables.markdown import escaped

    assert escaped(text) == expected


@pytest.mark.parametrize("text", ["# a", "> a", "- a", "+ a", "--- a", "=== a", "1. a", "12) a", "~~~a"])
def test_no_text_at_the_beginning_of_a_line_makes_a_block(text):
    from rnnbench.reports.tables.markdown import line_escaped

    line = line_escaped(text)
    assert line.replace("\\", "") == text
    assert "\\" in line[:3]
    assert line_escaped("rows of 8, 5 updates") == "rows of 8, 5 updates"


def test_a_sentence_is_cut_where_somebody_gave_a_name_of_thousands_of_letters():
    assert sentence("short") == "short"
    assert sentence("x" * 5000) == "x" * MOST_SAID + "... (3,000 characters more)"
