"""Text of strangers, safe to show: nothing in it moves a cursor, recolours a line, or is run by a spreadsheet.

A name, a reason or a command of a record may hold any character. What a terminal would obey, and what would turn the
text around it, is shown as an escape (`\\x1b`), the same wherever text is written for people.
"""

from __future__ import annotations

import re
from typing import Any

MOST_SAID = 2_000  # characters of one sentence to the user

# C0 but tab and newline, DEL, C1, marks and overrides of direction, line separators, halves of characters
UNSAFE = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029,
          *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)]  # fmt: skip
ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in UNSAFE}
JSON_ESCAPES = {code: f"\\u{code:04x}" for code in UNSAFE}
# A number, or one with its interval ("+0.5 [0.1, 0.9], n=8", "-0.5 ± 0.1"), which no spreadsheet takes for a formula
NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?%?( [\[±][^|!@\n]*)?")
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """text with every character that is obeyed instead of shown as its escape; tabs and line ends stay."""
    return text if text.isprintable() else text.translate(ESCAPES)


def json_text(text: str) -> str:
    """JSON text that says the same and holds no such character: all of them are within its strings."""
    return text if text.isprintable() else text.translate(JSON_ESCAPES)


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file: what a spreadsheet would take for a formula is marked as text by an apostrophe.

    Numbers, also those that are written as text and with their intervals, stay what they are.
    """
    if not isinstance(value, str):
        return value
    shown = printable(value)
    is_run = shown.startswith(RUN_BY_SPREADSHEETS) and not NUMBER.fullmatch(shown)
    return f"'{shown}" if is_run else shown


def sentence(text: str) -> str:
    """One sentence to the user: printable, and cut where somebody gave a name of a thousand letters."""
    shown = printable(text)
    return shown if len(shown) <= MOST_SAID else f"{shown[:MOST_SAID]}... ({len(shown) - MOST_SAID:,} characters more)"
