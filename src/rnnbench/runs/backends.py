"""Which backend computes a run: the rule of `backend=auto`, and why one that was asked for is refused.

compiled   the cell's own step as C, where its yaml says that it compiles (meta.compiles) and a compiler is there
native     torch's own kernel, where it has one for these axes
scan       all steps at once but for h = a h' + b itself, where its yaml says that the cell is so (meta.scans)
eager      the Python loop, for everything

`auto` is the first of them that can, by this rule and never by a timing. Imports neither torch nor hydra.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rnnbench import toolchain
from rnnbench.errors import AxisRefused, NotHere
from rnnbench.runs import processor
from rnnbench.store.config import Config

WORDS = ("auto", "eager", "native", "compiled", "scan")
ANY_OTHER = "use backend=eager or backend=auto"


class Reason(NamedTuple):
    """Why a backend cannot compute some axes, and what to do, as the two halves of a sentence."""

    why: str
    fix: str = ANY_OTHER


def stands_for(config: Config) -> str:
    """What backend=auto is on this machine. config: with its device and precision settled."""
    if may_compile(config) and toolchain.find() is not None:
        return "compiled"
    return without_compiler(config)


def without_compiler(config: Config) -> str:
    """What backend=auto is where there is no compiler."""
    if _no_kernel(config) is None:
        return "native"
    return "eager" if _no_scan(config) else "scan"


def may_compile(config: Config) -> bool:
    """Whether backend=auto compiles these axes wherever there is a compiler: the cell's yaml must say that it can."""
    return config["cell"]["meta"].get("compiles") is True and _no_compiling(config) is None


def check(config: Config) -> None:
    """Refuse a backend that can compute these axes on no machine. Raises AxisRefused."""
    backend = config["backend"]
    if (rule := RULES.get(backend)) is not None and (reason := rule(config)) is not None:
        raise AxisRefused(f"backend={backend}: {reason.why}; {reason.fix}.")


def check_compiler(config: Config) -> None:
    """Raise NotHere where a run is to be compiled, and this machine has no compiler."""
    if config["backend"] == "compiled" and toolchain.find() is None:
        raise NotHere(f"backend=compiled: {toolchain.why_none()}; {ANY_OTHER}.")


def _no_kernel(config: Config) -> Reason | None:
    """Why torch has no kernel for these axes; None if it has."""
    meta = config["cell"]["meta"]
    if not meta.get("kernel"):
        return Reason(f"torch has no kernel for cell={meta['name']}")
    if config["peephole"]["shape"] != "none":
        return Reason("torch's LSTM has no peepholes")
    if config["cell"].get("norm"):
        return Reason("torch's kernels have no normalisation")
    if _on_frames(config):
        return Reason("frames run step by step")
    if processor.no_lstm_kernel(config):
        return Reason("torch's LSTM kernel has no bf16 on this processor")
    return None


def _no_compiling(config: Config) -> Reason | None:
    """Why these axes are compiled on no machine; None if they are. Of a cell whose yaml leaves it open it is tried."""
    meta = config["cell"]["meta"]
    if not meta.get("recurrent", True):
        return Reason(f"cell={meta['name']} is no recurrent cell and has no step to compile")
    if _on_frames(config):
        return Reason("frames run step by step")
    if meta.get("compiles") is False:
        return Reason(f"cell={meta['name']} does not compile (meta.compiles of its yaml)")
    if config["device"] != "cpu":
        return Reason(f"its code is for the CPU, not for device={config['device']}", "use device=cpu or backend=auto")
    if config["precision"] != "32":
        return Reason(
            f"its numbers have 32 bits, and no precision={config['precision']}", "use precision=32 or backend=auto"
        )
    if norm := config["cell"].get("norm"):
        return Reason(f"cell.norm={norm} has no rule in the compiler", "use cell.norm=null or backend=auto")
    return None


def _no_scan(config: Config) -> Reason | None:
    """Why there is no scan for these axes; None if there is."""
    meta = config["cell"]["meta"]
    if meta.get("scans") is not True:
        return Reason(f"cell={meta['name']} is not linear in its state (meta.scans of its yaml)")
    if _on_frames(config):
        return Reason("frames run step by step")
    return None


def _on_frames(config: Config) -> bool:
    return config["dataset"]["meta"]["inputs"] == "frames"


RULES: dict[str, Callable[[Config], Reason | None]] = {
    "native": _no_kernel,
    "compiled": _no_compiling,
    "scan": _no_scan,
}
