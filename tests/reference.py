"""Every cell once more, literally: one gate a line, one matrix a gate, one sequence, a Python loop over time.

Written from the papers' equations and not from src, to be compared with it in value and in gradient. `s` is the
sigmoid; W_k x + U_k h' + b_k of gate k is spelled `w.a("k", x, h)`. Nothing is fused, hoisted or batched.

A convolution is a matrix, too: x and h are frames laid out as vectors (channel, row, column), and a kernel's matrix has
at (pixel, pixel') the tap that lies between the two, or zero. So no convolution of torch's is used, and ConvRNN,
ConvLSTM and ConvGRU are literally the equations of RNN, LSTM and GRU.

A cell's entry is a step function, (weights, x, *state) -> (h, new state), and its gates in the order in which the
fused maps hold their rows. Adding a cell means adding both to CELLS.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, tanh
from torch import sigmoid as s


@functools.cache
def taps(side: int, height: int, width: int) -> Tensor:
    """(pixels, pixels): which tap of a side x side kernel an output pixel (row) puts on an input pixel (column).

    The kernel's middle lies on the pixel itself; tap side * side means none: the two are too far apart.
    """
    index = torch.full((height * width, height * width), side * side)
    for y in range(height):
        for x in range(width):
            for down in range(side):
                for right in range(side):
                    v, u = y + down - side // 2, x + right - side // 2
                    if 0 <= v < height and 0 <= u < width:
                        index[y * width + x, v * width + u] = down * side + right
    return index


def matrix(weight: Tensor, space: tuple[int, ...]) -> Tensor:
    """A weight (out, in) as it is; a kernel (out, in, k, k) as the matrix (out pixels, in pixels) it stands for."""
    if weight.dim() == 2:
        return weight
    outs, ins, side, _ = weight.shape
    none = torch.zeros(outs, ins, 1, dtype=weight.dtype)
    between = torch.cat([weight.flatten(2), none], 2)[:, :, taps(side, *space)]  # (out, in, pixel, pixel')
    return between.transpose(1, 2).reshape(outs * math.prod(space), ins * math.prod(space))


def vector(weight: Tensor, space: tuple[int, ...]) -> Tensor:
    """One number a channel, or a channel and pixel, as one number a channel and pixel: (C) or (C, H, W) -> (C H W)."""
    if weight.dim() == 1:
        weight = weight.reshape(-1, *(1,) * len(space))
    return weight.expand(weight.shape[0], *space).flatten()


class Product(NamedTuple):
    """W x + b, of one gate; with a gain, W x less its mean, by its standard deviation, times the gain, + b.

    every: the W of all gates, where mean and deviation are of all their W x at once.
    """

    W: Tensor
    b: Tensor
    gain: Tensor | None = None
    every: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        a = self.W @ x
        if self.gain is None:
            return a + self.b
        seen = a if self.every is None else self.every @ x
        mean = seen.sum() / len(seen)
        variance = ((seen - mean) ** 2).sum() / len(seen)
        return self.gain * (a - mean) / torch.sqrt(variance + 1e-5) + self.b


def products(fused: Any, gates: str, space: tuple[int, ...], *, at_once: bool = False) -> dict[str, Product]:
    """A fused map as one product a gate; no bias is a bias of zero. at_once: a norm is of all gates."""
    weights = fused.weight.chunk(len(gates))
    if (heads := getattr(fused, "heads", 1)) > 1:
        weights = [torch.block_diag(*weight.chunk(heads)) for weight in weights]
    bias = torch.zeros(len(fused.weight), dtype=torch.float64) if fused.bias is None else fused.bias
    biases = bias.chunk(len(gates))
    normed = getattr(fused, "gain", None) is not None
    gains = [vector(gain, space) for gain in fused.gain.chunk(len(gates))] if normed else [None] * len(gates)
    every = matrix(fused.weight, space) if at_once else None
    return {
        g: Product(matrix(w, space), vector(b, space), gain, every)
        for g, w, b, gain in zip(gates, weights, biases, gains, strict=True)
    }


class Weights:
    """A cell's parameters by gate letter: W of x, U of the state, the peepholes p, FGR's R, and maps of its own.

    gates: the rows of W. peephole: keyword arguments of rnnbench.nn.Peephole, or {} for none. space: () or (H, W).
    """

    def __init__(self, cell: Any, reference: Reference, peephole: dict[str, Any], space: tuple[int, ...]) -> None:
        self.space = space
        self.norm = cell.norm
        at_once = cell.norm in ("layer_4h", "layer_4h_carry")
        self.W = products(cell.W, reference.gates, space, at_once=at_once)
        if at_once:
            pixels, c = math.prod(space), cell.norm_c
            bias = torch.zeros(len(c.gain), dtype=torch.float64) if c.bias is None else c.bias
            of_c = torch.eye(len(c.gain) * pixels, dtype=torch.float64)
            self.norm_c = Product(of_c, vector(bias, space), vector(c.gain, space))
        self.U = {}
        for name, gates in reference.maps_of_h.items():
            self.U |= products(getattr(cell, name), gates, space, at_once=at_once)
        self.more = {
            name: products(getattr(cell, name), gates, space) for name, gates in (reference.more or {}).items()
        }
        self.own = {name: products(getattr(cell, name), "k", space)["k"] for name in reference.own}
        self.raw = {name: getattr(cell, name) for name in reference.raw}
        if getattr(cell, "R", None) is not None:  # rows: the gate that sees; columns: the gates it sees, i f o
            self.R = products(cell.R, "ifo", space)
        self.options = peephole
        on = peephole.get("shape", "none") != "none"
        seen = [gate for gate in reference.gates if on and gate in peephole["gates"]]
        lay = matrix if peephole.get("shape") in ("conv", "conv1x1") else vector
        self.p = {gate: lay(cell.peephole.w[gate], space) for gate in seen}

    def a(self, gate: str, x: Tensor, h: Tensor) -> Tensor:
        """W x + U h' + b of one gate."""
        return self.W[gate](x) + self.U[gate](h)

    def seen(self, name: str, gate: str, state: Tensor) -> Tensor:
        """What a gate sees of a state through a further map."""
        return self.more[name][gate](state)

    def peep(self, gate: str, c: Tensor) -> Tensor:
        """p * c of one gate (a product or a convolution), zero where the gate does not see c."""
        if gate not in self.p:
            return torch.zeros_like(c)
        p, c = self.p[gate], c.detach() if self.options["gradient"] == "detach" else c
        return p @ c if p.dim() == 2 else p * c

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
    if w.norm == "layer_4h_carry":
        new = w.norm_c(new)
    o = s(w.a("o", x, h) + w.peep_o(c, new))
    h = o * tanh(w.norm_c(new) if w.norm == "layer_4h" else new)
    return h, (h, new)


