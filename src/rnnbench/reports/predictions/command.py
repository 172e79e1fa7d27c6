"""`rnnbench frames NAME`: from a sweep, a published set or one run to pictures of what its networks predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.reports.predictions.figures import CLIPS, draw
from rnnbench.reports.predictions.sheets import Sheet, choose, of_frames, published_sheets, seeds_shown, with_samples
from rnnbench.store.gathered import gather
from rnnbench.store.record import Record, RecordError
from rnnbench.store.results import Found, Run, default_folder, resolve, resolve_sweep
from rnnbench.store.rows import part
from rnnbench.store.samples import FIGURES, FILE, PREFIX, SAMPLES
from rnnbench.store.store import Store


@dataclass(frozen=True)
class Asked:
    """What a name stands for. folder, prefix: where pictures go by default; path: run -> its samples file.

    missing: the runs to show whose samples are to be made first, from their weights in `store`
    (`rnnbench.runs.samples`).
    """

    name: str
    folder: Path
    prefix: str
    sheets: Sequence[Sheet]
    path: Callable[[str], Path]
    store: Store
    missing: Sequence[str] = ()
    remarks: list[str] = field(default_factory=list)


def ask(store: Store, name: str, seed: int | None = None) -> Asked:
    """Find what a name means (`store.results`): of a sweep, a published set, a folder or one run.

    seed: which run of every entry; see `choose`. Raises BadInput where there is none, or nothing of frames in it.
    """
    found = resolve(store, name)
    if isinstance(found.where, Store):
        return _of_store(store, found.where, found, seed)
    return _of_published(store, found.where, found, seed)


def _of_store(mine: Store, store: Store, found: Found, seed: int | None) -> Asked:
    """The pictures of runs of a store. mine: where they are drawn."""
    gathered = gather(found)
    records = gathered.records
    if not records:
        raise BadInput(f"no run of {found.label} is finished" + f"; start it: {gathered.command}" * bool(gathered.head))
    if isinstance(found, Run) and records[0]["status"] != "ok":
        status, reason = records[0]["status"], records[0]["reason"]
        raise BadInput(f"run {found.name} ended as {status} ({reason}): it has no predictions to show.")
    sheets = _some(choose(records, seed), found.label, records, seed)
    runs = [row.run for sheet in sheets for row in sheet.rows if row.run]
    missing = [run for run in runs if not (store.folder(run) / FILE).exists()]
    folder = default_folder(mine, found, f"frames_{found.name}")
    return Asked(found.name, folder, "", sheets, lambda run: store.folder(run) / FILE, store, missing, gathered.remarks)


def _of_published(mine: Store, folder: Path, found: Found, seed: int | None) -> Asked:
    """The pictures of a published set, or of one run of it. mine: where they are drawn, if the set is not of mine."""
    gathered = gather(found)
    records = gathered.records
    sheets = published_sheets(folder, records, seed)
    if not sheets and any(map(of_frames, records)):
        kept = sorted({int(r["seed"]) for s in published_sheets(folder, records) for row in s.rows
                       for r in records if r["id"] == row.run})  # fmt: skip
        if kept:
            seeds = ", ".join(map(str, kept))
            raise BadInput(f"the published set {found.label} keeps predictions of seed {seeds} only.")
        raise BadInput(
            f"the published set {folder.resolve().name} was frozen without predictions"
            + (f" of run {found.name}." if isinstance(found, Run) else "; publish it again to add them.")
        )
    sheets = _some(sheets, found.label, records, seed)
    target = default_folder(mine, found, f"frames_{found.name}", FIGURES)
    prefix = PREFIX if target == folder / FIGURES else ""
    return Asked(
        found.name, target, prefix, sheets, lambda run: folder / SAMPLES / f"{run}.npz", mine, (), gathered.remarks
    )


def _some(sheets: list[Sheet], name: str, records: Sequence[Record], seed: int | None) -> list[Sheet]:
    """The sheets. Raises BadInput, with the reason, where there are none."""
    if sheets:
        return sheets
    if not any(map(of_frames, records)):
        datasets = sorted({str(part(record, "dataset").get("name")) for record in records})
        raise BadInput(
            f"no run of {name} predicts frames (dataset: {', '.join(datasets)}); `rnnbench list datasets` names those "
            "that do."
        )
    seeds = seeds_shown(records)
    if seed is not None and seeds:
        raise BadInput(f"no run of {name} with seed {seed} ended ok; seeds that did: {', '.join(map(str, seeds))}.")
    raise BadInput(f"no run of {name} that predicts frames ended ok: there is nothing to show.")


def draw_asked(
    asked: Asked,
    output: str | Path | None = None,
    *,
    clips: int | None = None,
    problems: Mapping[str, str] | None = None,
) -> tuple[list[Path], list[str]]:
    """Draw what was asked for: (the files written, remarks for the error stream).

    output: the folder, by default the one of `asked`. clips: how many of the kept ones, by default 2. problems: by run,
    why its samples could not be made. Raises BadInput where nothing can be shown, or not so many clips.
    """
    problems = problems or {}
    sheets, lacks = with_samples(asked.sheets, asked.path)
    if not sheets:
        raise BadInput(next(iter([*problems.values(), *lacks])))
    kept = min(len(sheet.shown.clips) for sheet in sheets)
    if clips is None:
        clips = min(kept, CLIPS)
    elif clips > kept:
        raise BadInput(f"the runs of {asked.name} keep {kept} test clips each; --clips takes at most {kept}.")
    folder, prefix = (Path(output), "") if output else (asked.folder, asked.prefix)
    folder.mkdir(parents=True, exist_ok=True)
    files = draw(sheets, folder, prefix, clips)
    said = [f"left out: {problem}" for problem in problems.values()]
    paths = [str(asked.path(run)) for run in problems]
    unsaid = [lack for lack in lacks if not any(path in lack for path in paths)]
    return files, [*asked.remarks, *said, *unsaid]


def to_make(store: Store, sweep: str) -> Sequence[str]:
    """The runs whose samples a sweep's publication would freeze and that have none yet; none where it cannot be yet."""
    try:
        return _of_store(store, store, resolve_sweep(store, sweep), None).missing
    except (BadInput, RecordError):  # unfinished, or no frames: publishing says what there is to say
        return ()
