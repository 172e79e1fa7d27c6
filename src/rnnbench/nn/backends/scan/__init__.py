"""Cells that are linear in their state, without a step-by-step loop over the cell: a and b of h = a h' + b are computed
for all steps at once, and the recurrence alone runs through time, with a backward pass of its own.

A cell brings its own form for whole sequences (a matrix memory in chunks, say) as a method `scan(x, state, real)`:
x (T, B, C, *space) in the order of computing, real (T, B) bool or None for all, each sequence's real steps in front
-> output (T, B, C, *space), any numbers where not real, and the state after each sequence's last real step (the given
one where it has none). Direction, masks with holes and the zeros at padding are seen to here, by `unroll`.

    recurrence  h_t = a_t h_{t-1} + b_t and its gradients
    sequence    a cell over a sequence: what it sees, masks, direction, the final state
"""

from rnnbench.nn.backends.scan.recurrence import recurrence
from rnnbench.nn.backends.scan.sequence import refuses, unroll

__all__ = ["recurrence", "refuses", "unroll"]
