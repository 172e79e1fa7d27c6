"""Who reads which kind of file of a user's: a dataset's yaml names a reader, `meta: {reader: series}`.

A reader is a module with `reading(options) -> Reading`. Some know one dataset, which they download; these have
`is_here(options) -> bool` as well. A reader is imported when it is first asked for: numpy and pyarrow
take their time, and most sweeps read no file of a user's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import sources
from rnnbench.errors import BadInput, nearest

# Name -> module in this room.
READERS = {"series": "series", "sequences": "sequences", "text": "text", "fsdd": "fsdd", "uea": "uea"}
# Readers of one dataset -> the one that reads such data of a user's.
OF_KIND = {"fsdd": "sequences", "uea": "sequences"}


def reading(reader: str, options: Mapping[str, Any]) -> Reading:
    """Read what a dataset's options name, and check all that can be refused without a network.

    options: the dataset's node as in its yaml, without `meta` and `_target_`. Raises BadInput on a reader that is none
    and on whatever the reader refuses; MissingData where a file is missing.
    """
    found: Reading = _module(reader).reading(options)
    return found


def is_here(reader: str, options: Mapping[str, Any]) -> bool:
    """Whether all that a dataset's options name lies here, so that nothing has to be downloaded first."""
    if reader in OF_KIND:
        here: bool = _module(reader).is_here(options)
        return here
    source = options.get("source")
    return sources.is_here(source) if isinstance(source, str) else True


def kind(reader: str) -> str:
    """What a reader's data is, `series`, `sequences` or `text`: as the datasets and experiments own_* are called."""
    return OF_KIND.get(reader, reader)


def _module(reader: str) -> Any:
    if reader not in READERS:
        raise BadInput(f"meta.reader {reader!r} is no reader; {nearest(str(reader), READERS)}")
    return importlib.import_module(f"rnnbench.datasets.own.{READERS[reader]}")
