"""The cells: one paper a file, the equations of ONE time step in the paper's letters. No loop, no task, no config."""

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.gru import GRU, GRUCho, GRUUpdate
from rnnbench.nn.cells.lstm import LSTM
from rnnbench.nn.cells.mgu import MGU
from rnnbench.nn.cells.odyssey import OdysseyLSTM
from rnnbench.nn.cells.rnn import RNN

__all__ = ["GRU", "LSTM", "MGU", "RNN", "Cell", "GRUCho", "GRUUpdate", "OdysseyLSTM"]
