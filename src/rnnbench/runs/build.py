"""Config -> objects. The only file that instantiates: a resolved config in, task, network and optimizer out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from hydra._internal.utils import _locate
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput
from rnnbench.nn import (
    Cell,
    EncoderForecaster,
    Peephole,
    Rival,
    Rollout,
    Sampling,
    SequenceModel,
    build_stack,
    make_encoder,
    solve_hidden_size,
    start,
)
from rnnbench.runs import demand, own_source, registry, training_options
from rnnbench.runs.axes import is_rival
from rnnbench.runs.typed_paths import escaped
from rnnbench.seeds import derive
from rnnbench.store.config import Composed, Config, OptimizerNode
from rnnbench.training import optimizers
from rnnbench.training.module import FitOptions


def _make(node: Mapping[str, object], what: str, *, but: str = "meta", **extra: Any) -> Any:
    """Instantiate a config node without its key `but`; a wrong option is BadInput, not a traceback."""
    kept = {k: _as_text(v) for k, v in node.items() if k != but}
    registry.import_extra_dirs()
    try:
        with own_source.importing(kept):
            return instantiate(kept, **extra, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, BadInput):
            raise cause from None
        text = " ".join(str(cause or error).split())
        raise BadInput(f"{what}: {text}") from error


def _as_text(value: Any) -> Any:
    """A resolved value as it stands once `instantiate` has resolved it twice more: a file may be called ${seed}."""
    if isinstance(value, Mapping):
        return {key: _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return escaped(escaped(value)) if isinstance(value, str) else value


def import_own(config: Mapping[str, Any]) -> dict[str, str] | None:
    """Import the user's classes that a config names, and return what their source says (`own_source.of`).

    Raises BadInput where it was edited meanwhile, or since this process imported it.
    """
    said = own_source.of(config)
    with own_source.importing(config):
        for target in own_source.targets_of(config) if said else ():
            with contextlib.suppress(Exception):  # whoever makes it says what is wrong
                _locate(target)  # hydra.utils.get_object would print the error
    if own_source.of(config) != said:
        raise BadInput("a module of yours was edited while the run was starting; the same command starts it again.")
    return said


def make_task(config: Config) -> Task:
    """The dataset with its protocol. Raises BadInput on a wrong option, or a class that is no Task."""
    node, what = config["dataset"], f"dataset={config['dataset']['meta']['name']}"
    task = _make(node, what)
    if not isinstance(task, Task):
        target = node["_target_"]
        raise BadInput(f"{what}: {target} is no rnnbench.datasets.Task; derive your class from it.")
    return task


def cell_factory(config: Config, space: tuple[int, int] | None = None) -> Callable[[int, int], Cell]:
    """(input_size, hidden_size) -> cell, with the chosen peepholes where the cell takes any.

    space: the (H, W) that the cell sees, for peepholes with a weight a pixel.
    """
    node = config["cell"]
    name = f"cell={node['meta']['name']}"
    extra: Composed = {}
    if node["meta"].get("peephole_gates"):
        try:
            chosen: Composed = {k: v for k, v in config["peephole"].items() if k != "meta"}
            extra["peephole"] = Peephole(**chosen)
        except (TypeError, ValueError) as error:
            raise BadInput(str(error)) from None
        if space is not None and "hadamard" in node["meta"].get("peephole_shapes", ()):
            extra["space"] = space
    make = _make(node, name, _partial_=True)

    def cell(input_size: int, hidden_size: int) -> Cell:
        try:
            made: Cell = make(input_size, hidden_size, **extra)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{name}: {error}") from None
        return made

    return cell


def make_model(config: Config, task: Task) -> nn.Module:
    """The network, started from the run's own stream (see nn.start), on the CPU."""
    network = _forecaster(config, task) if task.spec.inputs == "frames" else _sequence_model(config, task)
    try:
        hidden, params = config["hidden_size"], config["params"]
        if not hidden:
            assert params is not None  # one of the two is given
            hidden = solve_hidden_size(network, params, multiple=_heads(config["cell"]))
        _refuse_too_large(config, network, hidden)
        model = network(hidden)
    except ValueError as error:
        raise error if isinstance(error, BadInput) else BadInput(str(error)) from None
    start(model, derive(config["seed"], "start"))
    return model


