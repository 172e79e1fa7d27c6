"""Runs from Python: one, a whole sweep, or what a sweep would do. The caller's process is left as it was."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.face.handed import HandedOver, handed
from rnnbench.face.surroundings import undisturbed
from rnnbench.face.views import View, section, table
from rnnbench.face.words import Words, overrides_of
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.frames import typed_frame
from rnnbench.store.manifests import skipped_lines
from rnnbench.store.record import FINAL, Record

if TYPE_CHECKING:
    from rnnbench.reports.tables.table import Table
    from rnnbench.sweeps.outcomes import Result
    from rnnbench.sweeps.plan import Plan as Made
    from rnnbench.sweeps.sweep import Sweep

SHOWN = 12  # runs of a plan, and failures of a sweep, that are shown; the frames have all
STALE = 'stale="accept"', 'stale="rerun"'  # what the command line calls --accept-stale and --rerun-stale
PLAN_COLUMNS = {
    "id": "str", "state": "str", "status": "str", "title": "str", "dataset": "str", "seed": "Int64", "reason": "str",
    "seconds": "float64", "estimated_from": "str", "command": "str",
}  # fmt: skip
FAILURE_COLUMNS = {"id": "str", "title": "str", "status": "str", "reason": "str"}


def run(
    *overrides: Words,
    results: str | Path | None = None,
    config_dir: str | Path | None = None,
    retry: bool = False,
    rerun: bool = False,
    data: HandedOver | None = None,
    **named: Any,
) -> Record:
    """Train and test one network in this process, and return its record.

    ``run("cell=gru dataset=digits")``, ``run(["cell=gru", "dataset=digits"])`` and ``run(cell="gru",
    dataset="digits")`` are one run: words as on the command line, or keywords (``**{"optimizer.lr": 0.01}`` for an
    option with a dot). A run that is recorded already is not repeated: its record is returned, with a warning where
    other source or data made it. A run that fails by itself (it diverges, it is out of memory) is a record as well:
    look at ``status`` and ``reason``. There is no tracker unless one is named.

    results: the store; default RNNBENCH_RESULTS, else ``results/``. config_dir: a folder with cells or datasets of your
    own. retry: do a failed or stale run again; its old record is set aside. rerun: the same of any recorded run. data:
    of your own, from memory or a path; see `sweep`.

    Raises BadInput on what cannot be done, MissingData where a dataset's file is missing, Interrupted at a Ctrl-C (the
    checkpoint is written, and the same call resumes), runs.attempts.TakenOver where this process was suspended and
    another machine's goes on with the run.
    """
    words = overrides_of(overrides, named)
    if retry and rerun:
        raise BadInput("rerun=True does a recorded run again, however it ended; leave retry out.")
    with undisturbed(torch=True):
        from rnnbench.runs import readings, registry
        from rnnbench.runs.plan import prepare
        from rnnbench.runs.run import attempt
        from rnnbench.store.store import Store
        from rnnbench.sweeps.stale import recorded

        words = handed(taken(words, config_dir), data)
        registry.refuse_experiment(words, 'rnnbench.sweep("{}")', "`rnnbench tune {}` on the command line")
        job, store = prepare(untracked(words)), Store.open(results)
        record, stale = recorded(job, store, retry=retry, rerun=rerun)
        if record is None:
            readings.of(job.config, fetch=True)
            return attempt(job, store)
    if stale:
        warnings.warn(f"run {job.id} is stale: {stale}; retry=True does it again", stacklevel=2)
    return record


def taken(words: Sequence[str], config_dir: str | Path | None) -> list[str]:
    """The overrides, after the caller's own config folders have become part of the registry."""
    from rnnbench.runs import compose, registry, typed_paths

    compose.defaults.cache_clear()  # this process may be an old one, and a yaml of the caller's have changed since
    typed_paths.forget()
    if config_dir is not None:
        registry.add_config_dir(config_dir)
    registry.import_extra_dirs()
    return registry.take_search_path(words)


def untracked(words: Sequence[str]) -> list[str]:
    """The overrides without a live tracker, unless they name one."""
    named = any(word.partition("=")[0].lstrip("+") == "tracker" for word in words)
    return [*words] if named else [*words, "tracker=none"]


