"""Real files by name (`source=co2`): those that come with rnnbench, and those fetched once, all known by their sha256.

Where each comes from, under which licence, and what was changed: NOTICE.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.errors import BadInput, MissingData, nearest, shown

# In rnnbench/datasets/embedded: file name, sha256.
EMBEDDED = {
    "co2": ("co2.csv", "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f"),
    "seattle_weather": (
        "seattle-weather.csv",
        "73eeadef83a412fdfc9a042f78faa26aef35d0295d4faedf9fdf4bf7ca61b396",
    ),
    "sunspots": ("sunspots.csv", "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b"),
}


def _on_github(folder: str, repository: str, commit: str, path: str, sha256: str) -> RemoteFile:
    """A file of a repository at one commit, which two of GitHub's hosts serve."""
    urls = (
        f"https://raw.githubusercontent.com/{repository}/{commit}/{path}",
        f"https://github.com/{repository}/raw/{commit}/{path}",
    )
    return RemoteFile(folder, path.rpartition("/")[2], sha256, urls)


DOWNLOADS = {
    "etth1": _on_github(
        "ett",
        "zhouhaoyi/ETDataset",
        "1d16c8f4f943005d613b5bc962e9eeb06058cf07",
        "ETT-small/ETTh1.csv",
        "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    ),
    "shakespeare": _on_github(
        "tinyshakespeare",
        "karpathy/char-rnn",
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        "data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}


# Files that may not be passed on: everybody puts their own into the cache folder. Folder, then option -> file name.
BRING_YOUR_OWN = {
    "ptb": ("ptb", {"path": "ptb.train.txt", "val_path": "ptb.valid.txt", "test_path": "ptb.test.txt"}),
}


def own_files(name: str) -> dict[str, Path]:
    """The user's own files that a source's name stands for, by option, whether they are there or not; else none."""
    folder, names = BRING_YOUR_OWN.get(name, ("", {}))
    return {option: cache_folder() / folder / file for option, file in names.items()}


def locate(name: str) -> Path:
    """The verified file that a source's name stands for, downloaded if it is not there yet.

    Raises BadInput on an unknown name; MissingData where the file is corrupt, or is missing and no mirror served it.
    """
    if isinstance(name, str):
        if name in EMBEDDED:
            return _embedded(*EMBEDDED[name])
        if name in DOWNLOADS:
            return fetch(DOWNLOADS[name])
    raise BadInput(f"there is no source {shown(name)}: {nearest(str(name), [*EMBEDDED, *DOWNLOADS])}")


def is_here(name: str) -> bool:
    """Whether a source's files lie here, so that none has to be got first; of an unknown name, too."""
    if name in BRING_YOUR_OWN:
        return all(path.is_file() for path in own_files(name).values())
    return name not in DOWNLOADS or DOWNLOADS[name].path.is_file()


def _embedded(name: str, sha256: str) -> Path:
    """A file of this package, its bytes as they were released."""
    path = Path(str(files("rnnbench.datasets").joinpath("embedded", name)))
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise MissingData(f"{path} cannot be read ({error.strerror or error}): install rnnbench anew.") from error
    if found != sha256:
        raise MissingData(
            f"{path} was changed (sha256 {found[:12]}... instead of {sha256[:12]}...): install rnnbench anew."
        )
    return path
