"""What every network says to a call that does not fit it: a ValueError with what was expected and what was got.

Over the registry: every cell as a layer, in both directions, in a stack and in a model, on each backend that has it;
every network on frames; every network without recurrence.

Axes: B batch, T time, C channels, space none or H W.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from registry import CELLS, RIVALS, SPACE, build, build_rival, on_frames
from rnnbench.nn import (
    Bidirectional,
    Cell,
    Column,
    EncoderForecaster,
    Layer,
    Rollout,
    SequenceModel,
    Stack,
    build_stack,
    make_encoder,
)
from rnnbench.nn.backends import refuses

B, T, C, H = 3, 5, 3, 4
SPACES = {name: SPACE if on_frames(name) else () for name in CELLS}
ZIGZAG = [name for name in CELLS if build(name).zigzag]
Change = Callable[[Any], Any]


class Call(NamedTuple):
    """A network and the arguments that fit it; state None: it takes none."""

    net: Callable[..., Any]
    x: Tensor
    state: Any = None
    lengths: bool = True
    mask: bool = False


def zeros(cell: Cell) -> Any:
    """The first state as somebody else may give it: every field a tensor of its own."""
    first = cell.zero_state(B, SPACE[: cell.operator.space_dims], torch.zeros(()))
    return cell.State(*(field.clone() for field in first))


def cell_of(name: str, inputs: int = C) -> Cell:
    """With peepholes as large as the frames, where the cell has any such."""
    shapes = CELLS[name]["meta"].get("peephole_shapes", [])
    return build(name, "hadamard" if "hadamard" in shapes else "off", inputs, H)


def x_of(name: str, steps: int = T) -> Tensor:
    return torch.randn(B, steps, C, *SPACES[name])


def layer_of(name: str, backend: str) -> Call:
    layer = Layer(cell_of(name), backend=backend)
    return Call(layer, x_of(name), zeros(layer.cell), mask=backend == "eager")


def bidirectional_of(name: str, backend: str) -> Call:
    layers = [Layer(cell_of(name), reverse=reverse, backend=backend) for reverse in (False, True)]
    state = tuple(zeros(layer.cell) for layer in layers)
    return Call(Bidirectional(*layers), x_of(name), state, mask=backend == "eager")


def stack_of(name: str, backend: str) -> Call:
    layers = 1 if name in ZIGZAG else 2
    stack = build_stack(lambda i, h: cell_of(name, i), C, H, layers=layers, backend=backend)
    return Call(stack, x_of(name), tuple(zeros(layer.cell) for layer in stack.layers), mask=backend == "eager")


def model_of(name: str, backend: str, encoder: str = "none") -> Call:
    module, size = make_encoder(encoder, C, C)
    stack = build_stack(lambda i, h: cell_of(name, i), size, H, backend=backend)
    return Call(SequenceModel(module, stack, head="last", output_size=2), x_of(name))


def clips_of(name: str, kind: type[nn.Module]) -> Call:
    dense = not SPACES[name]
    frame = (C, 1, 1) if dense else (C, *SPACE)
    net = kind(lambda i, h: cell_of(name, i), frame, [H, H], steps=2, flat=dense)
    return Call(net, torch.randn(B, T, *frame))


def rival_of(name: str, *, whole: bool) -> Call:
    net = build_rival(name, C, H)
    return Call(SequenceModel(nn.Identity(), net, head="last", output_size=2) if whole else net, torch.randn(B, T, C))


def step_of(name: str) -> Call:
    """One step of a layer: an x without time."""
    layer = Layer(cell_of(name), backend="eager")
    return step_call(layer.step, torch.randn(B, C, *SPACES[name]), zeros(layer.cell))


def hoisted_of(name: str) -> Call:
    """The same, of x's products."""
    layer = Layer(cell_of(name), backend="eager")
    x = layer.cell.hoist(torch.randn(1, B, C, *SPACES[name]))[0].detach()
    return step_call(partial(layer.step, hoisted=True), x, zeros(layer.cell))


def column_of(name: str) -> Call:
    column = Column([Layer(cell_of(name, size), backend="eager") for size in (C, H)])
    states = tuple(zeros(layer.cell) for layer in column.layers)
    return step_call(column.step, torch.randn(B, C, *SPACES[name]), states)


def step_call(step: Callable[..., Any], x: Tensor, state: Any = None) -> Call:
    return Call(lambda x, state=None: step(x, state), x, state, lengths=False)


def backends(name: str) -> list[str]:
    return ["eager"] if refuses(cell_of(name)) else ["eager", "native"]


