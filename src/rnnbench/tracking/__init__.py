"""Live trackers: none, W&B, TensorBoard; and records as W&B runs (`push`). The only room that knows wandb.

Even here it is imported by a helper process only, from `Tracker.start` on.

::

    tracker = make_tracker({"name": "wandb", "mode": "offline"})
    tracker.start(RunInfo(...))
    tracker.log({"train/loss": 0.5}, step=10)
    tracker.finish(record, ok=True)
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Callable
from typing import Any

from rnnbench.errors import BadInput, nearest
from rnnbench.store.config import TrackerNode
from rnnbench.tracking.base import NoTracker, RunInfo, Tracker, TrackerError
from rnnbench.tracking.guard import LIMIT_SECONDS, Guarded
from rnnbench.tracking.tensorboard_tracker import MISSING, TensorboardTracker
from rnnbench.tracking.wandb_tracker import WandbTracker

__all__ = ["LIMIT_SECONDS", "Guarded", "NoTracker", "RunInfo", "Tracker", "TrackerError", "make_tracker"]

TRACKERS: dict[str, type[Tracker]] = {"none": NoTracker, "wandb": WandbTracker, "tensorboard": TensorboardTracker}


def make_tracker(cfg: TrackerNode, warn: Callable[[str], None] | None = None) -> Tracker:
    """The tracker that a config of the group ``tracker`` describes, guarded: it cannot raise or hold a run up.

    cfg: ``name`` (none, wandb, tensorboard) and that tracker's options. warn: gets the one sentence a tracker may say;
    the log ``rnnbench.tracking`` unless set. Nothing heavy is imported before `start`.

    Raises BadInput on an unknown name, option or mode and where TensorBoard is asked for but not installed: these are
    the user's to mend, and before the run is the time to say so.
    """
    options: dict[str, Any] = {**cfg}
    name = options.pop("name", None)
    if name not in TRACKERS:
        raise BadInput(f"tracker.name={name!r} is not a tracker; {nearest(str(name), TRACKERS)}")
    tracker = TRACKERS[name]
    known = [] if tracker.__init__ is object.__init__ else list(inspect.signature(tracker).parameters)
    for option in options:
        if option not in known:
            hint = nearest(option, known) if known else "it has no options."
            raise BadInput(f"tracker.{option} is not an option of the tracker {name}; {hint}")
    if name == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise BadInput(MISSING)
    if name == "none":
        return NoTracker()
    return Guarded(tracker(**options), warn=warn or logging.getLogger(__name__).warning)
