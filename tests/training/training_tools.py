"""A small task, a small network and hooks that remember: what the tests of training fit with."""

from __future__ import annotations

import io
from functools import partial

import torch

from rnnbench.datasets import Adding, TemporalOrder
from rnnbench.nn import LSTM, Peephole, SequenceModel, build_stack, start
from rnnbench.training.fit import fit
from rnnbench.training.module import FitOptions

ADDING = Adding(T=6, train=40, val=16, test=16)  # every sequence of one length, goal min
ORDER = TemporalOrder(T=20, train=24, val=16, test=16)  # sequences of many lengths, goal max
TASKS = {"adding": ADDING, "order": ORDER}
DATA = {name: task.load() for name, task in TASKS.items()}


def network(task=ADDING, cell=None, hidden=5, layers=2, dropout=0.25, backend="eager", seed=0, **options):
    """A network for a task; by default two LSTM layers with peepholes and dropout between them."""
    cell = cell or partial(LSTM, peephole=Peephole(start="uniform"))
    stack = build_stack(cell, task.spec.input_size, hidden, layers=layers, dropout=dropout, backend=backend, **options)
    model = SequenceModel(
        torch.nn.Identity(),
        stack,
        head="every" if task.spec.outputs == "step" else "last",
        output_size=task.spec.output_size,
    )
    start(model, seed)
    return model


class Hooks:
    """Remembers rows and saved states (as a file would hold them); asks to stop after the update `stop_at`."""

    def __init__(self, stop_at=None, each_row=None):
        self.rows, self.updates, self.states = [], [], []
        self.stop_at, self.each_row = stop_at, each_row

    def validated(self, row):
        self.rows.append(row)
        if self.each_row:
            self.each_row(row)

    def progress(self, update, row):
        self.updates.append(update)

    def save(self, state):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self.states.append(buffer.getvalue())

    def stop_asked(self):
        return "asked" if self.updates[-1] == self.stop_at else None

    def last_state(self):
        return torch.load(io.BytesIO(self.states[-1]), weights_only=True)


def options(**given):
    """Options of a fit that the tests change by name."""
    default = {"updates": 11, "batch_size": 8, "val_every": 4, "order_seed": 3, "noise_seed": 4}
    return FitOptions(**(default | given))


def train(given=None, *, task="adding", model=None, optimizer=None, schedule=None, hooks=None, resume=None, **more):
    """fit with everything by default; returns the module. task: a name in TASKS."""
    return fit(
        model or network(TASKS[task]),
        TASKS[task],
        more.pop("data", DATA[task]),
        given or options(**more),
        optimizer or (lambda params: torch.optim.Adam(params, lr=0.01)),
        schedule,
        hooks if hooks is not None else Hooks(),
        resume=resume,
    )


def weights(model):
    """A copy of every weight."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    """Two dicts of tensors are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
