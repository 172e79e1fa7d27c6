"""Metrics of torchmetrics by name: the table is torchmetrics' own, values are those of the whole split, and what cannot
be taken is one sentence."""

from __future__ import annotations

import dataclasses
import inspect
import math
import random
import subprocess
import sys
import warnings

import pytest
import torch
import torchmetrics

from rnnbench.datasets import Digits
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.metrics import TaskMetrics
from rnnbench.datasets.base.named_metrics import (
    CLASSES,
    COUNTED,
    CURVES,
    KEEP_ITEMS,
    NUMBERS,
    PAIRS,
    REFUSED,
    TABLES,
    TWO_CLASSES,
    Kind,
    affordable,
    choose,
    from_name,
    is_named,
    resolve,
)
from rnnbench.datasets.base.spec import Batch, TaskSpec
from rnnbench.errors import BadInput

PREFIX = {"classes": "Multiclass", "two classes": "Binary", "numbers": ""}
NEEDED = {"beta": 2.0, "threshold": 0.1, "p": 3}
# Options of torchmetrics that are no user's affair, or turn the number into several.
OURS = {
    "self", "kwargs", "num_classes", "num_outputs", "ignore_index", "validate_args", "multidim_average", "t_test",
    "alternative", "keep_sequence_dim",
}  # fmt: skip
OWN = {"accuracy": "max", "macro_f1": "max", "cross_entropy": "min"}


def room(kind: Kind) -> object:
    return torchmetrics.regression if kind == "numbers" else torchmetrics.classification


def every() -> list[tuple[Kind, str]]:
    return [(kind, name) for kind, table in TABLES.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), every())
def test_the_table_says_what_torchmetrics_says(kind, name):
    found, known = getattr(room(kind), PREFIX[kind] + name), TABLES[kind][name]
    assert found.higher_is_better == {"max": True, "min": False, None: None}[known.goal]
    taken = inspect.signature(found.__init__).parameters
    assert set(known.arguments) == set(taken) - OURS
    assert set(known.needed) == {
        key for key, value in taken.items() if value.default is value.empty and key not in OURS and key != "args"
    }


def test_the_table_has_every_metric_of_the_two_rooms_or_says_why_not():
    known = {PREFIX[kind] + name for kind, name in every()} | set(CLASSES)
    for module in (torchmetrics.classification, torchmetrics.regression):
        for name in module.__all__:
            short = name.removeprefix("Multiclass").removeprefix("Binary")
            assert name in known or name in REFUSED or short in REFUSED or name.startswith("Multilabel"), name


def spec(outputs: int, *metrics: str, loss: str = "cross_entropy", kind: str = "sequence") -> TaskSpec:
    return dataclasses.replace(Digits().spec, outputs=kind, output_size=outputs, loss=loss, metrics=metrics)


def over(
    task: TaskSpec, prediction: torch.Tensor, y: torch.Tensor, size: int, lengths: torch.Tensor | None = None
) -> dict:
    made = TaskMetrics(task, lambda *_: torch.zeros(()))
    for index in torch.arange(len(y)).split(size):
        some = None if lengths is None else lengths[index]
        made.update(prediction[index], Batch(torch.zeros(len(index), 1, 1), y[index], some))
    return made.compute()


def whole(kind: Kind, name: str, arguments: dict, prediction: torch.Tensor, y: torch.Tensor) -> float:
    """torchmetrics asked directly, once, about the whole split."""
    sizes = {"num_classes": prediction.shape[1]} if kind == "classes" else {}
    found = getattr(room(kind), PREFIX[kind] + name)
    if kind == "numbers" and "num_outputs" in inspect.signature(found.__init__).parameters and y.dim() == 2:
        sizes["num_outputs"] = y.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = found(**arguments, **sizes).set_dtype(torch.float64)
        metric.update(prediction, y)
        return float(metric.compute().double().mean())


# A few each time, the same ones each time: the others are asked by make test.
SOME = random.Random(7).sample(every(), 16)


