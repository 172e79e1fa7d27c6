"""Options that cannot act: a table of what has no effect in which context, so that no two ids mean the same bits.

A run that sets one is refused, and a sweep's cell with one is skipped with the reason, as an axis is that a cell
cannot take. The value an option has by itself is never refused. `tracker` and `harness` have no rows here: they are in
no id but for `harness.threads`, and every number of threads acts. Nor have bounds that a run may never reach (clip,
budget.patience). Imports neither torch nor hydra.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from rnnbench.errors import AxisRefused
from rnnbench.store.config import Config

Reason = Callable[[Any], str | None]  # resolved config -> why the options cannot act there; None where they can
Missing = object()  # the value of an option that a config does not have


class Rule(NamedTuple):
    """Options that cannot act where `why` gives a reason.

    rest: where the value at which they may stay comes from: of `plain`, what a run has by whom nothing is chosen; of
    `chosen`, what the files of the chosen groups say. only: what of the value the reason is about.
    """

    keys: tuple[str, ...]
    why: Reason
    rest: str = "plain"
    only: Callable[[Any], Any] = lambda value: value


def refuse(
    asked: Config, resolved: Config, plain: Config, chosen: Config, picked: Mapping[str, str], given: Collection[str]
) -> None:
    """Raise AxisRefused where an option that was asked for cannot act.

    asked: the config as it was composed; resolved: what it stands for. plain, chosen: see Rule. picked: the choice of
    each group; given: the keys that were set one by one.
    """
    if resolved["params"] is not None and "hidden_size" in given and asked["hidden_size"] is not None:
        raise AxisRefused(
            f"hidden_size={asked['hidden_size']} cannot act: params={resolved['params']} solves it; "
            "give one of the two."
        )
    _refuse_idle_schedule(asked["schedule"])
    for rule in RULES:
        if (why := rule.why(resolved)) is None:
            continue
        rests = plain if rule.rest == "plain" else chosen
        for key in rule.keys:
            value, rest = find(asked, key), find(rests, key)
            if value is Missing or (rest is not Missing and rule.only(value) == rule.only(rest)):
                continue
            group, option = key.partition(".")[0], f"{key}={shown(value)}"
            fix = "leave it out" if rest is Missing else f"use {key}={shown(rest)}"
            if group in picked and key not in given:
                option, fix = f"{option} of {group}={picked[group]}", "choose another"
            raise AxisRefused(f"{option} cannot act: {why}; {fix}.")


def _refuse_idle_schedule(schedule: Mapping[str, Any]) -> None:
    """Raise AxisRefused where a schedule without a class, which leaves the rate as it is, has an option."""
    if "_target_" in schedule:
        return
    for option, value in schedule.items():
        if option != "name":
            raise AxisRefused(
                f"schedule.{option}={shown(value)} cannot act: schedule={schedule['name']} leaves the rate as it is; "
                "leave it out."
            )


def find(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; Missing where a config has none."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return Missing
        node = node[part]
    return node


def shown(value: object) -> str:
    """A value as it is typed: null, true, [i,f]."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _on_sequences(config: Config) -> str | None:
    data = config["dataset"]["meta"]
    return None if data["inputs"] == "frames" else f"dataset={data['name']} has {data['inputs']}, no frames to forecast"


def _on_frames(config: Config) -> str | None:
    data = config["dataset"]["meta"]
    return f"dataset={data['name']} has frames, whose networks have neither" if data["inputs"] == "frames" else None


def _without_encoder(config: Config) -> str | None:
    return "there is no encoder" if config["encoder"] in (None, "none") else None


def _one_layer(config: Config) -> str | None:
    """Of a plain stack, whose layers are all alike."""
    if config["depth"]["layers"] != 1 or _sizes(config):
        return None
    return "there is one layer, and nothing between layers"


def _one_layer_dropout(config: Config) -> str | None:
    meta = config["cell"]["meta"]
    between = meta.get("dropout", "between" if meta.get("recurrent", True) else "within") == "between"
    return _one_layer(config) if between else None


def _one_layer_of_any(config: Config) -> str | None:
    """One layer, or forecast.sizes of one."""
    sizes = _sizes(config)
    return "there is one layer" if (len(sizes) if sizes else config["depth"]["layers"]) == 1 else None


def _sizes(config: Config) -> list[int] | None:
    forecast = config["forecast"]
    return forecast["sizes"] if forecast else None


def _own_sizes(config: Config) -> str | None:
    sizes = _sizes(config)
    return f"forecast.sizes={shown(sizes)} is the size of each layer" if sizes else None


def _even_sizes(config: Config) -> str | None:
    sizes = _sizes(config)
    if sizes is None or len(set(map(str, sizes))) > 1:
        return None
    return f"layers of one size are depth.layers={len(sizes)} hidden_size={sizes[0]}" if sizes else "it has no layer"


def _kind(config: Config) -> str | None:
    return config["forecast"]["kind"] if config["forecast"] else None


def _rollout(config: Config) -> str | None:
    return "a rollout's output sees its top layer" if _kind(config) == "rollout" else None


def _forecaster(config: Config) -> str | None:
    return "an encoder-forecaster is fed no frame to sample" if _kind(config) == "encoder_forecaster" else None


def _sampled(config: Config) -> tuple[str, Any] | None:
    """Mode and stop of the sampling of a rollout."""
    sampling = config["forecast"]["sampling"] if config["forecast"] else None
    return (sampling["mode"], sampling["stop"]) if sampling else None


