"""The LSTM with one edit (Greff et al. 2015, "LSTM: a search space odyssey", section III).

The Odyssey's vanilla LSTM has peepholes; each edit changes one thing:

    NIG  i = 1            NIAF  g = W_g x + U_g h' + b_g      CIFG  f = 1 - i
    NFG  f = 1            NOAF  h = o * c                     FGR   the gates also see R [i', f', o']: nine H x H maps
    NOG  o = 1            NP    no peepholes (peephole=off)

Everything else is rnnbench.nn.LSTM, which edit="none" equals. An edit that removes a gate removes its weights too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, sigmoid, tanh
from torch.serialization import add_safe_globals

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import preactivation
from rnnbench.nn.peephole import OFF, Peephole

EDITS = ("none", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr")
WITHOUT = {"nig": "i", "nfg": "f", "nog": "o", "cifg": "f"}  # the gate an edit computes no more


class OdysseyState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor


class FGRState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor
    i: Tensor  # the gates of the step before
    f: Tensor
    o: Tensor


add_safe_globals([OdysseyState, FGRState])  # the cell's State is its edit's, not its class', see Cell.__init_subclass__


class OdysseyLSTM(Cell):
    """One of the Odyssey's LSTMs. edit: none nig nfg nog niaf noaf cifg fgr; forget_bias where there is a forget gate.

    Parameters: n H (I + H) + biases n H with n = 4 gates (3 for nig, nfg, nog, cifg), H a gate that sees c, and for fgr
    another 9 H H.
    """

    adds = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        edit: str = "none",
        forget_bias: float = 0.0,
        peephole: Peephole = OFF,
        space: tuple[int, ...] | None = None,
        **options: Any,
    ) -> None:
        if edit not in EDITS:
            raise ValueError(f"unknown edit {edit!r}; known: {', '.join(EDITS)}")
        if edit != "nfg":  # which forgets nothing, so that no bias of it sets a time
            self.keeps, self.admits = (gate if gate != WITHOUT.get(edit) else None for gate in "fi")
        super().__init__(input_size, hidden_size, **options)
        self.edit, self.State = edit, FGRState if edit == "fgr" else OdysseyState
        gates = [gate for gate in "ifgo" if gate != WITHOUT.get(edit)]
        self.gates = tuple(gate for gate in gates if gate != "g")
        self.W = self.input_map(" ".join(gates), bias_offset={"f": forget_bias} if "f" in gates else None)
        self.U = self.hidden_map(" ".join(gates))
        self.R = self.hidden_map("i f o", inputs=3, bias=False) if edit == "fgr" else None
        self.peephole = peephole.make(hidden_size, " ".join(g for g in gates if g != "g"), self.operator, space)
        self.space = tuple(space) if space and self.peephole.fixes_space else None

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        h_, c_, p, edit = state.h, state.c, self.peephole, self.edit
        a = self.U.split(preactivation(wx, self.U, h_))
        if self.R is not None:
            r = self.R.split(self.R(torch.cat([state.i, state.f, state.o], 1)))
            a = a._replace(i=a.i + r.i, f=a.f + r.f, o=a.o + r.o)
        one = torch.ones_like(c_)
        i = one if edit == "nig" else sigmoid(p("i", a.i, c_))
        f = one if edit == "nfg" else 1 - i if edit == "cifg" else sigmoid(p("f", a.f, c_))
        c = f * c_ + i * (a.g if edit == "niaf" else tanh(a.g))
        o = one if edit == "nog" else sigmoid(p("o", a.o, p.output_source(c_, c)))
        h = o * (c if edit == "noaf" else tanh(c))
        return h, FGRState(h, c, i, f, o) if edit == "fgr" else OdysseyState(h, c)
