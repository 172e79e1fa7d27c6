"""What a run compares: checks the axes of a composed config, resolves what is `auto`, computes the display name.

Imports neither torch nor hydra, so a sweep is planned without them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from rnnbench.datasets.film import moving_mnist_file
from rnnbench.datasets.own import sources
from rnnbench.errors import AxisRefused, BadInput, nearest
from rnnbench.runs import backends, fields, registry, training_options
from rnnbench.store.config import (
    Composed,
    Config,
    DatasetNode,
    DirectionNode,
    ForecastNode,
    OptimizerNode,
    Options,
    PeepholeNode,
)
from rnnbench.store.record import Axes, canonical
from rnnbench.store.rows import is_network

Word = TypeVar("Word", str, str | None)  # null where an axis is none of this task's

DEFAULT_HIDDEN = 64
LIMIT = 2**63  # whole numbers are below
WAYS = {"forward": "", "backward": "Rev", "bidirectional": "Bi"}  # direction.way -> what it adds to the display name


def leaves(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every value of a nested config by its dotted key; a list counts as one value."""
    if not isinstance(config, dict):
        return {prefix: config}
    return {k: v for key, sub in config.items() for k, v in leaves(sub, f"{prefix}.{key}".lstrip(".")).items()}


def parse_count(value: Any, name: str = "params") -> int:
    """A count as people write it: 70000, "70k", "1.5M". Raises BadInput on anything else."""
    text = str(value).strip().lower().replace("_", "")
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:], 1)
    try:
        count = float(text[:-1] if factor > 1 else text) * factor
    except ValueError:
        count = 0.0
    if not 1 <= count < float("inf") or count != int(count):
        raise BadInput(f"{name}={value!r} is no count; write 70000, 70k or 1.5M.")
    check_integer(name, int(count))
    return int(count)


def resolve(config: Config) -> Config:
    """The config as it is recorded: every `auto` replaced by what it stands for. Raises BadInput, AxisRefused."""
    config = fields.settle(config)
    _check_values(config)
    check_axes(config)
    config = settle(config)
    meta = config["dataset"]["meta"]
    backends.check(config)
    if config["encoder"] == "none":
        config["encoder_size"] = None
    if meta["inputs"] == "frames":
        return config
    if (config["encoder"] == "embedding") != (meta["inputs"] == "tokens"):
        raise BadInput(f"encoder={config['encoder']}: dataset={meta['name']} has {meta['inputs']}; use encoder=auto.")
    if config["head"] != "every" and meta["outputs"] == "step":
        raise BadInput(f"head={config['head']}: dataset={meta['name']} has a target every step; use head=every.")
    if config["head"] == "every" and meta["outputs"] == "sequence":
        raise BadInput(f"head=every: dataset={meta['name']} has one target a sequence; use head=last or head=mean.")
    return config


def settle(config: Config) -> Config:
    """The config with every `auto` replaced, unchecked: two ways to ask for one run are equal from here on."""
    config = {**config}
    if config["params"] is not None:
        if config["hidden_size"] not in (None, DEFAULT_HIDDEN):
            raise AxisRefused(
                f"hidden_size={config['hidden_size']} cannot act: params={config['params']} solves it; "
                "give one of the two."
            )
        config["params"], config["hidden_size"] = parse_count(config["params"]), None
    meta = config["dataset"]["meta"]
    config["precision"] = str(config["precision"])
    config["input_noise"] = config["input_noise"] or None  # none is none, however it is asked for
    config["encoder"] = _auto(config["encoder"], "embedding" if meta["inputs"] == "tokens" else "none")
    config["head"] = _auto(config["head"], "every" if meta["outputs"] == "step" else "last")
    config["device"] = _auto(config["device"], "cuda" if cuda_present() else "cpu")
    config["backend"] = _auto(config["backend"], backends.stands_for(config))
    config["dataset"] = _dataset(config["dataset"])
    config["optimizer"] = _optimizer(config["optimizer"])
    config["peephole"] = _peephole(config)
    if meta["inputs"] == "frames":
        config |= {"encoder": None, "encoder_size": None, "head": None, "forecast": _forecast(config)}
    else:
        config["forecast"] = None
    return config


def _dataset(node: DatasetNode) -> DatasetNode:
    """The dataset as it is recorded: which of Moving MNIST's two test sets `auto` is, for they do not compare; and a
    source that stands for files of the user's own as these files, whose content is a part of the id."""
    options: Composed = {**node}
    own = sources.own_files(str(options.get("source"))) if "reader" in node["meta"] else {}
    if own and all(file.is_file() for file in own.values()) and all(options.get(key) is None for key in own):
        options |= {"source": None, **{key: str(file) for key, file in own.items()}}
    if node["meta"]["name"] == "moving_mnist":
        steps, clips = [options["input_steps"], options["output_steps"]], options["test"]
        if all(isinstance(n, int) for n in (*steps, clips or 0)):  # else its task refuses it
            options["test_set"] = moving_mnist_file.settled(options["test_set"], options["protocol"], sum(steps), clips)
    return cast(DatasetNode, options)