def gru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    r = s(w.a("r", x, h))
    z = s(w.a("z", x, h))
    n = tanh(w.W["n"](x) + r * w.U["n"](h))
    h = (1 - z) * n + z * h
    return h, (h,)


def leaky(a: Tensor) -> Tensor:
    return torch.where(a > 0, a, 0.2 * a)


def gru_leaky(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    r = s(w.a("r", x, h))
    z = s(w.a("z", x, h))
    n = leaky(w.W["n"](x) + r * w.U["n"](h))
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
    back = {to: w.R[to](torch.cat([i, f, o])) for to in "ifo"}  # of the step before
    i = s(w.a("i", x, h) + back["i"] + w.peep("i", c))
    f = s(w.a("f", x, h) + back["f"] + w.peep("f", c))
    new = f * c + i * tanh(w.a("g", x, h))
    o = s(w.a("o", x, h) + back["o"] + w.peep_o(c, new))
    h = o * tanh(new)
    return h, (h, new, i, f, o)


def warp(h: Tensor, flow: Tensor) -> Tensor:
    """h (C, H, W) read at (x, y) minus the flow (2, H, W; x, then y), between the four pixels around; zero outside."""
    _, height, width = h.shape
    rows = []
    for y in range(height):
        for x in range(width):
            at_x, at_y = x - flow[0, y, x], y - flow[1, y, x]
            left, top = math.floor(at_x.item()), math.floor(at_y.item())
            total = torch.zeros_like(h[:, 0, 0])
            for v in (top, top + 1):
                for u in (left, left + 1):
                    if 0 <= v < height and 0 <= u < width:
                        total = total + (1 - abs(at_y - v)) * (1 - abs(at_x - u)) * h[:, v, u]
            rows.append(total)
    return torch.stack(rows, 1).reshape(h.shape)


def trajgru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    flows = w.own["flow"](leaky(w.own["F_x"](x) + w.own["F_h"](h))).reshape(-1, 2, *w.space)
    seen = torch.cat([warp(h.reshape(-1, *w.space), flow).flatten() for flow in flows])
    r = s(w.a("r", x, seen))
    z = s(w.a("z", x, seen))
    n = leaky(w.W["n"](x) + r * w.U["n"](seen))
    h = (1 - z) * n + z * h
    return h, (h,)


def stlstm(w: Weights, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, State]:
    g = tanh(w.a("g", x, h))
    i = s(w.a("i", x, h))
    f = s(w.a("f", x, h) + 1)
    c = f * c + i * g
    g = tanh(w.a("G", x, m))  # G, I, F: the primed gates
    i = s(w.a("I", x, m))
    f = s(w.a("F", x, m) + 1)
    m = f * m + i * g
    o = s(w.a("o", x, h) + w.own["W_o"](torch.cat([c, m])))
    h = o * tanh(w.own["W_1"](torch.cat([c, m])))
    return h, (h, c, m)


def causal_lstm(w: Weights, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, State]:
    g = tanh(w.a("g", x, h) + w.seen("U_c", "g", c))
    i = s(w.a("i", x, h) + w.seen("U_c", "i", c))
    f = s(w.a("f", x, h) + w.seen("U_c", "f", c) + 1)
    c = f * c + i * g
    g = tanh(w.W["G"](x) + w.seen("W_c", "g", c))  # G, I, F: the primed gates
    i = s(w.W["I"](x) + w.seen("U_m", "i", m) + w.seen("W_c", "i", c))
    f = s(w.W["F"](x) + w.seen("U_m", "f", m) + w.seen("W_c", "f", c) + 1)
    m = f * tanh(w.seen("U_m", "m", m)) + i * g
    o = tanh(w.a("o", x, h) + w.seen("W_c", "o", c) + w.own["W_m"](m))
    h = o * tanh(w.own["W_1"](torch.cat([c, m])))
    return h, (h, c, m)


def mingru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.W["z"](x))
    h = (1 - z) * h + z * w.W["v"](x)
    return h, (h,)


