"""Failed runs done again: their records say what they were, whichever command started them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import backends, grants, registry
from rnnbench.runs.compose import last_value
from rnnbench.runs.plan import Job, prepare
from rnnbench.runs.typed_paths import as_hydra_reads
from rnnbench.store.manifests import read_manifest
from rnnbench.store.record import FINAL
from rnnbench.store.results import resolve_own_sweep
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import Plan

# ${oc.env:...}, ${oc.create:...}; not ${optimizer.lr}, another option's value, nor \${a:b}, which is text
RESOLVER = re.compile(r"(?<!\\)(\\\\)*\$\{[^}]*:")
USUAL = ("oom", "timeout", "error", "killed")  # a run that diverged, or was pruned, would do so again


def statuses(text: str) -> frozenset[str]:
    """`oom,killed` as statuses. Raises BadInput on others than those of failed runs."""
    failed = [status for status in FINAL if status != "ok"]
    asked = [word.strip() for word in text.split(",")]
    for word in asked:
        if word not in failed:
            raise BadInput(f"--status {word}: {nearest(word, failed)}")
    return frozenset(asked)


def failed_runs(
    store: Store, name: str | None, wanted: Collection[str], *, elsewhere: bool = False
) -> tuple[Plan, dict[str, str]]:
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
            command, backend = record["command"] or "", record["backend"]
            made.jobs.append(again(record["id"], command, backend=backend, group=name, elsewhere=elsewhere))
        except BadInput as error:
            lost[record["id"]] = str(error)
    return made, lost


def again(
    run_id: str, command: str, *, backend: str | None = None, group: str | None = None, elsewhere: bool = False
) -> Job:
    """The job that a record's command asks for; a record may come from anywhere, and what it asks for is not believed.

    backend: the record's, for a command that leaves it to the rule: a compiler may have come or gone since.
    elsewhere: other machines do it.

    Raises BadInput where that is no longer the same run, or would run code that this command's user has not named:
    modules of a --config-dir, a class of the record's own, a resolver.
    """
    overrides, folders = _parts(command)
    if any(RESOLVER.search(as_hydra_reads(text)) for text in overrides):
        raise BadInput("its command has a value that is to be computed (${...:...}); give that command yourself")
    unnamed = [folder for folder in folders if Path(folder).expanduser().resolve() not in registry.extra_dirs()]
    if backend in backends.WORDS and last_value(overrides, "backend") in (None, "auto"):
        overrides = [*overrides, f"backend={backend}"]
    hint = ""
    if unnamed:
        hint = f"; its command names --config-dir {unnamed[0]}: give it to retry, too, if you trust what is in it"
    try:
        job = prepare([*overrides, "tracker=none"], group=group, elsewhere=elsewhere)
    except BadInput as error:
        raise BadInput(f"{str(error).rstrip('.')}{hint}") from None
    for part in registry.GROUPS:
        for stranger in _strangers(job, part):
            if grants.is_ours_or_an_optimizer(stranger.named):  # optimizer._target_=torch.optim.RAdam
                continue
            raise BadInput(
                f"its command asks for {stranger}; a record's code is not run unasked: give that command yourself"
            )
    if job.id != run_id:
        raise BadInput(
            f"its command makes another run today ({job.id}): its configs or its files have changed since{hint}"
        )
    return job


def _parts(command: str) -> tuple[list[str], list[str]]:
    """A recorded command's overrides, those of trackers left out, and the folders that it names."""
    try:
        words = iter(shlex.split(command)[2:])  # rnnbench run
    except (ValueError, AttributeError):
        raise BadInput("its command cannot be read") from None
    overrides: list[str] = []
    folders: list[str] = []
    for word in words:
        if word == "--config-dir":
            folders.extend(itertools.islice(words, 1))
        elif not word.startswith("tracker"):
            overrides.append(word)
    return overrides, folders


def _strangers(job: Job, group: str) -> Iterator[grants.Stranger]:
    """The classes of a job's group that its chosen yaml does not name."""
    node = job.config.get(group)
    if not isinstance(node, Mapping):
        return iter(())
    meta = node.get("meta")
    name = meta.get("name") if isinstance(meta, Mapping) else node.get("name")
    return grants.strangers(group, str(name), node)
