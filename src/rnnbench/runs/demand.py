"""What memory a run takes at the least, against what there is: absurd sizes are refused in words, not by the system.

Arithmetic on the config alone, so planning thousands of runs stays fast: one square of weights a layer, one hidden
state a step, one byte a step of generated data. What passes here may still be too much; `build.make_model` counts the
very network before it allocates one. Imports neither torch nor hydra.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil

from rnnbench.errors import BadInput
from rnnbench.store.config import Config

FLOAT, BYTE = 4, 1  # bytes of a number
OF_TRAINING = 4  # numbers kept of each weight: itself, its gradient and the two moments of Adam
LAYERS = 10_000  # more are refused: a module for each takes the Python of this process minutes
LARGEST = 2**50  # bytes; a run of another machine, or of a GPU, is held to what no machine has
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


class Part(NamedTuple):
    """One thing that takes memory: how many bytes, and of which options."""

    bytes: int
    options: tuple[str, ...]


def check(config: Config, *, elsewhere: bool = False) -> None:
    """Refuse a resolved config whose least demand is more than this machine's memory. Raises BadInput.

    elsewhere: it runs on another machine, whose worker asks again there; here it is held to what no machine has.
    """
    if (layers := config["depth"]["layers"]) > LAYERS:
        raise BadInput(f"depth.layers={layers:,} is more than the {LAYERS:,} layers that can be built.")
    there = LARGEST if elsewhere or config["device"] == "cuda" else memory()
    for part in _parts(config):
        refuse(part.bytes, there, " and ".join(_asked(config, option) for option in part.options))


def refuse(needed: int, there: int, what: str) -> None:
    """Raise BadInput where more bytes are needed than there are. what: the options that ask for them."""
    if needed > there:
        machine = "no machine has" if there == LARGEST else f"this machine has {amount(there)}"
        raise BadInput(f"{what} needs at least {amount(needed)} of memory, {machine}; choose a smaller size.")


@functools.cache
def memory() -> int:
    """Bytes of this machine's memory."""
    return int(psutil.virtual_memory().total)


def amount(count: int) -> str:
    """Bytes as people say them: "3.2 TB"."""
    size, unit = count, 0
    while size >= 10_000 and unit < len(UNITS) - 2:
        size, unit = size // 1000, unit + 1
    return f"{size / 1000:,.3g} {UNITS[unit + 1]}" if size >= 1000 else f"{size} {UNITS[unit]}"


def _asked(config: Config, option: str) -> str:
    """An option with its value."""
    node: Any = config
    for key in option.split("."):
        node = node[key]
    return f"{option}={node}"


def _parts(config: Config) -> Iterator[Part]:
    yield from _weights(config)
    yield from _states(config)
    yield from _data(config)


def _weights(config: Config) -> Iterator[Part]:
    params, hidden, layers = config["params"], config["hidden_size"], config["depth"]["layers"]
    kept = FLOAT * OF_TRAINING
    if params is not None:
        yield Part(params * kept, ("params",))
    if (encoder := config["encoder_size"]) is not None:
        square = encoder * encoder if config["encoder"] == "cnn" else encoder
        yield Part(square * kept, ("encoder_size",))
    for width in _count(config, "forecast", "sizes"):
        yield Part(width * width * kept, ("forecast.sizes",))
    if hidden is None:
        return
    yield Part(hidden * hidden * layers * kept, ("hidden_size", "depth.layers"))
    for name, weights in (
        ("window", hidden), ("feedforward", 2 * hidden * hidden), ("links", hidden), ("heads", 4 * hidden),
    ):  # fmt: skip
        for size in _count(config, "cell", name):
            yield Part(size * weights * kept, ("hidden_size", f"cell.{name}"))
    for rank in _count(config, "cell", "rank"):
        for rounds in _count(config, "cell", "rounds"):
            yield Part(rounds * rank * hidden * kept, ("hidden_size", "cell.rank", "cell.rounds"))
    for size in _count(config, "cell", "kernel_size"):
        yield Part(size * hidden * hidden * kept, ("hidden_size", "cell.kernel_size"))
    for name in ("kernel_size", "input_kernel_size"):
        for size in _count(config, "cell", "operator", name):
            yield Part(size * size * hidden * kept, ("hidden_size", f"cell.operator.{name}"))


def _states(config: Config) -> Iterator[Part]:
    """What a training step keeps for its backward pass: of each sequence and step the inputs and the states."""
    batch, layers = config["budget"]["batch_size"], config["depth"]["layers"]
    steps, named = _steps(config)
    pixels = max(_count(config, "dataset", "size"), default=1) ** 2
    yield Part(batch * steps * pixels * FLOAT, ("budget.batch_size", *named))
    if hidden := config["hidden_size"]:
        yield Part(batch * steps * hidden * layers * FLOAT, ("budget.batch_size", "hidden_size", *named))


def _steps(config: Config) -> tuple[int, tuple[str, ...]]:
    """Steps of the longest training sequence, as far as the options of our datasets tell, and which do."""
    if not _is_ours(config):
        return 1, ()
    names = ("T", "longest_train", "input_steps", "output_steps", "bptt")
    found = [(name, size) for name in names for size in _count(config, "dataset", name)]
    return max(1, sum(size for _, size in found)), tuple(f"dataset.{name}" for name, _ in found)


def _data(config: Config) -> Iterator[Part]:
    """Generated sequences, a byte a step at the least; clips of frames are drawn when they are needed."""
    if not _is_ours(config):
        return
    longest = [
        name for name in ("T", "longest_train", "longest_val", "longest_test") if _count(config, "dataset", name)
    ]
    for split in ("train", "val", "test"):
        for size in _count(config, "dataset", split):
            yield Part(size * BYTE, (f"dataset.{split}",))
            steps = longest[:1] if longest[:1] == ["T"] else [name for name in longest if name.endswith(split)]
            for name in steps:
                yield Part(size * _count(config, "dataset", name)[0] * BYTE, (f"dataset.{split}", f"dataset.{name}"))
    for name in longest:
        yield Part(_count(config, "dataset", name)[0] * BYTE, (f"dataset.{name}",))


def _is_ours(config: Config) -> bool:
    return str(config["dataset"].get("_target_", "")).startswith("rnnbench.datasets.")


def _count(config: Config, *keys: str) -> list[int]:
    """The whole numbers above 0 of an option; none where it is none, or of another kind, which its task refuses."""
    node: Any = config
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    values = node if isinstance(node, list) else [node]
    return [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
