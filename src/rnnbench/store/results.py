"""Which runs a name means: a sweep of the store, a published set or a folder."""

from __future__ import annotations

from pathlib import Path

from rnnbench.errors import BadInput, nearest
from rnnbench.store.published import published
from rnnbench.store.store import Store


def locate(store: Store, name: str) -> tuple[Store | Path, bool]:
    """Where the runs of a name lie, and whether they are those of a sweep alone; nothing of it is read.

    A name is a sweep of the store, else a published set, else a folder: a results folder, its runs/, or a published
    set. Raises BadInput where it is none.
    """
    results = store.root.parent
    if (results / "sweeps" / f"{name}.json").is_file():
        return store, True
    frozen = published(results)
    if name in frozen:
        return frozen[name], False
    folder = Path(name)
    if (folder / "records.jsonl").is_file():
        return folder, False
    if (folder / "runs").is_dir():
        return Store(folder / "runs"), False
    if folder.is_dir() and next(folder.glob("*/record.json"), None):
        return Store(folder), False
    known = {*frozen, *(path.stem for path in (results / "sweeps").glob("*.json"))}
    hint = nearest(name, known) if known else "nothing was run or published here."
    raise BadInput(f"no sweep, published set or folder with runs is called {name!r}; {hint}")
