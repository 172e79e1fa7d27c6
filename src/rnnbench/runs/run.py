"""One run from its job to its record. No exit code and no exception is trusted as success: the record is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from torch import nn

from rnnbench import toolchain
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.spec import Data, Split, data_hash
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput, disk_full
from rnnbench.nn import Cell, Rival, count_params, count_state, flops_per_step
from rnnbench.runs import attempts, build, checkpoint, demand, host, own_files, own_source, readings, registry, samples
from rnnbench.runs.load import load_model
from rnnbench.runs.observed import ItemOutcomes, Observed
from rnnbench.runs.observed import keep as keep_outcomes
from rnnbench.runs.plan import Job, prepare
from rnnbench.runs.recording import Facts, make_record, now, write_first
from rnnbench.runs.source_hash import source_hash
from rnnbench.runs.watch import MadeBy, ProgressLine, RunHooks, StopRequest
from rnnbench.store.config import Config
from rnnbench.store.outcomes import FILE as OUTCOMES_FILE
from rnnbench.store.record import OPEN, Diagnostics, Record
from rnnbench.store.samples import FILE as SAMPLES_FILE
from rnnbench.store.store import Store, write_atomic
from rnnbench.tracking import RunInfo, Tracker, make_tracker
from rnnbench.training import Diverged, Interrupted, TimedOut
from rnnbench.training.diagnostics import gradient_diagnostics, norm_statistics, summary
from rnnbench.training.evaluate import Observer, evaluate
from rnnbench.training.fit import fit
from rnnbench.training.module import FitModule

HORIZON_FILE = "horizon.json"  # of a forecast: its errors by step and by column
DIAGNOSED, DIAGNOSED_CLIPS = 64, 16  # sequences, or clips of frames, that the gradient diagnostics look at


class Busy(BadInput):
    """A living process is doing this very run."""


class OutOfMemory(Exception):
    """A run's memory was not enough, for the first time: nothing is recorded yet, its sweep tries it once more."""


def run(overrides: Sequence[str], *, results: str | Path | None = None, tracker: str = "none") -> Record:
    """Do one run in this process and return its record; a recorded one is returned as it is.

    tracker: which one, unless the overrides name it. Raises BadInput; Interrupted after Ctrl-C (resumable).
    """
    overrides = registry.take_search_path(overrides)
    if not any(o.partition("=")[0].lstrip("+") == "tracker" for o in overrides):
        overrides = [*overrides, f"tracker={tracker}"]
    job, store = prepare(overrides), Store.open(results)
    if (record := store.read(job.id)) is not None:
        return record
    return attempt(job, store)


def attempt(
    job: Job, store: Store, *, stop: StopRequest | None = None, own_output: bool = False, oom_again: bool = False,
    told: bool = False,
) -> Record:  # fmt: skip
    """Claim a job, do it, write its record. A run that fails by itself is a record too, with its reason.

    own_output: send this process's stdout and stderr to the attempt's folder (a sweep's worker).
    told: say on the error stream what data was read; a sweep's worker says it to its folder.
    oom_again: the first time that memory is not enough raises OutOfMemory instead.

    Raises Busy, BadInput (nothing recorded: the run was never possible), Interrupted (resumable), the system's OSError
    where nothing can be written (resumable), and attempts.TakenOver where this process was suspended for so long that
    another has taken it for dead: it has written nothing since, and the run goes on there.
    """
    stop = stop or StopRequest()
    tracker = make_tracker(job.config["tracker"], warn=_warn)  # before the claim: its options may be wrong
    claim = _claim(job, store, stop)
    if own_output:
        _redirect(claim.folder / "stdout.txt")
    facts: Facts = {"reason": ""}
    trace = None
    try:
        if (record := store.read(job.id)) is not None:  # it was finished between the look and the claim
            claim.close(record["status"], "already recorded")
            return record
        with stop.on_signals():
            _execute(job, claim, facts, tracker, stop, told=own_output or told)
        status = "ok"
    except Interrupted as error:
        if not stop.pruned:
            _leave(claim, tracker, "interrupted", str(error))
            raise
        status, facts["reason"] = "pruned", str(error)
    except KeyboardInterrupt:
        _leave(claim, tracker, "interrupted", "Ctrl-C")
        raise
    except BadInput as error:
        _leave(claim, tracker, "refused", str(error))
        raise
    except attempts.TakenOver:
        tracker.finish(None, ok=False)
        raise
    except Exception as error:
        _leave_where_lost(claim, tracker)
        trace = traceback.format_exc()
        status, facts["reason"] = _classify(error)
        if oom_again and status == "oom" and not attempts.out_of_memory(store.folder(job.id)):
            _leave(claim, tracker, "oom", facts["reason"], trace)
            raise OutOfMemory(facts["reason"]) from error
        if disk_full(error):
            _leave(claim, tracker, "interrupted", facts["reason"], trace)
            raise
    _leave_where_lost(claim, tracker)
    record = make_record(job, status, facts, attempts.look(store.folder(job.id)), claim.seconds)
    record = write_first(store, record)
    claim.close(status, facts["reason"], traceback=trace)
    (store.folder(job.id) / checkpoint.LAST).unlink(missing_ok=True)
    tracker.finish(record, ok=status == "ok")
    return record


