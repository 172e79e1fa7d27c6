"""What a search is: its studies, its space and its rules, from the command line and the experiment's yaml."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnbench.errors import AxisRefused, BadInput, nearest
from rnnbench.runs import registry
from rnnbench.runs.axes import check_integer, is_whole
from rnnbench.runs.compose import expand, key_of, last_value, parse
from rnnbench.runs.plan import Job, prepare
from rnnbench.runs.space import Dimension, read_space
from rnnbench.store.config import Composed
from rnnbench.store.manifests import Values
from rnnbench.sweeps.plan import check_trackers, size_of, untracked

SAMPLERS = ("tpe", "random", "cmaes", "grid")
PRUNERS = ("none", "asha", "hyperband", "median")
OBJECTIVES = ("metric", "train_seconds", "params")
DEFAULTS: Composed = {
    "sampler": "tpe", "pruner": "none", "trials": 20, "final_seeds": 0, "seed": 0, "top": 0.1, "objectives": ["metric"],
}  # fmt: skip
NO_EXPERIMENT: Composed = {"base": {}, "search": {}, "variants": [{}]}
POINTS = 100  # of a space that are tried for one whose run exists
FINAL_SEED = 100_000  # finals have seeds from here on: fresh, whatever the number of trials


@dataclass(frozen=True)
class Study:
    """One search of its own: what sets it apart from the search's other studies, and all that its trials share.

    elsewhere: other machines do its runs.
    """

    key: str
    label: str
    overrides: tuple[str, ...]
    elsewhere: bool = False

    def prepare(self, overrides: Sequence[str], *, group: str | None = None) -> Job:
        """The job of overrides. Raises as `runs.plan.prepare`."""
        return prepare(overrides, group=group, elsewhere=self.elsewhere)


@dataclass(frozen=True)
class Search:
    """Every study of a search, and the rules they share. baseline: the study that others are compared with."""

    name: str
    command: str
    studies: tuple[Study, ...]
    space: tuple[Dimension, ...]
    skipped: tuple[str, ...]
    baseline: str | None
    sampler: str
    pruner: str
    trials: int
    final_seeds: int
    seed: int
    top: float
    objectives: tuple[str, ...]

    def job(self, study: Study, number: int, parameters: Values) -> Job:
        """A trial's run. Its seed is its number unless the search gives all of them one."""
        found = [dimension.override(parameters[dimension.key]) for dimension in self.space]
        seeded = any(key_of(o) == "seed" for o in study.overrides)
        return study.prepare(
            _typed([*study.overrides, *found, *([] if seeded else [f"seed={number}"])]), group=self.name
        )

    def final(self, study: Study, parameters: Values, n: int) -> Job:
        """The n-th run of a winner on fresh seeds."""
        found = [dimension.override(parameters[dimension.key]) for dimension in self.space]
        rest = [o for o in study.overrides if key_of(o) != "seed"]
        return study.prepare(_typed([*rest, *found, f"seed={FINAL_SEED + n}"]), group=self.name)

    def rules(self, study: Study) -> Composed:
        """What may not change between two commands that go on with one study: else its trials would not compare."""
        return {
            "overrides": sorted(o for o in study.overrides if not o.startswith(("tracker", "harness"))),
            "space": {d.key: d.text for d in self.space}, "sampler": self.sampler, "seed": self.seed,
            "objectives": list(self.objectives),
        }  # fmt: skip