def _heads(node: Any) -> int:
    """What a cell's hidden size is a multiple of; a network without recurrence sees to its heads itself."""
    if not node["meta"].get("recurrent", True):
        return 1
    return max(1, *(int(node.get(name) or 1) for name in ("heads", "blocks")))


SURELY_SMALL = 2**20  # weights of a layer that need no second look


def _refuse_too_large(config: Config, network: Callable[[int], nn.Module], hidden: int) -> None:
    """Count a large network on the meta device, where nothing is allocated. Raises BadInput where it does not fit."""
    forecast = config.get("forecast")
    sizes = (forecast["sizes"] if forecast else None) or [hidden]
    if max(hidden, *sizes, config["encoder_size"] or 0) ** 2 * config["depth"]["layers"] < SURELY_SMALL:
        return
    with torch.device("meta"):
        weights = sum(p.numel() for p in network(hidden).parameters())
    on_gpu = config["device"] == "cuda" and torch.cuda.is_available()
    there = torch.cuda.get_device_properties(make_device(config)).total_memory if on_gpu else demand.memory()
    demand.refuse(weights * demand.FLOAT * demand.OF_TRAINING, there, f"a network of {weights:,} parameters")


def _sequence_model(config: Config, task: Task) -> Callable[[int], nn.Module]:
    """hidden size -> encoder, stack (or a network without recurrence in its place), head."""
    spec, depth, direction = task.spec, config["depth"], config["direction"]
    if is_rival(config):
        return _rival_model(config, task)
    cell = cell_factory(config)
    named, head = config["encoder"], config["head"]
    assert named is not None
    assert head is not None

    def network(hidden_size: int) -> nn.Module:
        encoder, size = make_encoder(named, spec.input_size, config["encoder_size"] or 0)
        stack = build_stack(
            cell, size, hidden_size, layers=depth["layers"], dropout=depth["dropout"], residual=depth["residual"],
            norm=depth["norm"], direction=direction["way"], merge=direction["merge"] or "concat",
            backend=config["backend"],
        )  # fmt: skip
        return SequenceModel(encoder, stack, head=head, output_size=spec.output_size)

    return network


def _rival_model(config: Config, task: Task) -> Callable[[int], nn.Module]:
    """hidden size -> encoder, network without recurrence, head."""
    name = f"cell={config['cell']['meta']['name']}"
    named, head = config["encoder"], config["head"]
    assert named is not None
    assert head is not None
    make = _make(
        config["cell"], name, _partial_=True, layers=config["depth"]["layers"], dropout=config["depth"]["dropout"],
        causal=config["direction"]["way"] == "forward", last_only=head == "last", steps=task.spec.max_length,
    )  # fmt: skip

    def network(hidden_size: int) -> nn.Module:
        encoder, size = make_encoder(named, task.spec.input_size, config["encoder_size"] or 0)
        try:
            rival: Rival = make(size, hidden_size)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{name}: {error}") from None
        return SequenceModel(encoder, rival, head=head, output_size=task.spec.output_size)

    return network


