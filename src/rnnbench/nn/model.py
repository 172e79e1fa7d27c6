"""The whole network for a sequence task: encoder, stack, head. It knows neither the task's loss nor its config.

Axes: B batch, T time, F input features, K outputs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.layers import length_mask
from rnnbench.nn.rivals import Rival
from rnnbench.nn.stacks import Stack

ENCODERS = ("none", "linear", "embedding", "cnn")
HEADS = ("last", "every", "mean")


class CausalCNN(nn.Module):
    """Two 1-d convolutions over time before the RNN, kernel 3, ReLU. Padded on the left only: no step sees the future.

    x: (B, T, F) -> (B, T, size).
    """

    def __init__(self, input_size: int, size: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.pad = kernel_size - 1
        self.convs = nn.ModuleList([nn.Conv1d(input_size, size, kernel_size), nn.Conv1d(size, size, kernel_size)])

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for conv in self.convs:
            x = F.relu(conv(F.pad(x, (self.pad, 0))))
        return x.transpose(1, 2)


def make_encoder(kind: str, input_size: int, size: int) -> tuple[nn.Module, int]:
    """The encoder called kind and its output size. input_size: features, or the vocabulary for `embedding`."""
    match kind:
        case "none":
            return nn.Identity(), input_size
        case "linear":
            return nn.Linear(input_size, size), size
        case "embedding":
            return nn.Embedding(input_size, size), size
        case "cnn":
            return CausalCNN(input_size, size), size
    raise ValueError(f"unknown encoder {kind!r}; known: {', '.join(ENCODERS)}")


class SequenceModel(nn.Module):
    """Encoder, stack of recurrent layers (or a network without recurrence), linear head.

    head: last (what the sequence left behind, Stack.final) | mean (over the real steps): -> (B, K);
    every (each step's output): -> (B, T, K).
    """

    def __init__(self, encoder: nn.Module, stack: Stack | Rival, *, head: str, output_size: int) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"unknown head {head!r}; known: {', '.join(HEADS)}")
        self.encoder, self.stack, self.head = encoder, stack, head
        self.output = nn.Linear(stack.output_size, output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x: (B, T, F) or (B, T) tokens, lengths: (B,) or None -> (B, K) or (B, T, K)."""
        prediction, _ = self.step(x, None, lengths=lengths)
        return prediction

    def step(self, x: Tensor, state: Any, *, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """As forward, with the state carried from and to the caller (truncated BPTT, streaming)."""
        hidden, state = self.stack(self.encoder(x), state, lengths=lengths)
        match self.head:
            case "every":
                return self.output(hidden), state
            case "last":
                return self.output(self.stack.final(state)), state
        if lengths is None:
            return self.output(hidden.mean(1)), state
        real = length_mask(lengths.to(hidden.device), hidden.shape[1]).unsqueeze(-1)
        return self.output((hidden * real).sum(1) / real.sum(1)), state
