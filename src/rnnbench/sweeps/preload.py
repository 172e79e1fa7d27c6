"""What every run imports, imported once in the fork server: a worker then starts in milliseconds instead of seconds.

Nothing here may start a thread or touch a GPU: workers are forked from this process.
"""

import gc

import sklearn.datasets
import torchmetrics

import rnnbench.datasets.base.losses
import rnnbench.datasets.base.metrics
import rnnbench.datasets.digits
import rnnbench.runs.host
import rnnbench.runs.run
from rnnbench.runs import host
from rnnbench.runs.source_hash import source_hash

# What of a record is the same for every run of this server, which has the code in memory: asked once, not by each run.
source_hash()
host.git_state()
host.packages()
host.cpu_name()
gc.freeze()  # the collector of a forked worker leaves what it inherited alone, and so shared

__all__ = ["rnnbench", "sklearn", "torchmetrics"]