CALLS: dict[str, Callable[[], Call]] = {}
for cell in CELLS:
    for backend in backends(cell):
        CALLS[f"layer-{cell}-{backend}"] = partial(layer_of, cell, backend)
        CALLS[f"bidirectional-{cell}-{backend}"] = partial(bidirectional_of, cell, backend)
        CALLS[f"stack-{cell}-{backend}"] = partial(stack_of, cell, backend)
        if not SPACES[cell]:
            CALLS[f"model-{cell}-{backend}"] = partial(model_of, cell, backend)
    CALLS[f"step-{cell}"] = partial(step_of, cell)
    CALLS[f"hoisted-{cell}"] = partial(hoisted_of, cell)
    CALLS[f"column-{cell}"] = partial(column_of, cell)
    CALLS[f"rollout-{cell}"] = partial(clips_of, cell, Rollout)
    if cell not in ZIGZAG:
        CALLS[f"forecaster-{cell}"] = partial(clips_of, cell, EncoderForecaster)
for encoder in ("linear", "cnn"):
    CALLS[f"model-lstm-{encoder}"] = partial(model_of, "lstm", "native", encoder)
for rival in RIVALS:
    CALLS[f"rival-{rival}"] = partial(rival_of, rival, whole=False)
    CALLS[f"model-{rival}"] = partial(rival_of, rival, whole=True)

WRONG_X: dict[str, Change] = {
    "an axis less": lambda x: x[:, 0],
    "an axis more": lambda x: x[..., None],
    "a channel more": lambda x: torch.cat([x, x.narrow(channels(x), 0, 1)], channels(x)),
    "a channel less": lambda x: x.narrow(channels(x), 0, x.shape[channels(x)] - 1),
    "no step": lambda x: x[:, :0],
    "no sequence": lambda x: x[:0],
    "integers": lambda x: x.long(),
    "float64": lambda x: x.double(),
    "float16": lambda x: x.half(),
    "complex": lambda x: x.to(torch.complex64),
    "another device": lambda x: x.to("meta"),
    "another device and type": lambda x: x.to("meta").double(),
    "sparse": lambda x: x.to_sparse(),
    "another library's layout": lambda x: x.to_mkldnn(),
    "an array": lambda x: x.numpy(),
    "None": lambda x: None,
}
WRONG_STATE: dict[str, Change] = {
    "torch's layout": lambda state: state._make(s[None] for s in state),
    "rows of another batch": lambda state: state._make(torch.cat([s] * 6)[:17] for s in state),
    "one row": lambda state: state._make(s[:1] for s in state),
    "another width": lambda state: state._make(torch.cat([s, s], 1) for s in state),
    "an axis less": lambda state: state._make(s[0] for s in state),
    "another type": lambda state: state._make(s.double() for s in state),
    "integers": lambda state: state._make(s.long() for s in state),
    "another device": lambda state: state._make(s.to("meta") for s in state),
    "sparse": lambda state: state._make(s.to_sparse() for s in state),
    "one wrong field": lambda state: (*state[:-1], state[-1][:, :1]),
    "a field more": lambda state: (*state, state[0]),
    "no field": lambda state: (),
    "None in a field": lambda state: (None, *state[1:]),
    "a tensor": lambda state: state[0],
    "a number": lambda state: 0.0,
    "a dictionary": lambda state: state._asdict(),
}
WRONG_LENGTHS: dict[str, Any] = {
    "zero": [T, 0, 1],
    "negative": np.array([T, -1, 1]),
    "beyond T": torch.tensor([T, 1, T + 1]),
    "one too few": [T, T],
    "one too many": torch.full((B + 1,), T),
    "one for all": T,
    "two axes": torch.full((B, 1), T),
    "floats": [float(T)] * B,
    "truths": torch.ones(B, dtype=torch.bool),
    "words": ["5", "5", "5"],
    "ragged": [[T], [T, T], [T]],
    "huge": [T, T, 10**30],
    "another device": torch.full((B,), T, device="meta"),
    "sparse": torch.full((B,), T).to_sparse(),
    "nothing": [],
}
WRONG_MASK: dict[str, Any] = {
    "time first": torch.ones(T, B, dtype=torch.bool),
    "a row for all": torch.ones(1, T, dtype=torch.bool),
    "a step more": torch.ones(B, T + 1, dtype=torch.bool),
    "an axis more": torch.ones(B, T, 1, dtype=torch.bool),
    "numbers": torch.ones(B, T),
    "another device": torch.ones(B, T, dtype=torch.bool, device="meta"),
    "a list": [[True] * T] * B,
    "sparse": torch.ones(B, T, dtype=torch.bool).to_sparse(),
}


def channels(x: Tensor) -> int:
    """The axis of channels: after time where there is one. Steps have none: (B, C) and (B, C, H, W)."""
    return 1 if x.dim() in (2, 4) else 2


def first(state: Any, change: Change) -> Any:
    """The state with its first cell's changed, whatever it is a part of."""
    return change(state) if hasattr(state, "_fields") else (first(state[0], change), *state[1:])


def said(call: Call, **arguments: Any) -> str:
    """What a wrong call is told."""
    with pytest.raises(ValueError, match=r"expected .*got") as error:
        call.net(**{"x": call.x} | arguments)
    return str(error.value)


