"""`rnnbench frames NAME`: from a sweep, a published set or one run to pictures of what its networks predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.predictions.published import CLIPS, draw, published_sheets
from rnnbench.reports.predictions.sheets import Sheet, choose, of_frames, seeds_shown, with_samples
from rnnbench.store.manifests import read_manifest
from rnnbench.store.published import published, read_published
from rnnbench.store.record import RecordError
from rnnbench.store.rows import part
from rnnbench.store.samples import FIGURES, FILE, PREFIX, SAMPLES
from rnnbench.store.store import Store


@dataclass(frozen=True)
class Asked:
    """What a name stands for. folder, prefix: where pictures go by default; path: run -> its samples file.

    missing: the runs to show whose samples are to be made first, from their weights (`rnnbench.runs.samples`).
    """

    name: str
    folder: Path
    prefix: str
    sheets: Sequence[Sheet]
    path: Callable[[str], Path]
    missing: Sequence[str] = ()
    remarks: list[str] = field(default_factory=list)


def ask(store: Store, name: str, seed: int | None = None) -> Asked:
    """Find a sweep, a published set (where there is no sweep of that name) or a run by its id or the beginning of it.

    seed: which run of every entry; see `choose`. Raises BadInput where there is none, or nothing of frames in it.
    """
    results = store.root.parent
    frozen = published(results)
    if (results / "sweeps" / f"{name}.json").exists():
        return ask_sweep(store, name, seed)
    if name in frozen:
        return _ask_published(frozen[name], name, seed)
    if name and any(run.startswith(name) for run in store.ids()):
        return _ask_run(store, store.find(name), seed)
    known = {*frozen, *(path.stem for path in (results / "sweeps").glob("*.json"))}
    hint = nearest(name, known) if known else "`rnnbench run dataset=moving_digits cell=convlstm` makes a first run."
    raise BadInput(f"no sweep, published set or run {name!r} in {results}; {hint}")


def ask_sweep(store: Store, name: str, seed: int | None = None) -> Asked:
    """The finished runs of a sweep. Raises BadInput where it has none of frames."""
    manifest = read_manifest(store.root.parent, name)
    found = store.records()
    records = [found[run] for run in manifest["runs"] if run in found]
    remarks = [f"left out: {problem}" for problem in store.problems.values()]
    if not records:
        raise BadInput(f"no run of {name} is finished; start it: {manifest['command']}")
    if lacking := len(manifest["runs"]) - len(records):
        remarks.append(
            f"{lacking} of the {len(manifest['runs'])} runs of {name} are not finished: {manifest['command']}"
        )
    return _of_store(store, name, records, seed, remarks)


def _ask_run(store: Store, run: str, seed: int | None) -> Asked:
    record = store.read(run)
    if record is None:
        raise BadInput(f"run {run} is not finished; `rnnbench show {run}` says how to go on with it.")
    if record["status"] != "ok":
        raise BadInput(f"run {run} ended as {record['status']} ({record['reason']}): it has no predictions to show.")
    return _of_store(store, run, [record], seed, [])


def _of_store(
    store: Store, name: str, records: Sequence[Mapping[str, Any]], seed: int | None, remarks: list[str]
) -> Asked:
    sheets = _some(choose(records, seed), name, records, seed)
    runs = [row.run for sheet in sheets for row in sheet.rows if row.run]
    missing = [run for run in runs if not (store.folder(run) / FILE).exists()]
    folder = store.root.parent / "tables" / f"frames_{name}"
    return Asked(name, folder, "", sheets, lambda run: store.folder(run) / FILE, missing, remarks)


def _ask_published(folder: Path, name: str, seed: int | None) -> Asked:
    records = read_published(folder)
    sheets = published_sheets(folder, records, seed)
    if not sheets and any(map(of_frames, records)):
        kept = sorted({int(r["seed"]) for s in published_sheets(folder, records) for row in s.rows
                       for r in records if r["id"] == row.run})  # fmt: skip
        if kept:
            raise BadInput(f"the published set {name} keeps predictions of seed {', '.join(map(str, kept))} only.")
        raise BadInput(f"the published set {name} was frozen without predictions; publish it again to add them.")
    sheets = _some(sheets, name, records, seed)
    return Asked(name, folder / FIGURES, PREFIX, sheets, lambda run: folder / SAMPLES / f"{run}.npz")


def _some(sheets: list[Sheet], name: str, records: Sequence[Mapping[str, Any]], seed: int | None) -> list[Sheet]:
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
        return ask_sweep(store, sweep).missing
    except (BadInput, RecordError):  # unfinished, or no frames: publishing says what there is to say
        return ()