def define(overrides: Sequence[str], *, name: str | None = None, elsewhere: bool = False, **given: Any) -> Search:
    """The search that a command asks for. given: options of the command line (None: the experiment's, or the default).
    elsewhere: other machines do its runs.

    Raises BadInput on anything that is wrong with it, before any trial.
    """
    _check_name(name)
    experiment, rest = _take_experiment(overrides)
    content = _experiment(experiment, rest) if experiment else NO_EXPERIMENT
    rules = content["search"]
    settings = _settings(rules, given, experiment)
    taken = {key_of(o) for o in rest}  # what the user says replaces what the experiment says of the same key
    own = _others([*_lines(content["base"]), *_lines(rules.get("space") or {})], taken) + rest
    data, other = _datasets(own)
    space, fixed = read_space(other)
    if not space:
        raise BadInput(
            "nothing to search: give a key a space, e.g. 'optimizer.lr=tag(log,interval(1e-4,1e-1))' or depth=1,2."
        )
    studies, skipped = _studies(_variants(content["variants"], taken, data), fixed, space, elsewhere)
    if not studies:
        raise BadInput("this search is empty, none of its variants can be run: " + " ".join(skipped[:1]))
    settings |= _check(settings, space, studies)
    return Search(
        name=name or experiment or _unnamed(overrides, given),
        command=shlex.join(["rnnbench", "tune", *overrides, *_options({**given, "name": name})]),
        studies=tuple(studies),
        space=tuple(space),
        skipped=tuple(skipped),
        baseline=_baseline(rules.get("baseline"), studies),
        **settings,
    )