def check(kind: Kind, name: str) -> None:
    generator = torch.Generator().manual_seed(len(name))
    needed = {key: NEEDED[key] for key in TABLES[kind][name].needed}
    goal = TABLES[kind][name].goal or "max"
    given = "Binary" * (kind == "two classes") + name
    of = "numbers" if kind == "numbers" else "classes"
    chosen = resolve({"name": given, "goal": goal, **needed}, of=of)
    assert is_named(chosen.name)
    if kind == "numbers":
        y = torch.rand(57, 3, generator=generator) + 0.2
        prediction = (y + 0.3 * torch.rand(57, 3, generator=generator)).clamp_min(0.01)
        wanted = whole(kind, name, needed, prediction.double(), y.double())
        task = spec(3, chosen.name, loss="mse")
    else:
        K = 2 if kind == "two classes" else 4
        y = torch.randint(K, (57,), generator=generator)
        prediction = 2 * torch.randn(57, K, generator=generator)
        y[5] = IGNORED
        known = y != IGNORED
        shares = prediction[known].double().softmax(1)
        wanted = whole(kind, name, needed, shares[:, 1] if K == 2 else shares, y[known])
        task = spec(K, chosen.name)
    for size in (1, 10, 57):
        assert over(task, prediction, y, size)[chosen.name] == pytest.approx(wanted, rel=1e-9, abs=1e-12), size


@pytest.mark.parametrize(("kind", "name"), SOME)
def test_values_are_those_of_the_whole_split_for_every_batch_size(kind, name):
    check(kind, name)


@pytest.mark.integration
@pytest.mark.parametrize(("kind", "name"), [each for each in every() if each not in SOME])
def test_values_of_all_the_others(kind, name):
    check(kind, name)


def test_arguments_are_given_and_are_part_of_the_name():
    entry = {"name": "torchmetrics.classification.MulticlassFBetaScore", "beta": 2.0, "average": "micro"}
    found = resolve(entry, of="classes", classes=3)
    assert (found.name, found.goal) == ("FBetaScore(average=micro beta=2.0)", "max")
    assert from_name(found.name) == found
    assert resolve({**entry, "name": "FBetaScore"}, of="classes") == found
    generator = torch.Generator().manual_seed(0)
    y, logits = torch.randint(3, (40,), generator=generator), torch.randn(40, 3, generator=generator)
    truth = [(int(a), int(b)) for a, b in zip(y, logits.argmax(1), strict=True)]
    right = sum(a == b for a, b in truth) / 40  # micro: precision, recall and every F are the share that is right
    assert over(spec(3, found.name), logits, y, 7)[found.name] == pytest.approx(right)


@pytest.mark.parametrize("entry", [
    {"name": "LogAUC", "fpr_range": [0.1, 0.5]}, {"name": "AUROC", "thresholds": 5},
    {"name": "AUROC", "thresholds": None},
    {"name": "HingeLoss", "squared": True, "multiclass_mode": "one-vs-all"}, "BinaryAUROC",
])  # fmt: skip
def test_a_name_in_a_spec_is_read_as_it_was_meant(entry):
    found = resolve(entry, of="classes")
    assert from_name(found.name) == found
    assert "," not in found.name.replace("[0.1,0.5]", "")


def test_steps_are_told_without_padding_and_unknown_classes():
    y = torch.tensor([[0, 1, 1, 0], [1, IGNORED, 0, 0]])
    logits = torch.eye(2)[torch.tensor([[0, 1, 0, 1], [1, 0, 1, 1]])]
    lengths = torch.tensor([3, 1])
    logits[0, 3] = math.nan
    found = over(spec(2, "Recall", kind="step"), logits, y, 1, lengths)["Recall"]
    assert found == pytest.approx((1 + 2 / 3) / 2)
    numbers = torch.tensor([[[1.0], [2.0], [9.0]], [[4.0], [9.0], [9.0]]])
    task = spec(1, "MeanAbsoluteError", loss="mse", kind="step")
    assert over(task, torch.zeros(2, 3, 1), numbers, 2, torch.tensor([2, 1]))["MeanAbsoluteError"] == pytest.approx(
        7 / 3
    )