def sentences(call: Call) -> dict[str, str]:
    """Every wrong call's sentence."""
    timeless = call.x.dim() in (2, 4)  # of a step: no time, and what stands for it is channels
    found = {
        f"x: {fault}": said(call, x=change(call.x))
        for fault, change in WRONG_X.items()
        if not (timeless and fault in ("no step",))
    }
    if call.state is not None:
        for fault, change in WRONG_STATE.items():
            found[f"state: {fault}"] = said(call, state=first(call.state, change))
        if not hasattr(call.state, "_fields"):
            found["state: a part more"] = said(call, state=(*call.state, call.state[0]))
    if call.lengths:
        found |= {f"lengths: {fault}": said(call, lengths=lengths) for fault, lengths in WRONG_LENGTHS.items()}
    if call.mask:
        found |= {f"mask: {fault}": said(call, mask=mask) for fault, mask in WRONG_MASK.items()}
    return found


def answer(call: Call, **arguments: Any) -> Tensor:
    """The output of a right call."""
    out = call.net(call.x, **arguments)
    out = out[0] if isinstance(out, tuple) else out
    return out[-1] if isinstance(out, list) else out


@pytest.mark.parametrize("make", CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_refused_and_a_right_one_is_not(make):
    call = make()
    assert len(sentences(call)) >= len(WRONG_X) - 1
    assert torch.isfinite(answer(call)).all()


@pytest.mark.parametrize("name", [name for name in CELLS if len(backends(name)) == 2])
@pytest.mark.parametrize("make", [layer_of, bidirectional_of, stack_of, model_of])
def test_every_backend_says_the_same(name, make):
    eager, native = (sentences(make(name, backend)._replace(mask=False)) for backend in ("eager", "native"))
    assert eager == native
    if make is not model_of:
        call = make(name, "native")
        every_step = torch.ones(B, T, dtype=torch.bool)
        with pytest.raises(ValueError, match="takes lengths, not a mask; use backend=eager"):
            call.net(call.x, mask=every_step)
        assert "mask" in said(call, mask=every_step.T), "a mask that is wrong anywhere is called so"


@pytest.mark.parametrize("name", CELLS)
def test_a_plain_tuple_is_a_state_everywhere(name):
    for make, backend in itertools.product((layer_of, bidirectional_of, stack_of), backends(name)):
        call = make(name, backend)
        for plain in (tuple, list):
            state = first(call.state, plain)
            assert torch.equal(answer(call, state=state), answer(call, state=call.state))
    for call in (step_of(name), column_of(name)):
        plain = tuple(call.state) if hasattr(call.state, "_fields") else tuple(map(tuple, call.state))
        assert torch.equal(answer(call, state=plain), answer(call, state=call.state))
        assert torch.equal(answer(call, state=None), answer(call, state=call.state)), "no state is a state of zeros"


def test_lengths_of_any_kind_are_the_same():
    """A list, a tuple, an array however it lies in memory, a tensor of any integer type: another kind for every
    network, in turn."""
    plain = [2, T, 1]
    types = [getattr(torch, name) for name in ("int32", "uint8", "int64")]
    arrays = [np.array(plain), np.array(plain[::-1])[::-1], np.array(plain, ">i4"), pd.Series(plain, index=[7, 8, 9])]
    kinds = itertools.cycle([plain, tuple(plain), *arrays, *(torch.tensor(plain, dtype=t) for t in types)])
    for make in CALLS.values():
        call = make()
        if call.lengths and not isinstance(call.net, EncoderForecaster | Rollout):
            assert torch.equal(answer(call, lengths=next(kinds)), answer(call, lengths=torch.tensor(plain)))


@pytest.mark.parametrize("kind", [EncoderForecaster, Rollout])
def test_clips_have_all_their_frames(kind):
    call = clips_of("convlstm", kind)
    assert torch.equal(answer(call, lengths=[T] * B), answer(call))
    assert "clips are all of one length" in said(call, lengths=[T, T - 1, T])
    future = torch.randn(B, 2, C, *SPACE)
    answer(call, future=future)
    for wrong in (future[:, :1], future[:1], future[..., :1], future.double(), future.to("meta"), future[:, :, :1]):
        assert "future" in said(call, future=wrong)


def test_frames_of_another_size_are_taken_where_no_weight_is_a_pixel_s():
    larger = torch.randn(B, T, C, 6, 7)
    assert Layer(build("convlstm"))(larger)[0].shape == (B, T, H, 6, 7)
    for make in (layer_of, bidirectional_of, stack_of):
        assert "(B, T, 3, 4, 5), got (3, 5, 3, 6, 7)" in said(make("convlstm", "eager"), x=larger)
    mixed = [Layer(build("convlstm")), Layer(cell_of("convlstm", H))]
    state = torch.zeros(B, H, 6, 7)
    assert "frames (4, 5)" in said(Call(Stack(mixed), larger), x=larger)
    assert "frames (4, 5)" in said(step_call(Column(mixed).step, larger[:, 0]), state=[(state, state)] * 2)
