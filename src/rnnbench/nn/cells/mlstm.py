"""mLSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517, eqs. 19 to 27): a matrix memory of keys and values, K heads.

    q = W_q x + b_q     k = (W_k x + b_k) / sqrt(d)     v = W_v x + b_v     o = s(W_o x + b_o)
    i~ = w_i x + b_i     f~ = w_f x + b_f                one number a head, of which each has d = H / K features
    m = max(log s(f~) + m', i~, 0)                       the stabiliser
    i = exp(i~ - m)                                      f = exp(log s(f~) + m' - m)
    C = f C' + i v k^T                                   n = f n' + i k
    h = o * C q / max(|n q|, exp(-m))

m cancels in h: any m before the first step, and any m at all that is carried with its C and n, gives the same h in
exact numbers. The paper's m has no 0 in its maximum. With it exp(-m) is at most 1, where i~ = -120 would else make it
infinite; nothing is lost, for the denominator is at least 1 before it is divided by exp(m). Below exp(-40) what is left
of n q is the rounding of terms that cancel, so there the denominator ends, and q = 0 gives 0.

conv: a causal convolution in time of that width, one kernel a channel, then SiLU, of what q, k and the gates i and f
see, as in the paper's block; v and o see x. The rest of the block (a wider inner size, a norm of each head, a second
gate, skips) is not the cell. The authors' code (NX-AI/xlstm) adds 1e-6 to the denominator, and its gates i and f see
q, k and v. There, as here, k's bias is divided by sqrt(d), too; in eq. 24 it is not. Of the two forget gates, s and
exp, it has the sigmoid, as this cell.

C and n are linear in what they were, given the gates: `scan` computes a whole sequence in chunks, with products of
matrices inside a chunk (the paper's parallel form, appendix A.3) and C, n and m between them.

Axes: T time, B batch, K heads, L steps of a chunk, d features of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, exp, nn, sigmoid
from torch.nn.functional import logsigmoid, silu
from torch.serialization import add_safe_globals

from rnnbench.nn.cells.linear import Windowed
from rnnbench.nn.init import fan_in
from rnnbench.nn.maps import check_heads

CHUNK = 32  # steps
FLOOR = 40.0  # exp(-FLOOR) is the least denominator, of terms of which one has the factor 1


class MLSTMState(NamedTuple):
    c: Tensor  # (B, K, d, d): rows by values, columns by keys
    n: Tensor  # (B, K, d), the normaliser
    m: Tensor  # (B, K), the stabiliser, a logarithm
    y: Tensor  # (B, H), the output


class MLSTMConvState(NamedTuple):
    c: Tensor
    n: Tensor
    m: Tensor
    x: Tensor  # (B, (conv - 1) I), the inputs before, the oldest first
    y: Tensor


add_safe_globals([MLSTMConvState])


class CausalConv(nn.Module):
    """A kernel over time for each channel: weight (I, width), the oldest step first; bias (I) or none."""

    def __init__(self, size: int, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, width))
        self.bias = nn.Parameter(torch.empty(size)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """U(-1/sqrt(width), 1/sqrt(width)), torch.nn.Conv1d's start."""
        if self.weight.numel():
            fan_in(self.weight, self.weight.shape[0])
            bound = self.weight.shape[1] ** -0.5
            if self.bias is not None:
                nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, steps: list[Tensor]) -> Tensor:
        """steps: width tensors (..., I), the oldest first -> (..., I)."""
        total = sum(x * tap for x, tap in zip(steps, self.weight.unbind(1), strict=True))
        return cast(Tensor, total) if self.bias is None else cast(Tensor, total) + self.bias


class Parts(NamedTuple):
    """What a step computes from x alone: q, k, v (..., K, d), o (..., H), i and f (..., K) before the gates."""

    q: Tensor
    k: Tensor
    v: Tensor
    o: Tensor
    i: Tensor
    f: Tensor


