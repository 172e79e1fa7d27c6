"""Sets of the UEA and UCR archives of time series classification by name, each with its official test set.

Dau et al. 2019, "The UCR time series archive"; Bagnall et al. 2018, "The UEA multivariate time series classification
archive". Those that come by download, known by their sha256; the files of any other are a user's own (own_sequences).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from rnnbench.datasets.base.fetch import RemoteFile, fetch
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import kept_sequences, sequences, ts_files
from rnnbench.datasets.own.gathered import joined
from rnnbench.datasets.own.sequences import Found
from rnnbench.errors import BadInput, shown
from rnnbench.store.content import SHOWN, path_hash

FOLDER, PARTS = "uea_ucr", ("TRAIN", "TEST")
ARCHIVE = "https://timeseriesclassification.com/aeon-toolkit/{}.zip"
NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
_PATH = "aeon-toolkit/aeon/{raw}v1.6.0/aeon/datasets/data/{name}/"  # the sha256 holds, should the tag be moved
_MIRRORS = ("https://raw.githubusercontent.com/" + _PATH, "https://github.com/" + _PATH)
# sha256 of NAME_TRAIN.ts and NAME_TEST.ts, those of the wheel of aeon 1.6.0.
KNOWN = {
    "ACSF1": (
        "0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b",
        "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf",
    ),
    "ArrowHead": (
        "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72",
        "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904",
    ),
    "BasicMotions": (
        "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
        "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
    ),
    "GunPoint": (
        "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
        "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e",
    ),
    "ItalyPowerDemand": (
        "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
        "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144",
    ),
    "JapaneseVowels": (
        "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    ),
    "OSULeaf": (
        "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc",
        "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce",
    ),
}


def options_of(
    set: str = "BasicMotions",
    data_seed: int = 0,
    scale: str = "standard",
    max_steps: int | None = None,
    longer: str = "refuse",
) -> dict[str, Any]:
    """The dataset's options as those of own sequences, `set` apart. Raises BadInput on a name that is none."""
    if not isinstance(set, str) or not NAME.fullmatch(set):
        raise BadInput(f"dataset.set must name a set of the UEA or UCR archive, e.g. BasicMotions; got {shown(set)}.")
    return {"data_seed": data_seed, "scale": scale, "max_steps": max_steps, "longer": longer, "name": "uea"}


def is_here(options: Mapping[str, Any]) -> bool:
    """Whether a set need not be downloaded: of those that cannot be, too."""
    name = options.get("set")
    return not isinstance(name, str) or name not in KNOWN or all(file.path.is_file() for file in remote_files(name))


def reading(options: Mapping[str, Any]) -> Reading:
    """What is read of a set with a dataset's options. Raises BadInput, MissingData."""
    sequences.check_names(options, signature(options_of).parameters, "uea")
    return read(options["set"], options_of(**options)).reading


def read(name: str, options: Mapping[str, Any]) -> Found:
    """Read a set's two files, downloading those that are known. options: of own sequences, as `options_of` has them."""
    train, test = files(name)
    hashes = [path_hash(path) for path in (train, test)]
    content = "+".join(sha256[:SHOWN] for sha256 in hashes)
    learned, tested = (
        kept_sequences.found_or_read(sha256, {"ts": True}, functools.partial(ts_files.read, path))
        for path, sha256 in zip((train, test), hashes, strict=True)
    )
    found = joined(learned, tested, train, test)
    chosen = sequences.options_of(options)
    return sequences.prepared(found, chosen, name, f"{name} {content}", strict=False)


def files(name: str) -> tuple[Path, Path]:
    """NAME_TRAIN.ts and NAME_TEST.ts of the cache folder. Raises BadInput on a set that is not known by its sha256."""
    if name not in KNOWN:
        known = ", ".join(KNOWN)
        raise BadInput(
            f"{shown(name)} is none of the sets that are downloaded ({known}): unpack its two .ts files from "
            f"{ARCHIVE.format(name)} and use dataset=own_sequences dataset.path={name}_TRAIN.ts."
        )
    train, test = map(fetch, remote_files(name))
    return train, test


def remote_files(name: str) -> list[RemoteFile]:
    """The two files of a known set, the training set's first."""
    found = []
    for part, sha256 in zip(PARTS, KNOWN[name], strict=True):
        file = f"{name}_{part}.ts"
        places = zip(_MIRRORS, ("", "raw/"), strict=True)
        urls = tuple(mirror.format(raw=raw, name=name) + file for mirror, raw in places)
        found.append(RemoteFile(FOLDER, file, sha256, urls))
    return found
