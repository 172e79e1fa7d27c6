"""Who reads which kind of file of a user's: a dataset's yaml names a reader, `meta: {reader: series}`.

A reader is a module with `reading(options) -> Reading`. It is imported when it is first asked for: numpy and pyarrow
take their time, and most sweeps read no file of a user's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from rnnbench.datasets.base.reading import Reading
from rnnbench.errors import BadInput, nearest

READERS = {"series": "series", "sequences": "sequences", "text": "text"}  # name -> module in this room


def reading(reader: str, options: Mapping[str, Any]) -> Reading:
    """Read what a dataset's options name, and check all that can be refused without a network.

    options: the dataset's node as in its yaml, without `meta` and `_target_`. Raises BadInput on a reader that is none
    and on whatever the reader refuses; MissingData where a file is missing.
    """
    if reader not in READERS:
        raise BadInput(f"meta.reader {reader!r} is no reader; {nearest(str(reader), READERS)}")
    module = importlib.import_module(f"rnnbench.datasets.own.{READERS[reader]}")
    found: Reading = module.reading(options)
    return found
