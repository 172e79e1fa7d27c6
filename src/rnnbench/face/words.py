"""What a caller says in Python as the words of the command line: overrides and selections."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput

Words = str | Path | Iterable[str]  # one string is split as a shell would, the items of a list are taken as they are


def overrides_of(words: Iterable[Words], named: Mapping[str, Any]) -> list[str]:
    """Overrides from strings, lists and keywords: `"cell=gru seed=1"`, `["cell=gru"]`, `cell="gru", seed=range(3)`.

    A keyword's string is what stands behind the sign of equality on the command line; a list or a range means several
    values, as `cell=rnn,lstm` does. Raises BadInput on what is no text, number, bool, None, or list of these.
    """
    found: list[str] = []
    for each in words:
        found += _split(str(each), "overrides") if isinstance(each, str | Path) else _items(each, "overrides")
    return found + [f"{key}={_value(key, value)}" for key, value in named.items()]


def selection_of(words: Iterable[Words]) -> list[str]:
    """The words of a selection; a folder may have spaces in its name. Raises BadInput on what is no text or list."""
    found: list[str] = []
    for each in words:
        found += side_of(str(each)) if isinstance(each, str | Path) else _items(each, "selection")
    return found


def side_of(text: str) -> list[str]:
    """A selection in one string as words: a folder as it is, else split as a shell would. Raises BadInput."""
    return [text] if Path(text).is_dir() else _split(text, "selection")


def _split(text: str, what: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no {what} ({error}).") from None


def _items(words: Any, what: str) -> list[str]:
    """The items of a list of words, as they are."""
    if not isinstance(words, Iterable) or isinstance(words, Mapping | bytes):
        raise BadInput(f"{words!r} is no {what}: give one string, or a list of words.")
    return [str(word) for word in words]


def _value(key: str, value: Any) -> str:
    """A Python value in Hydra's grammar."""
    from rnnbench.runs.registry import GROUPS
    from rnnbench.runs.typed_paths import is_file_option, literal

    if value is None:
        return "null"
    if isinstance(value, bool):  # peephole=True: the choice of a group is a name
        return ("on" if value else "off") if key in GROUPS else str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Path):
        return literal(str(value))
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        paths = is_file_option(*key.split(".", 1)) if "." in key else False
        return ",".join(literal(each) if paths and isinstance(each, str) else _value(key, each) for each in value)
    raise BadInput(f"{key}={value!r}: an override is a text, a number, True, False, None, or a list of these.")
