"""Networks without recurrence, in the place of a stack of recurrent layers: what recurrence is compared with."""

from rnnbench.nn.rivals.base import Rival
from rnnbench.nn.rivals.mlp import MLP
from rnnbench.nn.rivals.tcn import TCN
from rnnbench.nn.rivals.transformer import Transformer

__all__ = ["MLP", "TCN", "Rival", "Transformer"]
