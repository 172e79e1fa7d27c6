"""rnnbench trains every recurrent variant on shared tasks and logs the results to tables.

From Python, everything is data::

    import rnnbench as rb

    record = rb.run("cell=gru dataset=digits seed=0")             # one run, in this process
    made = rb.sweep(cell=["rnn", "lstm"], seed=range(3))          # a grid, a process a run; rb.plan looks ahead
    runs = rb.records("cell=lstm,gru")                            # finished runs as one tidy DataFrame
    board = rb.leaderboard(made.name)                             # ranked; board.frame is a DataFrame
    rb.tables(), rb.compare("cell=rnn", "cell=lstm"), rb.curves() # beside each other, against each other, by step
    rb.ablation("convlstm_peephole"), rb.search("odyssey"), rb.claims()
    model = rb.load_model(record["id"])                           # a finished run's network with its weights
    data = rb.load_data("adding", T=100)                          # a dataset's splits, spec and floors
    rb.read_data("load.csv").lines                                # what is in a file of your own, and what to run
    rb.sweep(experiment="own_series", data=frame)                 # your own data, from a file or from memory

A notebook shows each answer as a table, ``rich.print`` shows it on a terminal. What cannot be done raises `BadInput`,
one sentence with the fix. docs/python.md is the tour. The networks are a library of their own that needs torch only:
``from rnnbench.nn import LSTM, Stack``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rnnbench._version import __version__ as __version__

if TYPE_CHECKING:
    from rnnbench.errors import AxisRefused, BadInput, MissingData
    from rnnbench.face.data import read_data
    from rnnbench.face.loading import load_data, load_model
    from rnnbench.face.reading import compare, curves, leaderboard, outcomes, predictions, records, tables
    from rnnbench.face.running import plan, run, sweep
    from rnnbench.face.studies import ablation, claims, search
    from rnnbench.store.record import RecordError
    from rnnbench.training.outcomes import Interrupted

__all__ = [
    "AxisRefused",
    "BadInput",
    "Interrupted",
    "MissingData",
    "RecordError",
    "__version__",
    "ablation",
    "claims",
    "compare",
    "curves",
    "leaderboard",
    "load_data",
    "load_model",
    "outcomes",
    "plan",
    "predictions",
    "read_data",
    "records",
    "run",
    "search",
    "sweep",
    "tables",
]

_ROOMS = {
    "errors": ("AxisRefused", "BadInput", "MissingData"),
    "store.record": ("RecordError",),
    "training.outcomes": ("Interrupted",),
    "face.data": ("read_data",),
    "face.running": ("plan", "run", "sweep"),
    "face.reading": ("compare", "curves", "leaderboard", "outcomes", "predictions", "records", "tables"),
    "face.studies": ("ablation", "claims", "search"),
    "face.loading": ("load_data", "load_model"),
}
_WHERE = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    """What is asked for, imported then: `import rnnbench` itself loads nothing heavy."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
