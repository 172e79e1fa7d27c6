"""`rnnbench predictions NAME`: from a sweep, a published set or one run to pictures of what its networks predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.reports.predictions.figures import countable, draw
from rnnbench.reports.predictions.sheets import Sheet, choose, of_frames, published_sheets, seeds_shown, with_samples
from rnnbench.store.gathered import gather
from rnnbench.store.record import Record, RecordError
from rnnbench.store.results import Found, Run, default_folder, resolve, resolve_sweep
from rnnbench.store.rows import part
from rnnbench.store.samples import FIGURES, FILE, SAMPLES
from rnnbench.store.store import Store


@dataclass(frozen=True)
class Asked:
    """What a name stands for. folder: where pictures go by default; path: run -> its samples file.

    published: that folder is a published set's, where a picture's name says that it is one of predictions. missing: the
    runs to show whose samples are to be made first, from their weights in `store` (`rnnbench.runs.samples`).
    """

    name: str
    folder: Path
    published: bool
    sheets: Sequence[Sheet]
    path: Callable[[str], Path]
    store: Store
    missing: Sequence[str] = ()
    remarks: list[str] = field(default_factory=list)


def ask(store: Store, name: str, seed: int | None = None, *, frames_only: bool = True) -> Asked:
    """Find what a name means (`store.results`): of a sweep, a published set, a folder or one run.

    seed: which run of every entry; see `choose`. frames_only: runs that predict frames, and no others. Raises BadInput
    where there is none, or nothing to show in it.
    """
    found = resolve(store, name)
    if isinstance(found.where, Store):
        return _of_store(store, found.where, found, seed, frames_only)
    return _of_published(store, found.where, found, seed, frames_only)


def _of_store(mine: Store, store: Store, found: Found, seed: int | None, frames_only: bool) -> Asked:
    """The pictures of runs of a store. mine: where they are drawn."""
    gathered = gather(found)
    records = gathered.records
    if not records:
        raise BadInput(f"no run of {found.label} is finished" + f"; start it: {gathered.command}" * bool(gathered.head))
    if isinstance(found, Run) and records[0]["status"] != "ok":
        status, reason = records[0]["status"], records[0]["reason"]
        raise BadInput(f"run {found.name} ended as {status} ({reason}): it has no predictions to show.")
    shown = _of_kind(records, frames_only)
    sheets = _some(choose(shown, seed), found.label, records, seed, frames_only)
    runs = [row.run for sheet in sheets for row in sheet.rows if row.run]
    missing = [run for run in runs if not (store.folder(run) / FILE).exists()]
    folder = default_folder(mine, found, _folder(found, frames_only))
    return Asked(
        found.name, folder, False, sheets, lambda run: store.folder(run) / FILE, store, missing, gathered.remarks
    )


def _folder(found: Found, frames_only: bool) -> str:
    return f"{'frames' if frames_only else 'predictions'}_{found.name}"


def _of_kind(records: Sequence[Record], frames_only: bool) -> list[Record]:
    return [record for record in records if of_frames(record) or not frames_only]


def _of_published(mine: Store, folder: Path, found: Found, seed: int | None, frames_only: bool) -> Asked:
    """The pictures of a published set, or of one run of it. mine: where they are drawn, if the set is not of mine."""
    gathered = gather(found)
    records = gathered.records
    shown = _of_kind(records, frames_only)
    sheets = published_sheets(folder, shown, seed)
    if not sheets and shown:
        kept = sorted({int(r["seed"]) for s in published_sheets(folder, shown) for row in s.rows
                       for r in shown if r["id"] == row.run})  # fmt: skip
        if kept:
            seeds = ", ".join(map(str, kept))
            raise BadInput(f"the published set {found.label} keeps predictions of seed {seeds} only.")
        raise BadInput(
            f"the published set {folder.resolve().name} was frozen without predictions"
            + (f" of run {found.name}." if isinstance(found, Run) else "; publish it again to add them.")
        )
    sheets = _some(sheets, found.label, records, seed, frames_only)
    target = default_folder(mine, found, _folder(found, frames_only), FIGURES)
    return Asked(
        found.name, target, target == folder / FIGURES, sheets, lambda run: folder / SAMPLES / f"{run}.npz", mine, (),
        gathered.remarks,
    )  # fmt: skip


def _some(
    sheets: list[Sheet], name: str, records: Sequence[Record], seed: int | None, frames_only: bool
) -> list[Sheet]:
    """The sheets. Raises BadInput, with the reason, where there are none."""
    if sheets:
        return sheets
    shown = _of_kind(records, frames_only)
    if not shown:
        datasets = sorted({str(part(record, "dataset").get("name")) for record in records})
        raise BadInput(
            f"no run of {name} predicts frames (dataset: {', '.join(datasets)}); `rnnbench predictions {name}` shows "
            "what they predict."
        )
    seeds = seeds_shown(shown)
    if seed is not None and seeds:
        raise BadInput(f"no run of {name} with seed {seed} ended ok; seeds that did: {', '.join(map(str, seeds))}.")
    frames = " that predicts frames" * frames_only
    raise BadInput(f"no run of {name}{frames} ended ok: there is nothing to show.")


def draw_asked(
    asked: Asked,
    output: str | Path | None = None,
    *,
    clips: int | None = None,
    problems: Mapping[str, str] | None = None,
) -> tuple[list[Path], list[str]]:
    """Draw what was asked for: (the files written, remarks for the error stream).

    output: the folder, by default the one of `asked`. clips: how many of the kept clips or other items, by default what
    a picture of their kind has room for. problems: by run, why its samples could not be made. Raises BadInput where
    nothing can be shown, or not so many clips.
    """
    problems = problems or {}
    sheets, lacks = with_samples(asked.sheets, asked.path)
    if not sheets:
        raise BadInput(next(iter([*problems.values(), *lacks])))
    kept = min((count for sheet in sheets if (count := countable(sheet.first))), default=None)
    if clips is not None and kept is not None and clips > kept:
        raise BadInput(f"the runs of {asked.name} keep {kept} test clips each; --clips takes at most {kept}.")
    folder, published = (Path(output), False) if output else (asked.folder, asked.published)
    folder.mkdir(parents=True, exist_ok=True)
    files = draw(sheets, folder, published=published, clips=clips)
    said = [f"left out: {problem}" for problem in problems.values()]
    paths = [str(asked.path(run)) for run in problems]
    unsaid = [lack for lack in lacks if not any(path in lack for path in paths)]
    return files, [*asked.remarks, *said, *unsaid]


def to_make(store: Store, sweep: str) -> Sequence[str]:
    """The runs on frames whose samples a sweep's publication would freeze and that have none yet; none where it cannot
    be yet. Of other runs a publication freezes what there is."""
    try:
        return _of_store(store, store, resolve_sweep(store, sweep), None, True).missing
    except (BadInput, RecordError):  # unfinished, or no frames: publishing says what there is to say
        return ()
