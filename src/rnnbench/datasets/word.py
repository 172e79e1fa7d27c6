"""The word problem of a finite group: state tracking (Merrill, Petty & Sabharwal 2024, "The Illusion of State")."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from rnnbench.datasets.base.checks import one_of, sizes_and_seed, whole
from rnnbench.datasets.base.groups import GROUPS
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.base.splits import majority_by_step
from rnnbench.datasets.base.step_classes import StepClasses, signed
from rnnbench.seeds import derive

TOKENS = ("elements", "generators")
LONGER = {"train": 1, "val": 2, "test": 4}  # how many times T


class Word(StepClasses):
    """Read elements of a group, and say at every step what their product is by then.

    group: s3 (6 elements, the smallest whose order of factors matters), z60 (60, abelian), a4xz5 (60, solvable), a5
    (60, the smallest that is not solvable: its word problem is complete for NC1), s5 (120, not solvable).
    tokens: `elements`, all of the group evenly; `generators`, evenly a few that make all of it and the identity, where
    the table to learn is small: of a5 a cycle of five and one of three.

    x: B T tokens; y: B T, the product x_1 x_2 .. x_t (x_1 acts first), by its number among the permutations in their
    order. Train sequences have T steps, validation 2 T, test 4 T, each split its own stream of data_seed; so no
    sequence is in two splits. Every step has a label.

    Metrics: `last_quarter_accuracy`, of the steps from 3/4 of a sequence on, where what was read at the start has been
    carried far; `sequence_accuracy`; `step_accuracy`, of all steps. Floors: `majority`, the most frequent product at
    each step of other sequences of test's length (early on, generators reach few); `chance`, one in all elements.

    The paper has a token of its own in front, one length for train and validation (80:20), and asks which depth reaches
    an accuracy of .99 as the length grows. Raises BadInput on an unknown group or tokens, T below 4 or a size below 1.
    """

    def __init__(
        self,
        group: str = "s3",
        tokens: str = "elements",
        T: int = 32,
        data_seed: int = 0,
        train: int = 20_000,
        val: int = 1_000,
        test: int = 2_000,
    ) -> None:
        one_of("group", group, GROUPS)
        one_of("tokens", tokens, TOKENS)
        whole("T", T, 4)
        sizes_and_seed(train, val, test, data_seed)
        self.group, self.T, self.data_seed = GROUPS[group], T, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        order = self.group.order
        chosen = range(order) if tokens == "elements" else (0, *self.group.numbers)
        self.elements = np.array(chosen)  # that the tokens stand for
        steps = "/".join(str(times * T) for times in LONGER.values())
        self.spec = self.make_spec(
            "word",
            f"{group} by {tokens}, T={steps}, {train}/{val}/{test}, seed {data_seed}",
            tokens=len(self.elements),
            classes=order,
            metrics=("last_quarter_accuracy", "sequence_accuracy", "step_accuracy"),
            floor="majority",
            longest=LONGER["test"] * T,
            labels=self.group.names,
        )

    def load(self) -> Data:
        """Generate the three splits. x is stored in uint8, y in int8."""
        return Data(**{name: self._split(name, size, LONGER[name] * self.T) for name, size in self.sizes.items()})

    def floors(self, data: Data) -> Mapping[str, float]:
        """`majority`: the most frequent product at each step; `chance`: a uniform guess among all elements."""
        others = self._split("majority", data.test.size, LONGER["test"] * self.T)
        most = majority_by_step(others.y, self.group.order)
        return {
            "majority": self.score(data.test, lambda batch: most.expand(batch.y.shape)),
            "chance": 1 / self.group.order,
        }

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T K, by the group's table, token by token."""
        table = torch.from_numpy(self.group.table)
        elements = torch.from_numpy(self.elements)
        answer = torch.zeros_like(batch.x)
        product = torch.zeros(len(batch.x), dtype=torch.int64)
        for t, token in enumerate(batch.x.unbind(1)):
            product = table[product, elements[token]]
            answer[:, t] = product
        return self.sure(answer)

    def _split(self, name: str, size: int, steps: int) -> Split:
        rng = np.random.default_rng(derive(self.data_seed, "word", self.group.name, name))
        x = rng.integers(len(self.elements), size=(size, steps), dtype=np.uint8)
        y = np.zeros(x.shape, signed(self.group.order))
        product = np.zeros(size, np.int64)
        for t in range(steps):
            product = self.group.table[product, self.elements[x[:, t]]]
            y[:, t] = product
        return Split(torch.from_numpy(x), torch.from_numpy(y))
