"""What every run imports, imported once in the fork server: a worker then starts in milliseconds instead of seconds.

Nothing here may start a thread or touch a GPU: workers are forked from this process.
"""

import sklearn.datasets
import torchmetrics

import rnnbench.datasets.digits
import rnnbench.datasets.losses
import rnnbench.datasets.metrics
import rnnbench.runs.host
import rnnbench.runs.run

rnnbench.runs.host.source_hash()  # a tenth of a second, once and not in every run

__all__ = ["rnnbench", "sklearn", "torchmetrics"]
