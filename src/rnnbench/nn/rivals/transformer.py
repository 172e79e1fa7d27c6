"""A small Transformer encoder (Vaswani et al. 2017), with its norms before the sublayers (Xiong et al. 2020).

x_0 = W x + p      y = x + A(norm(x))      x' = y + W_2 relu(W_1 norm(y) + b_1) + b_2      A: attention over the steps
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.checks import length_mask
from rnnbench.nn.rivals.base import Rival


def positions(steps: int, size: int, like: Tensor) -> Tensor:
    """p, (T, H): sin(t / 10000^(2i/H)) in column 2i, the cosine in 2i + 1 (Vaswani et al. 2017, section 3.5).

    For any length, so that tests may be longer than what was trained on.
    """
    column = torch.arange(size, device=like.device)
    rate = torch.exp(-math.log(10000.0) * (column - column % 2) / size)
    angle = torch.arange(steps, device=like.device)[:, None] * rate
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


class Attention(nn.Module):
    """Scaled dot-product attention of several heads (eq. 1). (B, T, H) -> (B, T, H); real: (B, T), None for all.

    Each head has H // heads channels, at least one; where heads do not divide H (a size solved from a budget) the inner
    width W is the largest multiple below. Parameters: 3 (H W + W) + W H + H.
    """

    def __init__(self, hidden_size: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.width = heads * max(1, hidden_size // heads)
        self.qkv = nn.Linear(hidden_size, 3 * self.width)
        self.out = nn.Linear(self.width, hidden_size)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))
        # Padding stands after the end: a causal step never looks there, any other must be told.
        seen = None if self.causal or real is None else real[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=self.causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class EncoderLayer(nn.Module):
    """Attention and a feed-forward net of inner size `wide`, each with its norm before it and a way around it."""

    def __init__(self, hidden_size: int, heads: int, wide: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.attention = Attention(hidden_size, heads, causal)
        self.norm_attention, self.norm_feed = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.feed_in, self.feed_out = nn.Linear(hidden_size, wide), nn.Linear(wide, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        attended: Tensor = x + self.dropout(self.attention(self.norm_attention(x), real))
        fed = self.feed_out(self.dropout(F.relu(self.feed_in(self.norm_feed(attended)))))
        out: Tensor = attended + self.dropout(fed)
        return out


class Transformer(Rival):
    """Encoder layers over the sequence, positions added; a layer is an encoder layer. Causal unless told otherwise.

    heads: of the attention. feedforward: the inner size of the feed-forward net, in hidden sizes. Parameters, with W
    the width of the heads together and M = feedforward H: F H + H, a layer 3 (H W + W) + W H + H + 2 H M + M + H + 4 H,
    and 2 H for the last norm. Raises ValueError on heads or feedforward below 1.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, heads: int = 4, feedforward: int = 4, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if heads < 1 or feedforward < 1:
            raise ValueError(f"heads and feedforward must be at least 1, not {heads!r} and {feedforward!r}")
        self.input = nn.Linear(input_size, hidden_size)
        self.dropout = nn.Dropout(self.dropout_rate)
        self.layers = nn.ModuleList(
            EncoderLayer(hidden_size, heads, feedforward * hidden_size, self.dropout_rate, self.causal)
            for _ in range(self.layer_count)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def outputs(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, F) -> (B, T, H)."""
        real = None if lengths is None else length_mask(lengths, x.shape[1])
        hidden = self.input(x)
        hidden = self.dropout(hidden + positions(x.shape[1], self.hidden_size, hidden))
        for layer in self.layers:
            hidden = layer(hidden, real)
        normed: Tensor = self.norm(hidden)
        return normed
