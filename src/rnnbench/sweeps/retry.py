"""Failed runs done again: their records say what they were, whichever command started them."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Collection, Iterator

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import registry
from rnnbench.runs.plan import Job, prepare
from rnnbench.store.manifests import read_manifest
from rnnbench.store.record import FINAL
from rnnbench.store.results import resolve_own_sweep
from rnnbench.store.store import Store
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
    name = None if name is None else resolve_own_sweep(store, name)
    members = None if name is None else set(read_manifest(store.results, name)["runs"])
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
