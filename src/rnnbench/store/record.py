"""The record: one finished run as one JSON object. Its keys, its id, and how old ones are read. Imports no torch.

One run = one resolved config x one seed. The record is the product: tables, figures and W&B runs are derived from it.

Keys (stable; a new key may appear, none disappears without a new schema_version):

======================  ==============================================================================================
schema_version          1
id                      12 hex digits, a hash of what changes the result (see `run_id`)
status, reason          ok | diverged | oom | timeout | error | pruned | killed, and in one sentence why and where
axes                    cell operator peephole direction depth hidden_size backend label options{}: what was compared
dataset                 name version protocol data_hash; of a user's files reading{lines warnings facts}: what was read.
                        reference: which of the floors is a fitted predictor; labels: what the classes are called
seed, budget            the run's seed; budget{name updates batch_size}
metrics                 "val/loss", "test/accuracy" ...: at the best validation step; test was touched once
metric, goal            the main metric, e.g. "accuracy", and max | min
best_step               the update at which validation was best
floors, floor           trivial predictors by name; which of them is normalised score 0
target, target_source   what is normalised score 1 (null where nothing is known) and where it comes from
solved                  the main metric's value from which on a run has solved the task, itself included; null where a
                        task has no such notion, or a floor reaches it already
params, live_params     trained numbers; those among them that ever got a gradient other than zero
state_size              numbers carried from one time step to the next, per sequence (0 without recurrence)
flops_per_step          multiply-adds x 2 of the matrix products of one time step of one sequence, forward
diagnostics             grad_norm{median p99 max share_above_10x_median first_non_finite} over training, and on one
                        validation batch at the best weights, by layer: h_grad_norm[t], cell_state_max[t],
                        saturation{gate{low high}}, peephole_abs{gate} (nn.probe, training.diagnostics)
updates                 optimizer steps done
train_seconds           in the training loop, validation excluded
wall_seconds            everything, over all attempts
steps_per_second        updates / train_seconds
peak_memory_mb          of the process (CPU) or of the device's allocator (CUDA), in training and test
device precision backend threads deterministic host     what it was computed on and with. host of a cell that was
                        compiled: compiler ("gcc 12.2.0") and compiler_flags, which with the processor decide the bits
git source_hash packages                                {commit dirty}; hash of nn/ datasets/ training/; versions
own_source              what the user's own modules said that the run reached: file -> 12 hex digits; null where it
                        reached none (runs.own_source)
attempts                how often it was started
started, finished       ISO 8601, UTC
command                 the one command that makes this run again
config                  the resolved config the id was made from
======================  ==============================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

from rnnbench.store.config import Config, Options

SCHEMA_VERSION = 1

# Ends of a run that are final, in the order tables list them. `skipped` is a sweep's word for a run it never started.
FINAL = ("ok", "diverged", "oom", "timeout", "error", "pruned", "killed")
# Ends of an attempt that leave the run open: the same command resumes it.
OPEN = ("interrupted", "killed")

KEYS = (
    "schema_version", "id", "status", "reason", "axes", "dataset", "seed", "budget", "metrics", "metric", "goal",
    "best_step", "floors", "floor", "target", "target_source", "params", "live_params", "state_size",
    "flops_per_step", "diagnostics", "updates", "train_seconds", "wall_seconds", "steps_per_second",
    "peak_memory_mb", "device", "precision", "backend", "threads", "deterministic", "host", "git", "source_hash",
    "packages", "attempts", "started", "finished", "command", "config", "own_source",
    "solved",
)  # fmt: skip

EVERY_KEY = frozenset(KEYS)


class Axes(TypedDict, total=False):
    """What was compared. encoder and head are null of frames, forecast of sequences; a later axis may be missing."""

    label: str
    cell: str
    cell_version: int
    operator: str
    peephole: str
    direction: str
    depth: int
    hidden_size: int | None
    params_budget: int | None
    encoder: str | None
    head: str | None
    forecast: str | None
    backend: str
    optimizer: str
    schedule: str
    options: Options


class DatasetPart(TypedDict, total=False):
    """What was learned, and by which rules; a run that never loaded its data knows no protocol and no hash."""

    name: str
    version: int
    protocol: str | None
    data_hash: str | None
    reading: Mapping[str, Any] | None
    reference: str | None
    labels: list[str] | None


class BudgetPart(TypedDict):
    """How long was trained, at most."""

    name: str
    updates: int
    batch_size: int


class GradNorm(TypedDict):
    """The gradient's norm over training; of a run without an update only where it first was no number."""

    median: NotRequired[float]
    p99: NotRequired[float]
    max: NotRequired[float]
    share_above_10x_median: NotRequired[float]
    first_non_finite: float | None


class Diagnostics(TypedDict, total=False):
    """Gradients, states and gates. By layer: a curve over the steps, or values by gate; see `training.diagnostics`."""

    grad_norm: GradNorm
    h_grad_norm: Mapping[str, list[float]]
    cell_state_max: Mapping[str, list[float]]
    saturation: Mapping[str, Mapping[str, Mapping[str, float]]]
    peephole_abs: Mapping[str, Mapping[str, float]]