@dataclass(frozen=True, eq=False, repr=False)
class Plan(View):
    """What a sweep would do.

    frame: a row a run: id, state (new, interrupted, running, done, failed, stale, damaged), status, title, dataset,
    seed, reason, seconds (what it will take, where that can be told), estimated_from, command. counts: runs by state.
    todo: how many the sweep would do now; eta_seconds: what they take on so many workers, None where nothing like them
    is recorded; core_hours; unknown: how many of them cannot be estimated. skipped: cells of the grid whose axes do
    not go together, by reason. command: the same on the command line.
    """

    name: str | None
    command: str
    frame: pd.DataFrame
    counts: Mapping[str, int]
    todo: int
    workers: int
    eta_seconds: float | None
    core_hours: float | None
    unknown: int
    skipped: Mapping[str, int]
    remarks: tuple[str, ...] = ()

    def shown(self) -> list[Table]:
        """Its runs, a dozen of them."""
        rows = [{"state": row.state, "run": row.title, "id": row.id} for row in self.frame.head(SHOWN).itertuples()]
        more = len(self.frame) - len(rows)
        notes = [f"and {more} runs more"] * (more > 0)
        return [table("plan", self.frame, [section(self.name or "sweep", rows, notes)], ("state", "run", "id"))]


def plan(
    *overrides: Words,
    results: str | Path | None = None,
    config_dir: str | Path | None = None,
    name: str | None = None,
    workers: int | None = None,
    data: HandedOver | None = None,
    **named: Any,
) -> Plan:
    """What `sweep` with the same words would do, run by run, and what it costs by past records. Runs nothing.

    results, config_dir, name, data: as of `sweep`. workers: runs at once, for the ETA; default: the cores. Raises
    BadInput.
    """
    words = overrides_of(overrides, named)
    _at_least_one(workers=workers)
    with undisturbed(torch=False):
        from rnnbench.store.store import Store
        from rnnbench.sweeps.outlook import as_data, look_ahead, summary
        from rnnbench.sweeps.plan import plan as planned
        from rnnbench.sweeps.sweep import available_cores

        made = planned(handed(taken(words, config_dir), data), name=name)
        found = look_ahead(made, Store.open(results), workers or available_cores())
        said = as_data(found)
        kept = ("name", "command", "counts", "todo", "workers", "eta_seconds", "core_hours", "unknown")
        return Plan(
            frame=typed_frame(said["runs"], PLAN_COLUMNS), skipped=made.skip_reasons(),
            remarks=tuple(line.strip() for line in summary(found)), **{key: said[key] for key in kept},
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult(View):
    """How a sweep ended.

    name: selects its runs (``leaderboard(result.name)``). counts: runs by status, those without a record as ``open``.
    frame: the records of its runs, those that were there before as well; columns as `records` has them. failures: id,
    title, status and reason of every run that is not ok. skipped: cells whose axes do not go together, by reason.
    interrupted: by a Ctrl-C or a limit; stopped: the reason in a sentence. command: the same on the command line; given
    again, it resumes what is open.
    """

    name: str
    command: str
    frame: pd.DataFrame
    counts: Mapping[str, int]
    failures: pd.DataFrame
    skipped: Mapping[str, int]
    interrupted: bool
    stopped: str | None
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every run has a result."""
        return self.failures.empty and not self.interrupted and self.stopped is None

    def shown(self) -> list[Table]:
        """The counts, and what failed."""
        rows = [{"status": status, "runs": count} for status, count in self.counts.items()]
        sections = [section(self.name, rows)]
        if lost := self.failures.head(SHOWN).to_dict("records"):
            sections.append(section("not ok", [{str(key): value for key, value in row.items()} for row in lost]))
        return [table("sweep", self.frame, sections, ("status", *FAILURE_COLUMNS))]


def sweep(
    *overrides: Words,
    results: str | Path | None = None,
    config_dir: str | Path | None = None,
    name: str | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    stale: Literal["accept", "rerun"] | None = None,
    rerun: bool = False,
    timeout: str | float | None = None,
    memory: str | int | None = None,
    limit: str | None = None,
    max_failures: int | None = None,
    gpus: Sequence[int] | None = None,
    per_gpu: int | None = None,
    executor: Literal["local", "ray", "slurm"] = "local",
    executor_options: Mapping[str, str] | None = None,
    progress: bool = False,
    data: HandedOver | None = None,
    **named: Any,
) -> SweepResult:
    """Do every run of a grid that is not recorded yet, each in a process of its own; the same call resumes.

    ``sweep("cell=rnn,lstm dataset=digits seed=range(3)")``, ``sweep(cell=["rnn", "lstm"], dataset="digits",
    seed=range(3))`` or a named one, ``sweep(experiment="quickstart")``. It needs no ``if __name__ == "__main__":`` and
    works in a notebook. A Ctrl-C lets the running ones write their checkpoints and returns, too.

    results: the store; config_dir: a folder with cells or datasets of your own; as of `run`.
    name: of the sweep, for `leaderboard` and the like; default: the experiment's, else a hash. workers: runs at once;
    default: the cores. retry_failed: do failed runs again. stale: what to do about records of other source or data:
    count them as done, or do them again. rerun: do every recorded run again, old records set aside. timeout ("20m") and
    memory ("4G"): of each run; limit ("4h", "200runs"), max_failures: of the sweep. gpus, per_gpu: which GPUs, and runs
    at once on each. executor, executor_options: where the runs are done. progress: show it on the error stream as the
    command does; without, nothing is printed.

    data: your own, ``sweep(experiment="own_series", data=frame)``: a path; a DataFrame (dataset=own_series unless words
    name another), arrays by name as a npz holds them (own_sequences), a text of several lines or a list of texts
    (own_text). What is in memory is written once to the user's cache, by its content, and dataset.path names that file.
    What was read of it stands in `remarks`.

    Raises BadInput before anything runs; a run that fails is in `failures`.
    """
    words = overrides_of(overrides, named)
    _at_least_one(workers=workers, per_gpu=per_gpu, max_failures=max_failures)
    if stale not in (None, "accept", "rerun"):
        raise BadInput(f"stale={stale!r}: write {' or '.join(STALE)}, or leave it out.")
    if rerun and (stale is not None or retry_failed):
        raise BadInput("rerun=True does every recorded run again, stale and failed ones as well; leave the other out.")
    with undisturbed(torch=False):
        from rnnbench.runs.host import passive_threads
        from rnnbench.sweeps.executors import check_options
        from rnnbench.sweeps.limits import Limit, Limits, duration
        from rnnbench.sweeps.limits import memory as size
        from rnnbench.sweeps.plan import plan as planned
        from rnnbench.sweeps.sweep import Sweep

        passive_threads()  # of the workers, which are started with this environment, as the command's are
        made = planned(handed(taken(words, config_dir), data), name=name, elsewhere=executor != "local")
        read = made.readings(fetch=executor == "local")
        options = dict(executor_options or {})
        check_options(executor, options, gpus, per_gpu)
        limits = Limits(
            duration(timeout) if isinstance(timeout, str) else timeout,
            size(memory) if isinstance(memory, str) else memory,
            None if limit is None else Limit.read(limit),
            max_failures,
        )
        doing = Sweep(
            made, results, workers=workers, retry_failed=retry_failed, limits=limits, gpus=gpus, per_gpu=per_gpu,
            executor=executor, options=options, stale=stale, rerun=rerun,
        )  # fmt: skip
        return _ended(made, _done(doing, progress), read)


def _at_least_one(**counts: int | None) -> None:
    """Raises BadInput on an option that is no whole number of at least 1; None is the default of each."""
    for name, value in counts.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise BadInput(f"{name} must be a whole number of at least 1, not {value!r}.")


def _done(doing: Sweep, progress: bool) -> Result:
    from rich.console import Console

    from rnnbench.sweeps.display import Display

    quiet = None if progress else Display(len(doing.plan.jobs), doing.workers, Console(quiet=True))
    try:
        return doing.run(quiet)
    except BadInput as error:
        said = str(error).replace("--accept-stale", STALE[0]).replace("--rerun-stale", STALE[1])
        raise BadInput(said) from None


def _ended(made: Made, result: Result, read: Sequence[str]) -> SweepResult:
    skipped = made.skip_reasons()
    remarks = [*read, *skipped_lines(skipped), *made.notes(), *result.remarks]
    if result.stopped:
        remarks.append(f"stopped: {result.stopped}")
    return SweepResult(
        name=made.key, command=made.command, frame=records_frame(result.records.values()), counts=_counts(result),
        failures=typed_frame(_failures(made, result), FAILURE_COLUMNS), skipped=skipped, interrupted=result.interrupted,
        stopped=result.stopped, remarks=tuple(remarks),
    )  # fmt: skip


def _counts(result: Result) -> dict[str, int]:
    """Runs by status, in the order of statuses, those without a record last."""
    found = Counter(record["status"] for record in result.records.values())
    counts = {status: found[status] for status in FINAL if found[status]}
    return counts | ({"open": len(result.open)} if result.open else {})


def _failures(made: Made, result: Result) -> list[dict[str, Any]]:
    """Every run that is not ok, by `FAILURE_COLUMNS`."""
    titles = {job.id: job.title for job in made.jobs}
    lost = [
        (run, record["status"], record["reason"])
        for run, record in result.records.items()
        if record["status"] != "ok"
    ]  # fmt: skip
    lost += [(run, "open", why) for run, why in result.open.items()]
    return [
        {"id": run, "title": titles.get(run, ""), "status": status, "reason": why or ""} for run, status, why in lost
    ]
