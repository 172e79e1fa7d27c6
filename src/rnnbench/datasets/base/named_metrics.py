"""Metrics of torchmetrics by name, for a user's own dataset: `dataset.metrics=[accuracy,CohenKappa]`.

An entry of the option is a name, or an object with a name, `goal` (max or min) and arguments as plain values::

    metrics: [accuracy, CohenKappa, {name: FBetaScore, beta: 2.0, average: macro}, {name: Specificity, goal: max}]
    metric: CohenKappa                    # the main one: what is best on validation, and what tables rank by

Names are those of torchmetrics, long (torchmetrics.classification.MulticlassCohenKappa) or short (CohenKappa). Of
classes (N items, K classes) a metric is told of N K probabilities, the softmax of what the network gives, and N
classes; `Multiclass...` is what a short name means, `Binary...` is for two classes and told of the second one's
probability. Of numbers it is told of N (or N K) predicted and true values. What is IGNORED, padding or context it is
never told of. A metric of several outputs (PearsonCorrCoef) counts as their mean. Sums are float64.

Which way is better is torchmetrics' `higher_is_better`; where that says nothing, `goal` must. Nothing is imported by
name: an entry is looked up in the table below, which tests hold against torchmetrics itself. Imports no torch.
"""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rnnbench.errors import BadInput, nearest, shown

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Goal = Literal["max", "min"]
Kind = Literal["classes", "two classes", "numbers"]
Plain = str | int | float | bool | list[float] | None

PREFIX = {"classes": "Multiclass", "two classes": "Binary", "numbers": ""}
ROOM = {"classes": "classification", "two classes": "classification", "numbers": "regression"}
MOST = 32  # metrics of a task


@dataclass(frozen=True)
class Known:
    """A class of torchmetrics. goal: None where its `higher_is_better` says nothing; arguments: those that may be
    given; needed: those among them that have no default."""

    goal: Goal | None
    arguments: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def _known(goal: Goal | None, arguments: str = "", needed: str = "") -> Known:
    return Known(goal, tuple(arguments.split()), tuple(needed.split()))


# Without the prefix: torchmetrics.classification.MulticlassAUROC.
CLASSES: dict[str, Known] = {
    "AUROC": _known("max", "average thresholds"),
    "Accuracy": _known("max", "top_k average"),
    "AveragePrecision": _known("max", "average thresholds"),
    "CalibrationError": _known("min", "n_bins norm"),
    "CohenKappa": _known("max", "weights"),
    "EER": _known(None, "thresholds average"),
    "F1Score": _known("max", "top_k average zero_division"),
    "FBetaScore": _known("max", "beta top_k average zero_division", "beta"),
    "HammingDistance": _known("min", "top_k average"),
    "HingeLoss": _known("min", "squared multiclass_mode"),
    "JaccardIndex": _known("max", "average zero_division"),
    "LogAUC": _known("max", "fpr_range average thresholds"),
    "MatthewsCorrCoef": _known("max"),
    "NegativePredictiveValue": _known(None, "top_k average"),
    "Precision": _known("max", "top_k average"),
    "Recall": _known("max", "top_k average"),
    "Specificity": _known(None, "top_k average"),
}
TWO_CLASSES: dict[str, Known] = {
    "AUROC": _known("max", "max_fpr thresholds"),
    "Accuracy": _known("max", "threshold"),
    "AveragePrecision": _known("max", "thresholds normalization"),
    "CalibrationError": _known("min", "n_bins norm"),
    "CohenKappa": _known("max", "threshold weights"),
    "EER": _known(None, "thresholds normalization"),
    "F1Score": _known("max", "threshold zero_division"),
    "FBetaScore": _known("max", "beta threshold zero_division", "beta"),
    "HammingDistance": _known("min", "threshold"),
    "HingeLoss": _known("min", "squared"),
    "JaccardIndex": _known("max", "threshold zero_division"),
    "LogAUC": _known("max", "fpr_range thresholds"),
    "MatthewsCorrCoef": _known("max", "threshold"),
    "NegativePredictiveValue": _known(None, "threshold"),
    "Precision": _known("max", "threshold"),
    "Recall": _known("max", "threshold"),
    "Specificity": _known(None, "threshold"),
}
NUMBERS: dict[str, Known] = {
    "ConcordanceCorrCoef": _known("max"),
    "CosineSimilarity": _known("max", "reduction"),
    "CriticalSuccessIndex": _known("max", "threshold", "threshold"),
    "ExplainedVariance": _known("max", "multioutput"),
    "KendallRankCorrCoef": _known(None, "variant"),
    "LogCoshError": _known("min"),
    "MeanAbsoluteError": _known("min"),
    "MeanAbsolutePercentageError": _known("min"),
    "MeanSquaredError": _known("min", "squared"),
    "MeanSquaredLogError": _known("min"),
    "MinkowskiDistance": _known("min", "p", "p"),
    "NormalizedRootMeanSquaredError": _known("min", "normalization"),
    "PearsonCorrCoef": _known(None),
    "R2Score": _known("max", "adjusted multioutput"),
    "RelativeSquaredError": _known("min", "squared"),
    "SpearmanCorrCoef": _known("max"),
    "SymmetricMeanAbsolutePercentageError": _known("min"),
    "TweedieDevianceScore": _known(None, "power"),
    "WeightedMeanAbsolutePercentageError": _known("min"),
}
TABLES: dict[Kind, dict[str, Known]] = {"classes": CLASSES, "two classes": TWO_CLASSES, "numbers": NUMBERS}

