"""Paths as people type them: `dataset.path=load (1).csv` needs none of Hydra's quotes.

Hydra's grammar refuses brackets, `=`, umlauts and `~` in a value, and splits it at commas. So the value of an option
that holds a file of the user's (`meta: {files: [path]}` in its yaml) is taken as it is, and quoted here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from rnnbench.errors import BadInput
from rnnbench.runs import own_files, registry

OPTION = re.compile(r"(?P<key>\+{0,2}(?P<group>cell|dataset)\.(?P<option>[^=]+))=(?P<value>.*)", re.DOTALL)
PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)  # Hydra reads it as it is
WORDS = ("null", "true", "false", "nan", "inf")  # and these as values
STRUCTURE = re.compile(r"\[.*\]|\{.*\}|(choice|range|interval|glob|shuffle|sort|tag|str)\(.*\)", re.DOTALL)


def as_hydra_reads(text: str) -> str:
    """An override with the path in it quoted, where its option holds one and Hydra would read another thing.

    Left as it is: what is quoted already, null, what is Hydra's (`choice(...)`, `[...]`, `glob(...)`) unless a file is
    called so, and all other options. `a.csv,b.csv` are two files where none is called so and one of these is there.
    `~` becomes the home folder. Raises BadInput on a name that no UTF-8 holds.
    """
    found = OPTION.fullmatch(text)
    if found is None or not is_file_option(found["group"], found["option"]):
        return text
    key, value = found["key"], found["value"]
    if value in ("", "null") or _is_quoted(text, value):
        return text
    if _exists(value):
        return f"{key}={literal(value)}"
    if STRUCTURE.fullmatch(value):
        return text
    parts = value.split(",")
    if len(parts) > 1 and any(map(_exists, parts)):
        return f"{key}={','.join(map(literal, parts))}"
    return f"{key}={literal(value)}"


def literal(path: str) -> str:
    """A path in Hydra's grammar, `~` expanded: quoted, unless Hydra reads the plain word as that very text."""
    path = os.path.expanduser(path)
    if PLAIN.fullmatch(path) and path.lower() not in WORDS:
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path!r} has a name that is not UTF-8: rename it.") from None
    return str(QuotedString(escaped(path), Quote.double).with_quotes())


def escaped(text: str) -> str:
    """A text that is itself once it was resolved: ${...} in the name of a file is no option's value."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def is_file_option(group: str, option: str) -> bool:
    """Whether a choice of the group has an option of this name that holds a file of the user's."""
    return option in _file_options(group, os.environ.get("RNNBENCH_CONFIG_DIR", ""))


@functools.cache  # it is asked of every option of a cell or dataset of every run
def _file_options(group: str, folders: str) -> frozenset[str]:
    """folders: the user's own, whose choices count as well."""
    found: set[str] = set()
    for name in registry.choices(group):
        with contextlib.suppress(BadInput):  # whoever chooses a broken one is told
            meta = registry.read(group, name).get("meta")
            if isinstance(meta, dict) and "files" in meta:
                found.update(own_files.declared(group, meta))
    return frozenset(found)


def forget() -> None:
    """Read the yaml files anew: this process may be an old one, and a yaml of the user's have changed since."""
    _file_options.cache_clear()


def _exists(path: str) -> bool:
    try:
        return bool(path) and os.path.exists(os.path.expanduser(path))
    except ValueError:  # a NUL in it
        return False


def _is_quoted(text: str, value: str) -> bool:
    """Whether a value, or a part of a list, is quoted as Hydra's grammar has it: then somebody has read that."""
    if "'" not in value and '"' not in value:
        return False
    try:
        override = OverridesParser.create().parse_override(text)
        parts = list(override.sweep_iterator()) if override.is_discrete_sweep() else [override._value]
    except (HydraException, ValueError):
        return False
    return any(isinstance(part, QuotedString) for part in parts)
