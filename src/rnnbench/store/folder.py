"""The folder of results: what lies where in it. The one place that knows these names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LONGEST = 255  # bytes of a file's name


def is_id(text: str) -> bool:
    """Whether a text may be the id of a run: the name of one folder in the store, in letters that UTF-8 has."""
    if text.isascii() and text.isalnum():  # as nearly all
        return len(text) <= LONGEST
    try:
        name = text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(name) <= LONGEST and not {ord("/"), 0} & set(name) and text not in (os.curdir, os.pardir)


@dataclass(frozen=True)
class Results:
    """A results folder. Its parts are paths, there or not.

    ::

        runs/       one folder a run: the store              published/  one folder a published set
        sweeps/     NAME.json, the manifests; NAME.running,  tables/     what commands write by default
                    NAME.log of a sweep that runs            tune/       the journals of searches
    """

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def sweeps(self) -> Path:
        return self.root / "sweeps"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def tune(self) -> Path:
        return self.root / "tune"

    @property
    def wandb(self) -> Path:
        return self.root / "wandb"

    @property
    def index(self) -> Path:
        return self.root / "index.parquet"

    def manifest(self, name: str) -> Path:
        """The manifest of the sweep of this name."""
        return self.sweeps / f"{name}.json"

    def manifests(self) -> list[Path]:
        """Every manifest that is there, by name; a hidden file is somebody's temporary one."""
        return sorted(path for path in self.sweeps.glob("*.json") if not path.name.startswith("."))

    def log(self, name: str) -> Path:
        """What a sweep that was started with --detach says."""
        return self.sweeps / f"{name}.log"
