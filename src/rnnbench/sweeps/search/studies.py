"""One study of a search: which trials there are, the next one to do, and how each ended. Lower losses are better.

The journal keeps losses: the main metric on validation (negated where more is better), training seconds, parameters.
A trial's record has test metrics as every record has (an id means one whole run), but nothing here reads them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs.plan import Job
from rnnbench.store.manifests import Values
from rnnbench.store.record import Record, RecordError
from rnnbench.sweeps.search.definition import Search, Study
from rnnbench.sweeps.search.journal import gone, me
from rnnbench.sweeps.search.samplers import make_pruner, make_sampler, suggest
from rnnbench.sweeps.source import Refused


@dataclass(frozen=True)
class Row:
    """A trial as it stands. run: its id, None where its axes do not go together; values: what was sampled."""

    study: str
    number: int
    run: str | None
    state: str
    losses: tuple[float, ...]
    parameters: Values
    reason: str


def check_studies(search: Search, storage: BaseStorage) -> None:
    """Raises BadInput where the journal has trials of studies that this command has none of: the manifest lists the
    studies of one command, and those trials would stand in tables as runs that nobody chose among."""
    mine = {study.key for study in search.studies}
    others = [s for s in storage.get_all_studies() if s.study_name not in mine]
    if lost := [s.study_name for s in others if storage.get_n_trials(s._study_id)]:
        some = ", ".join(lost[:3]) + ", ..." * (len(lost) > 3)
        raise BadInput(
            f"the search {search.name} was begun with other studies ({some}); give this one a --name of its own."
        )


class OneStudy:
    """A study in the journal, opened or made."""

    def __init__(
        self,
        search: Search,
        study: Study,
        storage: BaseStorage,
        elsewhere: Collection[tuple[str, int]] | None = None,
    ) -> None:
        """elsewhere: see `journal.gone`.

        Raises BadInput where the journal holds a study of this name that was searched by other rules.
        """
        self.search, self.study = search, study
        self._space = search.space
        self.optuna = optuna.create_study(
            study_name=study.key, storage=storage, load_if_exists=True,
            directions=["minimize"] * len(search.objectives), sampler=self._sampler(0),
        )  # fmt: skip
        rules = search.rules(study)
        known = self.optuna.user_attrs.get("rules")
        if known is None:
            self.optuna.set_user_attr("rules", rules)
        elif known != rules:
            changed = ", ".join(key for key in rules if rules[key] != known.get(key))
            raise BadInput(
                f"the search {search.name} was begun with other {changed}; give this one a --name of its own."
            )
        elif (order := list(known["space"])) != [dimension.key for dimension in search.space]:
            # A grid counts through its lists in their order: of keys typed in another one it keeps the first command's.
            self._space = tuple(sorted(search.space, key=lambda dimension: order.index(dimension.key)))
            self.optuna.sampler = self._sampler(0)
        trials = self.optuna.get_trials(deepcopy=False)
        self.taken = len(trials)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        self._orphans = [t.number for t in running if gone(t.user_attrs.get("owner"), elsewhere)]
        self._reported: dict[int, float] = {}
        self._recorded: dict[int, tuple[str, tuple[float, ...]]] = {}  # state and losses that a record says
        self.refused: dict[int, str] = {}  # in an earlier command: trials and their runs
        self._again: list[int] = []

    def follow(self, read: Callable[[str], Record | None]) -> None:
        """The store has the last word on trials that are over: one that failed may have been done again since, and a
        journal cannot be told twice. (Its sampler goes on from what it was told.) One that was refused, say for missing
        data, has no record, and is offered again: the journal has it as a failure. read: a run's record by its id."""
        for trial in self.optuna.get_trials(deepcopy=False):
            if not trial.state.is_finished() or (run := trial.user_attrs.get("run")) is None:
                continue
            try:
                record = read(run)
            except (RecordError, OSError):  # what is damaged is said where it is counted
                continue
            if record is not None:
                self._note(trial.number, record)
            elif trial.state == TrialState.FAIL:
                self.refused[trial.number] = run
        self._again = list(self.refused)

    def _note(self, number: int, record: Record | Refused) -> TrialState:
        losses = losses_of(record, self.search.objectives)
        ends = {"pruned": TrialState.PRUNED, "ok": TrialState.FAIL if losses is None else TrialState.COMPLETE}
        state = ends.get(record["status"], TrialState.FAIL)
        self._recorded[number] = state.name.lower(), losses or ()
        return state

    def _sampler(self, known: int) -> optuna.samplers.BaseSampler:
        return make_sampler(self.search.sampler, self.search.seed, self.study.key, self._space, known)

    @property
    def left(self) -> int:
        """Trials that can be taken: those whose process is gone, those refused before, and those not asked for yet."""
        return len(self._orphans) + len(self._again) + max(0, self.search.trials - self.taken)

    @property
    def closed(self) -> int:
        """How many trials are over."""
        return sum(t.state.is_finished() for t in self.optuna.get_trials(deepcopy=False))

    def next(self) -> tuple[int, Job] | None:
        """The next trial and its run; None where its axes do not go together, which is told as a failure."""
        if self._again:
            number = self._again.pop(0)
            try:
                return number, self.search.job(
                    self.study, number, self.optuna.get_trials(deepcopy=False)[number].params
                )
            except BadInput:
                return None
        if self._orphans:
            number = self._orphans.pop(0)
            trial = Trial(self.optuna, self.optuna.get_trials(deepcopy=False)[number]._trial_id)
        else:
            self.taken = len(self.optuna.get_trials(deepcopy=False))  # another process may have asked as well
            if self.taken >= self.search.trials:
                return None
            self.optuna.sampler = self._sampler(self.taken)
            trial = self.optuna.ask()
            self.taken = max(self.taken, trial.number) + 1
        trial.set_user_attr("owner", me())
        parameters = {dimension.key: suggest(trial, dimension) for dimension in self.search.space}
        try:
            job = self.search.job(self.study, trial.number, parameters)
        except (AxisRefused, BadInput) as refused:
            trial.set_user_attr("reason", str(refused))
            self._end(trial.number, TrialState.FAIL)
            return None
        trial.set_user_attr("run", job.id)
        return trial.number, job

    def tell(self, number: int, record: Record | Refused) -> None:
        """A trial's run is recorded. What is not ok is a failure, except where the pruner gave it up."""
        state = self._note(number, record)
        self._end(number, state, self._recorded[number][1] or None)

    def _end(self, number: int, state: TrialState, losses: Sequence[float] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another process that told the same trial first
            self.optuna.tell(number, losses, state=state, skip_if_finished=True)

    def prune(self, number: int, rows: Sequence[Mapping[str, float]], metric: str, goal: str, job: Job) -> str | None:
        """Report the rows of history that are new; why the trial is not worth going on with, or None."""
        budget = job.config["budget"]
        self.optuna.pruner = make_pruner(self.search.pruner, budget["val_every"], budget["updates"])
        found = self.optuna.get_trials(deepcopy=False)[number]
        if found.state.is_finished():
            return None
        last = self._reported.setdefault(number, float("-inf") if found.last_step is None else found.last_step)
        new = [row for row in rows if row["step"] > last and f"val/{metric}" in row]
        if not new:
            return None
        trial = Trial(self.optuna, found._trial_id)
        for row in new:
            self._reported[number] = row["step"]
            trial.report(_loss(row[f"val/{metric}"], goal), int(row["step"]))
            if row["step"] < budget["updates"] and trial.should_prune():  # else it is paid for, and only to be tested
                return f"{self.search.pruner}: val/{metric} {row[f'val/{metric}']:.4g} at update {row['step']:.0f}"
        return None

    def rows(self) -> list[Row]:
        """Every trial, by number."""
        return [self._row(trial) for trial in self.optuna.get_trials(deepcopy=False)]

    def _row(self, trial: FrozenTrial) -> Row:
        told = tuple(trial.values) if trial.state == TrialState.COMPLETE and trial.values else ()
        state, losses = self._recorded.get(trial.number, (trial.state.name.lower(), told))
        attrs = trial.user_attrs
        return Row(
            self.study.key, trial.number, attrs.get("run"), state, losses, dict(trial.params), attrs.get("reason", "")
        )

    def winners(self) -> list[Row]:
        """The trial with the lowest loss; of several objectives, all that none beats in every one."""
        done = [row for row in self.rows() if row.losses]
        if len(self.search.objectives) == 1:
            return sorted(done, key=lambda row: (row.losses, row.number))[:1]
        return [row for row in done if not any(_beats(other.losses, row.losses) for other in done)]


def losses_of(record: Record | Refused, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """A record's value of each objective, lower is better; None where it is not ok or lacks one. Reads no test."""
    if record["status"] != "ok" or "metric" not in record:
        return None
    metric = record["metrics"].get(f"val/{record['metric']}")
    known = {
        "metric": None if metric is None else _loss(metric, record["goal"]),
        "train_seconds": record["train_seconds"],
        "params": record["params"],
    }
    values = [known[objective] for objective in objectives]
    if any(value is None or not math.isfinite(value) for value in values):
        return None
    return tuple(float(value) for value in values if value is not None)


def _loss(value: float, goal: str | None) -> float:
    return -value if goal == "max" else value


def _beats(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)
