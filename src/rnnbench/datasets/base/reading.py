"""What was read of a file of the user's, in words and values: printed before the first update, kept in the record.

Imports neither torch nor pandas: it is known while a sweep is planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What a reader found and what it will do with it.

    lines: sentences in the order they are printed: what was read, what was inferred, filled or left out, splits, floors
    where they are known. warnings: what is no error and may still be a mistake, a sentence each. facts: plain values
    (texts, numbers, lists of these) by name, for whoever plans: `input_steps`, `horizon`, `season`, `classes`, ...
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As a record keeps it: lists and plain values only."""
        return {"lines": list(self.lines), "warnings": list(self.warnings), "facts": dict(self.facts)}
