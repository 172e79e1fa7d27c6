"""What this processor does with bf16: whether torch's LSTM kernel takes it, and whether it is multiplied or emulated.

Read from /proc/cpuinfo, so planning imports no torch; on another system torch is asked, where a run wants bf16 at all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from rnnbench.store.config import Config

CPUINFO = Path("/proc/cpuinfo")
# What torch's LSTM kernel asks for (torch, aten/src/ATen/native/mkldnn/Utils.h: mkldnn_bf16_device_check).
KERNEL_X86 = {"avx512bw", "avx512vl", "avx512dq"}
KERNEL_ARM = {"bf16"}
MULTIPLIES = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, ARM
SLOWER = "17 to 38"  # times as long as float32: a ConvLSTM's training step, measured where bf16 is emulated


@functools.cache
def flags() -> frozenset[str] | None:
    """The processor's features in Linux's words; None on a system that does not say."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))]
    return frozenset(found[0]) if found else None


def lstm_kernel_takes_bf16() -> bool:
    """Whether torch's LSTM kernel computes under autocast to bf16 here; elsewhere it fails in oneDNN."""
    if (found := flags()) is not None:
        return found >= KERNEL_X86 or found >= KERNEL_ARM
    import torch

    if not torch.backends.mkldnn.is_available():  # then the kernel is torch's own
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def multiplies_bf16() -> bool | None:
    """Whether the processor multiplies bf16 itself; None on a system that does not say."""
    found = flags()
    return None if found is None else bool(found & MULTIPLIES)


def no_lstm_kernel(config: Config) -> bool:
    """Whether these axes would run torch's LSTM kernel in a precision that it does not have on this processor."""
    asked = config["precision"] == "bf16" and config["device"] == "cpu"
    return asked and config["cell"]["meta"].get("kernel") == "lstm" and not lstm_kernel_takes_bf16()


def notes(configs: Iterable[Config]) -> list[str]:
    """What a plan says of these resolved configs on this processor, a sentence each."""
    asked = [config for config in configs if config["precision"] == "bf16" and config["device"] == "cpu"]
    said = []
    if any(map(no_lstm_kernel, asked)):
        said.append(
            "precision=bf16: torch's LSTM kernel has none on this processor, so backend=auto is eager here; "
            "on a machine that has it (avx512bw, avx512vl, avx512dq), these runs have other ids."
        )
    if asked and multiplies_bf16() is None:
        said.append(
            "precision=bf16: whether this processor multiplies it is not known; where it is emulated, "
            f"a ConvLSTM's step takes {SLOWER} times as long as with float32."
        )
    if asked and multiplies_bf16() is False:
        said.append(
            "precision=bf16 is emulated on this processor (neither avx512_bf16 nor amx_bf16): "
            f"a ConvLSTM's step takes {SLOWER} times as long as with float32."
        )
    return said
