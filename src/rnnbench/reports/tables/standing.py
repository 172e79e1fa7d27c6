"""Who is best, who is tied with the best, and how a cell says so: one rule for every ranking."""

from __future__ import annotations

from collections.abc import Collection, Sequence

BEST, TIED = "best", "tied"


def standings(low: Sequence[float], high: Sequence[float], sure: Sequence[bool]) -> list[str]:
    """`best`, `tied` or empty of each place of a ranking, best first.

    low, high: the ends of the places' intervals, NaN where there is none. Tied are the leader and all whose interval
    overlaps the leader's; where there are none, the leader is best if it is `sure` of every place that its interval
    tells it from others: a rival without one could still be as good. One place alone is neither.
    """
    said = [""] * len(low)
    if len(said) < 2 or low[0] != low[0]:
        return said
    overlap = [place for place in range(1, len(said)) if low[place] <= high[0] and high[place] >= low[0]]
    if overlap:
        for place in (0, *overlap):
            said[place] = TIED
    elif all(sure):
        said[0] = BEST
    return said


def marked(text: str, mark: str, standing: str) -> str:
    """A result with its mark and standing: "0.912 (n<3)", "0.951 ± 0.012 ≈"; a dash where there is none."""
    return (text or "-") + (f" ({mark})" if mark else "") + (" ≈" if standing == TIED else "")


def best_in_bold(said: Sequence[str], headings: Collection[str]) -> frozenset[tuple[int, str]]:
    """The cells under these headings of the rows that are best, as `Section.bold` has them. said: of each row."""
    return frozenset((n, name) for n, standing in enumerate(said) if standing == BEST for name in headings)
