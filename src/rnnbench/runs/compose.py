"""Overrides -> resolved config. Hydra composes; this front door takes its traps out of the user's way.

Met and handled: an int as a group choice (`depth=2`) is refused by Hydra; on/off in yaml become booleans; `x=off` for a
boolean value is read as a truthy string; unknown names end in a traceback.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import hydra_groups, own_choices, registry, typed_paths
from rnnbench.runs.axes import check_integer, is_number, leaves
from rnnbench.store.config import Config
from rnnbench.store.parse import LARGEST

Choices = tuple[tuple[str, str], ...]  # group -> choice, sorted
ADDABLE = ("cell", "dataset", "optimizer", "schedule")  # their options go to a constructor, which knows more than ours
MOST = 1_000_000  # values that an override may list, and runs that a sweep may have: planning them takes an hour
NULLABLE = ("clip", "hidden_size", "tracker.")  # may be null though their default is not


def parse(text: str) -> Override:
    """One override in Hydra's grammar, but for the paths of files, which are taken as they are typed (`typed_paths`).

    Raises BadInput in one sentence.
    """
    return _parse(typed_paths.as_hydra_reads(text))


@functools.lru_cache(maxsize=1 << 16)  # a sweep asks for the same words again and again, at a third of a millisecond
def _parse(text: str) -> Override:
    if "=" not in text[1:] and not text.startswith("~"):
        raise BadInput(f"{text!r} is no override; write key=value, e.g. cell=lstm or optimizer.lr=0.01.")
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, ValueError) as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"cannot read {text!r}: {first} ({_quoting(text)}).") from None


def _quoting(text: str) -> str:
    """How an override is to be typed that Hydra's grammar refuses, where its value is one text or a list of texts."""
    key, _, value = text.partition("=")
    if not value or any(sign in value for sign in "[]{}'\",\\"):
        return "quote what the shell or Hydra may take for itself, a text in a list as in 'key=[\"a (b)\",c]'"
    typed = f'{key}="{value}"'
    return f"as one text: {shlex.quote(typed)}"


