"""Where Hydra composes: whole, or once for each distinct set of group choices, with the plain values applied after.

Hydra takes 30 to 150 ms a config, nearly all of it for reading and merging the groups' files; a sweep over values asks
for the same groups thousands of times. So the unresolved config of a set of choices is kept, and a run copies it and
sets its values with Hydra's own function before anything is resolved: what is interpolated (schedule.max_lr:
${optimizer.lr}) follows as ever. tests/runs/test_runs_hydra_groups.py proves the two equal.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnbench.runs import registry

KEPT = 2048  # sets of choices; one takes 10 kB
_kept: dict[tuple[tuple[str, ...], object], tuple[bytes, dict[str, str]]] = {}


def composed(texts: Sequence[str], parsed: Sequence[Override]) -> tuple[DictConfig, dict[str, str]]:
    """The unresolved config of plain overrides, and the choice of each group: equal to `whole(texts)`, and faster.

    Raises HydraException, OmegaConfBaseException and yaml's errors as Hydra does.
    """
    pairs = list(zip(texts, parsed, strict=True))
    values = [override for _, override in pairs if override.key_or_group not in registry.GROUPS]
    if not all(map(_is_value, values)):
        return whole(texts)
    groups = [text for text, override in pairs if override.key_or_group in registry.GROUPS]
    if len({text.partition("=")[0] for text in groups}) == len(groups):  # of two of one group the last one counts
        groups.sort()
    base, picked = _of_groups(tuple(groups), _fingerprint())
    config: DictConfig = pickle.loads(base)
    try:
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except (HydraException, OmegaConfBaseException):
        return whole(texts)  # which fails in Hydra's own words
    return _opened(config), dict(picked)


def whole(texts: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The unresolved config as Hydra composes it in one go, and the choice of each group."""
    config, picked = _composed_by_hydra(texts)
    return _opened(config), picked


def _composed_by_hydra(texts: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    registry.check_names()
    folder = str(registry.config_dir())
    search = ",".join(f"'file://{d}'" for d in registry.extra_dirs())
    extra = [f"hydra.searchpath=[{search}]"] if search else []
    with _callers_hydra_aside(), initialize_config_dir(version_base="1.3", config_dir=folder):
        config = hydra_compose("config", overrides=[*texts, *extra], return_hydra_config=True)
    picked = {g: str(config.hydra.runtime.choices[g]) for g in registry.GROUPS}
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    OmegaConf.set_struct(config, True)
    return config, picked


@contextlib.contextmanager
def _callers_hydra_aside() -> Iterator[None]:
    """Hydra is one a process, and refuses a second; a notebook may have set it up for itself."""
    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs


def _opened(config: DictConfig) -> DictConfig:
    OmegaConf.set_struct(config, False)
    return config


def _is_value(override: Override) -> bool:
    """Whether Hydra takes an override for a value: not where a folder of that name makes it the choice of a group."""
    key = override.key_or_group
    if override.package is not None or "/" in key or "@" in key:
        return False
    return not any((folder / key).is_dir() for folder in registry.search_dirs())


def _of_groups(groups: tuple[str, ...], fingerprint: object) -> tuple[bytes, dict[str, str]]:
    """Pickled: a copy of it costs less than half of what copy.deepcopy takes, and nobody can change it."""
    if (found := _kept.get((groups, fingerprint))) is None:
        config, picked = _composed_by_hydra(groups)
        found = (pickle.dumps(config, pickle.HIGHEST_PROTOCOL), picked)
        if len(_kept) >= KEPT:
            _kept.clear()
        every = tuple(sorted(f"{group}='{choice}'" for group, choice in picked.items()))
        _kept[groups, fingerprint] = _kept[every, fingerprint] = found  # the defaults it is compared with: the same
    return found


def _fingerprint() -> tuple[tuple[str, int, int], ...]:
    """The config files by name, time and size: an edited yaml counts at once, in the process that knew the old one."""
    found: list[tuple[str, int, int]] = []
    for folder in registry.search_dirs():
        for place in (folder, *(folder / group for group in registry.GROUPS)):
            found += _yamls(place)
    return tuple(found)


def _yamls(folder: Path) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            stats = [(e.path, e.stat()) for e in entries if e.name.endswith((".yaml", ".yml"))]
    except OSError:
        return []
    return sorted((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
