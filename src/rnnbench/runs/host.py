"""The machine a run computes on: tuning before it starts, provenance after. Imports torch only where asked to."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from rnnbench import toolchain
from rnnbench.errors import BadInput
from rnnbench.store.record import Git, Host

TORCH_BYTES = 2**30  # of addresses; measured with torch for the CPU: an import fails with 0.8 of it, not with 1.2
PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "rnnbench")


def passive_threads() -> None:
    """Let idle OpenMP threads sleep instead of spin. Only works before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def room_for_torch() -> None:
    """Raises BadInput where this process may not map as much memory as torch alone takes: its import would fail, or (in
    a library that tries again for ever) never end."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY and most < TORCH_BYTES:
        raise BadInput(
            f"memory is too small to start torch: this process may map {most / 2**20:.0f} MB (`ulimit -v`), and torch "
            f"alone takes {TORCH_BYTES / 2**20:.0f}; allow more."
        )


@functools.cache
def tune_malloc() -> bool:
    """Let glibc keep freed memory: RNN training allocates and frees the same large blocks at every update.

    Sets trim threshold, top pad, mmap threshold and no mmap at all, by mallopt. Returns whether all four took (glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    trim_threshold, top_pad, mmap_threshold, mmap_max = -1, -2, -3, -4
    settings = ((mmap_threshold, 1 << 30), (trim_threshold, (1 << 31) - 1), (top_pad, 64 << 20), (mmap_max, 0))
    took = [bool(mallopt(ctypes.c_int(k), ctypes.c_int(v))) for k, v in settings]
    return all(took)


def peak_memory_mb(device: str) -> float:
    """The most memory in use so far, in MB of 2**20 bytes: of the process, or of CUDA's allocator."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@functools.cache
def git_state() -> Git:
    """The commit of rnnbench's checkout and whether its code or configs differ from it; nulls for a wheel.

    The list of sources that the gate has vouched for is neither: it is written after the runs it is about.
    """
    root = Path(__file__).resolve().parents[3]

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # A wheel inside somebody's repository has that repository around it: only a checkout of ours has src/ and conf/.
    # A copy of ours without .git, too, may lie inside another repository, which may well ignore it.
    ours = (root / "conf" / "config.yaml").is_file() and git("rev-parse", "--show-prefix") == ""
    if not ours or (commit := git("rev-parse", "HEAD")) is None:
        return {"commit": None, "dirty": None}
    changed = git("status", "--porcelain", "--", "src", "conf", ":(exclude)src/rnnbench/runs/vouched.jsonl")
    return {"commit": commit, "dirty": bool(changed)}


@functools.cache
def packages() -> dict[str, str]:
    """The versions that compute a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def cpu_name() -> str:
    """The processor's name, for the record."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(device: str, malloc_tuned: bool, *, backend: str = "eager") -> Host:
    """The record's `host`: what a speed, and on a CPU the last bits, depend on beside device, precision and backend.

    backend: the resolved one; of a compiled cell, compiler and flags are said.
    """
    import torch

    found: Host = {
        "cpu": cpu_name(),
        "simd": torch.backends.cpu.get_cpu_capability(),  # processors of one name may differ in it
        "system": f"{platform.system()} {platform.machine()}",
        "malloc_tuned": malloc_tuned,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    if backend == "compiled" and (there := toolchain.find()) is not None:
        found |= {"compiler": there.compiler, "compiler_flags": there.all_flags}
    return found
