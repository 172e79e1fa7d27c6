"""Selective copying (Gu & Dao 2023, "Mamba", section 4.1.1): copy what stands at places that the input itself marks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import sizes_and_seed, whole
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.base.splits import majority_by_step
from rnnbench.datasets.base.step_classes import StepClasses, drawn_apart, signed
from rnnbench.errors import BadInput
from rnnbench.seeds import derive

AT_ONCE = 1024  # sequences whose places are drawn together


class SelectiveCopy(StepClasses):
    """Remember M symbols that stand anywhere among L fillers, and write them down in their order.

    x, B L+2M: among the first L + M steps M of the symbols 1..A-2 at places drawn evenly, 0 elsewhere; then M times the
    marker A-1. y, B L+2M: at the markers the symbols in their order, IGNORED before. Copying from fixed places takes a
    filter that does not change in time; this one has to look at what it reads. No M symbols are in two splits.

    Metrics `recall_accuracy`, the share of right symbols at the markers, and `sequence_accuracy`. Floors: `majority`,
    train's most frequent symbol at each marker; `chance`, 1/(A-2).

    The paper has L + M about 4,096 steps, M=16, A=16, and draws anew for every update. A counts filler and marker, as
    in its code, whose A - 2 symbols are therefore one less than a reader counts. Raises BadInput on L below 1, M below
    1, A below 4 or above 128, splits for which there are too few answers, or a size below 1.
    """

    def __init__(
        self,
        L: int = 40,
        M: int = 6,
        A: int = 10,
        data_seed: int = 0,
        train: int = 50_000,
        val: int = 5_000,
        test: int = 10_000,
    ) -> None:
        whole("L", L, 1)
        whole("M", M, 1)
        whole("A", A, 4, "a filler, a marker, and two symbols")
        if A > 128:
            raise BadInput(f"dataset.A must be at most 128; got {A!r}.")
        sizes_and_seed(train, val, test, data_seed)
        answers = (A - 2) ** M
        if answers < 2 * (val + test):
            raise BadInput(
                f"dataset.A and M make {answers:,} different answers, too few for three splits that share none: "
                "take a larger M or A, or smaller splits."
            )
        self.L, self.M, self.A, self.data_seed = L, M, A, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = self.make_spec(
            "selective_copy",
            f"L={L}, M={M}, A={A}, {train}/{val}/{test}, seed {data_seed}",
            tokens=A,
            classes=A,
            metrics=("recall_accuracy", "sequence_accuracy"),
            floor="majority",
            longest=L + 2 * M,
            recall_steps=M,
        )

    def load(self) -> Data:
        """Generate the three splits. x is stored in uint8, y in int8."""
        # test first and train last, so that test is the same for every size of the others
        taken: set[bytes] = set()
        found = {}
        for name in ("test", "val", "train"):
            rng = np.random.default_rng(derive(self.data_seed, "selective_copy", name))
            symbols = drawn_apart(self.sizes[name], partial(self._symbols, rng), taken)
            taken.update(row.tobytes() for row in symbols)
            found[name] = self._split(rng, symbols)
        return Data(**found)

    def floors(self, data: Data) -> Mapping[str, float]:
        """`majority`: train's most frequent symbol at each marker; `chance`: a uniform guess among the symbols."""
        most = majority_by_step(data.train.y, self.A)
        return {
            "majority": self.score(data.test, lambda batch: most.expand(batch.y.shape)),
            "chance": 1 / (self.A - 2),
        }

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T A: what is neither filler nor marker, in its order, at the markers."""
        answer = torch.zeros_like(batch.x)
        shown = batch.x[:, : self.L + self.M]
        answer[:, -self.M :] = shown[shown > 0].view(len(shown), self.M)
        return self.sure(answer)

    def _symbols(self, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
        return rng.integers(1, self.A - 1, size=(size, self.M), dtype=np.uint8)

    def _split(self, rng: np.random.Generator, symbols: NDArray[np.uint8]) -> Split:
        shown, M = self.L + self.M, self.M
        x = np.zeros((len(symbols), shown + M), np.uint8)
        y = np.full(x.shape, IGNORED, signed(self.A))
        for start in range(0, len(x), AT_ONCE):
            part = x[start : start + AT_ONCE]
            places = np.sort(rng.random((len(part), shown)).argsort(1)[:, :M])
            np.put_along_axis(part, places, symbols[start : start + AT_ONCE], axis=1)
        x[:, -M:] = self.A - 1
        y[:, -M:] = symbols
        return Split(torch.from_numpy(x), torch.from_numpy(y))
