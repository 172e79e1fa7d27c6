"""What every run needs, done once in the fork server: a worker then starts in milliseconds instead of seconds.

Nothing here may leave a thread behind or touch a GPU: workers are forked from this process.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pkgutil
import sys
import tempfile
import threading

import torch

import rnnbench.datasets.base.losses
import rnnbench.datasets.base.metrics
import rnnbench.datasets.digits
from rnnbench import toolchain
from rnnbench.runs import host
from rnnbench.runs.plan import prepare
from rnnbench.runs.run import attempt
from rnnbench.runs.source_hash import ROOMS, source_hash
from rnnbench.store.store import Store
from rnnbench.training import fit

# malloc is left alone: what is tuned here would be tuned in runs that ask for it not to be.
TINY = ("cell=rnn", "dataset=digits", "budget=smoke", "budget.updates=1", "hidden_size=1", "tracker=none",
        "device=cpu", "harness.threads=1", "harness.malloc_tuning=false")  # fmt: skip


def rehearse() -> None:
    """One tiny run, thrown away: what torch, Lightning and Hydra set up at first use is set up for every worker.

    It changes no run: torch's random state is put back, and the user's own config folders are left out, because their
    modules may change while the sweep goes on. Nothing where torch was built for a GPU: there a first backward pass
    starts threads, and asks the driver. A rehearsal that fails says nothing; the runs will say it.
    """
    if sys.platform != "linux" or torch.version.cuda or torch.version.hip or torch.version.xpu:
        return
    dirs, state = os.environ.pop("RNNBENCH_CONFIG_DIR", None), torch.get_rng_state()
    silence = io.StringIO()
    try:
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(silence),
            contextlib.redirect_stderr(silence),
            tempfile.TemporaryDirectory(prefix="rnnbench-") as folder,
        ):
            attempt(prepare(TINY), Store.open(folder))
            fit.make_ready()
    finally:
        torch.set_rng_state(state)
        if dirs is not None:
            os.environ["RNNBENCH_CONFIG_DIR"] = dirs
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()  # the rehearsed attempt's heartbeat, which has been told to end


def import_all() -> None:
    """Every module that `source_hash` covers: a cell that is edited while the sweep goes on is no part of it.

    Else a worker would import the new one, and record the hash of the old.
    """
    for room in map(importlib.import_module, (f"rnnbench.{name}" for name in ROOMS)):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)


# What of a record is the same for every run of this server, which has the code in memory: asked once, not by each run.
source_hash()
import_all()
host.git_state()
host.packages()
host.cpu_name()
toolchain.find()
rehearse()
gc.collect()
gc.freeze()  # the collector of a forked worker leaves what it inherited alone, and so shared

__all__ = ["rnnbench"]
