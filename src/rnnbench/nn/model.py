"""The whole network for a sequence task: encoder, stack, head. It knows neither the task's loss nor its config.

Axes: B batch, T time, F input features, K outputs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.checks import Checked, Lengths, check_input, check_shape, check_tokens, enter, weight_of, written
from rnnbench.nn.layers import Bidirectional
from rnnbench.nn.linear import Linear
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
        self.input_size, self.pad = input_size, kernel_size - 1
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
            return Linear(input_size, size), size
        case "embedding":
            return nn.Embedding(input_size, size), size
        case "cnn":
            return CausalCNN(input_size, size), size
    raise ValueError(f"unknown encoder {kind!r}; known: {', '.join(ENCODERS)}")


def check_encoder_input(encoder: nn.Module, x: Tensor) -> Tensor:
    """x as the encoder takes it, tokens as int32 or int64. Raises ValueError on another shape, type or device.

    Of an encoder of the user's own no more is known than that x begins with (B, T); what it makes the stack checks.
    """
    match encoder:
        case nn.Embedding():
            return check_tokens(x, encoder.weight)
        case nn.Linear():
            check_input(x, ("B", "T", encoder.in_features), encoder.weight)
        case CausalCNN():
            check_input(x, ("B", "T", encoder.input_size), weight_of(encoder))
        case _:
            rest = x.shape[2:] if isinstance(x, Tensor) else ("...",)
            check_shape(x, ("B", "T", *rest), "x")
    return x


def encode(encoder: nn.Module, x: Tensor) -> Tensor:
    """encoder(x). Raises ValueError on tokens outside an embedding on the CPU; elsewhere looking would cost a step."""
    try:
        hidden: Tensor = encoder(x)
    except IndexError:
        if not isinstance(encoder, nn.Embedding):
            raise
        got = f"{int(x.min())} to {int(x.max())}"
        raise ValueError(f"expected tokens x from 0 to {encoder.num_embeddings - 1}, got {got}") from None
    return hidden


class SequenceModel(nn.Module):
    """Encoder, stack of recurrent layers (or a network without recurrence), linear head.

    head: last (what the sequence left behind, Stack.final) | mean (over the real steps): -> (B, K);
    every (each step's output): -> (B, T, K). What x holds at padding is never read.
    Raises ValueError on an input of another shape, type or device, and on lengths that are not B integers from 1 to T.
    """

    def __init__(self, encoder: nn.Module, stack: Stack | Rival, *, head: str, output_size: int) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"unknown head {head!r}; known: {', '.join(HEADS)}")
        self.encoder, self.stack, self.head = encoder, stack, head
        self.output = nn.Linear(stack.output_size, output_size)

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """x: (B, T, F) or (B, T) tokens, lengths: B integers or None -> (B, K) or (B, T, K)."""
        prediction, _ = self._predict(x, None, lengths)
        return prediction

    def step(self, x: Tensor, state: Any, *, lengths: Lengths | None = None) -> tuple[Tensor, Any]:
        """As forward, with the state carried from and to the caller (truncated BPTT, streaming).

        Raises ValueError where pieces one after the other are not the whole: where a prediction needs more of the
        sequence than the stack's state says.
        """
        if reason := self._whole_only():
            raise ValueError(f"{reason}, so it cannot go on from a state: give the whole sequence to the model itself")
        return self._predict(x, state, lengths)

    def _whole_only(self) -> str | None:
        """Why the model needs whole sequences, in words; None where a state is enough."""
        if isinstance(self.stack, Rival):
            return f"{type(self.stack).__name__} carries no state"
        if not isinstance(self.encoder, nn.Identity | nn.Linear | nn.Embedding):
            return f"the encoder {type(self.encoder).__name__} may see more than one step"
        if self.head == "mean":
            return "head=mean is over the whole sequence"
        for layer in self.stack.layers:
            if isinstance(layer, Bidirectional):
                return "a bidirectional layer sees the sequence from both ends"
            if layer.reverse:
                return "a backward layer begins at the sequence's end"
        return None

    def _predict(self, x: Tensor, state: Any, lengths: Lengths | None) -> tuple[Tensor, Any]:
        encoder, stack, real = self.encoder, self.stack, None
        if isinstance(encoder, nn.Identity) and self.head != "mean":
            hidden, state = stack(x, state, lengths=lengths)  # which checks all of it
        else:
            hidden, checked = self._encode(x, lengths)
            hidden, state = stack(hidden, stack.check_state(state, hidden), checked=checked)
            real = checked.real
        match self.head:
            case "every":
                return self.output(hidden), state
            case "last":
                return self.output(stack.final(state)), state
        if real is None:
            return self.output(hidden.mean(1)), state
        real = real.unsqueeze(-1)
        return self.output((hidden * real).sum(1) / real.sum(1)), state

    def _encode(self, x: Tensor, lengths: Lengths | None) -> tuple[Tensor, Checked]:
        """What the stack sees, and which steps of it are data."""
        encoder, stack = self.encoder, self.stack
        if isinstance(encoder, nn.Identity):
            stack.check_input(x)
            return enter(x, lengths)
        x = check_encoder_input(encoder, x)
        x, checked = enter(x, lengths)
        hidden = encode(encoder, x)
        stack.check_input(hidden, "the encoder's output")
        if checked.real is not None and hidden.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"lengths need an encoder that keeps {written(x.shape[:2])}, got {written(hidden.shape[:2])}"
            )
        return hidden, checked
