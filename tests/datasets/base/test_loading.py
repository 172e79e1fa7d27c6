"""What cannot be meant is refused when it is loaded, in one sentence with split and place; what is shipped passes."""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rnnbench.datasets import AnBn, Digits, MovingDigits
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput, MissingData

N, T, F, K = 6, 4, 3, 2
SPEC = dataclasses.replace(Digits().spec, name="mine", input_size=F, output_size=K)
CLASSES = torch.tensor([0, 1, 0, 1, 1, 0])


class Mine(Task):
    """A dataset of one's own: what is handed in, with a spec of these changes."""

    def __init__(self, data: Data, **changes: object) -> None:
        self.data = data
        self.spec: TaskSpec = dataclasses.replace(SPEC, **changes)

    def load(self) -> Data:
        return self.data

    def floors(self, data: Data) -> Mapping[str, float]:
        return {"chance": 0.5}


def split(x: Tensor | None = None, y: Tensor | None = None, lengths: Tensor | None = None) -> Split:
    return Split(torch.zeros(N, T, F) if x is None else x, CLASSES if y is None else y, lengths)


def with_(values: Tensor, place: tuple[int, ...], value: float) -> Tensor:
    values = values.clone()
    values[place] = value
    return values


def refusal(task: Task) -> str:
    with pytest.raises(BadInput) as caught:
        loading.load(task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


X, STEPS = torch.zeros(N, T, F), {"outputs": "step"}
BY_STEP = CLASSES[:, None].expand(N, T)
SETS = torch.zeros(N, T, K)
REAL = torch.zeros(N, K)
LENGTHS = torch.tensor([4, 1, 2, 3, 4, 4])
WRONG: list[tuple[Split, dict[str, object], str]] = [
    (split(X[:0], CLASSES[:0]), {}, "holds no sequence"),
    (split(y=CLASSES[:5]), {}, "holds 6 sequences and 5 targets"),
    (split(lengths=LENGTHS[:5]), {}, "holds 6 sequences; their lengths must be as many whole numbers"),
    (split(lengths=LENGTHS.float()), {}, "their lengths must be as many whole numbers, not float32"),
    (split(lengths=with_(LENGTHS, (2,), 0)), {}, "sequence 2 has the length 0; a sequence has 1 to 4 steps"),
    (split(lengths=with_(LENGTHS, (3,), -1)), {}, "sequence 3 has the length -1"),
    (split(lengths=with_(LENGTHS, (5,), 5)), {}, "sequence 5 has the length 5"),
    (split(torch.zeros(N, T, F + 1)), {}, "a batch is 2 x 4 x 4, and the spec says B x T x 3 (features)"),
    (split(torch.zeros(N, T)), {}, "a batch is 2 x 4, and the spec says B x T x 3"),
    (split(X.double()), {}, "a batch holds float64; it must be floating-point numbers (features), float32"),
    (split(X.half()), {}, "a batch holds float16; it must be floating-point numbers (features), float32"),
    (split(torch.zeros(N, T, dtype=torch.uint8)), {"inputs": "tokens"}, "it must be whole numbers (tokens), int64"),
    (split(X.numpy()), {}, ": x must be a tensor, not ndarray; use torch.as_tensor"),
    (split(y=CLASSES.tolist()), {}, ": y must be a tensor, not list"),
    (split(lengths=LENGTHS.tolist()), {}, ": lengths must be a tensor, not list"),
    ((X, CLASSES), {}, ": must be Split(x, y, lengths), not tuple"),
    (None, {}, ": must be Split(x, y, lengths), not NoneType"),
    (split(X.long()), {}, "a batch holds int64; it must be floating-point numbers (features)"),
    (split(torch.zeros(N, T)), {"inputs": "tokens"}, "it must be whole numbers (tokens)"),
    (split(torch.full((N, T), F)), {"inputs": "tokens"}, "sequence 0, step 0: the token is 3; there are 0 to 2"),
    (split(with_(X, (4, 2, 1), math.nan)), {}, "sequence 4, step 2, channel 1: the input is nan; fill or remove it"),
    (split(with_(X, (5, 0, 0), math.inf)), {}, "sequence 5, step 0, channel 0: the input is inf"),
    (split(y=with_(CLASSES, (3,), 2)), {}, "sequence 3: the class is 2; there are 0 to 1, and -100 for an unknown"),
    (split(y=with_(CLASSES, (3,), -1)), {}, "sequence 3: the class is -1"),
    (split(y=CLASSES + 0.5), {}, "sequence 0: the class is 0.5"),
    (split(y=CLASSES.to(torch.uint8) + 156), {}, "sequence 0: the class is 156"),  # -100 in eight bits
    (split(y=torch.full((N,), IGNORED)), {}, "holds no class: all are -100"),
    (split(y=CLASSES[:, None]), {}, "the targets are 6 x 1, and cross_entropy takes N"),
    (split(y=with_(BY_STEP, (1, 3), 9)), STEPS, "sequence 1, step 3: the class is 9"),
    (split(y=CLASSES), STEPS, "the targets are 6, and cross_entropy takes N x T"),
    (split(y=with_(SETS, (1, 3, 1), 2)), STEPS | {"loss": "nll_frame"}, "step 3, output 1: the target is 2"),
    (split(y=with_(SETS, (0, 1, 0), IGNORED)), STEPS | {"loss": "nll_frame"}, "which is not 0 to 1"),
    (split(y=with_(SETS, (2, 0, 1), math.nan)), STEPS | {"loss": "mse"}, "step 0, output 1: the target is nan"),
    (split(y=with_(REAL, (2, 1), math.inf)), {"loss": "mse"}, "sequence 2, output 1: the target is inf"),
    (split(y=REAL[:, :1]), {"loss": "mse"}, "the targets are 6 x 1, and mse takes N x 2"),
]  # fmt: skip


@pytest.mark.parametrize("part", Data._fields)
@pytest.mark.parametrize(("changed", "options", "sentence"), WRONG)
def test_what_cannot_be_meant_is_refused(part: str, changed: Split, options: dict[str, object], sentence: str) -> None:
    sound = SOUND[options.get("loss", "cross_entropy"), options.get("outputs", "sequence")]
    x = torch.zeros(N, T, dtype=torch.int64) if options.get("inputs") == "tokens" else X
    data = Data(*(Split(x, sound) for _ in range(3)))
    loading.load(Mine(data, **options))
    text = refusal(Mine(data._replace(**{part: changed}), **options))
    assert text.startswith(f"dataset mine, {part}")
    assert sentence in text


@pytest.mark.parametrize("returned", [None, (split(), split()), [split()] * 3])
def test_what_is_no_data_is_refused(returned: object) -> None:
    said = f"load() must return Data(train, val, test), not {type(returned).__name__}."
    assert refusal(Mine(returned)) == f"dataset mine: {said}"  # type: ignore[arg-type]


SOUND = {
    ("cross_entropy", "sequence"): CLASSES,
    ("cross_entropy", "step"): BY_STEP,
    ("nll_frame", "step"): SETS,
    ("mse", "step"): SETS,
    ("mse", "sequence"): REAL,
}


def test_one_class_is_nothing_to_learn_and_may_be_all_that_is_tested() -> None:
    one = split(y=torch.ones(N, dtype=torch.int64))
    assert "train holds one class only, 1: there is nothing to learn" in refusal(Mine(Data(one, split(), split())))
    unknown = split(y=with_(one.y, (0,), IGNORED))
    assert "train holds one class only, 1" in refusal(Mine(Data(unknown, split(), split())))
    loading.load(Mine(Data(split(), one, unknown)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_padding_may_hold_anything(value: float) -> None:
    padded = torch.arange(T) >= LENGTHS[:, None]
    x, y = X.clone(), SETS.clone()
    x[padded], y[padded] = value, value
    for options in ({"loss": "mse"}, {"loss": "nll_frame"}):
        loading.load(Mine(Data(*(Split(x, y, LENGTHS) for _ in range(3))), **STEPS, **options))
    classes = BY_STEP.clone()
    classes[padded] = 77
    loading.load(Mine(Data(*(Split(x, classes, LENGTHS) for _ in range(3))), **STEPS))


@given(part=st.sampled_from(Data._fields), index=st.integers(0, 2999), place=st.integers(0, T * F - 1))
def test_the_first_that_is_no_number_is_named_in_a_split_of_any_size(part: str, index: int, place: int) -> None:
    x = torch.zeros(3000, T, F)
    x[index].flatten()[place] = math.nan
    sound = split()
    data = Data(sound, sound, sound)._replace(**{part: Split(x, CLASSES.repeat(500))})
    expected = f"dataset mine, {part}, sequence {index}, step {place // F}, channel {place % F}: the input is nan"
    assert refusal(Mine(data)).startswith(expected)


class Divided(Mine):
    """Stored as whole numbers, fed as floats: only `batch` knows what a network sees."""

    def batch(self, split: Split, index: Tensor) -> Batch:
        stored = super().batch(split, index)
        return Batch(stored.x.float() / stored.x.float(), stored.y - 1)


def test_what_is_fed_counts_and_not_what_is_stored() -> None:
    stored = Split(torch.ones(N, T, F, dtype=torch.uint8), CLASSES + 1)
    loading.load(Divided(Data(stored, stored, stored)))
    late = stored._replace(y=with_(stored.y, (2,), 3))
    text = refusal(Divided(Data(stored, late, stored)))
    assert text.startswith("dataset mine, val, sequence 2: the class is 2")
    empty = stored._replace(x=torch.zeros(N, T, F, dtype=torch.uint8))
    text = refusal(Divided(Data(stored, stored, empty)))
    assert text.startswith(
        "dataset mine, test, as a network is fed it, sequence 0, step 0, channel 0: the input is nan"
    )


class OwnLoss(Mine):
    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return (prediction.sum(-1) - batch.y).square().mean()


def test_targets_of_a_loss_of_ones_own_are_the_tasks_own_affair() -> None:
    far = split(y=torch.linspace(-5, 5, N))
    loading.load(OwnLoss(Data(far, far, far)))
    assert "the target is nan" in refusal(OwnLoss(Data(far, far, far._replace(y=far.y / 0 * 0))))


def test_pictures_that_clips_are_drawn_from_are_looked_at() -> None:
    task = MovingDigits(size=16, train=4, val=2, test=2)
    task.pictures._on[torch.device("cpu")] = torch.full((9, 8, 8), math.nan)
    with pytest.raises(BadInput, match=r"dataset moving_digits: what clips are drawn from holds nan at \[0, 0, 0\]"):
        loading.check_pictures(task, *task.beside())


SHIPPED = sorted((Path(__file__).parents[3] / "conf" / "dataset").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_dataset_passes(path: Path, make_shipped: Callable[[Path], Task]) -> None:
    task = make_shipped(path)
    try:
        data = loading.load(task)
    except MissingData as missing:
        pytest.skip(str(missing))
    assert all(split.size for split in data)
    text = task.summary(data)
    assert "\n" not in text
    assert " of " in text


def test_a_batch_larger_than_the_training_split_is_refused() -> None:
    task, data = Mine(Data(split(), split(), split())), Data(split(), split(), split())
    loading.check_batch(task, data, N)
    with pytest.raises(BadInput, match=r"^dataset mine has 6 training sequences, fewer than budget.batch_size=7: set"):
        loading.check_batch(task, data, N + 1)
    words = AnBn(longest_train=5, longest_val=7, longest_test=9)
    loading.check_batch(words, words.load(), 50)  # all the words that there are


def test_no_data_comes_in_by_another_door() -> None:
    """Outside of datasets/ nothing calls a task's own load()."""
    source = Path(loading.__file__).parents[2]
    for path in sorted(source.rglob("*.py")):
        if source / "datasets" in path.parents:
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        found = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "load" and not c.args]
        assert not [c for c in found if isinstance(c.func.value, ast.Name) and c.func.value.id == "task"], path
