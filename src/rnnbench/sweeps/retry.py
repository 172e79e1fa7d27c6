"""Failed runs done again: their records say what they were, whichever command started them."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

from rnnbench.errors import BadInput, nearest
from rnnbench.record import FINAL
from rnnbench.runs import registry
from rnnbench.runs.plan import Job, prepare
from rnnbench.store import Store
from rnnbench.sweeps.plan import Plan

USUAL = ("oom", "timeout", "error", "killed")  # a run that diverged, or was pruned, would do so again


def statuses(text: str) -> frozenset[str]:
    """`oom,killed` as statuses. Raises BadInput on others than those of failed runs."""
    failed = [status for status in FINAL if status != "ok"]
    asked = [word.strip() for word in text.split(",")]
    for word in asked:
        if word not in failed:
            raise BadInput(f"--status {word}: {nearest(word, failed)}")
    return frozenset(asked)


def failed_runs(store: Store, name: str | None, wanted: Collection[str]) -> tuple[Plan, dict[str, str]]:
    """The failed runs of a sweep, or of the whole store, as a plan; and those that cannot be made again, with why.

    A run whose failed record was set aside, by a retry that was interrupted, is still one of them: nothing else resumes
    it. Raises BadInput where no sweep of that name was planned.
    """
    members = None if name is None else set(manifest_runs(store.root.parent, name))
    words = (*([name] if name else []), "--status", ",".join(sorted(wanted)))
    made = Plan(f"{name}.retry" if name else "retry", words, asked=shlex.join(["rnnbench", "retry", *words]))
    lost: dict[str, str] = {}
    seen: set[str] = set()  # a run may go from the one to the other meanwhile
    set_aside = (record for run in store.ids() if (record := store.last_aside(run)) is not None)
    for record in itertools.chain(store.iterate(), set_aside):
        if record["status"] not in wanted or (members is not None and record["id"] not in members):
            continue
        if record["id"] in seen:
            continue
        seen.add(record["id"])
        try:
            made.jobs.append(again(record["id"], record["command"] or "", group=name))
        except BadInput as error:
            lost[record["id"]] = str(error)
    return made, lost


def manifest_runs(results: Path, name: str, *, earlier: bool = False) -> list[str]:
    """The ids of a sweep's runs; earlier: also of the grids that had this name before.

    Raises BadInput where there is no such sweep.
    """
    folder = results / "sweeps"
    try:
        known = json.loads((folder / f"{name}.json").read_text())
        return [str(run) for run in [*known["runs"], *(known.get("earlier", ()) if earlier else ())]]
    except FileNotFoundError:
        known = sorted(path.stem for path in folder.glob("*.json"))
        hint = nearest(name, known) if known else "none was started here."
        raise BadInput(f"no sweep {name!r} in {folder}; {hint}") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(
            f"{folder / name}.json is no manifest of a sweep: start the sweep again, it is rewritten."
        ) from None


def all_manifest_runs(results: Path) -> set[str]:
    """The ids of every sweep's runs, of today's grids and of earlier ones.

    Raises BadInput on a manifest that cannot be read.
    """
    names = [path.stem for path in (results / "sweeps").glob("*.json")]
    return {run for name in names for run in manifest_runs(results, name, earlier=True)}


def again(run_id: str, command: str, *, group: str | None = None) -> Job:
    """The job that a record's command asks for. Raises BadInput where that is no longer the same run."""
    words = shlex.split(command)[2:]  # rnnbench run
    job = prepare([*_overrides(words), "tracker=none"], group=group)
    if job.id != run_id:
        raise BadInput(f"its command makes another run today ({job.id}): its configs have changed since")
    return job


def _overrides(words: list[str]) -> Iterator[str]:
    """A command's overrides; the folders that it names become part of the registry."""
    rest = iter(words)
    for word in rest:
        if word == "--config-dir":
            registry.add_config_dir(next(rest))
        else:
            yield word
