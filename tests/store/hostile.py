"""Records as a stranger may leave them: whole ones, changed in a few places into what nobody would write."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from random import Random
from typing import Any

# Values as JSON text, because much of it is nothing that Python's own writer gives.
ANY = (
    "9" * 300, "9" * 5000, "-" + "9" * 300, "1e999", "-1e999", "NaN", "Infinity", "[" * 900 + "]" * 900,
    '{"a":' * 900 + "1" + "}" * 900, '"\\ud800"', '["\\udfff"]', '{"\\ud800": 1}', "null", "true", "[]", "{}",
    "[1, null]", '{"a": {"b": [null]}}', "0", "-1", '""', "2.5", '"text"',
)  # fmt: skip
NUMBERS = ("0", "-0.0", "-1", "1e308", "-1e150", "1e150", "1e-320", "9223372036854775807", "-9223372036854775808",
           "9223372036854775808", "2.5", "null", "1e15", "100000000000")  # fmt: skip
TEXTS = (
    '""', '"[/]"', '"[/bold] [red]x"', '"\\u001b[31mred\\u001b]0;title\\u0007"', '"\\u009b31m"', '"a\\u202eb\\u2066c"',
    '"=cmd|\' /C calc\'!A0"', '"+1+1"', '"@SUM(A1)"', '"-2+3"', '"\\ttab"', '"\\rline"', '"a\\nb | c\\n\\n# d"',
    '"$\\\\frac{$ ^_"', '"\\\\input{/etc/passwd} % \\\\end"', '"_a_ *b* `c` <b>d</b> [e](f) &amp; ~~g~~"', '"\\u0000"',
    '"\\u2028\\u0085"', '"../../etc"', '"a, b=[1, 2], c={}"', '"%s {0} {x!r}"', '"2026-13-45T99:00"', '"nan"', '"null"',
    '"\\ud83d\\ude00"', '"' + "x" * 5000 + '"', "null",
)  # fmt: skip
BYTES = (b"\xff\xfe", b"\x00", b"{", b"]", b'"', b"\xed\xa0\x80", b",")
MARK = "\x01{}\x01"  # stands for a value until the record is text


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside of a record."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def changed(record: Mapping[str, Any], random: Random, *, kindly: bool) -> bytes:
    """A record with one to three values replaced, keys lost or added. kindly: by values of their own kind."""
    odd, raw = copy.deepcopy(dict(record)), []
    for _ in range(random.randint(1, 3)):
        ways = [way for way in places(odd) if not kindly or way != ("id",)]
        *way, key = random.choice(ways)
        part: Any = odd
        for step in way:
            part = part[step]
        raw.append(random.choice(_like(part[key]) if kindly else ANY + TEXTS + NUMBERS))
        part[key] = MARK.format(len(raw) - 1)
        if isinstance(part, dict) and not kindly and random.random() < 0.2:
            part[random.choice(TEXTS).strip('"')] = part.pop(key)
    text = json.dumps(odd)
    for n, value in enumerate(raw):
        text = text.replace(json.dumps(MARK.format(n)), value)
    data = text.encode()
    if not kindly and random.random() < 0.15:
        at = random.randrange(len(data))
        data = data[:at] + random.choice(BYTES) + data[at + random.choice((0, 1, 100)) :]
    return data


def _like(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return TEXTS
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return NUMBERS
    return ("{}", "null") if isinstance(value, dict) else ("[]", "null") if isinstance(value, list) else ("null",)
