"""One fit: a Lightning Trainer with everything off that a benchmark run has of its own."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import nn

from rnnbench.datasets.base.spec import Data
from rnnbench.datasets.base.task import Task
from rnnbench.training.module import FitModule, FitOptions, Hooks


def fit(
    model: nn.Module,
    task: Task,
    data: Data,
    options: FitOptions,
    make_optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    make_schedule: Callable[[torch.optim.Optimizer], Any] | None,
    hooks: Hooks,
    *,
    resume: dict[str, Any] | None = None,
) -> FitModule:
    """Train model on data.train until the budget is used, from the start or from a `state_of_run`.

    model and data must be on the device they are to run on. Returns the module with its final `state` (best weights and
    metrics). Raises Diverged, Interrupted and TimedOut (after hooks.save), and torch's out-of-memory errors.
    """
    device = data.train.x.device
    torch.manual_seed(options.noise_seed)  # dropout; weights and order have streams of their own
    module = FitModule(model, task, data, options, make_optimizer, make_schedule, hooks)
    if resume is not None:
        module.restore(resume)
    state = module.state
    patience_over = options.patience is not None and state.bad_rounds >= options.patience
    if state.update >= options.updates or patience_over:
        return module  # killed between its last update and its record
    with quiet():
        try:
            trainer_for(device).fit(module, train_dataloaders=module.round)
        except SystemExit as ended:  # Lightning's own answer to Ctrl-C
            if isinstance(ended.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
    return module


_ready: list[pl.Trainer] = []  # at most one, made ahead by `make_ready`, never used twice


def make_ready() -> None:
    """Make the CPU Trainer of the next fit ahead: a sweep's fork server hands one to every worker by being forked."""
    with quiet():
        _ready[:] = [make_trainer(torch.device("cpu"))]


def trainer_for(device: torch.device) -> pl.Trainer:
    """A fresh Trainer: the one made ahead, where it fits."""
    return _ready.pop() if _ready and device.type == "cpu" else make_trainer(device)


def make_trainer(device: torch.device) -> pl.Trainer:
    """The Trainer of every run: it loops, and leaves logging, checkpoints and progress to us.

    It is one process, whatever surrounds it: a sweep in a SLURM job of several tasks, or below torchrun or mpirun, has
    runs that know nothing of each other.
    """
    # All are given: what is not, Lightning takes from the environment (PL_TRAINER_MAX_STEPS).
    given = {name: parameter.default for name, parameter in inspect.signature(pl.Trainer).parameters.items()}
    given |= {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "devices": [device.index or 0] if device.type == "cuda" else 1,
        "plugins": [LightningEnvironment()],  # else it would be SLURM's, with a requeueing of its own
        "default_root_dir": NOWHERE,
        "callbacks": [KeepSignals()],
        "max_epochs": -1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }
    return pl.Trainer(**given)


# Lightning writes nothing, but in a SLURM job it resumes from any hpc_ckpt_1.ckpt in its folder, else the current one.
NOWHERE = os.path.join(os.devnull, "nowhere")


class KeepSignals(pl.Callback):
    """SIGTERM stays with whoever had it: Lightning's handler would end the process without a checkpoint of ours."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.before = signal.getsignal(signal.SIGTERM)  # comes before Lightning sets its own

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)


class quiet:
    """Within the block Lightning's tips, banners and advice stay off the terminal; ours is the one progress line."""

    NAMES = ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero", "lightning_fabric")

    def __enter__(self) -> None:
        self._levels = {name: logging.getLogger(name).level for name in self.NAMES}
        for name in self.NAMES:
            logging.getLogger(name).setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\.")  # of srun on the PATH, too
        warnings.filterwarnings("ignore", category=UserWarning, message=r".*(num_workers|tensorboard|GPU|max_epochs).*")

    def __exit__(self, *exc: object) -> None:
        self._warnings.__exit__(None, None, None)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