def _optimizer(node: OptimizerNode) -> OptimizerNode:
    """The optimizer; one whose step is asked to be torch's kernel has null, which stands for that by itself."""
    options: Composed = {**node}
    if options.get("fused") is True and training_options.fused_by_itself(options):
        options["fused"] = None
    return cast(OptimizerNode, options)


def _peephole(config: Config) -> PeepholeNode:
    """The peepholes with the gates that see any, in one order: [i,f,o] for all that the cell has, else those it has."""
    node, has = config["peephole"], config["cell"]["meta"].get("peephole_gates") or []
    gates = node["gates"]
    if node["shape"] == "none" or not has or not isinstance(gates, list) or not set(map(str, gates)) <= {*"ifo"}:
        return node
    seen = [gate for gate in "ifo" if gate in gates and gate in has]
    return {**node, "gates": [*"ifo"] if len(seen) == len(has) else seen}


def _forecast(config: Config) -> ForecastNode:
    """What of the forecast options the chosen network reads; the others are null and in no id."""
    node = config["forecast"]
    assert node is not None  # it is null of sequences only
    kind = _auto(node["kind"], config["cell"]["meta"].get("needs", "encoder_forecaster"))
    if kind == "encoder_forecaster":
        return {**node, "kind": kind, "sampling": None, "decouple": None}
    sampling = node["sampling"]
    if sampling is not None and sampling["stop"] == config["budget"]["updates"]:
        sampling = {**sampling, "stop": None}  # which stands for just that
    return {**node, "kind": kind, "reads": None, "sampling": sampling}


def _auto(value: Word, stands_for: str) -> Word:
    return stands_for if value == "auto" else value


WORDS = {
    "encoder": ("auto", "none", "linear", "embedding", "cnn"),
    "head": ("auto", "last", "every", "mean"),
    "backend": backends.WORDS,
    "device": ("auto", "cpu", "cuda"),
    "precision": ("32", "bf16"),
}
WHOLE = {  # key -> the least it may be
    "seed": 0,
    "hidden_size": 1,
    "depth.layers": 1,
    "budget.updates": 1,
    "budget.batch_size": 1,
    "budget.val_every": 1,
    "budget.patience": 1,
    "encoder_size": 1,
    "harness.threads": 1,
    "harness.device_index": 0,
}


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number of at least `least`; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_integer(key: str, value: object) -> None:
    """Refuse a whole number that no 64 bits hold, in a list, too: torch, numpy and the tables keep them so."""
    if isinstance(value, (list, tuple)):
        for each in value:
            check_integer(key, each)
    elif isinstance(value, int) and not -LIMIT <= value < LIMIT:
        raise BadInput(f"{key} must lie between -2^63 and 2^63 - 1, not at {_cut(value)}.")


def _cut(value: int) -> str:
    """A whole number in words short enough for a sentence."""
    digits = int(math.log10(abs(value))) + 1
    return str(value) if digits <= 24 else f"a number of {digits:,} digits"


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_values(config: Config) -> None:
    """Refuse values that no run can have, whatever its axes. Raises BadInput."""
    for option, found in leaves(dict(config)).items():
        check_integer(option, found)
    values: Mapping[str, object] = config
    for key, known in WORDS.items():
        if (value := str(values[key])) not in known:
            raise BadInput(f"unknown {key} {value!r}; {nearest(value, known)}")
    _check_whole_numbers(config)
    _check_other_numbers(config)
    _check_noise(config)
    _check_direction(config["direction"])
    training_options.check(config)


def _check_whole_numbers(config: Config) -> None:
    """Refuse what counts nothing."""
    nullable = {"budget.patience"} if config["params"] is None else {"budget.patience", "hidden_size"}
    flat = leaves(dict(config))
    for key, least in WHOLE.items():
        value = flat[key]
        if value is None and key in nullable:
            continue
        if not is_whole(value, least):
            raise BadInput(f"{key} must be a whole number of at least {least}, not {value!r}.")


def _check_other_numbers(config: Config) -> None:
    dropout, clip, timeout = config["depth"]["dropout"], config["clip"], config["harness"]["timeout"]
    if not 0 <= dropout < 1:
        raise BadInput(f"depth.dropout must be at least 0 and below 1, not {dropout!r}.")
    if clip is not None and clip <= 0:
        raise BadInput(f"clip must be above 0 (null: no clipping), not {clip!r}.")
    if timeout is not None and not (is_number(timeout) and timeout > 0):
        raise BadInput(f"harness.timeout must be seconds above 0 (null: no limit), not {timeout!r}.")


