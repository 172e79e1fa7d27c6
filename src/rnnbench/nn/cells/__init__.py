"""The cells: one paper a file, the equations of ONE time step in the paper's letters. No loop, no task, no config."""

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.causal import CausalLSTM
from rnnbench.nn.cells.gru import GRU, GRUCho, GRUUpdate
from rnnbench.nn.cells.indrnn import IndRNN
from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.cells.lstm import LSTM
from rnnbench.nn.cells.mgu import MGU
from rnnbench.nn.cells.mingru import MinGRU
from rnnbench.nn.cells.minlstm import MinLSTM
from rnnbench.nn.cells.odyssey import OdysseyLSTM
from rnnbench.nn.cells.qrnn import QRNN
from rnnbench.nn.cells.rnn import RNN
from rnnbench.nn.cells.slstm import SLSTM
from rnnbench.nn.cells.sru import SRU, SRUv1
from rnnbench.nn.cells.stlstm import STLSTM
from rnnbench.nn.cells.trajgru import TrajGRU

__all__ = [
    "GRU",
    "LSTM",
    "MGU",
    "QRNN",
    "RNN",
    "SLSTM",
    "SRU",
    "STLSTM",
    "CausalLSTM",
    "Cell",
    "GRUCho",
    "GRUUpdate",
    "IndRNN",
    "LinearCell",
    "MinGRU",
    "MinLSTM",
    "OdysseyLSTM",
    "SRUv1",
    "TrajGRU",
]
