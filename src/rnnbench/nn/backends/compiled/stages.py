"""When: the stage of the loop at which each value is computed."""

from __future__ import annotations

from collections import Counter

from rnnbench.nn.backends.compiled.form import Form, Value
from rnnbench.nn.backends.compiled.operations import TABLE

AT_ONCE = 2  # functions in one pass: 1.3 to 2.5 times as fast as all of an LSTM at once


def set_stages(form: Form, values: list[Value], stages: dict[Value, int], *, backward: bool) -> None:
    """Add the stage of each of values to stages: the first pass that has all it needs, or may read a product's block.

    values: each after what it needs. backward: of the backward loop, which finds what it needs of the forward one.

    A function of a function waits for the next pass, and so does one more than AT_ONCE. A long chain of
    operations keeps a processor waiting for each; several short ones it computes side by side.
    """
    dear: set[Value] = set()  # values whose own pass has a function on the way to them
    functions: Counter[int] = Counter()
    for value in values:
        needs = [need for need in form.needs(value) if need.backward or not backward]
        stage = max((stages.get(need, 0) for need in needs), default=0)
        if value.op == "product":
            stages[value] = stage + (not all(need.op == "old" for need in form.needs(value)))
            continue
        after = any(need in dear and stages[need] == stage for need in needs)
        if is_function(value):
            stage += after
            while functions[stage] >= AT_ONCE:
                stage += 1
            functions[stage] += 1
            after = True
        stages[value] = stage
        if after:
            dear.add(value)


def delay(form: Form, values: list[Value], roots: set[Value], stages: dict[Value, int]) -> None:
    """Let cheap values of the forward loop wait for the first pass that reads them, so that fewer lie in memory."""
    readers: dict[Value, list[int]] = {}
    for value in reversed(values):
        if value in readers and value not in roots and value.op in TABLE and TABLE[value.op].cheap:
            stages[value] = max(stages[value], min(readers[value]))
        for need in form.needs(value):
            before = stages[value] - (value.op == "product")
            readers.setdefault(need, []).append(before)


def is_function(value: Value) -> bool:
    """Whether it is computed by a function of `functions.c`, of many operations."""
    return value.op in TABLE and "_(" in TABLE[value.op].c and not TABLE[value.op].cheap
