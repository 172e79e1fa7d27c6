"""What "W x" means: a dense product here, a convolution for frames. One fused map, named gates.

A cell writes its equations over an *operator* and never asks what x or h look like. Channels are axis 1 of every
tensor a cell sees, (B, C, *space): (B, C) for the dense operator, (B, C, H, W) for a convolution.

Axes: T time, B batch, C channels (dense: features), space none or H W.
"""

from __future__ import annotations

import functools
import weakref
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.checks import is_autocast
from rnnbench.nn.init import Chrono, Fill, Fused
from rnnbench.nn.linear import linear

COPIED = 4  # at most so many times as many weights as numbers in [x, h'] are copied for one convolution of both


@functools.cache
def gate_names(gates: str) -> Any:
    """The named tuple of a map's gates: ``gate_names("i f g o")`` has fields i, f, g, o."""
    return namedtuple("Gates", gates.split())


class Map(nn.Module):
    """One linear map onto several named gates, computed as one product: x -> W x (+ b).

    in_size: channels of x. out_size: channels of each gate. gates: their letters in order, "i f g o".
    weight_fill, bias_fill: how one gate's block, or all of them, starts (see nn.init). bias_offset: added to a
    gate's bias at the start, {"f": 1.0} for a forget bias of one. norm: layer norm of each gate's W x over its channels
    and pixels, times a gain a channel that starts at one; the bias is added after it (Ba et al. 2016, eq. 4). norm_all:
    one mean and one variance of all gates, as in the paper's LSTM, in the place of one a gate.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    gain: nn.Parameter | None
    gates: Any  # the named tuple of the gates, by gate_names
    zeros: tuple[Tensor, ...] = ()  # see known_zeros

    def __init__(
        self,
        in_size: int,
        out_size: int,
        gates: str,
        *,
        weight_shape: tuple[int, ...],
        bias: bool,
        weight_fill: Fill,
        bias_fill: Fill | Chrono,
        bias_offset: Mapping[str, float] | None = None,
        norm: bool = False,
        norm_all: bool = False,
    ) -> None:
        super().__init__()
        self.in_size, self.out_size = in_size, out_size
        self.letters, self.gates = gates, gate_names(gates)
        self.bias_offset = {k: v for k, v in (bias_offset or {}).items() if v}
        if self.bias_offset and not bias:
            raise ValueError(
                f"an offset for the bias of {', '.join(self.bias_offset)} needs a bias: set biases to 1 or 2"
            )
        self._fills = weight_fill, bias_fill
        n = len(self.gates._fields)
        self.weight = nn.Parameter(torch.empty(n * out_size, *weight_shape))
        self.bias = nn.Parameter(torch.empty(n * out_size)) if bias else None
        normed = norm and in_size > 0  # nothing to normalise where there is no input
        self.gain = nn.Parameter(torch.empty(n * out_size)) if normed else None
        self.norm_groups = 1 if norm_all else n
        self.reset_parameters()

    def __getstate__(self) -> dict[str, Any]:
        """Without the class of the gates' named tuple, which has no address, it is made anew; and without what
        `preactivation` keeps, which has a history that cannot be copied."""
        return {key: value for key, value in self.__dict__.items() if key not in ("gates", "joint")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"gates": gate_names(state["letters"])})  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start every gate's block on its own, as separate maps would, or the fused weight where the fill says so."""
        weight_fill, bias_fill = self._fills
        blocks = (self.weight,) if isinstance(weight_fill, Fused) else self.weight.split(self.block_rows)
        if self.in_size:  # a layer without input has a bias only
            for block in blocks:
                weight_fill(block, self.out_size)
        if self.bias is not None:
            biases = dict(zip(self.gates._fields, self.bias.split(self.out_size), strict=True))
            if isinstance(bias_fill, Chrono):
                bias_fill(biases)
            else:
                for block in biases.values():
                    bias_fill(block, self.out_size)
            for name, offset in self.bias_offset.items():
                biases[name] += offset
        if self.gain is not None:
            nn.init.ones_(self.gain)

    @property
    def block_rows(self) -> int:
        """How many rows of the weight start as one block: those of a gate."""
        return self.out_size

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W x + bias, by the operator: (B, in_size, *space) -> (B, n*out_size, *space)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.gain is None:
            return self.product(x, self.bias)
        return F.group_norm(self.product(x, None), self.norm_groups, self.gain, self.bias)

    def split(self, fused: Tensor) -> Any:
        """(B, n*C, *space) -> a named tuple of n gates (B, C, *space)."""
        return self.gates._make(fused.chunk(len(self.gates._fields), 1))

    def sequence(self, x: Tensor) -> Tensor:
        """All time steps at once, hoisted out of the loop: (T, B, C, *space) -> (T, B, n*C, *space)."""
        fused: Tensor = self(x.flatten(0, 1))
        return cast(Tensor, fused.unflatten(0, x.shape[:2]))

    def extra_repr(self) -> str:
        text = f"{self.in_size} -> {' '.join(self.gates._fields)} of {self.out_size}, bias={self.bias is not None}"
        return text + ", norm=layer" * (self.gain is not None)


