"""Sets of the UEA and UCR archives of time series classification by name, each with its official test set.

Dau et al. 2019, "The UCR time series archive"; Bagnall et al. 2018, "The UEA multivariate time series classification
archive". Some come by download, known by their sha256; the files of any other may be laid into the cache folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.datasets.own import sequences, ts_files
from rnnbench.datasets.own.gathered import joined
from rnnbench.datasets.own.sequences import Found
from rnnbench.datasets.own_sequences import OwnSequences
from rnnbench.errors import BadInput, MissingData, shown
from rnnbench.store.content import SHOWN, path_hash

FOLDER = "uea_ucr"
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


class UEA(OwnSequences):
    """A set of the archives: whole sequences to classify, its official test set; an eighth of the rest is validation.

    name: as the archives call it. scale, max_steps, longer: as of own sequences. Equal sequences in train and test,
    which some sets have, are told and kept. Raises BadInput on a name that is none, MissingData where the files are
    corrupt, or are not there and cannot be fetched.
    """

    def __init__(
        self,
        name: str = "BasicMotions",
        data_seed: int = 0,
        scale: str = "standard",
        max_steps: int | None = None,
        longer: str = "refuse",
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadInput(
                f"dataset.name must name a set of the UEA or UCR archive, e.g. BasicMotions; got {shown(name)}."
            )
        super().__init__(data_seed=data_seed, scale=scale, max_steps=max_steps, longer=longer, name="uea")
        self.set = name

    def found(self) -> Found:
        """Read the two files, downloading those that are known."""
        train, test = files(self.set)
        content = "+".join(path_hash(path)[:SHOWN] for path in (train, test))
        read = joined(ts_files.read(train), ts_files.read(test), train, test)
        options = sequences.options_of(self.options)
        return sequences.prepared(read, options, self.set, f"{self.set} {content}", strict=False)


def files(name: str) -> tuple[Path, Path]:
    """NAME_TRAIN.ts and NAME_TEST.ts of the cache folder."""
    if name in KNOWN:
        train, test = (
            fetch(remote(name, part, sha256)) for part, sha256 in zip(("TRAIN", "TEST"), KNOWN[name], strict=True)
        )
        return train, test
    folder = cache_folder() / FOLDER
    train, test = (folder / f"{name}_{part}.ts" for part in ("TRAIN", "TEST"))
    for path in (train, test):
        if not path.is_file():
            raise MissingData(
                f"{path} is missing, and {name} is none of the sets that are downloaded ({', '.join(KNOWN)}): unpack "
                f"its two .ts files there, from {ARCHIVE.format(name)} if the archive has it."
            )
    return train, test


def remote(name: str, part: str, sha256: str) -> RemoteFile:
    """One of the two files of a known set. part: TRAIN | TEST."""
    file = f"{name}_{part}.ts"
    urls = tuple(mirror.format(raw=raw, name=name) + file for mirror, raw in zip(_MIRRORS, ("", "raw/"), strict=True))
    return RemoteFile(FOLDER, file, sha256, urls)
