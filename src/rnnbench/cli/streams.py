"""What we print in terminals and files that know few characters: spelled out, never a traceback."""

from __future__ import annotations

import codecs
import io
import sys

SPELLED = {
    "·": "-", "±": "+/-", "≈": "~", "−": "-", "–": "-", "×": "x", "↑": "^", "↓": "v", "→": "->", "≤": "<=", "≥": ">=",
    "…": "...", "†": "+", "µ": "u", "²": "2",
}  # fmt: skip
HANDLER = "rnnbench.spelled"


def spelled(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: signs as ASCII spells them, whatever else as its escape (half a character, too)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    escaped = (SPELLED.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in unknown)
    return "".join(escaped), error.end


def never_fail() -> None:
    """From here on the standard streams take every text, in whichever encoding they have."""
    codecs.register_error(HANDLER, spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not a notebook's, or a test's
            stream.reconfigure(errors=HANDLER)