# What there is and cannot be taken, with why: the end of "NAME ...".
_CURVE, _TABLE, _PAIR = "gives a curve", "gives a table of counts", "gives two numbers"
_GROUPS, _SHARES = "is also told of groups", "compares distributions"
REFUSED: dict[str, str] = {
    "ROC": _CURVE,
    "PrecisionRecallCurve": _CURVE,
    "ConfusionMatrix": _TABLE,
    "StatScores": _TABLE,
    "PrecisionAtFixedRecall": _PAIR,
    "RecallAtFixedPrecision": _PAIR,
    "SensitivityAtSpecificity": _PAIR,
    "SpecificityAtSensitivity": _PAIR,
    "BinaryFairness": _GROUPS,
    "BinaryGroupStatRates": _GROUPS,
    "ExactMatch": "is about several classes an item",
    "ContinuousRankedProbabilityScore": "is told of ensembles",
    "JensenShannonDivergence": _SHARES,
    "KLDivergence": _SHARES,
}
ELSEWHERE = (
    "audio", "clustering", "detection", "functional", "image", "multimodal", "nominal", "retrieval", "segmentation",
    "shape", "text", "video", "wrappers",
)  # fmt: skip  # rooms of torchmetrics whose metrics are told of other things
NEVER_AVERAGED = ("none", "null", None)  # what `average` may not be: the metric would be K numbers
# What they hold while a split is read. Of V classes: a table of V V pairs, which those of COUNTED make for any average
# but micro and a top_k of 1; of CURVES, the V shares of every item, unless thresholds are given. The others of
# KEEP_ITEMS: what was predicted and true of every item.
PAIRS = ("CohenKappa", "JaccardIndex", "MatthewsCorrCoef")
COUNTED = (
    "Accuracy", "F1Score", "FBetaScore", "HammingDistance", "NegativePredictiveValue", "Precision", "Recall",
    "Specificity",
)  # fmt: skip
CURVES = ("AUROC", "AveragePrecision", "EER", "LogAUC")
KEEP_ITEMS = ("CalibrationError", "CosineSimilarity", "KendallRankCorrCoef", "SpearmanCorrCoef")
MOST_HELD = 1 << 28  # bytes of one of them
MOST_COMPARED = 30_000  # items that are compared each with each other

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_CANONICAL = re.compile(r"(\w{1,60})(?:\(([^()]{1,300})\))?")


@dataclass(frozen=True)
class NamedMetric:
    """A metric of torchmetrics with its arguments. name: how it is called in records and tables, as
    `FBetaScore(beta=2.0)`; of: what it is told of; torch_name: its class in torchmetrics."""

    name: str
    goal: Goal
    of: Kind
    torch_name: str
    arguments: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class Chosen:
    """A task's metrics for its spec: their names, the main one among them, and whether more of that is better."""

    metrics: tuple[str, ...]
    metric: str
    goal: Goal


