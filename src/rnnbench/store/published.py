"""Published sets: the frozen records of a sweep, one folder each; the user's own, and those that come with rnnbench.

::

    records.jsonl      one record a line, by id: the result      sweep.json    its head, see `PublishedHead`
    curves.jsonl       histories, where a table needs them       samples/      predictions, of one seed an entry
    outcomes.npz       the loss of each test item of its runs

All else in such a folder is derived from these (`reports.publish`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from rnnbench.errors import BadInput
from rnnbench.store.config import Composed
from rnnbench.store.door import loads
from rnnbench.store.files import LARGEST_TABLE, read_regular
from rnnbench.store.folder import Results
from rnnbench.store.kinds import Kind, fits, kinds_of
from rnnbench.store.manifests import Experiment, Manifest, SearchRules, SkippedCells, are_skipped, is_search
from rnnbench.store.parse import parse
from rnnbench.store.record import Record, RecordError

RECORDS, HEAD = "records.jsonl", "sweep.json"


class FrozenOutcomes(TypedDict):
    """What a published set says of its outcomes by test item. runs: how many have some; sha256: of the file; left_out:
    its bytes, where they were too many to keep."""

    runs: int
    sha256: NotRequired[str]
    left_out: NotRequired[int]


class PublishedHead(TypedDict):
    """What a published set says of itself.

    name: its own. command: makes its runs again. skipped: cells that were never started. not_run: what had no record
    when it was frozen, by entry. ablation, search: as in the sweep's `Manifest`. samples: the sha256 of the samples
    that it keeps, by run, in the order in which they are shown; sample_kinds: what those are that are no frames, by run
    (`store.samples`). outcomes: what it keeps of the items of test. sweeps, claims: of the set of claims, the runs of
    each experiment, and the claims as they were worded. runs: its ids, put there by who reads the records; not in the
    file.
    """

    name: str
    command: str
    skipped: list[SkippedCells]
    not_run: NotRequired[dict[str, str]]
    ablation: NotRequired[Experiment | None]
    search: NotRequired[SearchRules]
    samples: NotRequired[dict[str, str]]
    sample_kinds: NotRequired[dict[str, str]]
    outcomes: NotRequired[FrozenOutcomes]
    sweeps: NotRequired[dict[str, list[str]]]
    claims: NotRequired[list[Composed]]
    runs: NotRequired[list[str]]


PUBLISHED_HEAD = Kind(frozenset({dict}), kinds_of(PublishedHead), deep=True)
Head = Manifest | PublishedHead  # what is known of a sweep, from its manifest or frozen


def runs_of(head: Head) -> list[str]:
    """The runs of a sweep, finished or not, in its order."""
    return head.get("runs") or []


def frozen_samples(folder: Path) -> dict[str, str]:
    """The sha256 of the samples that a published set keeps, by run, in the order in which they are shown."""
    return read_head(folder).get("samples", {})


def shipped() -> Path | None:
    """The folder of the published sets that come with rnnbench: in the wheel, else beside the checkout; None: none."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    inside, beside = package / "published", Results(checkout / "results").published
    if inside.is_dir():
        return inside
    return beside if beside.is_dir() and (checkout / "pyproject.toml").is_file() else None


def shipped_names() -> list[str]:
    """The names of the published sets that come with rnnbench."""
    folder = shipped()
    return list(published_in(folder)) if folder else []


def own_published(results: Results) -> dict[str, Path]:
    """The published sets of a results folder, by name."""
    return published_in(results.published)


def published(results: Results) -> dict[str, Path]:
    """Every published set by name, sorted: those that come with rnnbench, and before them the user's own."""
    theirs = shipped()
    found = {**(published_in(theirs) if theirs else {}), **own_published(results)}
    return dict(sorted(found.items()))


def published_in(folder: Path) -> dict[str, Path]:
    """The published sets of a folder, by name."""
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{RECORDS}")) if path.is_file()}


def is_published(folder: Path) -> bool:
    """Whether a folder is a published set."""
    return (folder / RECORDS).is_file()


def is_own(results: Results, folder: Path) -> bool:
    """Whether a published set lies in this results folder, by whatever path it is named."""
    inside = results.published / folder.resolve().name
    return inside.exists() and inside.samefile(folder)


def read_head(folder: Path) -> PublishedHead:
    """A published set's head; of one without the file, its name alone. Raises BadInput where it is damaged."""
    path = folder / HEAD
    try:
        content = parse(read_regular(path))
        if not isinstance(content, dict) or not _is_head(content):
            raise ValueError("no head of a published set")
    except FileNotFoundError:
        content = {}
    except (OSError, ValueError):
        raise BadInput(f"{path} is damaged; take it from where the set came from, or publish it again.") from None
    return cast(PublishedHead, {"name": folder.resolve().name, "command": "", "skipped": [], **content})


PARTS = ("not_run", "samples", "sample_kinds", "outcomes", "sweeps", "claims")  # none of whose values is null


def _is_head(content: Mapping[str, object]) -> bool:
    """Whether what was read has the keys of a head, each of its kind; an old or a small set may lack some."""
    return (
        fits(content, PUBLISHED_HEAD)
        and is_search(content.get("search", {}))
        and are_skipped(content.get("skipped", []))
        and all(_has_no_null(content.get(key, {})) for key in PARTS)
    )


def _has_no_null(part: Any) -> bool:
    return None not in (part.values() if isinstance(part, dict) else part)


def read_published(folder: Path) -> list[Record]:
    """A published set's records, old schemas upgraded. Raises RecordError where a line is damaged."""
    return [_record(line, place) for place, line in _lines(folder)]


def read_what_can_be(folder: Path) -> tuple[dict[str, Record], dict[str, str]]:
    """A published set's records by id, each once; and by place, why a line cannot be read."""
    good: dict[str, Record] = {}
    problems = {}
    for place, line in _lines(folder):
        try:
            record = _record(line, place)
        except RecordError as error:
            problems[place] = str(error)
            continue
        good.setdefault(str(record["id"]), record)
    return good, problems


def find_frozen(results: Results, prefix: str) -> list[tuple[str, Path]]:
    """The runs of published sets whose id begins with prefix, each with the first set that holds it."""
    sets = own_published(results)
    sets |= {name: folder for name, folder in published(results).items() if name not in sets}
    found: dict[str, Path] = {}
    for folder in sets.values():
        for place, line in _lines(folder):
            if f'"{prefix}'.encode() not in line:  # to parse ten megabytes takes a second
                continue
            try:
                run = str(_record(line, place)["id"])
            except RecordError:
                continue
            if run.startswith(prefix):
                found.setdefault(run, folder)
    return sorted(found.items())


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a set's records, each with its place in words."""
    for n, line in enumerate(read_regular(folder / RECORDS, LARGEST_TABLE).splitlines(), 1):
        yield f"{folder.name}, line {n}", line


def _record(line: bytes, place: str) -> Record:
    return loads(line, name=place)
