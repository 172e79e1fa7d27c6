"""Every cell once more, literally: one gate a line, one matrix a gate, one sequence, a Python loop over time.

Written from the papers' equations and not from src, to be compared with it in value and in gradient. `s` is the
sigmoid; W_k x + U_k h' + b_k of gate k is spelled `w.a("k", x, h)`. Nothing is fused, hoisted or batched.

A cell's entry is a step function, (weights, x, *state) -> (h, new state), and its gates in the order in which the
fused maps hold their rows. Adding a cell means adding both to CELLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, tanh
from torch import sigmoid as s


def rows(fused: Tensor | None, gates: str) -> dict[str, Tensor]:
    """A fused weight (n H, in) or bias (n H) as one block a gate; none at all is zero."""
    if fused is None:
        return {gate: torch.zeros((), dtype=torch.float64) for gate in gates}
    return dict(zip(gates, fused.chunk(len(gates)), strict=True))


class Weights:
    """A cell's parameters by gate letter: W, U, b (of W), d (of U), the peepholes p, and FGR's R.

    gates: the rows of W. peephole: keyword arguments of rnnbench.nn.Peephole, or {} for none.
    """

    def __init__(self, cell: Any, gates: str, peephole: dict[str, Any]) -> None:
        self.W, self.b = rows(cell.W.weight, gates), rows(cell.W.bias, gates)
        if hasattr(cell, "U_n"):  # the candidate's recurrent map stands alone: it does not see h' itself
            first = gates.removesuffix("n")
            self.U = rows(cell.U.weight, first) | {"n": cell.U_n.weight}
            self.d = rows(cell.U.bias, first) | rows(cell.U_n.bias, "n")
        else:
            self.U, self.d = rows(cell.U.weight, gates), rows(cell.U.bias, gates)
        if getattr(cell, "R", None) is not None:  # rows: the gate that sees; columns: the gate it sees
            self.R = {
                to: dict(zip("ifo", block.chunk(3, 1), strict=True)) for to, block in rows(cell.R.weight, "ifo").items()
            }
        self.options = peephole
        on = peephole.get("shape", "none") != "none"
        self.p = {gate: cell.peephole.w[gate] for gate in gates if on and gate in peephole["gates"]}

    def a(self, gate: str, x: Tensor, h: Tensor) -> Tensor:
        """W x + U h' + b of one gate."""
        return self.W[gate] @ x + self.b[gate] + self.U[gate] @ h + self.d[gate]

    def peep(self, gate: str, c: Tensor) -> Tensor:
        """p * c of one gate, zero where the gate does not see c."""
        if gate not in self.p:
            return torch.zeros_like(c)
        return self.p[gate] * (c.detach() if self.options["gradient"] == "detach" else c)

    def peep_o(self, old: Tensor, new: Tensor) -> Tensor:
        """The output gate's peephole: at the new cell state, or at the old one where the choice says so."""
        return self.peep("o", old if self.options.get("output_sees") == "previous" else new)


State = tuple[Tensor, ...]


def rnn(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    h = tanh(w.a("h", x, h))
    return h, (h,)


def rnn_relu(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    h = torch.clamp(w.a("h", x, h), min=0)
    return h, (h,)


def lstm(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    f = s(w.a("f", x, h) + w.peep("f", c))
    g = tanh(w.a("g", x, h))
    new = f * c + i * g
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new)


def gru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    r = s(w.a("r", x, h))
    z = s(w.a("z", x, h))
    n = tanh(w.W["n"] @ x + w.b["n"] + r * (w.U["n"] @ h + w.d["n"]))
    h = (1 - z) * n + z * h
    return h, (h,)


def gru_cho(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    r = s(w.a("r", x, h))
    z = s(w.a("z", x, h))
    n = tanh(w.a("n", x, r * h))
    h = (1 - z) * n + z * h
    return h, (h,)


def gru_update(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    u = s(w.a("u", x, h))
    new = tanh(w.a("g", x, h))
    h = u * new + (1 - u) * h
    return h, (h,)


def mgu(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    f = s(w.a("f", x, h))
    n = tanh(w.a("n", x, f * h))
    h = (1 - f) * h + f * n
    return h, (h,)


def nig(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    f = s(w.a("f", x, h) + w.peep("f", c))
    new = f * c + tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new)


def nfg(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    new = c + i * tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new)


def nog(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    f = s(w.a("f", x, h) + w.peep("f", c))
    new = f * c + i * tanh(w.a("g", x, h))
    h = tanh(new)
    return h, (h, new)


def niaf(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    f = s(w.a("f", x, h) + w.peep("f", c))
    new = f * c + i * w.a("g", x, h)
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new)


def noaf(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    f = s(w.a("f", x, h) + w.peep("f", c))
    new = f * c + i * tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * new
    return h, (h, new)


def cifg(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    i = s(w.a("i", x, h) + w.peep("i", c))
    new = (1 - i) * c + i * tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new)


def fgr(w: Weights, x: Tensor, h: Tensor, c: Tensor, i: Tensor, f: Tensor, o: Tensor) -> tuple[Tensor, State]:
    back = {to: w.R[to]["i"] @ i + w.R[to]["f"] @ f + w.R[to]["o"] @ o for to in "ifo"}  # of the step before
    i = s(w.a("i", x, h) + back["i"] + w.peep("i", c))
    f = s(w.a("f", x, h) + back["f"] + w.peep("f", c))
    new = f * c + i * tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + back["o"] + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new, i, f, o)


class Reference(NamedTuple):
    step: Callable[..., tuple[Tensor, State]]
    gates: str  # in the order of the fused rows
    square: int = 0  # H x H maps beyond the two a gate

    def count(self, input_size: int, hidden_size: int, biases: int, peepholes: int) -> int:
        """Parameters: a matrix from x, one from h and the biases for each gate, and a vector for each peephole."""
        each = hidden_size * (input_size + hidden_size + biases)
        return len(self.gates) * each + self.square * hidden_size**2 + peepholes * hidden_size


CELLS = {
    "rnn": Reference(rnn, "h"),
    "rnn_relu": Reference(rnn_relu, "h"),
    "irnn": Reference(rnn_relu, "h"),
    "lstm": Reference(lstm, "ifgo"),
    "gru": Reference(gru, "rzn"),
    "gru_cho": Reference(gru_cho, "rzn"),
    "gru_update": Reference(gru_update, "ug"),
    "mgu": Reference(mgu, "fn"),
    "nig": Reference(nig, "fgo"),
    "nfg": Reference(nfg, "igo"),
    "nog": Reference(nog, "ifg"),
    "niaf": Reference(niaf, "ifgo"),
    "noaf": Reference(noaf, "ifgo"),
    "cifg": Reference(cifg, "igo"),
    "fgr": Reference(fgr, "ifgo", square=9),
}


def run(name: str, cell: Any, x: Tensor, state: State, peephole: dict[str, Any]) -> tuple[Tensor, State]:
    """x: (B, T, I), state: fields of (B, H) -> output (B, T, H), final state. Gradients reach the cell's parameters."""
    step, w = CELLS[name].step, Weights(cell, CELLS[name].gates, peephole)
    outputs, finals = [], []
    for b in range(x.shape[0]):
        now = tuple(field[b] for field in state)
        hidden = []
        for t in range(x.shape[1]):
            h, now = step(w, x[b, t], *now)
            hidden.append(h)
        outputs.append(torch.stack(hidden))
        finals.append(now)
    return torch.stack(outputs), tuple(torch.stack(field) for field in zip(*finals, strict=True))