def choose(
    metrics: Sequence[Any] | None, metric: str | None, own: Mapping[str, Goal], *, of: Literal["classes", "numbers"],
    classes: int | None = None,
) -> Chosen:  # fmt: skip
    """What the options `dataset.metrics` and `dataset.metric` ask for; torch-free, for a task's constructor.

    own: the task's own metrics by name with their goals, the main one first. metrics: names of these and entries (see
    the head); null: the task's own. metric: the main one, by its name or as its entry has it; null: the task's own main
    one where it is listed, else the first. One that is not listed is added. classes: K, where it is known.
    Raises BadInput in one sentence.
    """
    if not own:
        raise ValueError("a task has at least one metric of its own")
    if metrics is not None and (isinstance(metrics, (str, Mapping)) or not isinstance(metrics, Sequence)):
        raise BadInput(f"dataset.metrics is a list, as in dataset.metrics=[{next(iter(own))}], not {shown(metrics)}.")
    goals: dict[str, Goal] = {}
    called: dict[str, str] = {}  # as entries name them
    for entry in list(own) if metrics is None else metrics:
        name, goal = _one(entry, own, of, classes)
        goals[name] = goal
        called.setdefault(_plain_name(entry), name)
    if not 1 <= len(goals) <= MOST:
        raise BadInput(f"dataset.metrics lists {len(goals)} metrics; a dataset takes 1 to {MOST}.")
    if metric is None:
        usual = next(iter(own))
        main = usual if usual in goals else next(iter(goals))
        return Chosen(tuple(goals), main, goals[main])
    if not isinstance(metric, str):
        raise BadInput(f"dataset.metric is the name of a metric, not {shown(metric)}; list it in dataset.metrics.")
    main = metric if metric in goals else called.get(metric, "")
    if not main:
        main, goal = _one(metric, own, of, classes)
        goals.setdefault(main, goal)
    return Chosen(tuple(goals), main, goals[main])


def _one(
    entry: Any, own: Mapping[str, Goal], of: Literal["classes", "numbers"], classes: int | None
) -> tuple[str, Goal]:
    if isinstance(entry, str) and entry in own:
        return entry, own[entry]
    found = resolve(entry, of=of, classes=classes, also=own)
    return found.name, found.goal


def _plain_name(entry: Any) -> str:
    return str(entry.get("name")) if isinstance(entry, Mapping) else str(entry)


def resolve(
    entry: Any, *, of: Literal["classes", "numbers"], classes: int | None = None, also: Iterable[str] = (),
    option: str = "dataset.metrics",
) -> NamedMetric:  # fmt: skip
    """The metric that an entry names; torch-free. of: what the task predicts; classes: K, where it is known; also:
    other names that are known, for who has misspelt one. Raises BadInput in one sentence."""
    given = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    name = given.pop("name", None)
    goal = given.pop("goal", None)
    if not isinstance(name, str) or not name:
        raise BadInput(f"{option}: a metric is a name, or {{name: ..., goal: max}}, not {shown(entry)}.")
    if goal not in (None, "max", "min"):
        raise BadInput(f"{option}: the goal of {shown(name)} is max or min, not {shown(goal)}.")
    kind, short, known = _look_up(name, of, classes, also, option)
    if not (better := goal or known.goal):
        raise BadInput(
            f"{option}: torchmetrics does not say whether more of {short} is better; write "
            f"{{name: {name}, goal: max}}, or min."
        )
    arguments = {key: _plain(short, key, value, known, option) for key, value in given.items()}
    if lacking := [key for key in known.needed if key not in arguments]:
        raise BadInput(f"{option}: {short} needs {lacking[0]}; write {{name: {name}, {lacking[0]}: ...}}.")
    shown_name = short if kind != "two classes" else f"Binary{short}"
    return NamedMetric(_canonical(shown_name, arguments), better, kind, f"{PREFIX[kind]}{short}", arguments)


def is_named(name: str) -> bool:
    """Whether a metric of a spec is one of torchmetrics, by the name that `resolve` gave it."""
    match = _CANONICAL.fullmatch(name)
    return match is not None and (match[1] in CLASSES or match[1] in NUMBERS or _two(match[1]) in TWO_CLASSES)


