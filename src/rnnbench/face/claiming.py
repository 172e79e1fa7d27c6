"""The claims as they stand beside the configs, for the command and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnbench.store.config import Composed

if TYPE_CHECKING:
    from rnnbench.reports.claims.wording import Claim


def read(numbers: Sequence[int] = ()) -> list[Claim]:
    """The claims of these numbers, or all, of the file beside the configs. Raises BadInput on a number that is none."""
    from rnnbench.reports.claims.wording import asked, read_claims

    return asked(read_claims(content()), numbers)


def content() -> Composed:
    """What stands in conf/claims.yaml."""
    import yaml

    from rnnbench.runs.registry import config_dir

    found: Composed = yaml.safe_load((config_dir() / "claims.yaml").read_text(encoding="utf-8"))
    return found