def _check_noise(config: Config) -> None:
    """Refuse noise that is no standard deviation, or that a dataset's inputs cannot have."""
    noise, data = config["input_noise"], config["dataset"]["meta"]
    if noise is None:
        return
    if not (is_number(noise) and noise >= 0):
        raise BadInput(f"input_noise must be a standard deviation of at least 0 (null: none), not {noise!r}.")
    if noise and data["inputs"] == "tokens":
        raise BadInput(
            f"input_noise={noise:g}: dataset={data['name']} has tokens, which take no noise; use input_noise=null."
        )


def _check_direction(direction: DirectionNode) -> None:
    """Refuse a way that there is not, and a merge that does not belong to it."""
    way, merge = direction["way"], direction["merge"]
    if way not in WAYS:
        raise BadInput(f"unknown direction.way {way!r}; {nearest(str(way), WAYS)}")
    if way == "bidirectional" and merge not in ("concat", "sum"):
        raise BadInput(f"direction.merge must be concat or sum, not {merge!r}.")
    if way != "bidirectional" and merge is not None:
        raise BadInput(f"direction.merge must be null with direction={way}, not {merge!r}.")


def check_axes(config: Config) -> None:
    """Refuse an axis the cell or the task cannot take. Raises AxisRefused with the reason in one sentence."""
    cell, peephole, direction = config["cell"]["meta"], config["peephole"], config["direction"]
    if peephole["shape"] != "none":
        allowed = cell.get("peephole_gates") or []
        if not allowed:
            why = cell.get("no_peephole", "it has no cell state to see")
            raise AxisRefused(f"cell={cell['name']} takes no peephole: {why}; use peephole=off.")
        if not set(peephole["gates"]) & set(allowed):
            asked = ", ".join(peephole["gates"])
            raise AxisRefused(f"cell={cell['name']} has peepholes on {', '.join(allowed)} only, not on {asked}.")
        shapes = cell.get("peephole_shapes", ["per_channel"])
        if peephole["shape"] not in shapes:
            raise AxisRefused(
                f"cell={cell['name']} takes peepholes of shape {', '.join(shapes)}, not {peephole['shape']}; "
                "the others are for convolutional cells."
            )
    if is_rival(config):
        _check_rival(config)
    data = config["dataset"]["meta"]
    if data["inputs"] == "frames":
        _check_frames(config)
    elif cell["operator"] != "dense":
        raise AxisRefused(f"cell={cell['name']} works on frames; dataset={data['name']} has {data['inputs']}.")
    if data.get("causal") and direction["way"] != "forward":
        raise AxisRefused(
            f"direction={direction['way']} would see the very steps that dataset={data['name']} asks to predict; "
            "use direction=forward."
        )


def is_rival(config: Config) -> bool:
    """Whether the chosen cell is none, but a network over whole sequences (mlp, tcn, transformer)."""
    return not config["cell"]["meta"].get("recurrent", True)


def _check_rival(config: Config) -> None:
    """Refuse what a network without recurrence cannot be. Raises AxisRefused with the reason in one sentence."""
    cell, direction, depth = config["cell"]["meta"], config["direction"], config["depth"]
    name = f"cell={cell['name']}"
    if config["dataset"]["meta"]["inputs"] == "frames":
        raise AxisRefused(f"{name} is no recurrent cell, and a network that predicts frames is made of those.")
    if direction["way"] not in cell["directions"]:
        raise AxisRefused(f"{name} takes no direction={direction['way']}: {cell['no_direction']}.")
    if direction["merge"] == "sum":
        raise AxisRefused(f"{name} has no two directions to sum; use direction=bidirectional.")
    if depth["residual"] or depth["norm"] != "none":
        raise AxisRefused(f"{name} has no depth.residual and no depth.norm: its layers are its paper's as they are.")


def _check_frames(config: Config) -> None:
    """Refuse what a network that predicts frames cannot be."""
    assert config["forecast"] is not None
    cell, depth, kind = config["cell"]["meta"], config["depth"], config["forecast"]["kind"]
    if kind not in ("auto", "encoder_forecaster", "rollout"):
        raise BadInput(f"unknown forecast.kind {kind!r}; {nearest(str(kind), ['encoder_forecaster', 'rollout'])}")
    if cell.get("needs") == "rollout" and kind == "encoder_forecaster":
        raise AxisRefused(f"cell={cell['name']}'s memory moves between layers at every step; use forecast=rollout.")
    if config["direction"]["way"] != "forward":
        raise AxisRefused(f"direction={config['direction']['way']} would see the frames to predict; use forward.")
    if depth["dropout"] or depth["residual"] or depth["norm"] != "none":
        raise AxisRefused("depth.dropout, depth.residual and depth.norm are for sequences; frames run plain layers.")