def _claim(job: Job, store: Store, stop: StopRequest) -> attempts.Attempt:
    """The run for this process alone. Raises Busy, BadInput where nothing can be written, OSError on a full disk."""
    folder = store.folder(job.id)
    try:
        claim = attempts.claim_when_dead(folder, go_on=lambda: stop.reason is None)
    except OSError as error:
        if disk_full(error):
            raise
        raise BadInput(f"run {job.id} cannot be claimed: {error.filename or folder}: {error.strerror}.") from None
    if claim is None:
        raise Busy(f"run {job.id} ({job.title}) is being done by another process; it can be watched in {folder}.")
    return claim


def _leave(claim: attempts.Attempt, tracker: Tracker, word: str, reason: str, trace: str | None = None) -> None:
    """End an attempt without a record. After a failure (trace) the disk may be full, and the word go unwritten."""
    with contextlib.suppress(OSError) if trace else contextlib.nullcontext():
        claim.close(word, reason, traceback=trace)
    tracker.finish(None, ok=False)


def _leave_where_lost(claim: attempts.Attempt, tracker: Tracker) -> None:
    """Raises TakenOver where the run is another's by now: what has failed may have failed for that."""
    if claim.lost_now():
        tracker.finish(None, ok=False)
        claim.check()


def _warn(sentence: str) -> None:
    print(f"rnnbench: {sentence}", file=sys.stderr)


def _redirect(path: Path) -> None:
    """Everything this process prints goes to path, in UTF-8; what C libraries print, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # which has the encoding of the sweep's terminal
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _classify(error: Exception) -> tuple[str, str]:
    """An exception as a final status and its reason in one line."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, Diverged):
        return "diverged", text
    if isinstance(error, TimedOut):
        return "timeout", text
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return "oom", text or "out of memory"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "error", f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"


def _execute(
    job: Job, claim: attempts.Attempt, facts: Facts, tracker: Tracker, stop: StopRequest, *, told: bool
) -> None:
    """Build, train, test once; what becomes known goes into `facts`, so that a failed run's record has it too.

    told: say on the error stream what data was read.
    """
    config, folder = job.config, claim.folder.parents[1]
    facts["started"] = now()
    device = _prepare_process(config, facts)
    demand.check(config)  # it may have been planned on another machine
    compiled_by = _compiled_by(config)
    own_files.check(config)  # before the data is read, and after: it may change in between
    facts["own_source"] = build.import_own(config)
    build.try_training(config)
    task = build.make_task(config)
    data = loading.load(task)
    loading.check_batch(task, data, config["budget"]["batch_size"])
    _stop_where_asked(stop)
    facts |= {"spec": task.spec, "floors": dict(task.floors(data)), "data_hash": data_hash(data)}
    facts["reading"] = task.reading()
    own_files.check(config)
    model = build.make_model(config, task)
    _measure_network(model, _longest(task, data.train), facts)
    _write_config(job, folder)
    if told:  # not before the network could be made: a refusal is the only sentence then
        reading = facts["reading"]
        lines = [f"{task.spec.name}: {task.summary(data)}"] if reading is None else readings.said(reading)
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    _stop_where_asked(stop)
    made_by: MadeBy = {
        "source_hash": source_hash(), "own_source": facts["own_source"], "data_hash": facts["data_hash"],
        "toolchain": compiled_by,
    }  # fmt: skip
    saved = _resumable(folder, made_by)
    tracker.start(RunInfo(job.id, job.title, job.group, config, claim.number, folder))
    line = ProgressLine(job.title, config["budget"]["updates"], task.spec.metric)
    hooks = RunHooks(folder, tracker, line, stop, saved["progress"] if saved else {}, claim, made_by)
    options = build.fit_options(config, spent=_spent(folder))
    data, model = _to(data, device), model.to(device)
    try:
        module = fit(
            model, task, data, options, build.make_optimizer(config), build.make_schedule(config), hooks, resume=saved
        )
        _measure_training(module, facts)
        claim.check()
        _test_once(module, task, data, job, folder, facts)
    except Diverged as error:
        facts["diagnostics"] = {"grad_norm": norm_statistics(error.norms, error.update)}
        raise
    finally:
        line.clear()
        hooks.close()
        facts.setdefault("updates", hooks.update)


