"""The cells: one paper a file, the equations of ONE time step in the paper's letters. No loop, no task, no config."""

from rnnbench.nn.cells.antisymmetric import Antisymmetric, AntisymmetricGated
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.causal import CausalLSTM
from rnnbench.nn.cells.cornn import CoRNN
from rnnbench.nn.cells.gru import GRU, GRUCho, GRUUpdate
from rnnbench.nn.cells.indrnn import IndRNN
from rnnbench.nn.cells.janet import JANET
from rnnbench.nn.cells.lem import LEM
from rnnbench.nn.cells.ligru import LiGRU
from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.cells.lru import LRU
from rnnbench.nn.cells.lstm import LSTM
from rnnbench.nn.cells.mgu import MGU
from rnnbench.nn.cells.mingru import MinGRU
from rnnbench.nn.cells.minlstm import MinLSTM
from rnnbench.nn.cells.mlstm import MLSTM
from rnnbench.nn.cells.mogrifier import Mogrifier
from rnnbench.nn.cells.mut import MUT1, MUT2, MUT3
from rnnbench.nn.cells.odyssey import OdysseyLSTM
from rnnbench.nn.cells.qrnn import QRNN
from rnnbench.nn.cells.rglru import RGLRU
from rnnbench.nn.cells.rnn import RNN
from rnnbench.nn.cells.slstm import SLSTM
from rnnbench.nn.cells.sru import SRU, SRUv1
from rnnbench.nn.cells.stlstm import STLSTM
from rnnbench.nn.cells.trajgru import TrajGRU

__all__ = [
    "GRU",
    "JANET",
    "LEM",
    "LRU",
    "LSTM",
    "MGU",
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
    "Antisymmetric",
    "AntisymmetricGated",
    "CausalLSTM",
    "Cell",
    "CoRNN",
    "GRUCho",
    "GRUUpdate",
    "IndRNN",
    "LiGRU",
    "LinearCell",
    "MinGRU",
    "MinLSTM",
    "Mogrifier",
    "OdysseyLSTM",
    "SRUv1",
    "TrajGRU",
]
