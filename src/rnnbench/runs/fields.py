"""How far back a TCN sees, against how far there is: `depth=covering` is as many layers as that takes.

A network with a state, and one with attention, sees all with any number of layers: covering is one layer there. Known
while a run is planned, without torch, of datasets whose files are read then (`readings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rnnbench.datasets.base.reading import Reading
from rnnbench.errors import AxisRefused
from rnnbench.runs import own_files, readings
from rnnbench.store.config import Config

STEPS = ("input_steps", "max_steps", "bptt")  # the fact that says how many steps a prediction may need, by kind of data
MOST_LAYERS = 64  # beyond, no file has so many steps


def settle(config: Config) -> Config:
    """The config with a number of layers where it says covering (null).

    Raises AxisRefused where the number of steps is not known before the data is loaded; what reading the file raises.
    """
    if config["depth"]["layers"] is not None:
        return config
    layers = 1
    if _is_convolutional(config):
        reading = readings.of(own_files.with_content(config), fetch=True)
        steps = None if reading is None else steps_of(reading)
        if steps is None:
            name = config["dataset"]["meta"]["name"]
            raise AxisRefused(
                f"depth=covering: how many steps dataset={name} has is not known before it is loaded; "
                "give a number, depth=6."
            )
        layers = covering(steps, _kernel(config))
    return {**config, "depth": {**config["depth"], "layers": layers}}


def steps_of(reading: Reading) -> int | None:
    """How many steps a prediction may need: of a window, of the longest sequence, of a chunk of text."""
    found = [reading.facts[name] for name in STEPS if isinstance(reading.facts.get(name), int)]
    return found[0] if found else None


def field(layers: int, kernel: int) -> int:
    """The steps that an output of a TCN sees, its own included."""
    return int(1 + 2 * (kernel - 1) * (2**layers - 1))


def covering(steps: int, kernel: int) -> int:
    """The least number of layers whose field holds so many steps."""
    if kernel < 2:  # which the network refuses
        return 1
    return next((n for n in range(1, MOST_LAYERS) if field(n, kernel) >= steps), MOST_LAYERS)


def notes(configs: Iterable[Config]) -> list[str]:
    """Which of these runs see less of their input than there is, a sentence each."""
    said: dict[str, None] = {}
    for config in configs:
        if not _is_convolutional(config) or (reading := readings.of(config)) is None:
            continue
        steps, layers, kernel = steps_of(reading), config["depth"]["layers"], _kernel(config)
        if steps is not None and kernel > 1 and (sees := field(layers, kernel)) < steps:
            name, enough = config["dataset"]["meta"]["name"], covering(steps, kernel)
            said[
                f"cell={config['cell']['meta']['name']} depth={layers} sees {sees:,} of the {steps:,} steps of "
                f"dataset={name}; depth={enough} sees all of them, and depth=covering is as many as that takes."
            ] = None
    return [*said]


def _is_convolutional(config: Config) -> bool:
    return config["cell"]["meta"]["name"] == "tcn"


def _kernel(config: Config) -> int:
    node: Mapping[str, Any] = config["cell"]
    size = node["kernel_size"]
    return size if isinstance(size, int) else 0
