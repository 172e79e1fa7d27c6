"""Made-up samples of every kind but frames, small and without a network."""

from __future__ import annotations

import numpy as np

from rnnbench.store.samples import Classes, Series, Steps, Text, Values


def series(run: str = "a", *, columns: int = 2, clock: str = "time", shift: float = 0.1) -> Series:
    """Three forecasts of 4 days from 6, with one trivial one; the prediction is `shift` off."""
    N, L, H = 3, 6, 4
    day = 86_400 * 10**9 if clock == "time" else 1
    start = 19_000 * day + np.arange(N, dtype=np.int64)[:, None] * 10 * day
    days = np.arange(L + H, dtype=np.int64) * day
    whole = np.sin(np.arange(N * (L + H) * columns, dtype=np.float32)).reshape(N, L + H, columns)
    truth = whole[:, L:].copy()
    truth[0, 0, 0] = np.nan
    floors = np.repeat(whole[:, L - 1 : L], H, axis=1)[None]
    return Series(
        run, tuple(f"column {c}" for c in range(columns)), ("", "q1", "q2"), clock, ("last",),
        np.array([0, 10, 20]), start + days[:L], start + days[L:], whole[:, :L], truth,
        whole[:, L:] + np.float32(shift), floors,
    )  # fmt: skip


def classes(run: str = "a", *, size: int = 3) -> Classes:
    """A matrix that is mostly right, with two worst items."""
    counts = np.eye(size, dtype=np.int64) * 20 + np.triu(np.ones((size, size), np.int64), 1)
    return Classes(
        run, tuple(f"class {n}" for n in range(size)), counts, np.array([7, 2]), np.array([-1, -1]), np.array([0, 1]),
        np.array([1, 2]), np.array([0.01, 0.25]),
    )  # fmt: skip


def values(run: str = "a", *, columns: int = 1) -> Values:
    """Fifty numbers, each predicted as half of it."""
    truth = np.linspace(0, 2, 50 * columns, dtype=np.float32).reshape(50, columns)
    return Values(run, tuple(f"y{c}" for c in range(columns)), np.arange(50), truth, truth / 2)


def steps(run: str = "a") -> Steps:
    """Two words of three symbols; the second is shorter."""
    truth = (np.arange(2 * 8 * 3).reshape(2, 8, 3) % 4 == 0).astype(np.uint8) * 255
    return Steps(run, ("a", "b", "."), np.array([0, 5]), np.array([8, 6]), truth, np.roll(truth, 1, axis=1))


def text(run: str = "a") -> Text:
    """A sample that tries to end its block, and to move the cursor."""
    return Text(run, "To be", ", or\n```\n# not\x1b[2J a heading\n", "temperature 0.8")


ALL = {"series": series, "classes": classes, "values": values, "steps": steps, "text": text}
