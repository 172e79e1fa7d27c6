"""What a search is: its studies, its space and its rules, from the command line and the experiment's yaml."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnbench.errors import AxisRefused, BadInput, nearest
from rnnbench.runs import registry
from rnnbench.runs.compose import expand, parse
from rnnbench.runs.plan import Job, prepare
from rnnbench.runs.space import Dimension, read_space
from rnnbench.sweeps.plan import check_trackers, untracked

SAMPLERS = ("tpe", "random", "cmaes", "grid")
PRUNERS = ("none", "asha", "hyperband", "median")
OBJECTIVES = ("metric", "train_seconds", "params")
DEFAULTS: dict[str, Any] = {
    "sampler": "tpe", "pruner": "none", "trials": 20, "final_seeds": 0, "seed": 0, "top": 0.1, "objectives": ["metric"],
}  # fmt: skip
POINTS = 100  # of a space that are tried for one whose run exists
FINAL_SEED = 100_000  # finals have seeds from here on: fresh, whatever the number of trials


@dataclass(frozen=True)
class Study:
    """One search of its own: what sets it apart from the search's other studies, and all that its trials share."""

    key: str
    label: str
    overrides: tuple[str, ...]


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

    def job(self, study: Study, number: int, parameters: Mapping[str, Any]) -> Job:
        """A trial's run. Its seed is its number unless the search gives all of them one."""
        found = [dimension.override(parameters[dimension.key]) for dimension in self.space]
        seeded = any(parse(o).key_or_group == "seed" for o in study.overrides)
        return prepare(_typed([*study.overrides, *found, *([] if seeded else [f"seed={number}"])]), group=self.name)

    def final(self, study: Study, parameters: Mapping[str, Any], n: int) -> Job:
        """The n-th run of a winner on fresh seeds."""
        found = [dimension.override(parameters[dimension.key]) for dimension in self.space]
        rest = [o for o in study.overrides if parse(o).key_or_group != "seed"]
        return prepare(_typed([*rest, *found, f"seed={FINAL_SEED + n}"]), group=self.name)

    def rules(self, study: Study) -> dict[str, Any]:
        """What may not change between two commands that go on with one study: else its trials would not compare."""
        return {
            "overrides": sorted(o for o in study.overrides if not o.startswith(("tracker", "harness"))),
            "space": {d.key: d.text for d in self.space}, "sampler": self.sampler, "seed": self.seed,
            "objectives": list(self.objectives),
        }  # fmt: skip


def define(overrides: Sequence[str], *, name: str | None = None, **given: Any) -> Search:
    """The search that a command asks for. given: options of the command line (None: the experiment's, or the default).

    Raises BadInput on anything that is wrong with it, before any trial.
    """
    if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(f"a search's name is letters, digits, '_', '.' and '-', not {name!r}: its files are named so.")
    asked = [o for o in overrides if parse(o).key_or_group == "experiment"]
    rest = [o for o in overrides if o not in asked]
    if len(asked) > 1 or any(parse(o).is_sweep_override() for o in asked):
        raise BadInput("one experiment at a time: " + ", ".join(asked))
    experiment = str(parse(asked[0]).value()) if asked else None
    content = _experiment(experiment, rest) if experiment else {}
    settings = _settings(content.get("search") or {}, given, experiment)
    base = _lines(content.get("base") or {}) + _lines((content.get("search") or {}).get("space") or {})
    taken = {parse(o).key_or_group for o in rest}
    own = [o for o in base if parse(o).key_or_group not in taken] + rest
    data = [o for o in own if parse(o).key_or_group == "dataset" and parse(o).is_sweep_override()]
    space, fixed = read_space([o for o in own if o not in data])  # values on two datasets do not compare: two studies
    if not space:
        raise BadInput(
            "nothing to search: give a key a space, e.g. 'optimizer.lr=tag(log,interval(1e-4,1e-1))' or depth=1,2."
        )
    lines = [[o for o in _lines(v) if parse(o).key_or_group not in taken] for v in content.get("variants") or [{}]]
    variants = [variant for each in lines for variant in expand([*each, *data])]
    studies, skipped = _studies(variants, fixed, space)
    if not studies:
        raise BadInput("this search is empty, none of its variants can be run: " + " ".join(skipped[:1]))
    _check(settings, space, studies)
    words = shlex.join(["rnnbench", "tune", *overrides, *_options({**given, "name": name})])
    made = name or experiment or _unnamed(overrides, given)
    return Search(
        made, words, tuple(studies), tuple(space), tuple(skipped),
        _baseline((content.get("search") or {}).get("baseline"), studies),
        **settings,
    )  # fmt: skip


def _unnamed(overrides: Sequence[str], given: Mapping[str, Any]) -> str:
    """A name for a search without one: of what it searches, so that more trials or more finals are the same search."""
    rules = _options({key: given.get(key) for key in ("sampler", "pruner", "objectives", "seed")})
    words = shlex.join(["rnnbench", "tune", *overrides, *rules])
    return "tune-" + hashlib.sha256(words.encode()).hexdigest()[:8]