class MLSTM(Windowed):
    """mLSTM. heads: K, which must divide H. conv: the width of the convolution in front, or None for none.
    forget_bias: added to b_f at the start.

    Parameters: 4 H I + 2 K I + biases (4 H + 2 K), and with a convolution I (conv + biases). Raises ValueError on heads
    that do not divide H, on a conv below 2, and of frames.
    """

    State: Any = MLSTMState
    gates = ("o",)  # i and f are exponentials
    most_biases = 1

    def __init__(
        self, input_size: int, hidden_size: int, *, heads: int = 4, conv: int | None = None, forget_bias: float = 0.0,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, **options)
        check_heads(heads, hidden_size)
        if self.operator.space_dims:
            raise ValueError("an mLSTM is for vectors: its operator is Dense")
        if conv is not None and (not isinstance(conv, int) or conv < 2):
            raise ValueError(f"conv must be at least 2 steps, or null for none, not {conv!r}")
        self.heads, self.size, self.width = heads, hidden_size // heads, conv or 1
        self.State = MLSTMState if conv is None else MLSTMConvState
        self.W = self.input_map("v o")
        self.W_k = self.input_map("q k")
        self.w = self.operator.map(
            input_size, heads, "i f", role="x", bias=self.biases >= 1, bias_offset={"f": forget_bias},
            weight_fill=self.init.W, bias_fill=self.init.b,
        )  # fmt: skip
        self.ahead = None if conv is None else CausalConv(input_size, conv, self.biases >= 1)

    def _like_h(self, batch: int, space: Sequence[int]) -> list[tuple[int, ...]]:
        sizes = {
            "c": (self.heads, self.size, self.size),
            "n": (self.heads, self.size),
            "m": (self.heads,),
            "x": ((self.width - 1) * self.input_size,),
            "y": (self.hidden_size,),
        }
        return [(batch, *sizes[field]) for field in self.State._fields]

    def hoist(self, x: Tensor) -> Tensor:
        return x if self.ahead is not None else torch.cat([m.sequence(x) for m in (self.W, self.W_k, self.w)], -1)

    @property
    def hoisted_size(self) -> int:
        return self.input_size if self.ahead is not None else 4 * self.hidden_size + 2 * self.heads

    def cut(self, fused: Tensor) -> Parts:
        """(..., 4 H + 2 K) -> its parts."""
        sizes = [self.hidden_size] * 4 + [self.heads] * 2
        v, o, q, k, i, f = fused.split(sizes, -1)
        q, k, v = (each.unflatten(-1, (self.heads, self.size)) for each in (q, k, v))
        return Parts(q, k * self.size**-0.5, v, o, i, f)

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        more = {}
        if self.ahead is not None:
            seen = torch.cat([state.x, wx], 1)
            ahead = silu(self.ahead(list(seen.chunk(self.width, 1)) if self.input_size else [wx] * self.width))
            wx = torch.cat([self.W(wx), self.W_k(ahead), self.w(ahead)], -1)
            more["x"] = seen[:, self.input_size :]
        a = self.cut(wx)
        kept = logsigmoid(a.f) + state.m
        m = torch.maximum(kept, a.i).clamp(min=0)
        i = exp(a.i - m)[..., None]
        f = exp(kept - m)[..., None]
        c = f[..., None] * state.c + (i * a.v)[..., None] * a.k[..., None, :]
        n = f * state.n + i * a.k
        read = (c @ a.q[..., None]).squeeze(-1)
        h = sigmoid(a.o) * (read / _denominator((n * a.q).sum(-1), m)).flatten(1)
        return h, self.State(c=c, n=n, m=m, y=h, **more)

    def scan(self, x: Tensor, state: Any, real: Tensor | None) -> tuple[Tensor, Any]:
        """The whole sequence in chunks (nn.backends.scan): memory and time linear in T."""
        steps, batch = x.shape[:2]
        ahead, longer = x, x
        if self.ahead is not None:
            before = state.x.reshape(batch, self.width - 1, self.input_size).transpose(0, 1)
            longer = torch.cat([before, x])
            ahead = silu(self.ahead([longer[n : n + steps] for n in range(self.width)]))
        a = self.cut(torch.cat([self.W.sequence(x), self.W_k.sequence(ahead), self.w.sequence(ahead)], -1))
        i, kept = a.i, logsigmoid(a.f)
        if real is not None:  # a step that is none keeps all and adds nothing
            i = torch.where(real[..., None], i, -torch.inf)
            kept = torch.where(real[..., None], kept, 0.0)
        q, k, v, i, kept = (each.movedim(0, 2) for each in (a.q, a.k, a.v, i, kept))  # (B, K, T, ...)
        read, (c, n, m) = chunked(q, k, v, i, kept, (state.c, state.n, state.m))
        output = sigmoid(a.o) * read.movedim(2, 0).flatten(2)
        if real is None:
            more = {} if self.ahead is None else {"x": longer[steps:].transpose(0, 1).flatten(1)}
            return output, self.State(c=c, n=n, m=m, y=output[-1], **more)
        count = real.sum(0)
        rows = torch.arange(batch, device=x.device)
        new = {"c": c, "n": n, "m": m, "y": output[(count - 1).clamp(min=0), rows]}
        if self.ahead is not None:
            last = count + torch.arange(self.width - 1, device=x.device)[:, None]
            new["x"] = longer[last, rows].transpose(0, 1).flatten(1)
        some = {name: (count > 0).reshape(-1, *(1,) * (field.dim() - 1)) for name, field in new.items()}
        old = state._asdict()
        return output, self.State(**{name: torch.where(some[name], new[name], old[name]) for name in new})