def mingru_log(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.W["z"](x))
    v = w.W["v"](x)
    h = (1 - z) * h + z * torch.where(v >= 0, v + 0.5, s(v))
    return h, (h,)


def minlstm(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    f = s(w.W["f"](x))
    i = s(w.W["i"](x))
    h = f / (f + i) * h + i / (f + i) * w.W["v"](x)
    return h, (h,)


def minlstm_log(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    f = s(w.W["f"](x))
    i = s(w.W["i"](x))
    v = w.W["v"](x)
    h = f / (f + i) * h + i / (f + i) * torch.where(v >= 0, v + 0.5, s(v))
    return h, (h,)


def indrnn(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    h = torch.clamp(w.W["h"](x) + vector(w.raw["u"], w.space) * h, min=0)
    return h, (h,)


def sru(w: Weights, x: Tensor, c: Tensor, _: Tensor) -> tuple[Tensor, State]:
    f = s(w.W["f"](x) + vector(w.raw["p_f"], w.space) * c)
    r = s(w.W["r"](x) + vector(w.raw["p_r"], w.space) * c)
    c = f * c + (1 - f) * w.seen("V", "v", x)
    h = r * c + (1 - r) * math.sqrt(3) * w.seen("V", "x", x)
    return h, (c, h)


def sru_v1(w: Weights, x: Tensor, c: Tensor, _: Tensor) -> tuple[Tensor, State]:
    f = s(w.W["f"](x))
    r = s(w.W["r"](x))
    c = f * c + (1 - f) * w.seen("V", "v", x)
    h = r * c + (1 - r) * math.sqrt(3) * w.seen("V", "x", x)
    return h, (c, h)


def qrnn(w: Weights, x: Tensor, c: Tensor, before: Tensor, _: Tensor) -> tuple[Tensor, State]:
    both = torch.cat([before, x])
    z = tanh(w.W["z"](both))
    f = s(w.W["f"](both))
    o = s(w.own["W_o"](both))
    c = f * c + (1 - f) * z
    h = o * c
    return h, (c, x, h)


def slstm(w: Weights, x: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, State]:
    i = w.a("i", x, h)
    f = torch.log(s(w.a("f", x, h)))
    z = tanh(w.a("z", x, h))
    o = s(w.a("o", x, h))
    new = torch.max(f + m, i)
    i = torch.exp(i - new)
    f = torch.exp(f + m - new)
    c = f * c + i * z
    n = f * n + i
    h = o * (c / n)
    return h, (h, c, n, new)


def lem(w: Weights, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, State]:
    d1 = w.raw["dt"] * s(w.a("1", x, y))
    d2 = w.raw["dt"] * s(w.a("2", x, y))
    z = z - d1 * z + d1 * tanh(w.a("z", x, y))
    y = y - d2 * y + d2 * tanh(w.a("y", x, z))
    return y, (y, z)


def cornn(w: Weights, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, State]:
    force = tanh(w.a("z", x, y) + w.seen("U_z", "z", z))
    z = z + w.raw["dt"] * (force - w.raw["gamma"] * y - w.raw["epsilon"] * z)
    y = y + w.raw["dt"] * z
    return y, (y, z)


def janet(w: Weights, x: Tensor, c: Tensor) -> tuple[Tensor, State]:
    f = s(w.a("f", x, c))
    more = s(w.raw["beta"] - w.a("f", x, c))
    c = f * c + more * tanh(w.a("g", x, c))
    return c, (c,)


def mut1(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.W["z"](x))
    r = s(w.a("r", x, h))
    n = tanh(w.U["n"](r * h) + tanh(w.W["n"](x)))
    h = z * n + (1 - z) * h
    return h, (h,)


def mut2(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.a("z", x, h))
    r = s(w.a("r", x, h))
    n = tanh(w.a("n", x, r * h))
    h = z * n + (1 - z) * h
    return h, (h,)


def mut3(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.a("z", x, tanh(h)))
    r = s(w.a("r", x, h))
    n = tanh(w.a("n", x, r * h))
    h = z * n + (1 - z) * h
    return h, (h,)


def ligru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    z = s(w.a("z", x, h))
    g = torch.clamp(w.a("g", x, h), min=0)
    h = z * h + (1 - z) * g
    return h, (h,)


def antisymmetric_matrix(M: Any, size: int) -> Tensor:
    """A - A' less gamma on the diagonal; A's numbers lie below the diagonal, row by row."""
    matrix, numbers = -M.gamma * torch.eye(size, dtype=torch.float64), iter(M.triangle)
    for row in range(size):
        for column in range(row):
            number = next(numbers)
            matrix[row, column] = number
            matrix[column, row] = -number
    return matrix


def antisymmetric(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    M = antisymmetric_matrix(w.raw["M"], len(h))
    h = h + w.raw["epsilon"] * tanh(M @ h + w.W["h"](x))
    return h, (h,)


def antisymmetric_gated(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    M = antisymmetric_matrix(w.raw["M"], len(h))
    z = s(M @ h + w.W["z"](x))
    h = h + w.raw["epsilon"] * z * tanh(M @ h + w.W["h"](x))
    return h, (h,)


def lru(w: Weights, x: Tensor, h: Tensor, _: Tensor) -> tuple[Tensor, State]:
    u = w.own["front"](x)
    h, y = lru_step(w, u, h)
    return y, (h, y)


def lru_step(w: Weights, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The complex numbers by their parts: h = lambda h' + exp(gamma) B u, y = Re(C h) + D u."""
    re, im = h.chunk(2)
    size = torch.exp(-torch.exp(w.raw["nu"]))
    lambda_re, lambda_im = size * torch.cos(torch.exp(w.raw["theta"])), size * torch.sin(torch.exp(w.raw["theta"]))
    new_re = lambda_re * re - lambda_im * im + torch.exp(w.raw["gamma"]) * w.W["r"](u)
    new_im = lambda_re * im + lambda_im * re + torch.exp(w.raw["gamma"]) * w.W["i"](u)
    C_re, C_im = w.own["C"].W.chunk(2, 1)
    y = C_re @ new_re - C_im @ new_im + w.raw["D"] * u
    return torch.cat([new_re, new_im]), y


def lru_layer(w: Weights, x: Tensor, h: Tensor, _: Tensor) -> tuple[Tensor, State]:
    u = w.own["front"](x)
    mean = u.sum() / len(u)
    variance = ((u - mean) ** 2).sum() / len(u)
    norm = w.raw["before"]
    h, y = lru_step(w, norm.weight * (u - mean) / torch.sqrt(variance + 1e-5) + norm.bias, h)
    y = y / 2 * (1 + tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    y = u + w.seen("glu", "v", y) * s(w.seen("glu", "g", y))
    return y, (h, y)


def rglru(w: Weights, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
    u = w.own["front"](x)
    r = s(w.W["r"](u))
    i = s(w.W["i"](u))
    a = s(-w.raw["P"]) ** (8 * r)
    h = a * h + torch.sqrt(1 - a**2) * (i * u)
    return h, (h,)


def mlstm(w: Weights, x: Tensor, c: Tensor, n: Tensor, m: Tensor, *kept: Tensor) -> tuple[Tensor, State]:
    heads, size = len(m), len(n) // len(m)
    ahead = x
    if len(kept) == 2:  # the inputs before
        longer = torch.cat([kept[0], x])
        conv = w.raw["ahead"]
        taps = conv.weight.shape[1]
        ahead = torch.zeros_like(x) if conv.bias is None else conv.bias
        for tap in range(taps):
            ahead = ahead + conv.weight[:, tap] * longer[tap * len(x) : (tap + 1) * len(x)]
        ahead = ahead * s(ahead)
    q, k = w.more["W_k"]["q"](ahead), w.more["W_k"]["k"](ahead)
    v, o = w.W["v"](x), s(w.W["o"](x))
    gates = w.own["w"](ahead)
    c, n = c.reshape(heads, size, size), n.reshape(heads, size)
    all_c, all_n, all_m, hidden = [], [], [], []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        i, f = gates[head], torch.log(s(gates[heads + head]))
        new = torch.stack([f + m[head], i, torch.zeros_like(i)]).max()
        key = k[part] / math.sqrt(size)
        all_c.append(torch.exp(f + m[head] - new) * c[head] + torch.exp(i - new) * torch.outer(v[part], key))
        all_n.append(torch.exp(f + m[head] - new) * n[head] + torch.exp(i - new) * key)
        all_m.append(new)
        below = torch.max(torch.abs(all_n[-1] @ q[part]), torch.exp(-new))
        hidden.append(o[part] * (all_c[-1] @ q[part]) / below)
    h = torch.cat(hidden)
    before = (longer[len(x) :],) if len(kept) == 2 else ()
    return h, (torch.stack(all_c).flatten(), torch.cat(all_n), torch.stack(all_m), *before, h)


def count_mlstm(taps: int, heads: int = 1) -> Callable[[Sizes], int]:
    """Four maps of H, two of a number a head, and a convolution of each input."""
    return lambda n: (4 * n.H + 2 * heads) * (n.I + n.biases) + (n.I * (taps + n.biases) if taps else 0)


def mogrifier(w: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
    x = 2 * s(w.own["Q_1"](h)) * x
    h = 2 * s(w.own["R_2"](x)) * h
    x = 2 * s(w.own["Q_3"](h)) * x
    h = 2 * s(w.own["R_4"](x)) * h
    x = 2 * s(w.own["Q_5"](h)) * x
    i = s(w.a("i", x, h))
    f = s(w.a("f", x, h))
    g = tanh(w.a("g", x, h))
    o = s(w.a("o", x, h))
    c = f * c + i * g
    h = o * tanh(c)
    return h, (h, c)


class Sizes(NamedTuple):
    """What a parameter count depends on. k_x, k_h: kernels; pixels: of a frame; peepholes: how many gates see c."""

    I: int  # noqa: E741  the papers' letter
    H: int
    biases: int
    peepholes: int = 0
    shape: str = "per_channel"
    k_x: int = 1
    k_h: int = 1
    pixels: int = 1
    links: int = 0
    norm: bool = False
    norm_c: bool = False  # whether c has a norm of its own


def count_gated(n: Sizes, gates: int, square: int) -> int:
    """A map from x, one from h and the biases for each gate, square maps from h to h, and what each peephole has."""
    peephole = {"hadamard": n.H * n.pixels, "conv1x1": n.H**2, "conv": n.k_h**2 * n.H**2}.get(n.shape, n.H)
    each = n.H * (n.k_x**2 * n.I + n.k_h**2 * n.H + n.biases)
    return gates * each + square * n.k_h**2 * n.H**2 + n.peepholes * peephole


def count_trajgru(n: Sizes) -> int:
    """Three gates that see x and L copies of h'; 32 flow channels that see x and h' through 5x5; 2 L flow maps, 5x5."""
    gates = 3 * n.H * (n.k_x**2 * n.I + n.links * n.H + n.biases)
    flow = 25 * 32 * (n.I + n.H) + 32 * n.biases + 25 * 32 * 2 * n.links + (2 * n.links if n.biases else 0)
    return gates + flow


def count_stlstm(n: Sizes) -> int:
    """Seven gates see x, four h', three m; the output gate and, through 1x1, the output see both memories."""
    biases = {0: 0, 1: 7, 2: 7 + 4 + 3 + 1 + 1}[n.biases]
    return n.H * (7 * n.k_x**2 * n.I + (4 + 3 + 2) * n.k_h**2 * n.H + 2 * n.H + biases)


def count_causal_lstm(n: Sizes) -> int:
    """Seven gates see x, four h', three c', three m, four the new c, one the new m; and 1x1 for the output."""
    biases = {0: 0, 1: 7, 2: 7 + 4 + 3 + 3 + 4 + 1 + 1}[n.biases]
    return n.H * (7 * n.k_x**2 * n.I + (4 + 3 + 3 + 4 + 1) * n.k_h**2 * n.H + 2 * n.H + biases)


def count_input_gates(gates: int) -> Callable[[Sizes], int]:
    """A map from x and one bias for each gate."""
    return lambda n: gates * n.H * (n.k_x**2 * n.I + n.biases)


def count_indrnn(n: Sizes) -> int:
    """A map from x, a bias and one number of a unit's own past."""
    return n.H * (n.k_x**2 * n.I + n.biases + 1)


def count_sru(vectors: int) -> Callable[[Sizes], int]:
    """Four maps from x where I is not H, biases of the two gates, and the vectors by which these see c."""
    return lambda n: n.H * (4 * n.k_x**2 * n.I + 2 * n.biases + vectors)


def count_lru(n: Sizes) -> int:
    """I is not H: the map in front; nu, theta, gamma, D, and the two parts each of B and C."""
    return n.H * (n.I + n.biases) + 4 * n.H + 4 * n.H**2


def count_lru_layer(n: Sizes) -> int:
    """As an LRU, a layer norm, and the two halves of a GLU."""
    return count_lru(n) + 2 * n.H + 2 * n.H * (n.H + n.biases)


def count_rglru(n: Sizes) -> int:
    """I is not H: the map in front; P, and two gates that see u."""
    return n.H * (n.I + n.biases) + n.H + 2 * n.H * (n.H + n.biases)


def count_qrnn(n: Sizes) -> int:
    """Three gates that see two inputs, with a bias each."""
    return 3 * n.H * (2 * n.k_x**2 * n.I + n.biases)


def count_cornn(n: Sizes) -> int:
    """The force sees x, y' and z'; a second bias is of y's map."""
    return n.H * (n.I + 2 * n.H + n.biases)


def count_mut1(n: Sizes) -> int:
    """Three gates see x, and two of them h'."""
    biases = {0: 0, 1: 3, 2: 3 + 2}[n.biases]
    return n.H * (3 * n.I + 2 * n.H + biases)


def count_antisymmetric(gates: int) -> Callable[[Sizes], int]:
    """A map from x and one bias for each gate, and what lies below the diagonal of one matrix."""
    return lambda n: gates * n.H * (n.I + n.biases) + n.H * (n.H - 1) // 2


def count_mogrifier(n: Sizes) -> int:
    """The LSTM's; three maps from h to x and two back, with a bias each where there are any."""
    between = 5 * n.I * n.H + (n.biases > 0) * (3 * n.I + 2 * n.H)
    return 4 * n.H * (n.I + n.H + n.biases) + between


class Reference(NamedTuple):
    step: Callable[..., tuple[Tensor, State]]
    gates: str  # of W, in the order of the fused rows
    hidden: dict[str, str] | None = None  # the maps of the state and their gates ({}: none); U with those of W if None
    own: tuple[str, ...] = ()  # maps that belong to no gate, by their name
    plain: tuple[str, ...] = ()  # those of them, and of the state's maps, that are never normalised
    raw: tuple[str, ...] = ()  # parameters that are no map, and options, as the cell has them
    more: dict[str, str] | None = None  # further maps of a state and the gates that see it
    square: int = 0  # H x H maps beyond the two a gate
    counted: Callable[[Sizes], int] | None = None

    @property
    def maps_of_h(self) -> dict[str, str]:
        return {"U": self.gates} if self.hidden is None else self.hidden

    @property
    def normed(self) -> list[str]:
        return [name for name in self.own if name not in self.plain]

    def count(self, sizes: Sizes) -> int:
        """Parameters, in closed form; a normalised map has a gain a row."""
        count = self.counted(sizes) if self.counted else count_gated(sizes, len(self.gates), self.square)
        of_states = self.maps_of_h | (self.more or {})
        states = sum(len(gates) for name, gates in of_states.items() if name not in self.plain)
        rows = len(self.gates) + states + len(self.normed) + (3 if self.square else 0)
        of_c = sizes.norm_c * (1 + (sizes.biases > 0))
        return count + sizes.H * (sizes.norm * rows + of_c)


RESET_FIRST = {"U": "rz", "U_n": "n"}  # the candidate's recurrent map stands alone: it does not see h' itself

FLOWS = ("F_x", "F_h", "flow")

ROUNDS = ("Q_1", "R_2", "Q_3", "R_4", "Q_5")

LRU = ("nu", "theta", "gamma", "D")

CELLS = {
    "rnn": Reference(rnn, "h"),
    "rnn_relu": Reference(rnn_relu, "h"),
    "irnn": Reference(rnn_relu, "h"),
    "lstm": Reference(lstm, "ifgo"),
    "gru": Reference(gru, "rzn"),
    "gru_cho": Reference(gru_cho, "rzn", RESET_FIRST),
    "gru_update": Reference(gru_update, "ug"),
    "mgu": Reference(mgu, "fn", {"U": "f", "U_n": "n"}),
    "mingru": Reference(mingru, "zv", {}, counted=count_input_gates(2)),
    "mingru_log": Reference(mingru_log, "zv", {}, counted=count_input_gates(2)),
    "minlstm": Reference(minlstm, "fiv", {}, counted=count_input_gates(3)),
    "minlstm_log": Reference(minlstm_log, "fiv", {}, counted=count_input_gates(3)),
    "indrnn": Reference(indrnn, "h", {}, raw=("u",), counted=count_indrnn),
    "sru": Reference(sru, "fr", {}, raw=("p_f", "p_r"), more={"V": "vx"}, counted=count_sru(2)),
    "sru_v1": Reference(sru_v1, "fr", {}, more={"V": "vx"}, counted=count_sru(0)),
    "qrnn": Reference(qrnn, "zf", {}, own=("W_o",), counted=count_qrnn),
    "mlstm": Reference(mlstm, "vo", {}, own=("w",), plain=("w",), more={"W_k": "qk"}, counted=count_mlstm(0)),
    "mlstm_conv": Reference(
        mlstm, "vo", {}, own=("w",), plain=("w",), raw=("ahead",), more={"W_k": "qk"}, counted=count_mlstm(4)
    ),
    "slstm": Reference(slstm, "ifzo"),
    "lem": Reference(lem, "12zy", {"U": "12z", "U_h": "y"}, raw=("dt",)),
    "cornn": Reference(cornn, "z", more={"U_z": "z"}, raw=("dt", "gamma", "epsilon"), counted=count_cornn),
    "janet": Reference(janet, "fg", raw=("beta",)),
    "ligru": Reference(ligru, "zg", plain=("U",)),
    "mut1": Reference(mut1, "zrn", {"U": "r", "U_n": "n"}, counted=count_mut1),
    "mut2": Reference(mut2, "zrn", {"U": "zr", "U_n": "n"}),
    "mut3": Reference(mut3, "zrn", {"U_z": "z", "U": "r", "U_n": "n"}),
    "antisymmetric": Reference(antisymmetric, "h", {}, raw=("M", "epsilon"), counted=count_antisymmetric(1)),
    "antisymmetric_gated": Reference(
        antisymmetric_gated, "zh", {}, raw=("M", "epsilon"), counted=count_antisymmetric(2)
    ),
    "lru": Reference(lru, "ri", {}, own=("front", "C"), raw=LRU, counted=count_lru),
    "lru_layer": Reference(
        lru_layer, "ri", {}, own=("front", "C"), raw=(*LRU, "before"), more={"glu": "vg"}, counted=count_lru_layer
    ),
    "rglru": Reference(rglru, "ri", {}, own=("front",), raw=("P",), counted=count_rglru),
    "mogrifier": Reference(mogrifier, "ifgo", own=ROUNDS, plain=ROUNDS, counted=count_mogrifier),
    "nig": Reference(nig, "fgo"),
    "nfg": Reference(nfg, "igo"),
    "nog": Reference(nog, "ifg"),
    "niaf": Reference(niaf, "ifgo"),
    "noaf": Reference(noaf, "ifgo"),
    "cifg": Reference(cifg, "igo"),
    "fgr": Reference(fgr, "ifgo", square=9),
    "convrnn": Reference(rnn, "h"),
    "convlstm": Reference(lstm, "ifgo"),
    "convgru": Reference(gru, "rzn"),
    "convgru_hko7": Reference(gru_leaky, "rzn"),
    "convgru_cho": Reference(gru_cho, "rzn", RESET_FIRST),
    "trajgru": Reference(trajgru, "rzn", own=FLOWS, plain=FLOWS, counted=count_trajgru),
    "causal_lstm": Reference(
        causal_lstm,
        "gifGIFo",
        {"U": "gifo"},
        own=("W_m", "W_1"),
        more={"U_c": "gif", "U_m": "ifm", "W_c": "gifo"},
        counted=count_causal_lstm,
    ),
    "stlstm": Reference(stlstm, "gifGIFo", {"U": "gifo", "U_m": "GIF"}, own=("W_o", "W_1"), counted=count_stlstm),
}


def run(name: str, cell: Any, x: Tensor, state: State, peephole: dict[str, Any]) -> tuple[Tensor, State]:
    """x: (B, T, I, *space), state: fields of (B, ...) -> output (B, T, H, *space), final state.

    Gradients reach the cell's parameters.
    """
    step, space = CELLS[name].step, tuple(x.shape[3:])
    w = Weights(cell, CELLS[name], peephole, space)
    outputs, finals = [], []
    for b in range(x.shape[0]):
        now = tuple(field[b].flatten() for field in state)
        hidden = []
        for t in range(x.shape[1]):
            h, now = step(w, x[b, t].flatten(), *now)
            hidden.append(h.reshape(-1, *space))
        outputs.append(torch.stack(hidden))
        finals.append(tuple(new.reshape(old[b].shape) for new, old in zip(now, state, strict=True)))
    return torch.stack(outputs), tuple(torch.stack(field) for field in zip(*finals, strict=True))