def cuda_present() -> bool:
    """Whether there is a CUDA device, asked of torch only where the system has an NVIDIA driver at all."""
    if "torch" not in sys.modules and sys.platform == "linux" and not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return torch.cuda.is_available()


def describe(config: Config, options: Options) -> Axes:
    """The record's `axes`: what was compared, with the display name computed from it.

    options: what differs from the defaults of the chosen groups, by dotted key (see `differences`).
    """
    return {
        "label": label(config, options),
        "cell": config["cell"]["meta"]["name"],
        "cell_version": config["cell"]["meta"]["version"],
        "operator": config["cell"]["meta"]["operator"],
        "peephole": peephole_label(config["peephole"]),
        "direction": config["direction"]["way"],
        "depth": _layers(config),
        "hidden_size": config["hidden_size"],
        "params_budget": config["params"],
        "encoder": config["encoder"],
        "head": config["head"],
        "forecast": None if config["forecast"] is None else config["forecast"]["kind"],
        "backend": config["backend"],
        "optimizer": config["optimizer"]["name"],
        "schedule": config["schedule"]["name"],
        "options": dict(options),
    }


def _layers(config: Config) -> int:
    """How many layers the network has: those of forecast.sizes, where each has its own."""
    forecast = config["forecast"]
    sizes = forecast["sizes"] if forecast else None
    return len(sizes) if sizes else int(config["depth"]["layers"])


def label(config: Config, options: Options) -> str:
    """The display name: `LSTM`, `BiGRU x2`, `LSTM +peephole(detach) h=128 [cell.forget_bias=1]`.

    Options that say what the network is stand in it; how it was trained (optimizer, clip ...) is searched over.
    """
    way, layers = config["direction"]["way"], _layers(config)
    name = WAYS[way] + config["cell"]["meta"]["label"]
    parts = [name]
    if layers > 1:
        parts.append(f"x{layers}")
    if (peephole := peephole_label(config["peephole"])) != "off":
        parts.append("+peephole" if peephole == "on" else f"+peephole({peephole})")
    if config["direction"]["merge"] == "sum":
        parts.append("sum")
    if config["params"] is not None:
        parts.append(f"{config['params']:,} params")
    elif config["hidden_size"] != DEFAULT_HIDDEN and "forecast.sizes" not in options:
        parts.append(f"h={config['hidden_size']}")
    shown = {k: v for k, v in options.items() if is_network(k)}
    if shown:
        parts.append("[" + ", ".join(f"{k.removeprefix('depth.')}={v}" for k, v in sorted(shown.items())) + "]")
    return " ".join(parts)


def peephole_label(peephole: PeepholeNode) -> str:
    """off | on | how it differs from `on`: "detach", "gates=if", "hadamard, detach" ..."""
    if peephole["shape"] == "none":
        return "off"
    on = {
        "shape": "per_channel",
        "gates": ["i", "f", "o"],
        "output_sees": "current",
        "gradient": "full",
        "start": "zero",
    }
    words = {
        "gates": lambda v: "gates=" + "".join(v),
        "output_sees": lambda v: f"o sees {v}",
        "start": lambda v: f"start={v}",
    }
    chosen: Mapping[str, object] = peephole
    found = [words.get(k, str)(chosen[k]) for k in on if chosen[k] != on[k]]
    return ", ".join(found) or "on"


def differences(config: Config, reference: Config) -> Options:
    """What of a settled config was overridden by value: dotted key -> value.

    Left out is what record and label have a place for: dataset, budget, seed, sizes, peephole, direction.
    """
    skip = ("seed", "hidden_size", "params", "tracker.", "harness.", "dataset.", "budget.", "peephole.", "direction.",
            "depth.layers")  # fmt: skip
    base = leaves(reference)
    if config["encoder"] == "none":  # then its size is nothing's
        base["encoder_size"] = None
    return {k: canonical(v) for k, v in leaves(config).items() if not k.startswith(skip) and base.get(k) != v}


def title(axes: Axes, dataset: str, seed: int) -> str:
    """A run in words, for progress lines and trackers: what it is, on what, how it is trained where that was chosen."""
    trained = ((axes["optimizer"], "adam"), (axes["schedule"], "constant"))
    chosen = [str(name) for name, usual in trained if name != usual]
    options = {k: v for k, v in axes["options"].items() if not is_network(k)}
    chosen += [f"{k}={'null' if v is None else v}" for k, v in sorted(options.items())]
    return " · ".join([axes["label"], dataset, *([", ".join(chosen)] if chosen else []), f"seed {seed}"])


def axis_choices() -> dict[str, list[str]]:
    """The choices of every axis, by group, as `rnnbench list axes` prints them."""
    return {group: list(registry.choices(group)) for group in registry.AXES}
