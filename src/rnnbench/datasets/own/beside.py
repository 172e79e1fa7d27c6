"""Files that are read though no option names them, since another one does. Imports nothing: a plan's ids need it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TRAIN, TEST = "_TRAIN.ts", "_TEST.ts"


def test_file(path: Path) -> Path | None:
    """The file with the test set that belongs to NAME_TRAIN.ts, where it lies beside it: NAME_TEST.ts."""
    if not path.name.endswith(TRAIN):
        return None
    beside = path.with_name(path.name.removesuffix(TRAIN) + TEST)
    return beside if beside.is_file() else None


def options_beside(reader: str | None, options: Mapping[str, Any]) -> dict[str, str]:
    """The options of a dataset that name files found beside its others; those that are set stay as they are."""
    path = options.get("path")
    if reader != "sequences" or options.get("test_path") is not None or not isinstance(path, str):
        return {}
    found = test_file(Path(os.path.expanduser(path)))
    return {} if found is None else {"test_path": str(found)}
