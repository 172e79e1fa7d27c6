"""How weights start: named policies, and a start that gives every module its own stream of random numbers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

Fill = Callable[[Tensor, int], None]  # fills one gate's block in place; the int is the hidden size


@dataclass(frozen=True)
class Fused:
    """A fill that takes the whole weight of a map as one block, with the gates as its rows: (n H, in, *kernel)."""

    fill: Fill

    def __call__(self, weight: Tensor, hidden_size: int) -> None:
        self.fill(weight, hidden_size)


MOST_STEPS = 1e38  # of chrono: float32 ends at 3e38


@dataclass(frozen=True)
class Chrono:
    """A start of all biases of a map (Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 2).

    longest: T_max, the longest dependency looked for, in steps. keeps: the gate that is the share of the old state that
    is kept, b = log U, U ~ U(1, T_max - 1) a unit; admits: the gate that is the share of the new, b = -log U of that
    draw. A unit then forgets with a time constant of 1 / (1 - s(b)) = 1 + U steps. Every other bias is zero.
    Raises ValueError on a T_max of 2 or less, which leaves nothing to draw, and on one beyond float32.
    """

    longest: float
    keeps: str | None
    admits: str | None

    def __post_init__(self) -> None:
        number = isinstance(self.longest, (int, float)) and not isinstance(self.longest, bool)
        if not number or not 2 < self.longest < math.inf:
            raise ValueError(f"chrono must be a number of steps above 2, or null, not {self.longest!r}")
        if self.longest > MOST_STEPS:
            raise ValueError(f"chrono must be at most {MOST_STEPS:g} steps, not {self.longest!r}")

    def __call__(self, biases: Mapping[str, Tensor]) -> None:
        """Fill the biases of a map in place: gate -> its block."""
        shares = {self.keeps: 1.0, self.admits: -1.0}
        found = [gate for gate in biases if gate in shares]
        for block in biases.values():
            nn.init.zeros_(block)
        if found:
            draw = nn.init.uniform_(torch.empty_like(biases[found[0]]), 1, self.longest - 1).log_()
            for gate in found:
                biases[gate].copy_(shares[gate] * draw)


def uniform(block: Tensor, hidden_size: int) -> None:
    """U(-1/sqrt(H), 1/sqrt(H)), torch.nn's start of weights and biases alike."""
    bound = 1 / math.sqrt(hidden_size)
    nn.init.uniform_(block, -bound, bound)


def zeros(block: Tensor, hidden_size: int) -> None:
    """All zero."""
    nn.init.zeros_(block)


def glorot(block: Tensor, hidden_size: int) -> None:
    """Glorot & Bengio 2010, U(-b, b) with b = sqrt(6 / (fan in + fan out)), by the fans of the block; a kernel's are
    those of its channels times k k."""
    nn.init.xavier_uniform_(block)


def glorot_normal(block: Tensor, hidden_size: int) -> None:
    """N(0, 2 / (fan in + fan out)), Glorot's variance drawn from a normal distribution."""
    nn.init.xavier_normal_(block)


def orthogonal(block: Tensor, hidden_size: int) -> None:
    """A random orthogonal matrix (Saxe et al. 2014); a kernel is flattened to out x (in * k * k). Where a block is not
    square, its columns or its rows are orthonormal, whichever are fewer."""
    nn.init.orthogonal_(block)


def small_normal(block: Tensor, hidden_size: int) -> None:
    """N(0, 0.001): IRNN's input weights, read as a standard deviation (Le, Jaitly & Hinton 2015, section 4)."""
    nn.init.normal_(block, std=0.001)


def normal(block: Tensor, hidden_size: int) -> None:
    """N(0, 0.1^2): every weight of the Odyssey (Greff et al. 2015, section IV)."""
    nn.init.normal_(block, std=0.1)


def identity(block: Tensor, hidden_size: int) -> None:
    """The identity map: eye for a matrix, dirac for a kernel (IRNN)."""
    (nn.init.eye_ if block.dim() == 2 else nn.init.dirac_)(block)