def test_what_a_diverged_network_gives_is_no_number():
    y, logits = torch.tensor([0, 1, 1]), torch.randn(3, 2)
    logits[1] = math.nan
    made = over(spec(2, "CohenKappa", "accuracy"), logits, y, 2)
    assert math.isnan(made["CohenKappa"])
    assert not math.isnan(made["accuracy"])


@pytest.mark.parametrize(("entry", "of", "sentence"), [
    ("CohenKapa", "classes", "there is no metric 'CohenKapa'; did you mean CohenKappa"),
    ("macrof1", "classes", "did you mean macro_f1"),
    ("os.system", "classes", "'os.system' is no metric; only those of torchmetrics"),
    ("torchmetrics.classification.os.system", "classes", "only those of torchmetrics"),
    ("torchmetrics.text.BLEUScore", "classes", "is not told of classes; torchmetrics.classification has"),
    ("torchmetrics.wrappers.BootStrapper", "numbers", "is not told of numbers"),
    ("torchmetrics.clasification.AUROC", "classes", "did you mean classification"),
    ("R2Score", "classes", "'R2Score' is told of numbers, and this dataset predicts classes"),
    ("BinaryAUROC", "numbers", "'BinaryAUROC' is told of classes, and this dataset predicts numbers"),
    ("ROC", "classes", "'ROC' gives a curve, and a metric here is one number"),
    ("BinaryConfusionMatrix", "classes", "gives a table of counts"),
    ("MultilabelAUROC", "classes", "MultilabelAUROC is about several classes an item"),
    ("KLDivergence", "numbers", "compares distributions"),
    ("PearsonCorrCoef", "numbers", r"whether more of PearsonCorrCoef is better; write \{name: Pearson"),
    ({"name": "PearsonCorrCoef", "goal": "more"}, "numbers", "the goal of 'PearsonCorrCoef' is max or min, not 'more'"),
    ({"name": "FBetaScore"}, "classes", "FBetaScore needs beta"),
    ({"name": "AUROC", "avrage": "macro"}, "classes", "AUROC takes no 'avrage'; did you mean average"),
    ({"name": "MatthewsCorrCoef", "x": 1}, "classes", "it takes none"),
    ({"name": "AUROC", "average": "none"}, "classes", "is a number a class; say macro"),
    ({"name": "AUROC", "average": {"_target_": "os.system"}}, "classes", "is a plain value"),
    ({"name": "AUROC", "average": "a b(c)"}, "classes", "is a plain value"),
    ({"name": "AUROC", "num_classes": 3}, "classes", "AUROC takes no 'num_classes'"),
    ({"goal": "max"}, "classes", "a metric is a name"),
    (3, "classes", "a metric is a name"),
    ("", "classes", "a metric is a name"),
])  # fmt: skip
def test_what_cannot_be_taken_is_one_sentence(entry, of, sentence):
    with pytest.raises(BadInput, match=sentence) as said:
        resolve(entry, of=of, also=OWN)
    assert str(said.value).startswith("dataset.metrics: ")
    assert "\n" not in str(said.value)


def test_a_metric_of_two_classes_is_refused_where_there_are_more():
    assert resolve("BinaryAUROC", of="classes", classes=2).of == "two classes"
    with pytest.raises(BadInput, match="BinaryAUROC is for two classes, and there are 3; write AUROC"):
        resolve("BinaryAUROC", of="classes", classes=3)


