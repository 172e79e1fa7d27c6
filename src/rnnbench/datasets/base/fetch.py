"""Files from the network, once: the cache folder, checksums, mirrors, and one clear sentence when it fails.

The cache folder is RNNBENCH_DATA, else the user's cache (pooch.os_cache); a file is `<cache folder>/<folder>/<name>`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from rnnbench.errors import MissingData

_verified: set[tuple[str, int, int, str]] = set()  # path, bytes, mtime, sha256: a file is read in full once a process


@dataclass(frozen=True)
class RemoteFile:
    """A file with its sha256 and the addresses that serve it, best first.

    sha256: None of an archive that its server packs anew as it likes: whoever opens it checks what is in it.
    """

    folder: str
    name: str
    sha256: str | None
    urls: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the file lies, or will lie, in the cache folder."""
        return cache_folder() / self.folder / self.name


def cache_folder() -> Path:
    """RNNBENCH_DATA, else this user's cache folder for rnnbench."""
    chosen = os.environ.get("RNNBENCH_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("rnnbench"))


def fetch(file: RemoteFile) -> Path:
    """The path of a verified file, downloaded if it is not there yet.

    Raises MissingData where the file is corrupt, or is missing and no mirror served it.
    """
    path = file.path
    try:
        if not path.exists():
            _download(file, path)
        if file.sha256 is not None:
            _verify(path, file.sha256)
    except OSError as error:
        raise MissingData(
            f"{path} cannot be read ({error.strerror or error}): make it readable, or delete it."
        ) from error
    return path


def _verify(path: Path, sha256: str) -> None:
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns, sha256)
    if key in _verified:
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise MissingData(
            f"{path} is corrupt (sha256 {found[:12]}... instead of {sha256[:12]}...): "
            "delete the file and run again to fetch it anew."
        )
    _verified.add(key)


def _download(file: RemoteFile, path: Path) -> None:
    """Try the mirrors in turn; pooch writes to a temporary file and renames it once its checksum is right."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    failures = []
    known = None if file.sha256 is None else f"sha256:{file.sha256}"
    try:
        for url in file.urls:
            try:
                pooch.retrieve(url, known_hash=known, fname=file.name, path=path.parent)
                return
            except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
                failures.append(f"{url.split('/')[2]}: {_reason(error)}")
    finally:
        logger.setLevel(level)
    command = f"curl --create-dirs -fLo {shlex.quote(str(path))} {file.urls[0]}"
    raise MissingData(
        f"{path} is missing and could not be downloaded ({'; '.join(failures)}): run `{command}`, "
        f"or set RNNBENCH_DATA to the folder that holds {file.folder}/{file.name}."
    )


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    if isinstance(error, ValueError):
        return "wrong checksum"
    if isinstance(error, PermissionError):
        return "the folder cannot be written"
    return type(error).__name__
