"""What lies in files of the user's, as sha256: whose bytes a result belongs to, wherever they lie. Imports no torch.

Hashes are kept in the user's cache, by the path that was asked for, and believed only while size, times and inode are
those of the file that was hashed. What was written within the last moments before is hashed again: a second writing of
as many bytes, within one tick of the clock, would look the same.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput, MissingData
from rnnbench.store.store import write_atomic

TICK_NS = 2_000_000_000  # of the coarsest clock of a file system in use, FAT's
LOOKS = 3  # at a file that is being written
MOST_FILES = 100_000  # of a folder; beyond, it is rather a mistake than a dataset
MOST_NAMES = 10_000  # of a folder that are looked through for one like a missing file's
NEAR, ALIKE = 3, 0.75  # so many of these are said, which are alike by so much
SHOWN = 12  # digits of a hash in a sentence or a protocol

Stamp = list[int]  # size, mtime_ns, ctime_ns, inode


def content_of(value: Any, option: str) -> str | None:
    """The sha256 of what an option names: of a file's bytes, of a folder's sorted names and bytes, of a list's parts.

    value: a path, `~` for the home folder, or a list or mapping of paths. None where it names nothing. Raises
    MissingData where nothing lies there, BadInput where it cannot be read.
    """
    hashed = _hashed(value, option)
    if isinstance(hashed, str) or hashed is None:
        return hashed
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def _hashed(value: Any, option: str) -> Any:
    """value with each path as its hash."""
    if isinstance(value, Mapping):
        return {str(key): _hashed(each, option) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hashed(each, option) for each in value]
    return path_hash(Path(os.path.expanduser(value)), option) if isinstance(value, str) and value else None


def path_hash(path: Path, option: str = "the path") -> str:
    """The sha256 of a file's bytes, or of a folder's sorted names and bytes: 64 hex digits. Raises as `content_of`."""
    kept = _Kept.read(path)
    try:
        if os.path.isdir(path):
            found = _folder_hash(path, kept)
        elif os.path.isfile(path):
            found = kept.hash_of("", path)
        elif os.path.lexists(path) and not os.path.islink(path):
            raise BadInput(f"{path} is neither a file nor a folder, and {option} names it.")
        else:
            raise MissingData(_missing(path, option))
    except OSError as error:
        raise BadInput(f"{error.filename or path} cannot be read ({error.strerror}), and {option} names it.") from None
    kept.write()
    return found


def _missing(path: Path, option: str) -> str:
    """That nothing lies there, and what is called nearly so: a name is sooner mistyped than its file gone."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: a NUL in it
        found = [entry.name for entry in itertools.islice(os.scandir(path.parent), MOST_NAMES)]
        names = [name for name in found if name != path.name]  # a link that leads nowhere
        if near := difflib.get_close_matches(path.name, sorted(names), NEAR, ALIKE):
            return f"{path} does not exist; did you mean {' or '.join(str(path.parent / name) for name in near)}?"
    return f"{path} is missing: set {option} to your file."


def _folder_hash(folder: Path, kept: _Kept) -> str:
    """Over the names of all files in a folder, sorted, and what is in them."""
    digest = hashlib.sha256()
    files = {os.path.relpath(path, folder): path for path in itertools.islice(_files(folder), MOST_FILES + 1)}
    if len(files) > MOST_FILES:
        raise BadInput(f"{folder} holds more than {MOST_FILES:,} files: name the one with the data.")
    for name in sorted(files, key=os.fsencode):
        if not files[name].is_file():
            raise BadInput(f"{files[name]} is no file that can be read to its end, and lies in {folder}.")
        encoded = os.fsencode(name)
        digest.update(len(encoded).to_bytes(8, "big") + encoded + bytes.fromhex(kept.hash_of(name, files[name])))
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in linked folders as well, each folder once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield from (Path(place, name) for name in names)


def _raise(error: OSError) -> None:
    raise error


@dataclass
class _Kept:
    """What is known of the files of one path. entries: by name (of the path itself ""), stamp, when hashed, sha256."""

    file: Path
    path: str
    entries: dict[str, tuple[Stamp, int, str]] = field(default_factory=dict)
    new: bool = False

    @classmethod
    def read(cls, path: Path) -> _Kept:
        """Of a path, as it was kept; nothing where that is damaged."""
        import platformdirs

        place = os.path.abspath(path)
        folder = platformdirs.user_cache_path("rnnbench") / "content"
        kept = cls(folder / f"{hashlib.sha256(place.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json", place)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            content = json.loads(kept.file.read_text(encoding="utf-8"))
            if content["path"] == place:
                found = content["files"].items()
                kept.entries = {str(name): (list(stamp), int(at), str(sha)) for name, (stamp, at, sha) in found}
        return kept

    def write(self) -> None:
        """Keep it where something is new; where there is no home or no room, it is hashed again."""
        with contextlib.suppress(OSError):
            if self.new:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.file, json.dumps({"path": self.path, "files": self.entries}), sync_folder=False)

    def hash_of(self, name: str, path: Path) -> str:
        """The sha256 of a file's bytes. Raises BadInput where it changes while it is read, OSError."""
        stamp = _stamp(os.stat(path))
        if name in self.entries and _holds(self.entries[name], stamp):
            return self.entries[name][2]
        for _ in range(LOOKS):
            now = time.time_ns()
            with open(path, "rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if stamp == _stamp(os.stat(path)):
                self.entries[name], self.new = (stamp, now, found), True
                return found
        raise BadInput(f"{path} is being written while it is read; try again when it is whole.")


def _stamp(status: os.stat_result) -> Stamp:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _holds(entry: tuple[Stamp, int, str], stamp: Stamp) -> bool:
    """Whether an entry speaks of a file with this stamp, and was made long enough after its last writing."""
    known, hashed_at, sha256 = entry
    settled = max(stamp[1:3]) + TICK_NS < hashed_at
    return known == stamp and settled and len(sha256) == 2 * hashlib.sha256().digest_size