def test_the_options_choose_what_is_computed_and_what_is_main():
    assert choose(None, None, OWN, of="classes") == (chosen := choose(list(OWN), "accuracy", OWN, of="classes"))
    assert (chosen.metrics, chosen.metric, chosen.goal) == (tuple(OWN), "accuracy", "max")
    listed = [{"name": "Specificity", "goal": "max"}, "macro_f1", "torchmetrics.CohenKappa"]
    chosen = choose(listed, None, OWN, of="classes")
    assert (chosen.metrics, chosen.metric) == (("Specificity", "macro_f1", "CohenKappa"), "Specificity")
    assert choose([*listed, "accuracy"], None, OWN, of="classes").metric == "accuracy", "the task's own, where listed"
    assert choose(listed, "torchmetrics.CohenKappa", OWN, of="classes").metric == "CohenKappa"
    assert choose(None, "cross_entropy", OWN, of="classes").goal == "min"
    added = choose(None, "CalibrationError", OWN, of="classes")
    assert (added.metrics, added.metric, added.goal) == ((*OWN, "CalibrationError"), "CalibrationError", "min")
    for metrics, metric, sentence in (
        ("accuracy", None, "dataset.metrics is a list"), ([], None, "lists 0 metrics"),
        (None, 3, "the name of a metric"), (None, "acuracy", "did you mean accuracy"),
        (["accuracy"], "Specificity", "whether more of Specificity is better"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=sentence):
            choose(metrics, metric, OWN, of="classes")


def test_what_torchmetrics_refuses_is_one_sentence():
    for entry in (
        {"name": "AUROC", "average": "harmonic"},
        {"name": "Accuracy", "top_k": -1},
        {"name": "Recall", "top_k": 9},
    ):
        found = resolve(entry, of="classes")
        with pytest.raises(BadInput, match=r"^dataset\.metrics: torchmetrics refuses (AUROC|Accuracy|Recall)\("):
            over(spec(3, found.name), torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), 4)


def test_a_task_whose_metrics_torchmetrics_refuses_is_refused_when_its_data_is_read():
    class Listed(Digits):
        def __init__(self, *metrics: str) -> None:
            super().__init__()
            self.spec = dataclasses.replace(self.spec, metrics=metrics)

    task = Listed("accuracy", "CohenKappa", "AUROC")
    assert loading.load(task).val.size == 360
    with pytest.raises(BadInput, match=r"torchmetrics refuses Recall\(top_k=11\)"):
        loading.load(Listed("Recall(top_k=11)"))


def test_planning_knows_no_torch():
    code = (
        "import sys; from rnnbench.datasets.base.named_metrics import choose; "
        "choose(['CohenKappa'], None, {'accuracy': 'max'}, of='classes'); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True).returncode == 0


@pytest.mark.parametrize(("kind", "name"), every())
def test_what_a_metric_holds_is_known(kind, name):
    """Tables of all pairs and what keeps every item, as torchmetrics' own states say."""
    needed = {key: NEEDED[key] for key in TABLES[kind][name].needed}
    sizes = {"num_classes": 7} if kind == "classes" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = getattr(room(kind), PREFIX[kind] + name)(**needed, **sizes)._defaults.values()
    keeps = any(isinstance(state, list) for state in states)
    assert keeps == (name in (*CURVES, *KEEP_ITEMS))
    if kind == "classes":
        assert any(state.numel() == 49 for state in states if not keeps) == (name in PAIRS)
        assert any(state.numel() == 7 for state in states if not keeps) == (name in COUNTED)


@pytest.mark.parametrize(
    ("name", "items", "outputs", "refused"),
    [
        ("CohenKappa", 10, 5000, False),
        ("CohenKappa", 10, 10_000, True),
        ("F1Score", 10, 10_000, True),
        ("F1Score(average=micro)", 10, 10_000, False),
        ("Precision(top_k=5)", 10, 10_000, False),
        ("AUROC", 100_000, 65, False),
        ("AUROC", 100_000, 10_000, True),
        ("AUROC(thresholds=50)", 100_000, 10_000, False),
        ("SpearmanCorrCoef", 10_000_000, 7, True),
        ("KendallRankCorrCoef", 40_000, 1, True),
        ("R2Score", 10_000_000, 7, False),
        ("accuracy", 10_000_000, 1_000_000, False),
    ],
)
def test_what_does_not_fit_into_memory_is_refused(name, items, outputs, refused):
    if not refused:
        affordable([name], items=items, outputs=outputs)
        return
    with pytest.raises(BadInput, match=rf"^dataset.metrics: {name} .* taken, .*\.$"):
        affordable([name], items=items, outputs=outputs)


def test_names_are_of_one_kind():
    assert not set(CLASSES) & set(NUMBERS)
    assert set(TWO_CLASSES) == set(CLASSES)
