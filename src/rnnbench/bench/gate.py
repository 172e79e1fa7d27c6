"""The gate: which source has given the baseline's bits, cell by cell and dataset by dataset.

::

    python -m rnnbench.bench.gate files FOLDER       write the small users' files that experiment=baseline reads
    python -m rnnbench.bench.gate note RESULTS       note the source of these runs in runs/vouched.jsonl; --check writes
                                                     nothing, and fails where today's source is not noted
    python -m rnnbench.bench.gate publish RESULTS    these runs are the baseline from now on

`make gate` and `make baseline` call them. A line of the list says that a source ran some cells and datasets with the
bits of results/published/baseline, so two lines say of what both ran that it is computed alike. That holds over
baselines as long as each new one repeats the runs it shares with the last; where it does not, the list begins anew.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput
from rnnbench.reports.publish.freeze import publish
from rnnbench.runs import registry, vouched
from rnnbench.runs.plan import prepare
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.published import read_published
from rnnbench.store.record import Record
from rnnbench.store.rows import part
from rnnbench.store.store import Store, write_atomic

NAME = "baseline"
ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT / "results" / "published" / NAME
LIST = vouched.FILE
FRAMES, SIDE, SQUARE = 60, 16, 5  # of the film
HOURS, SEQUENCES, LINES = 480, 48, 300  # of the two tables and the text
Records = Mapping[str, Record]


def write_files(folder: Path) -> None:
    """A user's film, table of a series, table of sequences and text: the same bytes on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "film.npy", film())
    for name, lines in (("series.csv", hours()), ("sequences.csv", steps()), ("text.txt", sentences())):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="ascii", newline="\n")


def film() -> NDArray[np.uint8]:
    """A bright square that moves to and fro in front of a slope."""
    frames = np.zeros((FRAMES, SIDE, SIDE), np.uint8)
    frames += np.arange(SIDE, dtype=np.uint8) * 4
    way = SIDE - SQUARE
    for t, frame in enumerate(frames):
        row, column = (way - abs(n % (2 * way) - way) for n in (t, 2 * t))
        frame[row : row + SQUARE, column : column + SQUARE] = 200
    return frames


def hours() -> Iterator[str]:
    """Two columns that rise and fall with the hour, and a little that looks like chance."""
    yield "date,load,temp"
    for t in range(HOURS):
        load, temp = 10 * abs(t % 24 - 12) + 37 * t % 11, 5 * abs((t + 3) % 24 - 12) + 53 * t % 7
        yield f"2024-01-{1 + t // 24:02} {t % 24:02}:00:00,{load / 10},{temp / 10}"


def steps() -> Iterator[str]:
    """Sequences of 6 to 9 steps, two channels; the label says whether the first channel rises or falls."""
    yield "id,t,a,b,label"
    for n in range(SEQUENCES):
        label, sign = ("rises", 1) if n % 2 else ("falls", -1)
        for t in range(6 + n % 4):
            yield f"q{n:02},{t},{(sign * 10 * t + 29 * (n + t) % 13) / 10},{41 * (n + 2 * t) % 17 / 10},{label}"


def sentences() -> Iterator[str]:
    """Lines of three words in an order that returns after a while."""
    who, does, what = (
        ("the cat", "a dog", "the old fox", "one bird"),
        ("sees", "hears", "follows"),
        ("it", "us", "rain"),
    )
    for n in range(LINES):
        yield f"{who[n * n % 4]} {does[n % 3]} {what[5 * n % 7 % 3]}."


def listed() -> tuple[dict[str, str], dict[str, str]]:
    """Every cell, and every dataset that needs no download, by name: its version."""
    cells = {name: str(registry.read("cell", name)["meta"]["version"]) for name in registry.choices("cell")}
    metas = {name: registry.read("dataset", name)["meta"] for name in registry.choices("dataset")}
    return cells, {name: str(meta["version"]) for name, meta in metas.items() if meta["download"] == "none"}


@dataclass(frozen=True)
class Finding:
    """What the runs of a gate show. line: what their source may vouch for; why_not: why it may not be noted."""

    line: vouched.Line
    why_not: str = ""


def finding(runs: Records, baseline: Records) -> Finding:
    """What runs of the baseline's experiment show of the source that made them. Raises BadInput where it is not one."""
    sources = sorted({str(record["source_hash"]) for record in runs.values()})
    if len(sources) != 1:
        raise BadInput(f"these runs were made by {len(sources)} sources; a gate's are made by one: `make gate`.")
    alike = [record for run, record in runs.items() if run in baseline and _ends(record) == _ends(baseline[run])]
    line = vouched.line(sources[0], map(vouched.work_of, alike))
    return Finding(line, _why_not(runs, baseline, len(alike)))


def _why_not(runs: Records, baseline: Records, alike: int) -> str:
    """Why the source of these runs may not be noted; empty where it may."""
    if failed := [run for run, record in runs.items() if record["status"] != "ok"]:
        return f"{len(failed)} runs failed, {failed[0]} first"
    if alike < len(runs):
        return (
            f"{len(runs) - alike} of {len(runs)} runs have other bits than the baseline: another processor, torch or "
            "compiler, or a number that moved"
        )
    if left := [run for run, record in baseline.items() if record["backend"] == "compiled" and run not in runs]:
        return f"{len(left)} compiled runs are missing, {left[0]} first: this machine has no compiler"
    if not all(part(record, "git").get("dirty") is False for record in runs.values()):
        return "the tree is not clean; commit first"
    return ""


def _ends(record: Record) -> Any:
    """What must be equal to the bit."""
    return record["status"], record["metrics"]