def _forecaster(config: Config, task: Task) -> Callable[[int], nn.Module]:
    """hidden size -> Shi's encoder-forecaster, or the rollout."""
    spec, node = task.spec, config["forecast"]
    frame = spec.frame_shape
    assert node is not None
    assert frame is not None
    assert spec.output_steps is not None
    patch, flat = node["patch"], config["cell"]["meta"]["operator"] == "dense"
    space = (frame[1] // patch, frame[2] // patch)
    cell = cell_factory(config, space)
    common: Composed = {"steps": spec.output_steps, "patch": patch, "flat": flat, "bias": node["bias"]}

    def network(hidden_size: int) -> nn.Module:
        sizes = node["sizes"] or [hidden_size] * config["depth"]["layers"]
        if node["kind"] == "encoder_forecaster":
            assert node["reads"] is not None
            return EncoderForecaster(cell, frame, sizes, reads=node["reads"], **common)
        assert node["sampling"] is not None
        assert node["decouple"] is not None
        options: Composed = {**node["sampling"]}
        if options["stop"] is None:
            options["stop"] = config["budget"]["updates"]
        return Rollout(cell, frame, sizes, sampling=Sampling(**options), decouple=node["decouple"], **common)

    return network


def make_optimizer(config: Config) -> Callable[[list[nn.Parameter]], torch.optim.Optimizer]:
    return partial(_make_optimizer, config["optimizer"])


def _make_optimizer(node: OptimizerNode, params: list[nn.Parameter]) -> torch.optim.Optimizer:
    what = f"optimizer={node['name']}"
    options: Composed = optimizers.settled(node, params)
    if isinstance(options.get("betas"), list):
        options["betas"] = [float(beta) for beta in options["betas"]]  # torch takes no 0 for 0.0
    optimizer: torch.optim.Optimizer = _call(_make(options, what, but="name", _partial_=True), what, params)
    return optimizer


def _call(make: Callable[..., Any], what: str, argument: Any) -> Any:
    """Call what a config node made; an option that torch refuses is BadInput."""
    try:
        return make(argument)
    except Exception as error:  # torch's own are TypeError, ValueError, IndexError, ZeroDivisionError, RuntimeError
        raise BadInput(f"{what}: {' '.join(str(error).split())}") from error


def make_schedule(config: Config) -> Callable[[torch.optim.Optimizer], Any] | None:
    """optimizer -> schedule, stepped every update; None for a constant rate."""
    node = config["schedule"]
    if "_target_" not in node:
        return None
    what = f"schedule={node['name']}"
    return partial(_call, _make(node, what, but="name", _partial_=True), what)


TRIED = 10_000  # updates of a schedule that nothing is known of


def try_training(config: Config) -> None:
    """Step optimizer and schedule on one parameter as often as the run will: a schedule may fail at its last update.

    Raises BadInput in one sentence, naming what failed.
    """
    updates = config["budget"]["updates"]
    steps = 1 if config["schedule"].get("_target_") in training_options.SCHEDULES else min(updates, TRIED)
    optimizer = make_optimizer(config)([nn.Parameter(torch.zeros(1, requires_grad=True))])
    make = make_schedule(config)
    schedule = make(optimizer) if make else None
    what = "schedule" if schedule is not None else "optimizer"
    try:
        for _ in range(steps):
            optimizer.step()
            if schedule is not None:
                schedule.step()
    except Exception as error:  # of a class that may be anybody's
        name = config["schedule"]["name"] if schedule is not None else config["optimizer"]["name"]
        raise BadInput(f"{what}={name}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def fit_options(config: Config, *, spent: float = 0.0) -> FitOptions:
    """What the training loop reads of the config. spent: seconds that earlier attempts took of the time limit."""
    budget, harness, seed = config["budget"], config["harness"], config["seed"]
    return FitOptions(
        updates=budget["updates"],
        batch_size=budget["batch_size"],
        val_every=budget["val_every"],
        patience=budget["patience"],
        clip=config["clip"],
        precision=config["precision"],
        order_seed=derive(seed, "order"),
        noise_seed=derive(seed, "noise"),
        input_noise=config.get("input_noise"),
        input_noise_seed=derive(seed, "input_noise"),
        timeout=None if harness["timeout"] is None else max(0.0, harness["timeout"] - spent),
        checkpoint_seconds=harness["checkpoint_seconds"],
    )


def make_device(config: Config) -> torch.device:
    """The device of a resolved config. Raises BadInput when a CUDA device is asked for and there is none."""
    if config["device"] == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BadInput("device=cuda: torch sees no CUDA device; use device=cpu, or install a CUDA build of torch.")
    return torch.device("cuda", config["harness"]["device_index"])
