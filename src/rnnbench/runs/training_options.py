"""What optimizers and schedules can take, checked when a run is planned: torch would say it after the data is read.

Torch itself refuses some of it, and some of it in the middle of training (a schedule that divides by zero). Options
that are not in these tables are tried by `build.try_training`. Imports neither torch nor hydra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs.allowed import Allowed, flag, is_finite, whole
from rnnbench.store.config import Composed, Config


def is_share(value: Any) -> bool:
    """Whether a value is a number of at least 0 and below 1."""
    return is_finite(value) and 0 <= value < 1


ABOVE = Allowed("a number above 0", lambda v: is_finite(v) and v > 0)
LEAST = Allowed("a number of at least 0", lambda v: is_finite(v) and v >= 0)
SHARE = Allowed("a number of at least 0 and below 1", is_share)
PAIR = Allowed(
    "two numbers of at least 0 and below 1, [a,b]",
    lambda v: isinstance(v, list) and len(v) == 2 and all(map(is_share, v)),
)
SHARE_OF_UPDATES = Allowed("a number above 0 and below 1", lambda v: is_share(v) and v > 0)
DAMPING = Allowed("a number of 0 to 1", lambda v: is_finite(v) and 0 <= v <= 1)
WHOLE = whole(1)
FLAG = flag()
MAYBE = Allowed("true, false or null", lambda v: v is None or isinstance(v, bool))
ANNEALING = Allowed("cos or linear", lambda v: v in ("cos", "linear"))

# Of torch.optim's own classes, whose options mean the same wherever they have the same name.
OPTIMIZER = {
    "lr": ABOVE, "weight_decay": LEAST, "eps": LEAST, "momentum": SHARE, "dampening": DAMPING, "alpha": SHARE,
    "betas": PAIR, "nesterov": FLAG, "amsgrad": FLAG, "centered": FLAG, "maximize": FLAG, "capturable": FLAG,
    "differentiable": FLAG, "decoupled_weight_decay": FLAG, "foreach": MAYBE, "fused": MAYBE,
}  # fmt: skip
SCHEDULES = {
    "torch.optim.lr_scheduler.CosineAnnealingLR": {"T_max": WHOLE, "eta_min": LEAST},
    "torch.optim.lr_scheduler.OneCycleLR": {
        "max_lr": ABOVE, "total_steps": WHOLE, "pct_start": SHARE_OF_UPDATES, "cycle_momentum": FLAG,
        "three_phase": FLAG, "anneal_strategy": ANNEALING, "div_factor": ABOVE, "final_div_factor": ABOVE,
        "base_momentum": SHARE, "max_momentum": SHARE,
    },
    "rnnbench.training.halving_steps": {"updates": WHOLE, "gamma": ABOVE},
}  # fmt: skip


KERNELS = ("torch.optim.Adam", "torch.optim.AdamW")


def fused_by_itself(optimizer: Mapping[str, Any]) -> bool:
    """Whether torch's kernel is what `fused: null` stands for, as `training.optimizers` has it, below torch."""
    return optimizer.get("_target_") in KERNELS and not (optimizer.get("foreach") or optimizer.get("differentiable"))


def check(config: Config) -> None:
    """Refuse a value that the optimizer or the schedule cannot take, and values that do not go together.

    Raises BadInput, or AxisRefused where another option could be changed instead.
    """
    optimizer: Composed = {**config["optimizer"]}
    schedule: Composed = {**config["schedule"]}
    if str(optimizer.get("_target_", "")).startswith("torch.optim."):
        _check_kinds("optimizer", optimizer, OPTIMIZER)
        _check_nesterov(optimizer)
    known = SCHEDULES.get(str(schedule.get("_target_")))
    if known is None:
        return
    _check_kinds("schedule", schedule, known)
    if "max_lr" in schedule:
        _check_onecycle(schedule, optimizer, config["budget"]["updates"])
    if "eta_min" in schedule:
        _check_cosine(schedule, optimizer)


def _check_kinds(group: str, node: Mapping[str, Any], kinds: Mapping[str, Allowed]) -> None:
    for option, kind in kinds.items():
        if option in node and not kind.holds(node[option]):
            raise BadInput(f"{group}.{option} must be {kind.words}, not {node[option]!r}.")


def _check_nesterov(optimizer: Composed) -> None:
    if optimizer.get("nesterov") and not optimizer.get("momentum"):
        raise AxisRefused("optimizer.nesterov=true needs momentum; set optimizer.momentum above 0.")
    if optimizer.get("nesterov") and optimizer.get("dampening"):
        raise AxisRefused("optimizer.nesterov=true takes no dampening; leave optimizer.dampening out.")


def _check_cosine(schedule: Composed, optimizer: Composed) -> None:
    lowest, rate = schedule["eta_min"], optimizer.get("lr")
    if is_finite(rate) and lowest >= rate:
        raise AxisRefused(
            f"schedule.eta_min={lowest:g} is where the rate ends; it must be below optimizer.lr={rate:g}."
        )


def _check_onecycle(schedule: Composed, optimizer: Composed, updates: int) -> None:
    """The peak, and the three or two parts of the cycle, each of which needs an update."""
    peak, rate, steps = schedule["max_lr"], optimizer.get("lr"), schedule.get("total_steps")
    if peak != rate:
        raise AxisRefused(
            f"schedule.max_lr={peak:g} leaves optimizer.lr nothing to do; set optimizer.lr={peak:g} instead."
        )
    if steps is None:  # another way to say the length, which `build.try_training` tries
        return
    if steps < updates:
        raise AxisRefused(
            f"schedule.total_steps={steps} ends before the run; it must be at least its {updates} updates."
        )
    share = schedule.get("pct_start", 0.3)
    parts = 2 if schedule.get("three_phase") else 1
    if not 1 < share * steps < (steps + parts - 1) / parts:
        raise AxisRefused(
            f"schedule.pct_start={share:g} of {steps} updates leaves a part of the cycle without any; "
            "it takes more than one to rise, and to fall: more updates, or another share."
        )