def _take_experiment(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """The experiment that overrides name, and the other overrides. Raises BadInput on more than one."""
    asked = [o for o in overrides if key_of(o) == "experiment"]
    if len(asked) > 1 or any(parse(o).is_sweep_override() for o in asked):
        raise BadInput("one experiment at a time: " + ", ".join(asked))
    rest = [o for o in overrides if o not in asked]
    return (str(parse(asked[0]).value()) if asked else None), rest


def _check_name(name: str | None) -> None:
    if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(f"a search's name is letters, digits, '_', '.' and '-', not {name!r}: its files are named so.")


def _datasets(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides that list datasets, and the others: values on two datasets do not compare, so each is a study."""
    listing = [o for o in overrides if key_of(o) == "dataset" and parse(o).is_sweep_override()]
    return listing, [o for o in overrides if o not in listing]


def _others(overrides: Sequence[str], taken: Collection[str]) -> list[str]:
    """The overrides whose keys are not taken."""
    return [o for o in overrides if key_of(o) not in taken]


def _variants(written: Sequence[Composed], taken: Collection[str], data: Sequence[str]) -> list[list[str]]:
    """What sets the studies apart: the experiment's variants, each once for every dataset that is asked for."""
    lines = [_others(_lines(variant), taken) for variant in written]
    return [variant for each in lines for variant in expand([*each, *data])]


def _unnamed(overrides: Sequence[str], given: Mapping[str, object]) -> str:
    """A name for a search without one: of what it searches, so that more trials or more finals are the same search."""
    rules = _options({key: given.get(key) for key in ("sampler", "pruner", "objectives", "seed")})
    words = shlex.join(["rnnbench", "tune", *overrides, *rules])
    return "tune-" + hashlib.sha256(words.encode()).hexdigest()[:8]


def _experiment(name: str, rest: Sequence[str]) -> Composed:
    """An experiment's base, search and variants, of the size that the asked budget has.

    Raises BadInput where it is no search.
    """
    content = registry.read("experiment", name)
    if "search" not in content and not any(parse(o).is_sweep_override() for o in rest):
        raise BadInput(f"experiment={name} is a sweep, not a search; use `rnnbench sweep experiment={name}`.")
    if "search" not in content and "grids" in content:
        raise BadInput(f"experiment={name} lists its runs; give `rnnbench tune` the overrides to search over instead.")
    variants = content.get("variants") or [{}]
    if not isinstance(variants, list):
        raise BadInput(f"experiment {name!r}: `variants` is a list of mappings of overrides.")
    size = size_of(name, content, last_value(rest, "budget"), "search")
    return {**{part: _both(name, part, content, size) for part in ("base", "search")}, "variants": variants}


def _both(name: str, part: str, content: Composed, size: Composed) -> Composed:
    """A part of an experiment with what its size says otherwise. Raises BadInput where one of them is no mapping."""
    plain, sized = content.get(part) or {}, size.get(part) or {}
    if not (isinstance(plain, dict) and isinstance(sized, dict)):
        raise BadInput(f"experiment {name!r}: `{part}` is a mapping.")
    return {**plain, **sized}


def _settings(search: Composed, given: Mapping[str, object], experiment: str | None) -> Composed:
    """The search's options: the command line's before the experiment's before the defaults. Raises BadInput."""
    known = {*DEFAULTS, "space", "baseline"}
    for key in search:
        if key not in known:
            raise BadInput(f"experiment {experiment!r}: unknown `search.{key}`; {nearest(str(key), known)}")
    settings: Composed = {key: search.get(key, default) for key, default in DEFAULTS.items()}
    settings |= {key: value for key, value in given.items() if value is not None and key in DEFAULTS}
    _check_numbers(settings)
    settings["sampler"] = str(settings["sampler"]).lower()
    settings["pruner"] = str(settings["pruner"] or "none")
    for key, choices in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if settings[key] not in choices:
            raise BadInput(f"unknown {key} {settings[key]!r}; {nearest(settings[key], choices)}")
    settings["objectives"] = _objectives(settings["objectives"])
    return settings


def _check_numbers(settings: Composed) -> None:
    """Refuse numbers that count or share nothing."""
    for key, least in (("trials", 1), ("final_seeds", 0), ("seed", 0)):
        if not is_whole(settings[key], least):
            raise BadInput(f"{key} must be a whole number of at least {least}, not {settings[key]!r}.")
        check_integer(key, settings[key])
    top = settings["top"]
    if not isinstance(top, (int, float)) or not 0 < top <= 1:
        raise BadInput(f"top is the share of trials that is reported, above 0 and at most 1, not {top!r}.")


def _objectives(asked: Any) -> tuple[str, ...]:
    """What a search is for, the metric among it. Raises BadInput."""
    objectives = tuple(asked) if isinstance(asked, (list, tuple)) else (asked,)
    for objective in objectives:
        if objective not in OBJECTIVES:
            raise BadInput(f"unknown objective {objective!r}; {nearest(str(objective), OBJECTIVES)}")
    if not objectives or len(set(objectives)) < len(objectives):
        raise BadInput("a search needs objectives, each once: " + ", ".join(OBJECTIVES) + ".")
    if "metric" not in objectives:
        raise BadInput("a search is for the metric; name it among the objectives, e.g. --objectives metric,params.")
    return objectives


def _check(settings: Composed, space: Sequence[Dimension], studies: Sequence[Study]) -> Composed:
    """What samplers, pruners and objectives cannot do together; and one point of the space, whose run must exist.

    Returns the settings that follow from the space: a grid has as many trials as points. Raises BadInput.
    """
    if len(settings["objectives"]) > 1:
        if settings["sampler"] == "cmaes":
            raise BadInput("cmaes searches for one objective; use --sampler tpe or random for several.")
        if settings["pruner"] != "none":
            raise BadInput("a pruner needs one objective, the metric; use --pruner none with several.")
    found = {"trials": math.prod(len(d.grid()) for d in space)} if settings["sampler"] == "grid" else {}
    for study in studies:
        _check_seed(study)
        _try(study, space)
    return found


def _check_seed(study: Study) -> None:
    """The seeds of finals are theirs alone."""
    seed = last_value(study.overrides, "seed")
    if isinstance(seed, int) and seed >= FINAL_SEED:
        raise BadInput(f"seed={seed}: seeds from {FINAL_SEED} on are the winner's; give trials a smaller one.")


def _try(study: Study, space: Sequence[Dimension]) -> None:
    """One point of the space whose run exists, and every value at an end or in a list of it beside that.

    Values that no run can have are refused; those that do not go together are told when they are met.
    """
    point = list(_possible(study, space))
    for n, dimension in enumerate(space):
        for value in _ends(dimension):
            corner = [*point[:n], value, *point[n + 1 :]]
            with contextlib.suppress(AxisRefused):
                study.prepare([*study.overrides, *(d.override(v) for d, v in zip(space, corner, strict=True))])


def _within(dimension: Dimension) -> float:
    """A parameter of a dimension of numbers that is no end of it, unless it goes in steps."""
    low, high = dimension.bounds
    return high if dimension.step is not None else (low + high) / 2


def _ends(dimension: Dimension) -> Sequence[float | int]:
    """The parameters of a dimension that stand for all of it: of a list each (or the first hundred), else both ends."""
    if dimension.kind == "choice":
        return list(range(len(dimension.texts)))[:POINTS]
    if dimension.kind == "int":
        return [int(dimension.low), int(dimension.high)]
    return list(dimension.bounds)


def _possible(study: Study, space: Sequence[Dimension]) -> tuple[float | int, ...]:
    """A point of the space whose run exists. Raises AxisRefused where none of those that are tried does."""
    points = itertools.product(
        *(range(len(d.texts)) if d.kind == "choice" else [int(d.low) if d.kind == "int" else _within(d)] for d in space)
    )
    refusal: AxisRefused | None = None
    for point in itertools.islice(points, POINTS):
        try:
            study.prepare([*study.overrides, *(d.override(value) for d, value in zip(space, point, strict=True))])
        except AxisRefused as refused:
            refusal = refused
            continue
        return point
    assert refusal is not None  # a space has a point
    raise refusal


def _studies(
    variants: Sequence[list[str]], fixed: list[str], space: Sequence[Dimension], elsewhere: bool
) -> tuple[list[Study], list[str]]:
    """The studies, and why variants that cannot be run are left out."""
    fixed = untracked(fixed)
    searched = {d.key for d in space}
    studies: dict[str, Study] = {}
    skipped = []
    for variant in variants:
        keys = {key_of(o) for o in variant}
        if both := keys & searched:
            raise BadInput(f"{min(both)} is both searched and what sets the variants apart; choose one.")
        overrides = _typed([*(o for o in fixed if key_of(o) not in keys), *variant])
        try:
            job = prepare(overrides, elsewhere=elsewhere)
        except AxisRefused as refused:
            skipped.append(str(refused))
            continue
        check_trackers([job])
        key = " ".join(_typed(variant)) or "all"
        label = job.axes["label"] + (f" · {job.dataset}" if "dataset" in keys else "")
        studies.setdefault(key, Study(key, label, tuple(overrides), elsewhere))
    return _told_apart(list(studies.values())), skipped


def _told_apart(studies: list[Study]) -> list[Study]:
    """Two studies of one network (optimizer=sgd and optimizer=adam) have what sets them apart in their labels."""
    labels = Counter(study.label for study in studies)
    return [replace(s, label=f"{s.label} · {s.key}") if labels[s.label] > 1 else s for s in studies]


def _baseline(asked: Any, studies: Sequence[Study]) -> str | None:
    """The key of the study that the experiment calls its baseline."""
    if asked is None:
        return None
    wanted = set(_typed([each for line in _lines(asked) for each in next(expand([line]))]))
    found = [study.key for study in studies if wanted <= set(study.overrides)]
    return found[0] if found else None


def _lines(mapping: Composed) -> list[str]:
    """A yaml mapping as overrides; `on` and `off` in yaml are booleans, and their author meant the words."""
    if not isinstance(mapping, Mapping):
        raise BadInput(f"{mapping!r} in an experiment is no mapping of overrides.")

    def plain(value: Any) -> str:
        if isinstance(value, bool):
            return "on" if value else "off"
        return "null" if value is None else ",".join(map(plain, value)) if isinstance(value, list) else str(value)

    return [f"{key}={plain(value)}" for key, value in mapping.items()]


def _typed(overrides: Sequence[str]) -> list[str]:
    """cell='lstm' as a person writes it."""
    return [re.sub(r"^(\w+)='([\w.-]+)'$", r"\1=\2", o) for o in overrides]


def _options(given: Mapping[str, object]) -> list[str]:
    return [
        word
        for key, value in given.items()
        if value is not None
        for word in (f"--{key.replace('_', '-')}", ",".join(value) if isinstance(value, (list, tuple)) else str(value))
    ]
