"""What: the values of the forward loop that the backward one finds in memory. The others it computes again."""

from __future__ import annotations

from dataclasses import dataclass

from rnnbench.nn.backends.compiled.form import Operand, Value
from rnnbench.nn.backends.compiled.operations import TABLE
from rnnbench.nn.backends.compiled.plan import Place

DEPTH = 3  # cheap operations one on the other that are computed again rather than kept
ALWAYS_THERE = ("old", "weight")


@dataclass(frozen=True)
class Kept:
    """What the backward loop finds. at_hand: new states, which every loop writes. saved: what is kept beside them, in
    the order of their numbers. rows: of these, and of states, those that a gradient of a matrix is computed from."""

    at_hand: dict[Value, Place]
    saved: list[Value]
    rows: set[Value]

    def has(self, value: Value) -> bool:
        return value in self.saved or value in self.at_hand or value.op in ALWAYS_THERE


def keep(new: list[Operand], read: set[Value], rows: set[Value]) -> Kept:
    """new: the states after the step. read: values of the forward loop that operations of the backward one read.

    rows: those that the gradient of a matrix is computed from, after the loop. They cannot be computed again.
    """
    kept = Kept(_new_states(new), [], rows)
    for value in sorted(read | rows, key=lambda v: v.number):
        if value in rows:
            wanted = set() if kept.has(value) else {value}
        else:
            missing = _missing(value, kept, DEPTH)
            # A cheap value of one dear one is computed again from that; of several, it is less memory than they.
            wanted = {value} if len(missing) > 1 else missing
        kept.saved.extend(sorted(wanted - {*kept.saved}, key=lambda v: v.number))
    kept.saved.sort(key=lambda v: v.number)
    return kept


def _new_states(new: list[Operand]) -> dict[Value, Place]:
    """Values that lie in a new state; in the first of those that have the same."""
    found: dict[Value, Place] = {}
    for n, value in reversed([*enumerate(new)]):
        # One that is joined to W x is read from there by the forward loop, and so by the backward one.
        if isinstance(value, Value) and value.op not in (*ALWAYS_THERE, "x", "joined"):
            found[value] = Place("new", n)
    return found


def _missing(value: Value, kept: Kept, depth: int) -> set[Value]:
    """What must be kept beside what is, so that `depth` cheap operations give the value; itself where none do."""
    if kept.has(value):
        return set()
    if value.op in ("x", "product", "joined") or not TABLE[value.op].cheap or not depth:
        return {value}
    return {each for operand in value.operands for each in _missing(operand, kept, depth - 1)}