def from_name(name: str) -> NamedMetric:
    """The metric of a canonical name, as a spec has it: what `resolve` made. A goal that torchmetrics does not know is
    told by the spec, and `max` here."""
    match = _CANONICAL.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no metric of torchmetrics")
    arguments = dict(_argument(text) for text in match[2].split(" ")) if match[2] else {}
    of: Literal["classes", "numbers"] = "numbers" if match[1] in NUMBERS else "classes"
    known = NUMBERS.get(match[1]) or CLASSES.get(match[1]) or TWO_CLASSES[_two(match[1])]
    return resolve({"name": match[1], "goal": known.goal or "max", **arguments}, of=of)


def affordable(names: Iterable[str], *, items: int, outputs: int) -> None:
    """Refuse metrics of torchmetrics that would not fit into memory. names: as a spec has them; items: of the largest
    split that is evaluated; outputs: classes, or numbers an item. Raises BadInput in one sentence."""
    for found in (from_name(name) for name in names if is_named(name)):
        short = found.torch_name.removeprefix(PREFIX[found.of])
        where = f"dataset.metrics: {found.name}"
        if short == "KendallRankCorrCoef" and items > MOST_COMPARED:
            raise BadInput(
                f"{where} compares every two items, and there are {items:,}; up to {MOST_COMPARED:,} are taken, "
                "SpearmanCorrCoef takes more."
            )
        held, why, fix = _held(short, found, items, outputs)
        if held > MOST_HELD:
            raise BadInput(f"{where} {why}, {held / 1e9:,.1f} GB; up to {MOST_HELD / 1e9:,.1f} GB are taken, so {fix}.")


def _held(short: str, found: NamedMetric, items: int, outputs: int) -> tuple[int, str, str]:
    """The bytes that a metric holds, what for, and what to do instead."""
    arguments = found.arguments
    if short in CURVES:
        thresholds = arguments.get("thresholds")
        if thresholds is None:
            why = f"keeps {outputs:,} shares for each of {items:,} items"
            return 8 * items * (outputs + 1), why, f"write {{name: {short}, thresholds: 100}}"
        many = len(thresholds) if isinstance(thresholds, list) else int(thresholds)
        return 32 * many * outputs, f"counts {outputs:,} classes at {many:,} thresholds", "take fewer thresholds"
    if found.of == "classes" and (short in PAIRS or (short in COUNTED and arguments.get("top_k", 1) == 1)):
        if short in COUNTED and arguments.get("average") == "micro":
            return 0, "", ""
        other = "macro_f1 or accuracy" if short in PAIRS else f"write {{name: {short}, average: micro}}"
        fix = f"take {other}" if short in PAIRS else other
        return 8 * outputs**2, f"counts every pair of {outputs:,} classes", fix
    if short in KEEP_ITEMS:
        numbers = outputs if found.of == "numbers" else 1
        return 16 * items * numbers, f"keeps all of {items:,} items", "take one that is a sum"
    return 0, "", ""


def _argument(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key, value if _WORD.fullmatch(value) and value not in ("true", "false", "null") else json.loads(value)


def _canonical(name: str, arguments: Mapping[str, Plain]) -> str:
    """`FBetaScore(average=macro beta=2.0)`: no comma, which lists of columns are cut at."""
    said = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
        for key, value in sorted(arguments.items())
    ]
    return f"{name}({' '.join(said)})" if said else name


def _two(name: str) -> str:
    """A `Binary` metric's name without that word; empty of any other."""
    return name.removeprefix("Binary") if name.startswith("Binary") else ""


