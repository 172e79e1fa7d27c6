"""What a network is called with, checked before any arithmetic: the same ValueError on every backend.

torch's kernels trust their caller: nine features into weights for eight are read from foreign memory. So the module
that is called looks at sizes, types and devices, once, and hands `Checked` to the modules inside it, which look no
more. Every sentence says what was expected and what was got.

Values are looked at only in lengths, and not where these have none: in a graph that is traced (torch.compile,
torch.export), under vmap over them, on the meta device.

Axes: B batch, T time, C channels (features), space none or H W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

import torch
from torch import Tensor, nn


class Array(Protocol):
    """What numpy and its relatives have."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


Lengths = Tensor | Sequence[int] | Array  # B integers, 1..T
Sizes = Sequence[int | str]  # of a shape; a letter stands for any size from 1 on
CPU = torch.device("cpu")


class Checked(NamedTuple):
    """Which steps are data, as the outermost module has checked it together with x and state; without any, all are."""

    lengths: Tensor | None = None  # (B,) int64, on x's device
    counted: Tensor | None = None  # the same on the CPU, where torch's kernels read them
    real: Tensor | None = None  # (B, T) bool, on x's device: by lengths and mask; left out where nothing needs it
    masked: bool = False  # whether a mask was given


ALL = Checked()


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """(B,) lengths -> (B, T) bool, True where a step is real."""
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]


def blank(x: Tensor, real: Tensor | None) -> Tensor:
    """x (B, T, ...) with zeros where real (B, T) is False, whatever stands there: NaN times zero would be NaN."""
    return x if real is None else x.masked_fill(~real.reshape(*real.shape, *(1,) * (x.dim() - 2)), 0)


def enter(
    x: Tensor, lengths: Lengths | None, mask: Tensor | None = None, *, packs: bool = False
) -> tuple[Tensor, Checked]:
    """x (B, T, ...), itself checked already -> x with zeros at padding, so that no arithmetic sees it; what is data.

    packs: nothing inside reads padding or `real`, as torch's kernels on packed sequences: x stays as it is.
    """
    if lengths is None and mask is None:
        return x, ALL
    on_device = counted = real = None
    if lengths is not None:
        on_device, counted = check_lengths(lengths, x)
        real = None if packs else length_mask(on_device, x.shape[1])
    if mask is not None:
        check_mask(mask, x)
        real = mask if real is None else mask & real
    return blank(x, real), Checked(on_device, counted, real, mask is not None)


def check_input(x: Tensor, sizes: Sizes, weight: Tensor | None, name: str = "x") -> None:
    """A float tensor of these sizes, of the weights' type (under autocast any that it casts) and on their device."""
    if len(sizes) == 3 and is_plain(x, sizes[2], weight):
        return
    if not fits(x, sizes):
        refuse_shape(x, sizes, name)
    if not x.is_floating_point():
        raise ValueError(f"expected {name} of a floating point type, got {x.dtype}")
    if weight is None or (x.dtype == weight.dtype and x.device == weight.device):
        return
    if not same_type(x, weight):
        raise ValueError(f"expected {name} of the weights' type {weight.dtype}, got {x.dtype}: convert one of them")
    check_device(x, weight, name)


def is_plain(x: Any, features: int | str, weight: Tensor | None) -> bool:
    """Whether `check_input` of vectors (B, T, features) would pass, of the frequent case alone: in one expression, for
    it is asked in every step of training."""
    return (
        isinstance(x, Tensor)
        and weight is not None
        and is_dense(x)
        and len(shape := x.shape) == 3
        and shape[2] == features
        and shape[0] > 0
        and shape[1] > 0
        and x.dtype == weight.dtype
        and x.device == weight.device
    )


def weight_of(module: nn.Module) -> Tensor | None:
    """The first parameter, for type and device: `next(module.parameters())` at a fifth of its time."""
    for parameter in module._parameters.values():
        if parameter is not None:
            return parameter
    for child in module._modules.values():
        if child is not None and (found := weight_of(child)) is not None:
            return found
    return None


def check_tokens(x: Tensor, weight: Tensor) -> Tensor:
    """Integers (B, T) on the weights' device -> the same as int32 or int64, which an embedding takes."""
    check_shape(x, ("B", "T"), "tokens x")
    if not is_integer(x):
        raise ValueError(f"expected tokens x of an integer type, got {x.dtype}")
    check_device(x, weight, "tokens x")
    return x if x.dtype in (torch.int32, torch.int64) else x.long()


def check_state(cell: Any, state: Any, batch: int, space: Sequence[int], like: Tensor) -> Any:
    """A cell's state, any tuple of its fields' tensors (B, C, *space) -> its named tuple; None stays None (zeros).

    like: for type and device.
    """
    if state is None:
        return None
    name = type(cell).__name__
    fields = cell.State._fields
    if not is_parts(state, len(fields)) or getattr(state, "_fields", fields) != fields:
        raise ValueError(f"expected the state of {name} as a tuple ({', '.join(fields)}), got {describe(state)}")
    for field, value, sizes in zip(fields, state, cell.state_sizes(batch, space, like), strict=True):
        label = f"{field} of the state of {name}"
        if isinstance(value, Tensor) and value.dim() == len(sizes) + 1:
            raise ValueError(
                f"expected {label} of shape {written(sizes)}, got {written(value.shape)}: torch.nn's axis of layers in "
                "front is a tuple here, one state a layer"
            )
        check_shape(value, sizes, label)
        if not same_type(value, like):
            raise ValueError(f"expected {label} of the input's type {like.dtype}, got {value.dtype}")
        check_device(value, like, label, "the input's")
    return state if isinstance(state, cell.State) else cell.State(*state)