def expand(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Every run of a sweep, as plain overrides: the product of all that Hydra's sweep grammar lists.

    `cell=rnn,lstm`, `seed=range(5)`, `optimizer.lr=choice(0.1,0.01)`; the last override varies fastest.
    Raises BadInput on more than a million of them.
    """
    parts = []
    for text in overrides:
        override = parse(text)
        if not override.is_sweep_override():
            parts.append([plain(override)])
        elif override.is_discrete_sweep():
            parts.append([_text(override, value) for value in _elements(override)])
        else:
            raise BadInput(f"{text!r} is a continuous range; a sweep takes lists: choice(...), range(...) or a,b,c.")
    if (runs := math.prod(map(len, parts))) > MOST:
        raise BadInput(f"this sweep has {runs:,} combinations; {MOST:,} are the most that can be planned at once.")
    for combination in itertools.product(*parts):
        yield list(combination)


def plain(override: Override) -> str:
    """An override that names one value, as Hydra takes it. Raises BadInput on a list where one run is asked for."""
    if override.is_sweep_override():
        key, _, values = str(override.input_line).partition("=")
        is_option = "." in key and not re.search(r"[()\[\]{}]", values)
        one = f", or {key}=[{values}] where one list is meant" if is_option else ""
        raise BadInput(
            f"{override.input_line!r} lists several values; use `rnnbench sweep` for more than one run{one}."
        )
    return _text(override, override.value())


def _elements(override: Override) -> list[Any]:
    value = override.value()
    if isinstance(value, Glob):
        if override.key_or_group not in registry.GROUPS:
            raise BadInput(f"{override.input_line!r}: glob(...) picks choices of a group.")
        return list(value.filter(list(registry.choices(override.key_or_group))))
    check_range(override)
    try:
        return list(override.sweep_iterator())
    except ValueError as error:  # range(0,9,0)
        raise BadInput(f"cannot read {override.input_line!r}: {error}.") from None


def check_range(override: Override) -> None:
    """Refuse a range that lists more values than anybody can plan. Raises BadInput."""
    value = override.value()
    if not isinstance(value, RangeSweep) or not value.step:
        return
    start, stop = value.start or 0, value.stop or 0
    check_integer(override.key_or_group, [start, stop])
    if (values := (stop - start) / value.step) > MOST:
        raise BadInput(f"{override.input_line!r} lists {values:.3g} values; at most {MOST:,} can be planned at once.")


def _text(override: Override, value: Any) -> str:
    """key=value with the choice of a group quoted, so that `depth=2` and `peephole=on` are names."""
    key = override.key_or_group
    _check_key(override)
    if key not in registry.GROUPS:
        if override.input_line and not override.is_sweep_override():
            return override.input_line
        text = f"{_sign(override)}{override.get_key_element().lstrip('+~')}={_literal(value)}"
        return typed_paths.as_hydra_reads(text)
    if isinstance(value, QuotedString):
        value = value.text
    if isinstance(value, bool):  # `true` as the name of a choice
        value = str(value).lower()
    name = str(value)
    registry.choice_path(key, name)
    return f"{key}='{name}'"


def _check_key(override: Override) -> None:
    """Refuse what Hydra would take and a run cannot: keys removed, keys nothing reads, names that would be untrue."""
    key = override.key_or_group
    group, _, last = key.partition(".")
    if override.is_delete():
        raise BadInput(f"{override.input_line!r} removes what a run needs; choose another value instead.")
    if group == "hydra":
        raise BadInput(f"{key}: Hydra only composes here; your own configs come with --config-dir DIR.")
    if group in registry.GROUPS and (last == "name" or last.partition(".")[0] == "meta"):
        raise BadInput(
            f"{key} says what {group} is and is not set by hand; choose another, or give a yaml of your own."
        )
    if (override.is_add() or override.is_force_add()) and group not in ADDABLE and key not in leaves(defaults(())):
        raise BadInput(f"{key}: nothing reads such an option; + adds to {', '.join(ADDABLE)} only.")


def _sign(override: Override) -> str:
    return "++" if override.is_force_add() else "+" if override.is_add() else "~" if override.is_delete() else ""


def _literal(value: Any) -> str:
    if isinstance(value, QuotedString):
        return value.with_quotes()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    return "null" if value is None else str(value)


def compose(overrides: Sequence[str]) -> tuple[Config, dict[str, str]]:
    """The config of one run, interpolations resolved, and the choice of each group.

    Raises BadInput on an unknown group, choice or option (with the nearest names), or a value of the wrong type.
    """
    texts = [plain(parse(text)) for text in overrides]
    parsed = [parse(text) for text in texts]
    _check_own(parsed)
    try:
        composed, picked = hydra_groups.composed(texts, parsed)
        config = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise _explain(error, parsed) from None
    assert isinstance(config, dict)
    for key in sorted(OmegaConf.missing_keys(composed)):
        raise BadInput(f"{key} has no value (???); give {key}=VALUE.")
    for group, choice in picked.items() if registry.extra_dirs() else ():
        own_choices.check_composed(group, choice, config[group])
    resolved = cast(Config, {str(k): v for k, v in config.items()})
    reference = resolved if not _plain_keys(parsed) else defaults(tuple(sorted(picked.items())))
    for override in parsed:
        if override.key_or_group not in registry.GROUPS:
            _check_type(override, reference)
    return resolved, picked


def _check_own(parsed: Sequence[Override]) -> None:
    """Refuse a user's own choice that is broken, before Hydra meets it. Raises BadInput."""
    if not registry.extra_dirs():
        return
    for override in parsed:
        if override.key_or_group in registry.GROUPS:
            own_choices.check(override.key_or_group, str(_unquoted(override.value())))


@functools.cache
def defaults(choices: Choices) -> Config:
    """The config of these choices with nothing else overridden: what an option is compared with."""
    return compose([f"{group}={choice}" for group, choice in choices])[0]


def _plain_keys(parsed: Sequence[Override]) -> list[str]:
    return [o.key_or_group for o in parsed if o.key_or_group not in registry.GROUPS]


def key_of(text: str) -> str:
    """The key or group that an override sets. Raises BadInput."""
    return str(parse(text).key_or_group)


def last_value(overrides: Iterable[str], key: str) -> Any:
    """What overrides set a key to (the last of them counts), a word without its quotes; None where none sets it."""
    found = [parse(text).value() for text in overrides if key_of(text) == key]
    return _unquoted(found[-1]) if found else None


def _check_type(override: Override, reference: Config) -> None:
    """Refuse a value that is plainly of another type than the default; Hydra would carry it deep into the run."""
    key, value = override.key_or_group, _unquoted(override.value())
    is_file = typed_paths.is_file_option(*key.split(".", 1)) if "." in key else False
    if isinstance(value, str) and value.lower() in ("on", "off", "yes", "no") and not is_file:
        raise BadInput(
            f"{key}={value}: write true or false; {value!r} would be read as a string, and every string is true."
        )
    flat = leaves(reference)
    if inner := [k for k in flat if k.startswith(f"{key}.")]:
        raise BadInput(
            f"{key} holds options of its own; set them one by one, e.g. {inner[0]}={_literal(flat[inner[0]])}."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{key} must be a finite number, not {value!r}.")
    if isinstance(value, float) and abs(value) > LARGEST:
        raise BadInput(f"{key} must be a number of at most {LARGEST:g}, which a record can hold, not {value!r}.")
    default = flat.get(key)
    if (wanted := _wanted(key, default, value)) is not None:
        raise BadInput(f"{key} must be {wanted}, not {_literal(value)} (default {_literal(default)}).")


def _unquoted(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def _wanted(key: str, default: Any, value: Any) -> str | None:
    """What a value should be to be of the default's type, in words; None where it is, or where nobody can tell."""
    if default is None or (value is None and key.startswith(NULLABLE)):
        return None
    if isinstance(value, str) and "${" in value:
        return None  # it is taken from another option
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if is_number(default):
        return None if is_number(value) else "a number"
    if isinstance(default, list):
        example = default or [value]  # as it is typed
        return None if isinstance(value, list) else f"a list, as in {key}={_literal(example)}"
    return None if value is not None else "a name"


def _explain(error: Exception, parsed: Sequence[Override]) -> BadInput:
    """Hydra's error as one sentence with the nearest names."""
    text = " ".join(str(error).split())
    match = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if match is None:
        return BadInput(f"cannot compose the config: {text}")
    key = match.group(1)
    group = key.partition(".")[0]
    if group in registry.GROUPS:
        return _unknown_option(key, group, parsed)
    known = leaves(defaults(())) if _plain_keys(parsed) else {}
    return BadInput(f"unknown option {key!r}; {nearest(key, {*known, *registry.GROUPS})}")


def _unknown_option(key: str, group: str, parsed: Sequence[Override]) -> BadInput:
    """An option that a group's choice does not have, with the nearest that it has."""
    chosen = [o.value() for o in parsed if o.key_or_group == group]
    choice = str(getattr(chosen[-1], "text", chosen[-1])) if chosen else None
    known = leaves(registry.read(group, choice), group) if choice else leaves(defaults(()))
    options = [k for k in known if k.startswith(f"{group}.") and ".meta." not in k]
    return BadInput(f"unknown option {key!r} of {group}={choice or 'its default'}; {nearest(key, options)}")