def without_run(line: vouched.Line) -> list[str]:
    """Which listed cells and embedded datasets a line does not cover, as sentences."""
    lacking = []
    for group, wanted, had in zip(("cell", "dataset"), listed(), (line.cells, line.datasets), strict=True):
        lacking += [f"{group}={name} version {version}" for name, version in wanted.items() if had.get(name) != version]
    return lacking


def note(runs: Records, baseline: Records, *, check: bool) -> int:
    """Note the source of some runs, or say why not; the exit code.

    check: write nothing, and fail where today's source is not in the list.
    """
    found = finding(runs, baseline)
    source, known = found.line.source, vouched.read(LIST)
    covered = source in known and not _adds(found.line, known[source])
    if not covered and not check and not found.why_not:
        write_list({**known, source: _joined(found.line, known.get(source))})
        print(f"noted: source {source}; commit {_name(LIST)}.")
    elif covered:
        print(f"source {source} is noted in {_name(LIST)}.")
    else:
        print(f"not noted: {found.why_not or 'this only checks'}.", file=sys.stderr)
    return _checked() if check else 0


def _checked() -> int:
    """Whether today's source is in the list with all that is listed, as an exit code."""
    today, known = source_hash(), vouched.read(LIST)
    if today not in known:
        print(
            f"source {today} is not in {_name(LIST)}: records of before it are stale. Run `make gate` on a clean tree, "
            "on a processor of the baseline's kind, and commit that file.",
            file=sys.stderr,
        )
        return 1
    if lacking := without_run(known[today]):
        print(
            f"the gate does not run {', '.join(lacking)}: add a row to conf/experiment/{NAME}.yaml, run "
            "`make baseline` on a clean tree, and commit what it writes.",
            file=sys.stderr,
        )
        return 1
    return 0


def _name(path: Path) -> Path:
    """A file as it is called in the checkout."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _adds(line: vouched.Line, noted: vouched.Line) -> bool:
    return not (line.cells.items() <= noted.cells.items() and line.datasets.items() <= noted.datasets.items())


def _joined(line: vouched.Line, noted: vouched.Line | None) -> vouched.Line:
    if noted is None:
        return line
    return vouched.Line(line.source, {**noted.cells, **line.cells}, {**noted.datasets, **line.datasets})


def write_list(lines: Mapping[str, vouched.Line]) -> None:
    """Write the list, in the order given."""
    write_atomic(LIST, "".join(f"{line.text()}\n" for line in lines.values()))
    vouched.read.cache_clear()


def renew(store: Store, *, moved: bool) -> int:
    """Make the runs of a store the baseline, and note their source. moved: numbers may move; the list begins anew.

    Raises BadInput where a run failed, the tree was not clean, or runs of the old baseline are gone or have other bits,
    unless moved says that it is meant, or the list has their source already: then torch or the processor moved them,
    and what the list says of sources still holds.
    """
    runs, old = store.records(), _by_id(PUBLISHED)
    found = finding(runs, runs)
    if found.why_not:
        raise BadInput(f"these runs are no baseline: {found.why_not}.")
    still = _listed_yet(old)
    other = [run for run in still if _moved(old[run], runs)]
    anew = bool(other) and found.line.source not in vouched.read(LIST)
    if anew and not moved:
        raise BadInput(
            f"{len(other)} runs of the baseline are gone or have other bits, {other[0]} first. Raise the version of "
            "the cell or dataset whose numbers are meant to move. Where all move, add --moved: older records are stale "
            "then."
        )
    made = publish(store, NAME)
    shutil.rmtree(PUBLISHED, ignore_errors=True)
    shutil.copytree(made, PUBLISHED)
    print(f"published: {_name(PUBLISHED)}, {len(runs)} runs, {len(old.keys() & runs.keys())} of them in the last, too.")
    if anew:
        write_list({})
    return note(runs, runs, check=False)


def _moved(old: Record, runs: Records) -> bool:
    """Whether a run of the old baseline is gone or has other bits, by the id that its command asks for today.

    It is another where an id has come to tell more than it did: what is in a file of the user's, instead of its path.
    """
    today = old["id"]
    if today not in runs:
        with contextlib.suppress(BadInput):
            settled = [f"device={old['device']}", f"backend={old['backend']}"]
            today = prepare([*shlex.split(old["command"] or "")[2:], *settled]).id
    return today not in runs or _ends(runs[today]) != _ends(old)


def _listed_yet(runs: Records) -> list[str]:
    """The runs whose cell and dataset are listed with the versions that they had."""
    today = vouched.Line(source_hash(), *listed())
    return [run for run, record in runs.items() if today.covers(vouched.work_of(record))]


def _by_id(folder: Path) -> dict[str, Record]:
    return {record["id"]: record for record in read_published(folder)}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rnnbench.bench.gate", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("files").add_argument("folder", type=Path)
    noting = commands.add_parser("note")
    noting.add_argument("results", type=Path)
    noting.add_argument("--check", action="store_true", help="write nothing; fail where today's source is not noted")
    publishing = commands.add_parser("publish")
    publishing.add_argument("results", type=Path)
    publishing.add_argument("--moved", action="store_true", help="numbers may move; the list of sources begins anew")
    args = parser.parse_args(words)
    if args.command == "files":
        write_files(args.folder)
        return 0
    store = Store.open(args.results)
    try:
        if wrong := vouched.damaged(LIST):
            raise BadInput(f"{_name(LIST)}, line {wrong[0]}, is damaged (a merge?); mend it first.")
        if args.command == "publish":
            return renew(store, moved=args.moved)
        return note(store.records(), _by_id(PUBLISHED), check=args.check)
    except BadInput as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