def _denominator(nq: Tensor, m: Tensor) -> Tensor:
    """max(|n q|, exp(-m)), (..., 1)."""
    return torch.maximum(nq.abs(), exp(-m.clamp(max=FLOOR)))[..., None]


def chunked(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, kept: Tensor, state: tuple[Tensor, Tensor, Tensor], chunk: int = CHUNK
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """C q / max(|n q|, exp(-m)) of all steps, and C, n and m after them.

    q, k, v: (B, K, T, d). i: the input gate's exponent, -infinity where nothing is added; kept: the forget gate's
    logarithm, both (B, K, T). state: C, n and m before. -> (B, K, T, d), (C, n, m).

    m cancels in what is read, so no gradient goes through it there; only the m that is handed out has one, and C and n
    by it.
    """
    c, n, m = state
    found = []
    for Q, X, V, I, F in zip(*(each.split(chunk, 2) for each in (q, k, v, i, kept)), strict=True):  # noqa: E741
        log_kept, weights = _within(I, F)
        old = log_kept + m[..., None]
        with torch.no_grad():
            top = torch.maximum(weights.amax(-1), old).clamp(min=0)
        new_weight, old_weight = exp(weights - top[..., None]), exp(old - top)[..., None]
        scores = (Q @ X.transpose(2, 3)) * new_weight
        total = scores @ V + old_weight * (Q @ c.transpose(2, 3))
        nq = scores.sum(-1) + (old_weight * (Q @ n[..., None])).squeeze(-1)
        found.append(total / _denominator(nq, top))
        weighed = new_weight[:, :, -1, :, None] * X
        last = old_weight[:, :, -1]
        c = last[..., None] * c + V.transpose(2, 3) @ weighed
        n = last * n + weighed.sum(2)
        m = top[..., -1]
    m, ratio = _with_gradient(m, i, kept, state[2])
    return torch.cat(found, 2), (ratio[..., None, None] * c, ratio[..., None] * n, m)


def _within(i: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of what is left of the state before a chunk at its steps, (B, K, L), and of what each step
    (column) adds to each (row), (B, K, L, L). Sums between two steps are added up as such: differences of two long ones
    would have their rounding."""
    steps = kept.shape[-1]
    ones = torch.ones(steps, steps, dtype=torch.bool, device=kept.device)
    between = torch.where(ones.tril(-1), kept[..., None], 0.0).cumsum(-2)  # from the step after the column to the row
    return kept.cumsum(-1), torch.where(ones.tril(), between + i[..., None, :], -torch.inf)


def _with_gradient(m: Tensor, i: Tensor, kept: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The last m, with its gradient by the gates and the m before; and exp(m - m), which is 1, with minus the same."""
    after = kept.flip(-1).cumsum(-1).flip(-1)
    same = torch.maximum((after - kept + i).amax(-1), after[..., 0] + start).clamp(min=0)
    moved = m + (same - same.detach())
    return moved, exp(m - moved)