def _look_up(
    name: str, of: Literal["classes", "numbers"], classes: int | None, also: Iterable[str], option: str
) -> tuple[Kind, str, Known]:
    """The kind of a metric, its name without a prefix, and what is known of it."""
    *rooms, last = name.split(".")
    if rooms and (rooms[0] != "torchmetrics" or len(rooms) > 2):
        raise BadInput(f"{option}: {shown(name)} is no metric; only those of torchmetrics are taken by name.")
    if rooms[1:] and rooms[1] in ELSEWHERE:
        raise BadInput(
            f"{option}: {shown(name)} is not told of {of}; torchmetrics.{ROOM[of]} has the metrics that are."
        )
    if rooms[1:] and rooms[1] not in ROOM.values():
        raise BadInput(f"{option}: torchmetrics has no {shown(rooms[1])}; {nearest(rooms[1], set(ROOM.values()))}")
    short = last.removeprefix("Multiclass")
    if last.startswith("Multilabel"):
        raise BadInput(f"{option}: {last} is about several classes an item, and an item here has one.")
    if why := REFUSED.get(last) or REFUSED.get(short) or REFUSED.get(_two(last)):
        raise BadInput(f"{option}: {shown(last)} {why}, and a metric here is one number of predictions and {of}.")
    if of == "classes" and _two(last) in TWO_CLASSES:
        if classes not in (None, 2):
            raise BadInput(f"{option}: {last} is for two classes, and there are {classes}; write {_two(last)}.")
        return "two classes", _two(last), TWO_CLASSES[_two(last)]
    if short in (table := TABLES[of]):
        return of, short, table[short]
    if short in CLASSES or _two(last) in TWO_CLASSES or short in NUMBERS:
        other = "classes" if of == "numbers" else "numbers"
        raise BadInput(f"{option}: {shown(last)} is told of {other}, and this dataset predicts {of}.")
    raise BadInput(f"{option}: there is no metric {shown(name)}; {nearest(last, {*also, *table})}")


def _plain(short: str, key: Any, value: Any, known: Known, option: str) -> Plain:
    """An argument, checked: one that the metric takes, and a plain value."""
    if key not in known.arguments:
        what = nearest(str(key), known.arguments) if known.arguments else "it takes none."
        raise BadInput(f"{option}: {short} takes no {shown(key)}; {what}")
    if key == "average" and value in NEVER_AVERAGED:
        raise BadInput(f"{option}: {short} with average={value} is a number a class; say macro, micro or weighted.")
    if value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and _WORD.fullmatch(value)):
        return value
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if numbers and len(numbers) <= MOST and all(type(n) in (int, float) for n in numbers):
        return numbers
    raise BadInput(
        f"{option}: {key} of {short} is a plain value (a number, a word, a list of numbers), not {shown(value)}."
    )


class Accumulator:
    """A metric of torchmetrics over a split. update(found, wanted): of N items, at least one; compute() -> one number.

    NaN in what is predicted makes the value NaN, which torchmetrics would refuse or count as something else. Raises
    BadInput in one sentence where torchmetrics cannot be asked for this, or refuses what it is told.
    """

    def __init__(self, named: NamedMetric, outputs: int) -> None:
        self.named, self.outputs = named, outputs
        self.lost = False
        self.metric = self._asked(self._make)

    def to(self, device: torch.device) -> None:
        import torch

        if device.type != "mps":  # which has no float64
            self.metric.set_dtype(torch.float64)
        self.metric.to(device)

    def reset(self) -> None:
        self.lost = False
        self.metric.reset()

    def update(self, found: Tensor, wanted: Tensor) -> None:
        import torch

        if self.lost or not bool(torch.isfinite(found).all()):
            self.lost = True
            return
        if self.named.of == "numbers":
            wide = torch.float32 if found.device.type == "mps" else torch.float64
            found, wanted = found.to(wide), wanted.to(wide)
            if self.outputs == 1:
                found, wanted = found.flatten(), wanted.flatten()
        self._asked(lambda: self.metric.update(found, wanted))

    def compute(self) -> Tensor:
        import torch

        if self.lost:
            return torch.tensor(float("nan"))
        value = self._asked(self.metric.compute)
        if not isinstance(value, torch.Tensor):
            raise BadInput(f"dataset.metrics: {self.named.name} gives no number, but {type(value).__name__}.")
        return value.double().mean() if value.device.type != "mps" else value.mean()

    def _make(self) -> Any:
        import torchmetrics

        found = getattr(getattr(torchmetrics, ROOM[self.named.of]), self.named.torch_name)
        taken = inspect.signature(found.__init__).parameters
        sizes = {"num_classes": self.outputs} if self.named.of == "classes" else {}
        if "num_outputs" in taken and self.outputs > 1:
            sizes["num_outputs"] = self.outputs
        return found(**self.named.arguments, **sizes)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What torchmetrics answers, without its remarks: on classes that do not occur, or how much it keeps."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ask()
        except (ValueError, TypeError, RuntimeError, AttributeError, ImportError) as error:
            text = " ".join(str(error).split())[:200]
            raise BadInput(f"dataset.metrics: torchmetrics refuses {self.named.name}: {text}") from None