def _resumable(folder: Path, made_by: MadeBy) -> checkpoint.State | None:
    """The run's checkpoint; None where there is none, or one of other source or data: half a run of each is neither."""
    saved = checkpoint.load(folder / checkpoint.LAST, tell=lambda sentence: _warn(f"{sentence}: starting over"))
    if saved is None or not (other := _other(saved, made_by)):
        return saved
    _warn(f"{other} since the checkpoint was written: starting over")
    return None


def _other(saved: checkpoint.State, made_by: MadeBy) -> str:
    """What has changed since a checkpoint was written, in words; empty where nothing has."""
    if saved.get("source_hash") != made_by["source_hash"]:
        return "the source of nn/, datasets/ or training/ has changed"
    own, before = made_by["own_source"] or {}, saved.get("own_source") or {}
    if own != before:
        return own_source.have_changed(sorted(name for name in {*own, *before} if own.get(name) != before.get(name)))
    if saved.get("data_hash") != made_by["data_hash"]:
        return "the data has changed"
    return _other_toolchain(saved.get("toolchain") or {}, made_by["toolchain"] or {})


def _other_toolchain(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What of a compiled cell's toolchain has changed, in words; empty where nothing has: equal bits need all of it."""
    changed = [
        f"{name} {before.get(name, 'unknown')} -> {now.get(name, 'none')}"
        for name in {**now, **before}
        if before.get(name) != now.get(name)
    ]
    return f"what compiles the cell has changed ({'; '.join(changed)})" if changed else ""


def _compiled_by(config: Config) -> dict[str, str] | None:
    """What compiles the cell of a run; None where nothing does.

    Raises BadInput where there is no compiler, or the cache of what it made could be written to by others.
    """
    if config["backend"] != "compiled":
        return None
    if (there := toolchain.find()) is None:
        raise BadInput(f"backend=compiled needs a C compiler: {toolchain.why_none()}.")
    toolchain.check_cache()
    return {"compiler": there.compiler, "flags": there.all_flags, "processor": there.processor}


def _stop_where_asked(stop: StopRequest) -> None:
    """Before training begins there is nothing to save; during it the loop looks itself, at every update."""
    if stop.reason is not None:
        raise Interrupted(f"{stop.reason} while it was being prepared")


def _spent(folder: Path) -> float:
    """Seconds that the attempts this one resumes took of the time limit; those before a recorded end do not count."""
    spent = 0.0
    for seen in attempts.look(folder)[:-1]:
        spent = spent + seen.seconds if seen.status in OPEN and not seen.forgiven else 0.0
    return spent


def _prepare_process(config: Config, facts: Facts) -> torch.device:
    """Threads, memory and determinism of this process, as the config asks."""
    harness = config["harness"]
    facts["malloc_tuned"] = harness["malloc_tuning"] and host.tune_malloc()
    torch.set_num_threads(harness["threads"])
    device = build.make_device(config)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.cuda.reset_peak_memory_stats(device)
    return device


def _longest(task: Task, train: Split) -> torch.Tensor:
    """The longest training sequence as a network takes it, (1, T, F)."""
    index = torch.zeros(1, dtype=torch.int64) if train.lengths is None else train.lengths.argmax()[None]
    return task.batch(train, index).x


def _measure_network(model: nn.Module, example: torch.Tensor, facts: Facts) -> None:
    """What is known of a network before it is trained. example: (1, T, F)."""
    facts |= {
        "params": count_params(model),
        "hidden_size": next(m.hidden_size for m in model.modules() if isinstance(m, (Cell, Rival))),
        "state_size": count_state(model),
        "flops_per_step": flops_per_step(model, example),
    }


def _measure_training(module: FitModule, facts: Facts) -> None:
    state = module.state
    facts |= {
        "best_step": state.best_step,
        "updates": state.update,
        "train_seconds": state.train_seconds,
        "live_params": int(sum(int(m.sum()) for m in module.live)),
        "diagnostics": {"grad_norm": norm_statistics(state.norms)},
        "metrics": {f"val/{k}": v for k, v in state.best_metrics.items()},
    }


def _test_once(module: FitModule, task: Any, data: Data, job: Job, folder: Path, facts: Facts) -> None:
    """The best weights by validation, tested once, saved, diagnosed."""
    model = module.model
    model.load_state_dict(module.state.best_weights)
    watch, items = samples.Watch(task, data.test), ItemOutcomes(task, data.test.size)
    observers: dict[str, Observer] = {SAMPLES_FILE: watch.see, OUTCOMES_FILE: items}
    if (curves := task.curves()) is not None:
        observers[HORIZON_FILE] = curves.see
    observed = Observed(observers, lambda sentence: _warn(f"run {job.id}: {sentence}"))
    tested = evaluate(model, task, data.test, precision=job.config["precision"], observe=observed)
    if not abs(tested["loss"]) < float("inf"):  # false for NaN too
        raise Diverged(module.state.best_step, "the test loss", module.state.norms)
    facts["metrics"] |= {f"test/{k}": v for k, v in tested.items()}
    checkpoint.save(
        folder / checkpoint.BEST, {k: v.cpu() for k, v in module.state.best_weights.items()}, sync_folder=False
    )
    # Before the diagnostics, which run the network anew with a gradient for every h_t: no cost of its training.
    facts["peak_memory_mb"] = host.peak_memory_mb(job.config["device"])
    if job.config["harness"]["diagnostics"]:
        size = min(DIAGNOSED_CLIPS if task.spec.inputs == "frames" else DIAGNOSED, data.val.size)
        index = torch.arange(size, device=data.val.x.device)
        found = gradient_diagnostics(model, task, task.batch(data.val, index))
        write_atomic(folder / "diagnostics.json", json.dumps(found), sync_folder=False)
        facts["diagnostics"] |= cast(Diagnostics, summary(found))
    _keep_samples(watch, samples.Tested(model, task.spec, job.config["precision"], data.test.x.device), job, folder)
    observed.guarded(OUTCOMES_FILE, lambda: _keep_outcomes(items, job, folder, facts))
    if curves is not None:
        observed.guarded(HORIZON_FILE, lambda: write_atomic(folder / HORIZON_FILE, json.dumps(curves.as_dict())))


def _keep_outcomes(items: ItemOutcomes, job: Job, folder: Path, facts: Facts) -> None:
    """The loss of each test item, beside the tested weights."""
    found = items.made(job.id, facts["data_hash"], facts["spec"].metric)
    keep_outcomes(found, folder, data_hash=facts["data_hash"], metrics=facts["metrics"])


def _keep_samples(watch: samples.Watch, network: samples.Tested, job: Job, folder: Path) -> None:
    """What the tested weights predict, beside them. A picture less is no reason to lose a record."""
    try:
        if (found := watch.samples(job.id, network)) is not None:
            samples.keep(found, folder)
    except Exception as error:
        _warn(f"run {job.id} keeps no {SAMPLES_FILE} ({type(error).__name__}: {' '.join(str(error).split())}).")


def _to(data: Data, device: torch.device) -> Data:
    """The splits on the device; batches are cut from them there."""
    if device.type == "cpu":
        return data

    def move(split: Split) -> Split:
        lengths = None if split.lengths is None else split.lengths.to(device)
        return Split(split.x.to(device), split.y.to(device), lengths)

    return Data(*map(move, data))


def _write_config(job: Job, folder: Path) -> None:
    path = folder / "config.yaml"
    if not path.exists():
        header = f"# {job.title}\n# {job.command}\n"
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # a third of the time, where PyYAML was built with it
        text = yaml.dump(job.config, Dumper=dumper, sort_keys=False, allow_unicode=True)
        write_atomic(path, header + text, sync_folder=False)


__all__ = ["Busy", "attempt", "load_model", "run"]