def check_space(cell: Any, space: Sequence[int]) -> None:
    """Frames of the size that the cell's weights fix, if they do."""
    if cell.space is not None and tuple(space) != cell.space:
        raise ValueError(f"expected frames {written(cell.space)} for {type(cell).__name__}, got {written(space)}")


def check_parts(state: Any, count: int, what: str) -> Sequence[Any]:
    """The states of several layers, one each; None for all of them stands for a None each."""
    if state is None:
        return (None,) * count
    if not is_parts(state, count):
        raise ValueError(f"expected the state of {what} as a tuple of {count} states, got {describe(state)}")
    parts: Sequence[Any] = state
    return parts


def check_lengths(lengths: Lengths, x: Tensor) -> tuple[Tensor, Tensor]:
    """B integers, each 1..T of x (B, T, ...) -> the same as int64 on x's device, and on the CPU."""
    batch, steps = x.shape[:2]
    try:
        given = lengths if isinstance(lengths, Tensor) else torch.tensor(plain(lengths))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"expected lengths as {batch} integers, got {describe(lengths)}: {error}") from None
    check_dense(given, "lengths")
    if given.shape != (batch,):
        raise ValueError(f"expected lengths of shape {written((batch,))}, one a sequence, got {written(given.shape)}")
    if not is_integer(given):
        raise ValueError(f"expected lengths of an integer type, got {given.dtype}")
    if given.device not in (CPU, x.device):
        raise ValueError(f"expected lengths on {x.device} or the CPU, got {given.device}")
    given = given.long()
    counted = given if given.is_meta else given.cpu()
    values = known_values(counted)
    if values and not (min(values) >= 1 and max(values) <= steps):
        n, length = next((n, length) for n, length in enumerate(values) if not 1 <= length <= steps)
        raise ValueError(f"expected lengths from 1 to T = {steps}, got {length} of sequence {n}")
    return given.to(x.device), counted


def check_mask(mask: Tensor, x: Tensor) -> None:
    """A bool tensor (B, T), of x (B, T, ...), on its device."""
    check_shape(mask, x.shape[:2], "mask")
    if mask.dtype != torch.bool:
        raise ValueError(f"expected mask of torch.bool, got {mask.dtype}")
    check_device(mask, x, "mask", "x's")


def check_shape(x: Any, sizes: Sizes, name: str) -> None:
    """A tensor of these sizes."""
    if not fits(x, sizes):
        refuse_shape(x, sizes, name)


def fits(x: Any, sizes: Sizes) -> bool:
    """Is x a dense tensor of these sizes?"""
    if not isinstance(x, Tensor) or not is_dense(x):
        return False
    shape = x.shape
    if len(shape) != len(sizes):
        return False
    for got, want in zip(shape, sizes, strict=True):
        if got != want and (got < 1 or not isinstance(want, str)):
            return False
    return True


def refuse_shape(x: Any, sizes: Sizes, name: str) -> NoReturn:
    if not isinstance(x, Tensor):
        raise ValueError(f"expected {name} as a tensor {written(sizes)}, got {describe(x)}")
    check_dense(x, name)
    least = "; every size is at least 1" if x.dim() == len(sizes) and 0 in x.shape else ""
    raise ValueError(f"expected {name} of shape {written(sizes)}, got {written(x.shape)}{least}")


def check_dense(x: Tensor, name: str) -> None:
    """Of the layout that torch's kernels read: not sparse, not nested (whose sizes differ within a batch)."""
    if not is_dense(x):
        got = "a nested one: pad its sequences and give lengths" if x.is_nested else f"{x.layout}: make it dense first"
        raise ValueError(f"expected {name} as a dense tensor, got {got}")


def is_dense(x: Tensor) -> bool:
    return x.layout is torch.strided and not x.is_nested


def check_device(x: Tensor, like: Tensor, name: str, whose: str = "the weights'") -> None:
    """On the device of `like`."""
    if x.device != like.device:
        raise ValueError(f"expected {name} on {whose} device {like.device}, got {x.device}")


def same_type(x: Tensor, like: Tensor) -> bool:
    """Is x of like's type, or of one that autocast makes the same? It leaves float64 alone."""
    if x.dtype == like.dtype:
        return True
    kinds = (x.dtype, like.dtype)
    casts = is_autocast(x) and torch.float64 not in kinds
    return casts and all(kind.is_floating_point for kind in kinds)


def is_autocast(x: Tensor) -> bool:
    """Is autocast on where x is? Some devices (meta) have none, and torch refuses to be asked."""
    kind = x.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def is_integer(x: Tensor) -> bool:
    return not (x.is_floating_point() or x.is_complex() or x.is_quantized or x.dtype == torch.bool)


def plain(lengths: Any) -> Any:
    """An array's numbers as a list, for torch takes no array that is reversed, of another byte order, or a Series'."""
    return lengths.__array__().tolist() if hasattr(lengths, "__array__") else lengths


def is_parts(state: Any, count: int) -> bool:
    return isinstance(state, tuple | list) and len(state) == count


def known_values(x: Tensor) -> list[int]:
    """The values of a vector; none where it has none (see above)."""
    if torch.compiler.is_compiling():
        return []
    try:
        values: list[int] = x.tolist()
    except RuntimeError:
        return []
    return values


def written(sizes: Sizes) -> str:
    """(B, T, 8); a tuple of one as (3,)."""
    return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"


def describe(value: Any) -> str:
    """What was got, in words."""
    if isinstance(value, Tensor):
        return f"a tensor {written(value.shape)}"
    if isinstance(value, tuple | list):
        fields = f" ({', '.join(value._fields)})" if hasattr(value, "_fields") else f" of {len(value)}"
        return f"{type(value).__name__}{fields}"
    return f"{type(value).__name__}"