def _experiment(name: str, rest: Sequence[str]) -> dict[str, Any]:
    """An experiment's yaml of the size that the asked budget has. Raises BadInput where it is no search."""
    content = registry.read("experiment", name)
    if "search" not in content and not any(parse(o).is_sweep_override() for o in rest):
        raise BadInput(f"experiment={name} is a sweep, not a search; use `rnnbench sweep experiment={name}`.")
    if "search" not in content and "grids" in content:
        raise BadInput(f"experiment={name} lists its runs; give `rnnbench tune` the overrides to search over instead.")
    budgets = [str(parse(o).value()) for o in rest if parse(o).key_or_group == "budget"]
    sizes = content.get("budgets") or {}
    if not isinstance(sizes, dict) or not all(isinstance(size, dict) for size in sizes.values()):
        raise BadInput(f"experiment {name!r}: `budgets` is a mapping from a budget to its `base` and `search`.")
    size = sizes.get(budgets[-1]) if budgets else None
    for part in ("base", "search"):
        if not isinstance(content.get(part) or {}, dict) or not isinstance((size or {}).get(part) or {}, dict):
            raise BadInput(f"experiment {name!r}: `{part}` is a mapping.")
    if not isinstance(content.get("variants") or [], list):
        raise BadInput(f"experiment {name!r}: `variants` is a list of mappings of overrides.")
    both = {p: {**(content.get(p) or {}), **((size or {}).get(p) or {})} for p in ("base", "search")}
    return {**content, **both}


def _settings(search: Mapping[str, Any], given: Mapping[str, Any], experiment: str | None) -> dict[str, Any]:
    known = {*DEFAULTS, "space", "baseline"}
    for key in search:
        if key not in known:
            raise BadInput(f"experiment {experiment!r}: unknown `search.{key}`; {nearest(str(key), known)}")
    settings = {key: search.get(key, default) for key, default in DEFAULTS.items()}
    settings |= {key: value for key, value in given.items() if value is not None and key in DEFAULTS}
    for key in ("trials", "final_seeds", "seed"):
        value, least = settings[key], 1 if key == "trials" else 0
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadInput(f"{key} must be a whole number of at least {least}, not {value!r}.")
    if not isinstance(settings["top"], (int, float)) or not 0 < settings["top"] <= 1:
        raise BadInput(f"top is the share of trials that is reported, above 0 and at most 1, not {settings['top']!r}.")
    settings["sampler"], settings["pruner"] = str(settings["sampler"]).lower(), str(settings["pruner"] or "none")
    for key, choices in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if settings[key] not in choices:
            raise BadInput(f"unknown {key} {settings[key]!r}; {nearest(settings[key], choices)}")
    objectives = settings["objectives"]
    settings["objectives"] = tuple(objectives if isinstance(objectives, (list, tuple)) else [objectives])
    for objective in settings["objectives"]:
        if objective not in OBJECTIVES:
            raise BadInput(f"unknown objective {objective!r}; {nearest(str(objective), OBJECTIVES)}")
    if len(set(settings["objectives"])) < len(settings["objectives"]) or not settings["objectives"]:
        raise BadInput("a search needs objectives, each once: " + ", ".join(OBJECTIVES) + ".")
    if "metric" not in settings["objectives"]:
        raise BadInput("a search is for the metric; name it among the objectives, e.g. --objectives metric,params.")
    return settings


def _check(settings: dict[str, Any], space: Sequence[Dimension], studies: Sequence[Study]) -> None:
    """What samplers, pruners and objectives cannot do together; and one point of the space, whose run must exist."""
    if len(settings["objectives"]) > 1:
        if settings["sampler"] == "cmaes":
            raise BadInput("cmaes searches for one objective; use --sampler tpe or random for several.")
        if settings["pruner"] != "none":
            raise BadInput("a pruner needs one objective, the metric; use --pruner none with several.")
    if settings["sampler"] == "grid":
        size = 1
        for dimension in space:
            size *= len(dimension.grid())
        settings["trials"] = size
    for study in studies:
        seeds = [parse(o).value() for o in study.overrides if parse(o).key_or_group == "seed"]
        if any(isinstance(seed, int) and seed >= FINAL_SEED for seed in seeds):
            raise BadInput(f"seed={seeds[-1]}: seeds from {FINAL_SEED} on are the winner's; give trials a smaller one.")
        _try(study, space)


def _try(study: Study, space: Sequence[Dimension]) -> None:
    """One point of the space whose run exists; choices that do not go together are told when they are met."""
    points = itertools.product(
        *(
            range(len(d.texts)) if d.kind == "choice" else [int(d.low) if d.kind == "int" else d.bounds[1]]
            for d in space
        )
    )
    refusal: AxisRefused | None = None
    for point in itertools.islice(points, POINTS):
        try:
            prepare([*study.overrides, *(d.override(value) for d, value in zip(space, point, strict=True))])
        except AxisRefused as refused:
            refusal = refused
            continue
        return
    if refusal is not None:
        raise refusal


def _studies(
    variants: Sequence[list[str]], fixed: list[str], space: Sequence[Dimension]
) -> tuple[list[Study], list[str]]:
    """The studies, and why variants that cannot be run are left out."""
    fixed = untracked(fixed)
    searched = {d.key for d in space}
    studies: dict[str, Study] = {}
    skipped = []
    for variant in variants:
        keys = {parse(o).key_or_group for o in variant}
        if both := keys & searched:
            raise BadInput(f"{min(both)} is both searched and what sets the variants apart; choose one.")
        overrides = _typed([*(o for o in fixed if parse(o).key_or_group not in keys), *variant])
        try:
            job = prepare(overrides)
        except AxisRefused as refused:
            skipped.append(str(refused))
            continue
        check_trackers([job])
        key = " ".join(_typed(variant)) or "all"
        label = job.axes["label"] + (f" · {job.dataset}" if "dataset" in keys else "")
        studies.setdefault(key, Study(key, label, tuple(overrides)))
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


def _lines(mapping: Mapping[str, Any]) -> list[str]:
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


def _options(given: Mapping[str, Any]) -> list[str]:
    return [
        word
        for key, value in given.items()
        if value is not None
        for word in (f"--{key.replace('_', '-')}", ",".join(value) if isinstance(value, (list, tuple)) else str(value))
    ]
