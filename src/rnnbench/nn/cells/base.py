"""What every cell is: maps made by an operator, a named state, and one step."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.serialization import add_safe_globals

from rnnbench.nn.init import Chrono, Fill, policy, zeros
from rnnbench.nn.maps import ConvMap, Dense, Map, Operator, Pending, joins


class Cell(nn.Module):
    """One time step of a recurrent network: `step(wx_t, state) -> output, state`.

    A subclass names its `State` (a NamedTuple), makes its maps in __init__ with `input_map` and `hidden_map`, and
    writes its equations in `step`. Nothing in it may assume that x or h is a vector. The state's first field is what
    carries the past (h of most cells): diagnostics follow it. Fields may have any sizes (`zero_state`). Where the
    output is not the first field, the state keeps it as the field y, which no equation reads, so that the last one is
    known after padding too (`last_output`).

    input_size, hidden_size: channels of x (0: a layer without input, its gates see their bias) and of h. operator: what
    W x means. biases: 0 none, 1 in W, 2 in W and U (torch's redundant pair), None all that there can be. init: a policy
    of nn.init. chrono: T_max in steps, biases that start as nn.init.Chrono says, of a cell with a gate that `keeps` or
    `admits`; in W alone, so that the redundant pair does not draw twice.
    Raises ValueError on an unknown option.
    """

    State: Any
    W: Map
    U: Map
    space: tuple[int, ...] | None = None  # the frames' size, where weights have one number a pixel; None: any
    gates: Sequence[str] = ()  # the letters of its sigmoids, in the order `step` computes them (nn.probe)
    keeps: str | None = None  # the gate that is the share of the old state kept, for chrono
    admits: str | None = None  # the gate that is the share of the new: 1 - keeps, or a gate of its own
    adds: bool = False  # whether `step` hands wx to `preactivation` and to nothing else, so that W x may be pending
    _adding: Any = None  # the step of which `adds` was said: a class beside Cell, or an assignment, may bring another
    kernel: str | None = None  # torch's own kernel for the same equations and parameter layout, where there is one
    zigzag: bool = False  # whether its m moves from layer to layer at every step (stacks.Column)
    scan: Any = None  # its own `scan(x, state, real)` over a whole sequence, where it has one (nn.backends.scan)
    norms: Sequence[str] = ("layer",)  # what `norm` may be, beside none
    most_biases: int = 2  # 1 of a cell in which a second bias has no place: its state passes through no map of its own

    def __init_subclass__(cls, **options: Any) -> None:
        """So that torch.load(weights_only=True) takes a saved state: it makes named tuples of known classes only."""
        super().__init_subclass__(**options)
        if "State" in vars(cls):
            add_safe_globals([cls.State])
        if "step" in vars(cls):  # it is said of a step, not of the one that it replaces
            cls.adds = vars(cls).get("adds", False)
            cls._adding = vars(cls)["step"] if cls.adds else None
            cls.scan = vars(cls).get("scan")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        operator: Operator | None = None,
        biases: int | None = None,
        init: str = "torch",
        norm: str | None = None,
        chrono: float | None = None,
    ) -> None:
        super().__init__()
        biases = self.most_biases if biases is None else biases
        if biases not in (0, 1, 2):
            raise ValueError(f"biases must be 0 (none), 1 (in W) or 2 (in W and U), not {biases!r}")
        if biases > self.most_biases:
            raise ValueError(
                f"biases must be 0 (none) or 1 (in W), not {biases!r}: {type(self).__name__} has no place for a second"
            )
        if norm is not None and norm not in self.norms:
            known, name = ", ".join(self.norms), type(self).__name__
            raise ValueError(f"unknown norm {norm!r}; known: {known}, or null for none (of {name})")
        if input_size < 0 or hidden_size < 1:
            raise ValueError(f"a cell has at least no input and one unit, not {input_size} and {hidden_size}")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.operator: Operator = operator or Dense()
        self.biases, self.init_name, self.init = biases, init, policy(init)
        self.norm = norm
        self.chrono = None if chrono is None else self._chrono(chrono)

    def _chrono(self, longest: float) -> Chrono:
        """The start of that name, for this cell. Raises ValueError where it has no gate or no bias for it."""
        name = type(self).__name__
        if self.keeps is None and self.admits is None:
            raise ValueError(f"chrono is for a gate that keeps or admits, and {name} has none here: leave it at null")
        if not self.biases:
            raise ValueError("chrono is a start of biases, and biases=0 leaves none: set biases to 1 or 2")
        return Chrono(longest, self.keeps, self.admits)

    def input_map(self, gates: str, bias_offset: Mapping[str, float] | None = None) -> Map:
        """W: x -> the named gates."""
        return self.operator.map(
            self.input_size, self.hidden_size, gates, role="x", bias=self.biases >= 1, bias_offset=bias_offset,
            weight_fill=self.init.W, bias_fill=self._input_bias(bias_offset), norm=self.norm is not None,
            norm_all=self._norms_all,
        )  # fmt: skip

    @property
    def _norms_all(self) -> bool:
        """Whether a map's norm is of all its gates at once."""
        return self.norm not in (None, "layer")

    def _input_bias(self, bias_offset: Mapping[str, float] | None) -> Fill | Chrono:
        """How the biases of W start. Raises ValueError where chrono and an offset are asked for."""
        if self.chrono is None:
            return self.init.b
        if bias_offset and any(bias_offset.values()):
            raise ValueError("chrono and forget_bias both say how the forget gate's bias starts: set one of the two")
        return self.chrono

    @property
    def other_bias(self) -> Fill:
        """How the biases beside those of W start: by `init`, at zero with chrono."""
        return self.init.b if self.chrono is None else zeros

    def hidden_map(
        self,
        gates: str,
        *,
        inputs: int = 1,
        bias: bool = True,
        norm: bool = True,
        operator: Operator | None = None,
    ) -> Map:
        """U: h (or `inputs` states of its size, concatenated) -> the named gates; by another operator where given.

        bias, norm: False where it has none even if the cell's other maps have.
        """
        return (operator or self.operator).map(
            inputs * self.hidden_size, self.hidden_size, gates, role="h", bias=bias and self.biases == 2,
            weight_fill=self.init.U, bias_fill=self.other_bias, norm=norm and self.norm is not None,
            norm_all=self._norms_all,
        )  # fmt: skip

    def hoist(self, x: Tensor) -> Tensor:
        """What of the step depends on x alone, for all steps at once: (T, B, C, *space) -> (T, B, n*C, *space)."""
        return self.W.sequence(x)

    def given(self, x: Tensor) -> Any:
        """What `step` takes for an x (B, C, *space) that is known for this step only: its `hoist`, (B, n*C, *space), or
        that left to `preactivation`, where one convolution of [x, h'] costs less than two."""
        own_step = getattr(self.step, "__func__", None) is not type(self)._adding
        own_hoist = getattr(self.hoist, "__func__", None) is not Cell.hoist
        if self.adds and not own_step and not own_hoist and joins(self.W, self.U, x):
            return Pending(cast(ConvMap, self.W), x)
        return self.hoist(x[None]).squeeze(0)

    @property
    def hoisted_size(self) -> int | str:
        """Channels of `hoist`; a letter, for any, where a subclass hoists something else and does not say."""
        return self.W.weight.shape[0] if type(self).hoist is Cell.hoist else "N"

    def step_sizes(self, hoisted: bool = False) -> tuple[int | str, ...]:
        """The sizes of one sequence's x at one step, (C, *space), or of its `hoist`; "H" and "W" where any will do."""
        channels = self.hoisted_size if hoisted else self.input_size
        return channels, *(self.space or ("D", "H", "W")[3 - self.operator.space_dims :])

    def zero_state(self, batch: int, space: tuple[int, ...], like: Tensor) -> Any:
        """The state before the first step: zeros (B, C, *space) of like's type and device for every field.

        A subclass may start elsewhere (a state that is learned), or have fields of other sizes.
        """
        return self.State(*(like.new_zeros(sizes) for sizes in self._like_h(batch, space)))

    def _like_h(self, batch: int, space: Sequence[int]) -> list[tuple[int, ...]]:
        return [(batch, self.hidden_size, *space)] * len(self.State._fields)

    @property
    def starts_at_zero(self) -> bool:
        """Whether `zero_state` is the one above, and so known to be zero."""
        return type(self).zero_state is Cell.zero_state

    def state_sizes(self, batch: int, space: tuple[int, ...], like: Tensor) -> list[tuple[int, ...]]:
        """The sizes of each field: those of `zero_state`, which is made for them only where a subclass has its own."""
        if self.starts_at_zero:
            return self._like_h(batch, space)
        return [tuple(field.shape) for field in self.zero_state(batch, space, like)]

    def last_output(self, state: Any) -> Tensor:
        """The output of the last step that was taken, (B, C, *space), by the state after it."""
        return cast(Tensor, state.y if "y" in self.State._fields else state[0])

    def begins_from(self, state: Any) -> Any:
        """The state before this cell's first step, by that of an encoder's cell, which may have other inputs."""
        return state

    def highway(self) -> Cell | None:
        """A cell for a layer between the first and the second layer of a rollout, where the paper has one."""
        return None

    @abstractmethod
    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One time step. wx: this step of `hoist`, (B, n*C, *space); returns output (B, C, *space) and state.

        It writes into neither: a tensor of zeros may be known as such (nn.maps.known_zeros).
        """


def check_positive(**options: float) -> None:
    """Raises ValueError on an option that is no positive, finite number."""
    for name, value in options.items():
        if not _is_number(value) or value <= 0:
            raise ValueError(f"{name} must be a positive number, not {value!r}")


def check_not_negative(**options: float) -> None:
    """Raises ValueError on an option that is neither 0 nor a positive, finite number."""
    for name, value in options.items():
        if not _is_number(value) or value < 0:
            raise ValueError(f"{name} must be 0 or a positive number, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