def _no_schedule(config: Config) -> str | None:
    mode = (_sampled(config) or ("",))[0]
    return f"forecast.sampling.mode={mode} is the same at every update" if mode in ("own", "teacher") else None


def _no_alpha(config: Config) -> str | None:
    mode = (_sampled(config) or ("",))[0]
    return f"forecast.sampling.mode={mode} has no alpha, which is of reverse" if mode == "scheduled" else None


def _stopped_at_once(config: Config) -> str | None:
    never_samples = _sampled(config) == ("scheduled", 0)
    return "scheduled sampling that stops at 0 is forecast.sampling.mode=own" if never_samples else None


def _no_peephole(config: Config) -> str | None:
    return "there are no peepholes" if config["peephole"]["shape"] == "none" else None


def _output_gate_blind(config: Config) -> str | None:
    peephole, meta = config["peephole"], config["cell"]["meta"]
    if peephole["shape"] == "none" or {"o"} & set(peephole["gates"]) & set(meta.get("peephole_gates") or []):
        return None
    return "no output gate sees the cell state"


def _no_forget_gate(config: Config) -> str | None:
    edit = find(config, "cell.edit")
    return f"cell={config['cell']['meta']['name']} computes no forget gate" if edit in ("cifg", "nfg") else None


def _drawn_forget_bias(config: Config) -> str | None:
    longest = find(config, "cell.chrono")
    return None if longest in (None, Missing) else f"cell.chrono={shown(longest)} draws that bias"


def _no_biases(config: Config) -> str | None:
    return "there is no bias to draw" if find(config, "cell.biases") == 0 else None


def _no_momentum(config: Config) -> str | None:
    node = config["optimizer"]
    sgd = node.get("_target_") == "torch.optim.SGD"
    return "there is no momentum to dampen" if sgd and not node.get("momentum") else None


def _momentum_stays(config: Config) -> str | None:
    node = config["schedule"]
    still = node["name"] == "onecycle" and node.get("cycle_momentum") is False
    return "schedule.cycle_momentum=false leaves the momentum as it is" if still else None


def _momentum_cycles(config: Config) -> str | None:
    cycles = config["schedule"]["name"] == "onecycle" and config["schedule"].get("cycle_momentum") is True
    return "schedule.cycle_momentum=true sets the momentum itself" if cycles else None


def _flat_steps(config: Config) -> str | None:
    flat = config["schedule"]["name"] == "step" and config["schedule"].get("gamma") == 1
    return "the rate times 1 stays, as with schedule=constant" if flat else None


def _one_test_set(config: Config) -> str | None:
    fixed = _is_of(config, "MovingMNIST") and find(config, "dataset.protocol") == "shi2015"
    return "dataset.protocol=shi2015 has one test set" if fixed else None


def _no_bound(config: Config) -> str | None:
    depth, longest = find(config, "dataset.depth"), find(config, "dataset.longest_test")
    whole = isinstance(depth, int) and isinstance(longest, int)
    if not (_is_of(config, "Dyck") and whole and depth >= longest // 2):
        return None
    return f"words of {longest} brackets nest {longest // 2} deep at most"


def _is_of(config: Config, task: str) -> bool:
    return config["dataset"].get("_target_") == f"rnnbench.datasets.{task}"


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and value else value


FORECAST = ("forecast.kind", "forecast.patch", "forecast.sizes", "forecast.reads", "forecast.bias", "forecast.decouple")
SAMPLING = ("forecast.sampling.mode", "forecast.sampling.stop", "forecast.sampling.alpha")
RULES = (
    Rule((*FORECAST, *SAMPLING), _on_sequences),
    Rule(("encoder", "head"), _on_frames),
    Rule(("encoder_size",), _without_encoder),
    Rule(("depth.residual", "depth.norm"), _one_layer),
    Rule(("depth.dropout",), _one_layer_dropout),
    Rule(("cell.highway",), _one_layer_of_any, "chosen"),
    Rule(("hidden_size", "depth.layers", "params"), _own_sizes),
    Rule(("forecast.sizes",), _even_sizes),
    Rule(("forecast.reads",), _rollout, "chosen"),
    Rule(("forecast.reads",), _one_layer_of_any),
    Rule((*SAMPLING, "forecast.decouple"), _forecaster, "chosen"),
    Rule(("forecast.sampling.stop", "forecast.sampling.alpha"), _no_schedule),
    Rule(("forecast.sampling.alpha",), _no_alpha),
    Rule(("forecast.sampling.stop",), _stopped_at_once),
    Rule(("peephole.gates", "peephole.output_sees", "peephole.gradient", "peephole.start"), _no_peephole),
    Rule(("peephole.output_sees",), _output_gate_blind),
    Rule(("cell.forget_bias",), _no_forget_gate, "chosen"),
    Rule(("cell.forget_bias",), _drawn_forget_bias, "chosen"),
    Rule(("cell.chrono",), _no_biases, "chosen"),
    Rule(("optimizer.dampening",), _no_momentum, "chosen"),
    Rule(("optimizer.momentum",), _momentum_cycles, "chosen"),
    Rule(("optimizer.betas",), _momentum_cycles, "chosen", _first),
    Rule(("schedule.base_momentum", "schedule.max_momentum"), _momentum_stays, "chosen"),
    Rule(("schedule.gamma",), _flat_steps),
    Rule(("dataset.test_set",), _one_test_set, "chosen"),
    Rule(("dataset.depth",), _no_bound, "chosen"),
)
