"""Multi-query associative recall, MQAR (Arora et al. 2023, "Zoology", section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import one_of, sizes_and_seed, whole
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.base.step_classes import StepClasses, drawn_apart, signed
from rnnbench.errors import BadInput
from rnnbench.seeds import derive

SLOTS = ("uniform", "power")
POWER = 0.01  # a: the k-th slot is drawn with p ~ k^(a - 1)
LARGEST = 2**15  # of the vocabulary, that 16 bits hold
AT_ONCE = 4096  # sequences that are drawn together


class MQAR(StepClasses):
    """Read K pairs of key and value; later, at each key, say its value.

    V: the vocabulary. 0 fills, 1..V/2-1 are keys, V/2..V-1 values. x, B T: K pairs with different keys and different
    values, then each key once more, the first at step 2K or a multiple of 2 later, and fillers elsewhere. y, B T: at a
    query the value of its key, IGNORED at every other step.

    slots: where the queries stand, each in one of (T - 2K)/2 slots of two steps. `uniform`, or `power` as in the
    paper's code: slots drawn one by one, the k-th with p ~ k^(-.99), so the near ones are likelier, and nearest those
    of the keys that were read first. No sequence is in two splits.

    Metrics `query_accuracy`, of the steps with a label, and `sequence_accuracy`. Floors: `context`, 1/K, a value of the
    sequence but not the right one, which a network reaches first; `chance`, one of the V/2 values.

    The paper's figure 2 has V=8192 with T, K of 64, 4; 128, 8; 256, 16, slots=power, and 100,000 sequences. Its code
    can also fill with random tokens, which may be keys of the sequence: not here. Raises BadInput on V, T or K that
    leave no room, unknown slots, splits for which there are too few sequences, or a size below 1.
    """

    def __init__(
        self,
        V: int = 64,
        T: int = 48,
        K: int = 6,
        slots: str = "uniform",
        data_seed: int = 0,
        train: int = 50_000,
        val: int = 2_000,
        test: int = 5_000,
    ) -> None:
        whole("K", K, 1)
        whole("T", T, 4 * K, "K pairs and K queries with a step after each")
        whole("V", V, 2 * K + 2, "K keys, as many values, and the filler")
        if V % 2 or V > LARGEST:
            raise BadInput(f"dataset.V must be even and at most {LARGEST}; got {V!r}.")
        one_of("slots", slots, SLOTS)
        sizes_and_seed(train, val, test, data_seed)
        self.V, self.T, self.K, self.slots, self.data_seed = V, T, K, slots, data_seed
        self.room = (T - 2 * K) // 2
        there = math.perm(V // 2 - 1, K) * math.perm(V // 2, K) * math.perm(self.room, K)
        if there < 2 * (val + test):
            raise BadInput(
                f"dataset.V, T and K make {there:,} different sequences, too few for three splits that share none: "
                "take a larger vocabulary, or smaller splits."
            )
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = self.make_spec(
            "mqar",
            f"V={V}, T={T}, K={K}, {slots} slots, {train}/{val}/{test}, seed {data_seed}",
            tokens=V,
            classes=V,
            metrics=("query_accuracy", "sequence_accuracy"),
            floor="context",
            longest=T,
        )

    def load(self) -> Data:
        """Generate the three splits. Stored in 8 bits a token where the vocabulary allows it, else in 16."""
        # test first and train last, so that test is the same for every size of the others
        taken: set[bytes] = set()
        found = {}
        for name in ("test", "val", "train"):
            rng = np.random.default_rng(derive(self.data_seed, "mqar", name))
            rows = drawn_apart(self.sizes[name], partial(self._rows, rng), taken)
            taken.update(row.tobytes() for row in rows)
            found[name] = self._split(rows)
        return Data(**found)

    def floors(self, data: Data) -> Mapping[str, float]:
        """`context`: one of the K values that the sequence has; `chance`: one of all V/2."""
        return {"context": 1 / self.K, "chance": 2 / self.V}

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T V: at each step the value of the pair with this key, else 0."""
        keys, values = batch.x[:, 0 : 2 * self.K : 2], batch.x[:, 1 : 2 * self.K : 2]
        same = batch.x[:, :, None] == keys[:, None]  # B T K; fillers and values are no key
        return self.sure((same * values[:, None]).sum(-1))

    def _rows(self, rng: np.random.Generator, size: int) -> NDArray[np.int16]:
        """The tokens of so many sequences, N T, drawn in parts: each takes V random numbers a sequence."""
        return np.concatenate([self._part(rng, min(AT_ONCE, size - start)) for start in range(0, size, AT_ONCE)])

    def _part(self, rng: np.random.Generator, size: int) -> NDArray[np.int16]:
        half, K = self.V // 2, self.K
        keys = 1 + rng.random((size, half - 1)).argsort(1)[:, :K]
        values = half + rng.random((size, half)).argsort(1)[:, :K]
        share = np.arange(1, self.room + 1) ** (POWER - 1 if self.slots == "power" else 0.0)
        # the order in which exponential clocks with these rates ring is that of drawing one by one without repeat
        slots = (rng.standard_exponential((size, self.room)) / share).argsort(1)[:, :K]
        x = np.zeros((size, self.T), np.int16)
        x[:, 0 : 2 * K : 2], x[:, 1 : 2 * K : 2] = keys, values
        np.put_along_axis(x, 2 * K + 2 * slots, keys.astype(np.int16), axis=1)
        return x

    def _split(self, x: NDArray[np.int16]) -> Split:
        K, half = self.K, self.V // 2
        y = np.full(x.shape, IGNORED, signed(self.V))
        keys, values = x[:, 0 : 2 * K : 2], x[:, 1 : 2 * K : 2]
        value_of = np.zeros((len(x), half), np.int16)
        np.put_along_axis(value_of, keys.astype(np.int64), values, axis=1)
        row, step = np.nonzero(x[:, 2 * K :])
        step += 2 * K
        y[row, step] = value_of[row, x[row, step]]
        return Split(torch.from_numpy(x.astype(np.uint8) if self.V <= 256 else x), torch.from_numpy(y))
