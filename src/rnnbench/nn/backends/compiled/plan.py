"""The plan of the two loops over time, without a word of C: what is computed when, and where it lies.

`layout` makes it.

Buffers, each a row of blocks for every sequence of the batch:

    x         W x of every step; a block is overwritten by a kept value when it has been read, and in the end by its
              own gradient                                                                  (T, B, inputs H)
    kept      what else is kept of the forward loop for the backward one                    (T, B, n H)
    old, new  the state before and after the step, of each field                            (T, B, H) each
    output    where it is not the first field of the new state, or a mask makes it another  (T, B, H)
    work      of the forward loop within one step only; back_work of the backward one       (B, n H)
    grads     gradients that weights are computed from, where they have no place in x       (T, B, n H)
    gradient  of the output (0), and of the state, from the step after to the step before   (B, H) each
    weight    a weight that is a vector or a number; which of its blocks, the value says    (n H)

Blocks of old, new and gradient are each a tensor of its own; those of the others lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rnnbench.nn.backends.compiled.form import Operand, Product, Step, Value


class Place(NamedTuple):
    """A block of a buffer; of old, new and gradient, the number of the field (of gradient from 1 on)."""

    buffer: str
    block: int


@dataclass
class Call:
    """target (+)= rows @ M[first_input : first_input + depth, first_output : first_output + width], all in blocks.

    M: the product's weight, transposed where it says so. rows, target: where the first block of each lies. accumulate:
    whether the result is added to what is there; "masked": only where there is a mask. skip: "" or what makes it
    useless: "zero start" (the first step of a state of zeros), "no start gradient" (before the first step, if nobody
    asks).
    """

    product: Product
    first_input: int
    depth: int
    first_output: int
    width: int
    rows: Place
    target: Place
    accumulate: bool | str
    skip: str = ""


class Store(NamedTuple):
    """What is written where. only_masked: only where there is a mask."""

    place: Place
    operand: Operand
    only_masked: bool = False


@dataclass
class Pass:
    """One pass over the blocks of a stage: all loads, then what is computed, then all stores and sums.

    loads: value -> from where. computed: in order. sums: (which sum, value), to be added up over steps and rows.
    """

    loads: dict[Value, Place] = field(default_factory=dict)
    computed: list[Value] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    sums: list[tuple[int, Operand]] = field(default_factory=list)


@dataclass
class Stage:
    """What a step does at once: first its products, in this order, then one pass."""

    calls: list[Call]
    passes: Pass


@dataclass
class Layout:
    """The plan of both loops. kept, work, grads, back_work, sums: how many blocks these buffers have.

    input_sums: the sum that is the gradient of each block of W's bias; vector_sums: that of each block of each weight
    that is a vector, (weight, block); None where it is zero. weight_grads: for each product the places of its gradient
    blocks (None: zero) and of its rows. input_grads: the buffer, "x" or "grads", whose first blocks are the gradient
    of W x. output_is_state: the output is the first field of the new state.
    """

    step: Step
    forward: list[Stage]
    backward: list[Stage]
    kept: int
    work: int
    grads: int
    back_work: int
    sums: int
    input_sums: list[int | None]
    vector_sums: dict[tuple[int, int], int | None]
    weight_grads: list[tuple[Product, list[Place | None], list[Place]]]
    input_grads: str
    output_is_state: bool
