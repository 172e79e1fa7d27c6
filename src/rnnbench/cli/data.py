"""Command of users' data: data reads a file and says what a run would make of it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rnnbench.cli.common import EXIT, OK, Commands

EPILOG = """\
  rnnbench data load.csv                         chosen by suffix and content: a table is a series
  rnnbench data load.csv target=load horizon=12  options of the dataset, as dataset.target=load in a run
  rnnbench data moves.csv dataset=own_sequences  read as another
  rnnbench data dataset=co2                      a dataset by its name
"""


def add(commands: Commands) -> None:
    """data."""
    data = commands.add(
        "data", _data, "Read a file of your own, say what is in it and what to run next. Trains nothing.",
        epilog=EPILOG + EXIT,
    )  # fmt: skip
    data.add_argument("given", nargs="*", metavar="PATH|key=value", help="the file or folder, then options")
    data.add_argument("--format", choices=("text", "json"), default="text", help="what is printed")


def _data(args: argparse.Namespace) -> int:
    from rnnbench.face.data import as_json, look, of_dataset

    path, words = _path(args.given)
    found = look(path, [of_dataset(word) for word in words])
    if args.format == "json":
        sys.stdout.write(as_json(found))
    else:
        for line in found.text():
            print(line)
    return OK


def _path(words: list[str]) -> tuple[str | None, list[str]]:
    """The file among the words, the first of them, which may have = in its name; and the rest."""
    if words and ("=" not in words[0] or Path(os.path.expanduser(words[0])).exists()):
        return words[0], words[1:]
    return None, words
