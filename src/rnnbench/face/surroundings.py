"""The caller's process, left as it was: a run seeds and tunes the process that it is in."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

Undo = Callable[[], None]


@contextlib.contextmanager
def undisturbed(*, torch: bool) -> Iterator[None]:
    """Within the block a fresh process's settings hold, after it the caller's again.

    Kept are the random states of Python, NumPy and torch (the CPU's, and of CUDA devices in use), torch's threads,
    default type and device, gradient mode, determinism and matmul flags, warning filters, signal handlers, environment,
    module path, working folder, multiprocessing's start method and matplotlib's backend. What glibc is told about
    memory (`harness.malloc_tuning`) cannot be taken back.

    torch: whether the block computes with torch, which is imported then; else its state is kept where it is there.
    """
    if torch:
        import torch as _  # its state is that of before the block: imported within, there was none to go back to

        del _
    undo = [_environment(), _randomness(), _handlers(), _processes(), _backend()]
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        for each in undo:
            stack.callback(each)
        if torch or "torch" in sys.modules:
            stack.enter_context(_torch())
        yield


def _environment() -> Undo:
    environment, path, folder = dict(os.environ), list(sys.path), os.getcwd()

    def undo() -> None:
        for key in os.environ.keys() - environment.keys():
            del os.environ[key]
        os.environ.update({key: value for key, value in environment.items() if os.environ.get(key) != value})
        sys.path[:] = path
        if os.getcwd() != folder:
            os.chdir(folder)

    return undo


def _randomness() -> Undo:
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    drawn: Any = numpy.random.get_state() if numpy else None

    def undo() -> None:
        random.setstate(state)
        if numpy:
            numpy.random.set_state(drawn)

    return undo


def _handlers() -> Undo:
    """Only the main thread has signal handlers to set."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def undo() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)

    return undo


def _processes() -> Undo:
    """A started worker pins the default start method, and the caller's own set_start_method would fail afterwards."""
    before = multiprocessing.get_start_method(allow_none=True)

    def undo() -> None:
        if multiprocessing.get_start_method(allow_none=True) != before:
            multiprocessing.set_start_method(before, force=True)

    return undo


def _backend() -> Undo:
    """matplotlib's, where it is there already."""
    drawing = sys.modules.get("matplotlib")
    before: Any = dict.__getitem__(drawing.rcParams, "backend") if drawing else None  # to ask rcParams settles it

    def undo() -> None:
        if drawing and dict.__getitem__(drawing.rcParams, "backend") != before:
            dict.__setitem__(drawing.rcParams, "backend", before)

    return undo


@contextlib.contextmanager
def _torch() -> Iterator[None]:
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    state, threads, kind = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    matmul = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark
    try:
        # One id is one computation, whatever the caller has set: plain float32, gradients, nothing approximate.
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
        cudnn.deterministic = cudnn.benchmark = False
        with contextlib.ExitStack() as plain:
            plain.enter_context(torch.inference_mode(False))
            plain.enter_context(torch.enable_grad())
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    plain.enter_context(torch.autocast(device, enabled=False))
            if torch.get_default_device().type != "cpu":  # a device as context costs every call of torch a little
                plain.enter_context(torch.device("cpu"))
            yield
    finally:
        torch.set_default_dtype(kind)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_float32_matmul_precision(matmul)
        cudnn.deterministic, cudnn.benchmark = flags
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