def fan_in(block: Tensor, hidden_size: int) -> None:
    """U(-1/sqrt(n), 1/sqrt(n)) with n the inputs of one output, C_in k k for a kernel: torch.nn.Conv2d's start."""
    bound = 1 / math.sqrt(block[0].numel())
    nn.init.uniform_(block, -bound, bound)


def channels_in(block: Tensor, hidden_size: int) -> None:
    """U(-1/sqrt(C_in), 1/sqrt(C_in)), whatever the kernel: the ConvLSTM authors' code (Shi et al. 2015)."""
    bound = 1 / math.sqrt(block.shape[1])
    nn.init.uniform_(block, -bound, bound)


def kaiming_leaky(block: Tensor, hidden_size: int) -> None:
    """U(-b, b), b = sqrt(6 / (65 n)) with n the inputs of one output: He et al. 2015 for a slope of 8 below zero, which
    is what the IndRNN authors' code asks for (Li et al. 2018)."""
    bound = math.sqrt(6 / (1 + 8**2) / block[0].numel())
    nn.init.uniform_(block, -bound, bound)


def unit_variance(block: Tensor, hidden_size: int) -> None:
    """U(-b, b), b = sqrt(3 / n) with n the inputs of one output: of variance 1 / n (the SRU authors' code)."""
    bound = math.sqrt(3 / block[0].numel())
    nn.init.uniform_(block, -bound, bound)


class Policy(NamedTuple):
    """How a cell starts: W input-to-state, U state-to-state, b biases; each gate by itself, but for a Fused fill."""

    W: Fill
    U: Fill
    b: Fill


POLICIES: dict[str, Policy] = {
    "torch": Policy(uniform, uniform, uniform),
    "glorot": Policy(glorot, orthogonal, zeros),  # gate by gate, as if each were a map of its own
    "identity": Policy(small_normal, identity, zeros),  # IRNN
    "normal": Policy(normal, normal, normal),  # the Odyssey's
    "fan_in": Policy(fan_in, fan_in, zeros),  # torch.nn.Conv2d's weights
    "shi2015": Policy(channels_in, channels_in, zeros),  # the ConvLSTM authors'
    "li2018": Policy(kaiming_leaky, kaiming_leaky, zeros),  # the IndRNN authors', whose u has a start of its own
    "lei2018": Policy(unit_variance, unit_variance, zeros),  # the SRU authors', whose p has a start of its own
    # The LiGRU authors' (pytorch-kaldi): the recurrent weights of both gates are one orthogonal matrix (2 H, H).
    "ravanelli2018": Policy(glorot_normal, Fused(orthogonal), zeros),
    # Keras' default: its kernel (I, n H) and recurrent kernel (H, n H) are one tensor each for all n gates. A cell with
    # several recurrent maps starts each as a kernel of its own, where Keras' GRU(reset_after=False) has one for all.
    "keras": Policy(Fused(glorot), Fused(orthogonal), zeros),
}


def policy(name: str) -> Policy:
    """The policy called name. Raises ValueError with the known ones."""
    try:
        return POLICIES[name]
    except KeyError:
        raise ValueError(f"unknown init {name!r}; known: {', '.join(POLICIES)}") from None


def start(model: nn.Module, seed: int) -> None:
    """Draw every module's start from a stream of its own, keyed by seed and the module's name.

    So the start of one weight does not depend on which others exist: an LSTM with peepholes and one without begin
    with the same W and U, and zero-started peepholes begin bit-identical to none. Drawn on the CPU, for any device.
    Raises ValueError on a model that has moved to another one, whose generator would give other numbers.
    """
    if moved := {p.device for p in model.parameters()} - {torch.device("cpu"), torch.device("meta")}:
        raise ValueError(f"start a model before it moves to {moved.pop()}: its weights are drawn on the CPU")
    with torch.random.fork_rng(devices=[]):
        for name, module in model.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
                torch.default_generator.manual_seed(int.from_bytes(key[:8], "big") >> 1)  # the GPUs keep theirs
                reset()