class Host(TypedDict):
    """The machine, as far as a speed depends on it, and on a CPU the last bits. compiler: of compiled runs alone."""

    cpu: str
    simd: NotRequired[str]
    system: str
    malloc_tuned: bool
    omp_wait_policy: str | None
    gpu: NotRequired[str]
    compiler: NotRequired[str]
    compiler_flags: NotRequired[str]


class Git(TypedDict):
    """The checkout of rnnbench that computed; nulls for a wheel."""

    commit: str | None
    dirty: bool | None


class Record(TypedDict):
    """One finished run; the keys are explained above.

    What can be null is so in a run that failed early, or was recorded before there was such a key; inside of a part
    every value may be. These annotations are what `store.door` checks when a record is read.
    """

    schema_version: int
    id: str
    status: str
    reason: str | None
    axes: Axes
    dataset: DatasetPart
    seed: int
    budget: BudgetPart | None
    metrics: Mapping[str, float | None]
    metric: str | None
    goal: str | None
    best_step: int | None
    floors: Mapping[str, float] | None
    floor: str | None
    target: float | None
    target_source: str | None
    params: int | None
    live_params: int | None
    state_size: int | None
    flops_per_step: float | None
    diagnostics: Diagnostics | None
    updates: int | None
    train_seconds: float | None
    wall_seconds: float | None
    steps_per_second: float | None
    peak_memory_mb: float | None
    device: str | None
    precision: str | None
    backend: str | None
    threads: int | None
    deterministic: bool | None
    host: Host | str | None  # the name alone, in records of other making
    git: Git | None
    source_hash: str | None
    packages: Mapping[str, str] | None
    attempts: int | None
    started: str | None
    finished: str | None
    command: str | None
    config: Config | None
    own_source: Mapping[str, str] | None
    solved: float | None


Parsed = dict[str, Any]  # an object as JSON has it: any keys, unchecked

# Top-level parts of a config that change no result: who watches, where it is written, how long it may take. Of harness
# the number of threads does (see `identity`).
NOT_IN_ID = ("tracker", "harness")


# By schema_version: a record of that schema as the next one has it. A new schema adds its step, and none ever goes.
UPGRADES: dict[int, Callable[[Parsed], Parsed]] = {}


class RecordError(ValueError):
    """A record that cannot be read: not JSON, not ours, or of a later schema."""


def canonical(value: Any) -> Any:
    """value with keys sorted, nulls dropped and whole floats as ints, so that equal configs are equal text.

    Nulls are dropped so that a later version may add an option that is null by default without moving any id.
    """
    if value is None or isinstance(value, (str, int)):  # most values: asking for a Mapping takes ten times as long
        return value
    if isinstance(value, (dict, Mapping)):
        return {str(k): canonical(value[k]) for k in sorted(value, key=str) if value[k] is not None}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def run_id(config: Mapping[str, object]) -> str:
    """12 hex digits over everything in a resolved config that changes the result: of `identity`."""
    return _hash(identity(config))


def identity(config: Mapping[str, object]) -> Parsed:
    """What of a resolved config changes the result, which is what an id is made of.

    In: the axes with their options, cell and dataset versions, resolved backend and device kind, precision, seed. Of
    the user's files their content and no path; of threads any number but 1, which is left out as it always was.
    Out: `tracker` and the rest of `harness` (paths, workers, device index, timeouts).
    """
    kept = former_identity(config)
    harness = config.get("harness")
    if isinstance(harness, Mapping) and harness.get("threads") not in (None, 1):
        kept["harness"] = {"threads": harness["threads"]}
    return kept


def former_identity(config: Mapping[str, object]) -> Parsed:
    """`identity` as it was before a number of threads was a part of it."""
    return {key: identified(value) for key, value in config.items() if key not in NOT_IN_ID}


def is_of(config: Mapping[str, object], run: str) -> bool:
    """Whether a run has the id of its config: today's, or the one it got before threads were a part of it."""
    return run in (run_id(config), _hash(former_identity(config)))


def _hash(identified: Parsed) -> str:
    text = json.dumps(canonical(identified), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]  # JSON may hold half a character


def identified(node: Any) -> Any:
    """A group's node as it is identified: of its `meta` name and version alone, for the rest describes and may grow;
    and of an option that names files of the user's (`meta.content` has it) the content instead of the path."""
    if not (isinstance(node, Mapping) and isinstance(node.get("meta"), Mapping)):
        return node
    meta = node["meta"]
    named = {key: meta.get(key) for key in ("name", "version")}
    content = meta.get("content")
    if not (isinstance(content, Mapping) and content):
        return {**node, "meta": named}
    kept = {key: value for key, value in node.items() if key not in content}
    return {**kept, "meta": {**named, "content": content}}


def entry_id(config: Mapping[str, object]) -> str:
    """The id of a run's entry: the same hash without the seed. Runs of one entry differ by seed only."""
    return run_id({k: v for k, v in config.items() if k != "seed"})


def dumps(record: Mapping[str, object]) -> str:
    """A record as JSON text. NaN and infinities become null: JSON has none, and `status` says why they are missing."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    return json.dumps(clean(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def config_of(record: Record) -> Config:
    """The config that a record was made from. Raises RecordError where it has none."""
    config = record["config"]
    if not isinstance(config, dict):
        raise RecordError(f"the record of run {record['id']} has no config: this run cannot be made again from it")
    return config
