"""The networks, a library of its own: it imports torch and nothing else.

from rnnbench.nn import LSTM, Layer, Peephole, build_stack

layer = Layer(LSTM(8, 64, peephole=Peephole()))          # one LSTM with peepholes over time
output, state = layer(x, lengths=lengths)                # x: (B, T, 8) -> output (B, T, 64)
net = build_stack(LSTM, 8, 64, layers=2, direction="bidirectional")
"""

from rnnbench.nn.backends import BACKENDS
from rnnbench.nn.cells import (
    GRU,
    JANET,
    LEM,
    LRU,
    LSTM,
    MGU,
    MLSTM,
    MUT1,
    MUT2,
    MUT3,
    QRNN,
    RGLRU,
    RNN,
    SLSTM,
    SRU,
    STLSTM,
    Antisymmetric,
    AntisymmetricGated,
    CausalLSTM,
    Cell,
    CoRNN,
    GRUCho,
    GRUUpdate,
    IndRNN,
    LiGRU,
    LinearCell,
    MinGRU,
    MinLSTM,
    Mogrifier,
    OdysseyLSTM,
    SRUv1,
    TrajGRU,
)
from rnnbench.nn.forecast import EncoderForecaster, Rollout
from rnnbench.nn.init import start
from rnnbench.nn.layers import Bidirectional, Layer, length_mask, tracing, unroll
from rnnbench.nn.maps import Conv2d, Dense, Map, Operator
from rnnbench.nn.model import SequenceModel, make_encoder
from rnnbench.nn.peephole import Peephole
from rnnbench.nn.rivals import MLP, TCN, Rival, Transformer
from rnnbench.nn.sampling import Sampling
from rnnbench.nn.sizes import count_params, count_state, flops_per_step, solve_hidden_size
from rnnbench.nn.stacks import Column, Stack, build_stack

__all__ = [
    "BACKENDS",
    "GRU",
    "JANET",
    "LEM",
    "LRU",
    "LSTM",
    "MGU",
    "MLP",
    "MLSTM",
    "MUT1",
    "MUT2",
    "MUT3",
    "QRNN",
    "RGLRU",
    "RNN",
    "SLSTM",
    "SRU",
    "STLSTM",
    "TCN",
    "Antisymmetric",
    "AntisymmetricGated",
    "Bidirectional",
    "CausalLSTM",
    "Cell",
    "CoRNN",
    "Column",
    "Conv2d",
    "Dense",
    "EncoderForecaster",
    "GRUCho",
    "GRUUpdate",
    "IndRNN",
    "Layer",
    "LiGRU",
    "LinearCell",
    "Map",
    "MinGRU",
    "MinLSTM",
    "Mogrifier",
    "OdysseyLSTM",
    "Operator",
    "Peephole",
    "Rival",
    "Rollout",
    "SRUv1",
    "Sampling",
    "SequenceModel",
    "Stack",
    "TrajGRU",
    "Transformer",
    "build_stack",
    "count_params",
    "count_state",
    "flops_per_step",
    "length_mask",
    "make_encoder",
    "solve_hidden_size",
    "start",
    "tracing",
    "unroll",
]