class Norm(nn.Module):
    """Layer norm of a state over channels and pixels, times a gain (from one), plus a bias (from zero), a channel."""

    def __init__(self, size: int, *, bias: bool) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.empty(size)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.gain)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, state: Tensor) -> Tensor:
        """(B, C, *space) -> the same."""
        return F.group_norm(state, 1, self.gain, self.bias)


class DenseMap(Map):
    """W x as a matrix product: (B, in_size) -> (B, n*out_size)."""

    def __init__(self, in_size: int, out_size: int, gates: str, **options: Any) -> None:
        super().__init__(in_size, out_size, gates, weight_shape=(in_size,), **options)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, self.weight, bias)

    def sequence(self, x: Tensor) -> Tensor:
        return super().sequence(x) if self.gain is not None else linear(x, self.weight, self.bias)


class HeadMap(DenseMap):
    """W x block by block: the features are cut into heads, and each head's gates see this head alone.

    weight: (n*out_size, in_size/heads); the row of a gate's feature has its head's columns. A block starts on its own.
    Raises ValueError where heads do not divide both sizes.
    """

    def __init__(self, in_size: int, out_size: int, gates: str, *, heads: int, **options: Any) -> None:
        check_heads(heads, in_size)
        check_heads(heads, out_size)
        self.heads = heads
        Map.__init__(self, in_size, out_size, gates, weight_shape=(in_size // heads,), **options)

    @property
    def block_rows(self) -> int:
        return self.out_size // self.heads

    def whole(self) -> Tensor:
        """The weight as one matrix (n*out_size, in_size), zero outside the blocks, with a gradient by the weight."""
        blocks = self.weight.view(-1, self.heads, self.block_rows, 1, self.weight.shape[1])
        own = torch.eye(self.heads, dtype=torch.bool, device=blocks.device)[:, None, :, None]
        return torch.where(own, blocks, torch.zeros_like(blocks)).reshape(self.weight.shape[0], self.in_size)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.weight.shape[1] == self.in_size:  # one head; or `whole`, in whose place the cell compiler traces
            return F.linear(x, self.weight, bias)
        blocks = self.weight.view(-1, self.heads, self.block_rows, self.weight.shape[1])  # gate, head, row, column
        parts = x.unflatten(1, (self.heads, -1)).transpose(0, 1)
        fused = torch.bmm(parts, blocks.permute(1, 3, 0, 2).flatten(2))  # head, B, gate and row
        fused = fused.unflatten(2, (blocks.shape[0], -1)).permute(1, 2, 0, 3).flatten(1)
        return cast(Tensor, fused) if bias is None else fused + bias

    def sequence(self, x: Tensor) -> Tensor:
        return Map.sequence(self, x)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, heads={self.heads}"


def laid_out(module: nn.Module, name: str, weight: Tensor) -> Tensor:
    """A module's parameter or buffer as a step may multiply with it: of a HeadMap the whole matrix."""
    return module.whole() if isinstance(module, HeadMap) and name == "weight" else weight


def check_heads(heads: int, size: int) -> None:
    """Raises ValueError where heads are none, or do not divide size."""
    if not isinstance(heads, int) or heads < 1 or size % heads:
        raise ValueError(f"heads must divide hidden_size: {size} features cannot be cut into {heads!r}")


class ConvMap(Map):
    """W * x as a 2-d convolution that keeps the frame's size: (B, in_size, H, W) -> (B, n*out_size, H, W)."""

    keeps = False  # whether `joint` is kept for the next step
    joint: Joint | None = None  # of U: itself beside W, see preactivation

    def __init__(self, in_size: int, out_size: int, gates: str, *, kernel_size: int, **options: Any) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that frames keep their size, not {kernel_size}")
        self.padding = kernel_size // 2
        super().__init__(in_size, out_size, gates, weight_shape=(in_size, kernel_size, kernel_size), **options)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.in_size:
            if bias is None and is_known(x, self.zeros):
                return x.new_zeros(x.shape[0], self.weight.shape[0], *x.shape[2:], dtype=product_dtype(x))
            return F.conv2d(x, self.weight, bias, padding=self.padding)
        empty = x.new_zeros(x.shape[0], self.weight.shape[0], *x.shape[2:])
        return empty if bias is None else empty + bias[:, None, None]


class Pending(NamedTuple):
    """W x that is not computed yet: what `Cell.given` hands to a step that is next to add U h' to it."""

    W: ConvMap
    x: Tensor  # (B, in_size, H, W)


class _Version(NamedTuple):
    """A parameter, or none, as it was. Two maps, or two calls of a network with other weights, may share versions."""

    of: Tensor | None
    number: int
    address: int  # another one where its `data` was replaced, which counts as no new version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Version) and self.of is other.of and self[1:] == other[1:]


class Joint(NamedTuple):
    """[W, U] and the sum of their biases; made: whether for gradients, and of which parameters in which versions."""

    made: tuple[bool, tuple[_Version, ...]]
    weight: Tensor  # (n*out_size, in_size + out_size, k, k)
    bias: Tensor | None


def preactivation(wx: Tensor | Pending, U: Map, h: Tensor) -> Tensor:
    """W x + U h': (B, n*out_size, *space). Where W x is pending, one convolution of [x, h']."""
    if not isinstance(wx, Pending):
        return wx + cast(Tensor, U(h))
    W, x = wx
    if U.bias is None and is_known(h, U.zeros):
        return cast(Tensor, W(x))
    joint = _side_by_side(W, cast(ConvMap, U))
    both = torch.cat([x, h], 1)
    if not torch.is_grad_enabled() or x.is_inference() or h.is_inference():  # of those autograd must keep a copy
        return F.conv2d(both, joint.weight, joint.bias, padding=W.padding)
    with _apart(both, (x, h)):
        return F.conv2d(both, joint.weight, joint.bias, padding=W.padding)


def joins(W: Map, U: Map, x: Tensor) -> bool:
    """Whether one convolution of [x, h'] is W x + U h' and costs less: kernels of one size, no norm between product and
    sum, and not many more weights, which are copied, than numbers in [x, h']. It pads its channels to 8 or 16 once and
    not twice, and there is nothing to add. By sizes alone, never by a timing; in a graph, under torch.func, within
    someone's hooks of saved tensors (checkpointing's) and on whatever is not a CPU's float32 or float64 there are two
    convolutions. So there are of maps that are more than their weights: a subclass, a parametrization, hooks."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return False
    if not (_is_plain(W) and _is_plain(U)) or W.gain is not None or U.gain is not None:
        return False
    if not W.in_size or W.weight.shape[2:] != U.weight.shape[2:] or x.dim() != 4:
        return False
    weights, pixels = W.weight.numel() + U.weight.numel(), x.shape[0] * x.shape[2] * x.shape[3]
    if weights > COPIED * pixels * (W.in_size + U.in_size):
        return False
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64) or is_autocast(x):
        return False
    return not (W.weight.is_inference() or U.weight.is_inference()) and _hooks_are_free()


def _is_plain(part: Map) -> TypeGuard[ConvMap]:
    """Whether a map is a convolution with its weights, called for that alone."""
    hooks = part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks
    return type(part) is ConvMap and not hooks


def _hooks_are_free() -> bool:
    """Whether autograd lets itself be told how to keep a tensor, as torch.func does not, and nobody else tells it."""
    told = torch._C._autograd._top_saved_tensors_default_hooks(False)  # the innermost alone would be asked
    return told is None and torch._C._autograd._saved_tensors_hooks_get_disabled_error_message() is None


def _side_by_side(W: ConvMap, U: ConvMap) -> Joint:
    """Of two maps; the same for all steps within a block of `known_zeros`."""
    parts = (W.weight, U.weight, W.bias, U.bias)
    made = torch.is_grad_enabled(), tuple(_version(part) for part in parts)
    if U.joint is not None and U.joint.made == made:
        return U.joint
    bias = W.bias if U.bias is None else U.bias if W.bias is None else W.bias + U.bias
    joint = Joint(made, torch.cat([W.weight, U.weight], 1), bias)
    if U.keeps:
        U.joint = joint
    return joint


def _version(part: Tensor | None) -> _Version:
    return _Version(None, 0, 0) if part is None else _Version(part, part._version, part.data_ptr())


def _apart(both: Tensor, parts: tuple[Tensor, Tensor]) -> Any:
    """Within the block autograd keeps the parts, which are kept anyhow, for what they are side by side."""
    versions = [part._version for part in parts]
    known = weakref.ref(both)  # autograd keeps these functions, and with them all that they hold

    def pack(saved: Tensor) -> Any:
        return parts if saved is known() else saved

    def unpack(packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        if [part._version for part in packed] != versions:
            raise RuntimeError("a frame or state needed for the gradient has been modified by an inplace operation")
        return torch.cat(packed, 1)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


@contextmanager
def known_zeros(module: nn.Module, tensors: Iterable[Tensor]) -> Iterator[None]:
    """Within the block the maps in module know that these tensors are zero: the state before the first step.

    A convolution without a bias leaves its product with one of them out, forward and backward: the same numbers for
    1/T less. It knows them by identity, so nothing that is computed from them counts, and forgets one that is written
    into. Only for tensors that are made for the block. What `preactivation` makes of weights is made once in a block.
    """
    maps = [m for m in module.modules() if isinstance(m, ConvMap)]
    zeros = tuple(tensors)
    for each in maps:
        each.zeros, each.keeps = zeros, True
    try:
        yield
    finally:
        for each in maps:
            each.zeros, each.keeps, each.joint = (), False, None


def is_known(x: Tensor, zeros: tuple[Tensor, ...]) -> bool:
    """Whether x is one of zeros and as it was made.

    Inference tensors count no writes, so of them that is unknown; a graph (torch.compile, torch.export) sees none.
    """
    if not any(x is zero for zero in zeros):
        return False
    return torch.compiler.is_compiling() or not (x.is_inference() or x._version)


def product_dtype(x: Tensor) -> torch.dtype:
    """The type of a product with x here: autocast's where it is on, which leaves float64 alone."""
    return torch.get_autocast_dtype(x.device.type) if is_autocast(x) and x.dtype != torch.float64 else x.dtype


class Operator(Protocol):
    """Makes the maps of a cell; what distinguishes LSTM from ConvLSTM."""

    name: str
    space_dims: int
    kernel_size: int  # of state-to-state maps; 1 for a dense product

    def map(self, in_size: int, out_size: int, gates: str, *, role: str, **options: Any) -> Map:
        """role: "x" for input-to-state (W), "h" for state-to-state (U); a convolution has a kernel size for each."""
        ...


class Dense:
    """The operator of RNN, LSTM and GRU: W x is a matrix product on vectors."""

    name = "dense"
    space_dims = 0
    kernel_size = 1

    def map(self, in_size: int, out_size: int, gates: str, *, role: str, **options: Any) -> Map:
        del role  # a dense product has no kernel
        return DenseMap(in_size, out_size, gates, **options)

    def __repr__(self) -> str:
        return "Dense()"


class Heads:
    """The dense operator block by block (HeadMap): of state-to-state maps whose heads do not see each other."""

    name = "dense"
    space_dims = 0
    kernel_size = 1

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def map(self, in_size: int, out_size: int, gates: str, *, role: str, **options: Any) -> Map:
        del role
        return HeadMap(in_size, out_size, gates, heads=self.heads, **options)

    def __repr__(self) -> str:
        return f"Heads({self.heads})"


class Conv2d:
    """The operator of ConvRNN, ConvLSTM and ConvGRU: W x is a convolution on frames (Shi et al. 2015).

    kernel_size: of the state-to-state maps. input_kernel_size: of the input-to-state maps, by default the same. Odd.
    """

    name = "conv2d"
    space_dims = 2

    def __init__(self, kernel_size: int = 5, input_kernel_size: int | None = None) -> None:
        self.kernel_size = kernel_size
        self.input_kernel_size = kernel_size if input_kernel_size is None else input_kernel_size

    def map(self, in_size: int, out_size: int, gates: str, *, role: str, **options: Any) -> Map:
        kernel_size = self.input_kernel_size if role == "x" else self.kernel_size
        return ConvMap(in_size, out_size, gates, kernel_size=kernel_size, **options)

    def __repr__(self) -> str:
        return f"Conv2d({self.kernel_size}, {self.input_kernel_size})"
