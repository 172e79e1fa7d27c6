"""Where the configs are and what they offer: the folder listing IS the registry. Imports neither hydra nor torch."""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from rnnbench.errors import BadInput, nearest
from rnnbench.store.config import Composed

# The groups of config.yaml's defaults list; `experiment` holds whole sweeps by name and is no part of a run.
GROUPS = ("cell", "depth", "direction", "peephole", "dataset", "forecast", "optimizer", "schedule", "budget", "tracker")
AXES = ("cell", "depth", "direction", "peephole", "dataset")


def config_dir() -> Path:
    """rnnbench's own config folder, absolute: the one packaged with it, else the checkout's (editable install)."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise BadInput(f"rnnbench's config folder is missing beside {package}; reinstall rnnbench.")


def extra_dirs() -> list[Path]:
    """The user's own config folders, from --config-dir and RNNBENCH_CONFIG_DIR (separated as PATH is)."""
    names = [n for n in os.environ.get("RNNBENCH_CONFIG_DIR", "").split(os.pathsep) if n]
    if missing := [n for n in names if not Path(n).is_dir()]:
        raise BadInput(f"RNNBENCH_CONFIG_DIR names {missing[0]}, which is no folder.")
    return [Path(n).resolve() for n in names]


def add_config_dir(folder: str | Path) -> None:
    """Make a user's folder part of the registry, here and in every process started from here.

    Its yaml files are choices beside ours (folder/cell/mine.yaml), and its Python modules can be named by `_target_`.
    Raises BadInput when there is no such folder.
    """
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise BadInput(f"--config-dir {folder}: no such folder.")
    dirs = [str(d) for d in extra_dirs() if d != path]
    os.environ["RNNBENCH_CONFIG_DIR"] = os.pathsep.join([str(path), *dirs])
    import_extra_dirs()


def take_search_path(overrides: Sequence[str]) -> list[str]:
    """The overrides without `hydra.searchpath=[...]`, whose folders (file://, pkg://) become part of the registry.

    Raises BadInput where one of them is no folder.
    """
    kept = []
    for text in overrides:
        key, _, value = text.partition("=")
        if key != "hydra.searchpath":
            kept.append(text)
            continue
        for entry in value.strip("[]").split(","):
            place = entry.strip().strip("'\"")
            scheme, _, name = place.rpartition("://")
            if scheme == "pkg":
                spec = importlib.util.find_spec(name)
                if spec is None or not spec.submodule_search_locations:
                    raise BadInput(f"hydra.searchpath: no package {name!r} to import.")
                name = spec.submodule_search_locations[0]
            add_config_dir(name)
    return kept


def import_extra_dirs() -> None:
    """Make the modules in the user's config folders importable."""
    for folder in extra_dirs():
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def search_dirs() -> list[Path]:
    """Every config folder, ours before the user's own."""
    return [config_dir(), *extra_dirs()]


def check_names() -> None:
    """A name means one thing: raises BadInput where a user's choice is called like one of another folder."""
    for group in GROUPS if extra_dirs() else ():
        seen: dict[str, Path] = {}
        for path in (p for folder in search_dirs() for p in sorted((folder / group).glob("*.yaml"))):
            if path.stem in seen:
                raise BadInput(f"{path} and {seen[path.stem]} are both {group}={path.stem}; rename yours.")
            seen[path.stem] = path


def choices(group: str) -> dict[str, Path]:
    """The choices of a group by name, sorted (numbers by value)."""
    found: dict[str, Path] = {}
    for folder in reversed(search_dirs()):
        found |= {p.stem: p for p in (folder / group).glob("*.yaml")}
    return dict(sorted(found.items(), key=lambda item: (int(item[0]) if item[0].isdigit() else math.inf, item[0])))


def choice_path(group: str, name: str) -> Path:
    """The file of a choice. Raises BadInput with the nearest known names."""
    known = choices(group)
    if name not in known:
        raise BadInput(f"unknown {group} {name!r}; {nearest(name, known)}")
    return known[name]


def read(group: str, name: str) -> Composed:
    """A choice's yaml as it stands, without composing. Raises BadInput on an unknown name or broken yaml."""
    path = choice_path(group, name)
    stat = path.stat()
    return dict(_read(path, (stat.st_mtime_ns, stat.st_size)))


@functools.cache
def _read(path: Path, stamp: tuple[int, int]) -> Composed:
    """stamp: of the file's last writing, so that an edited one is read anew by a process that goes on (a notebook)."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a number of 5,000 digits
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if loaded is not None and not isinstance(loaded, dict):
        raise BadInput(f"{path} must be a mapping, `key: value` lines, not a {type(loaded).__name__}.")
    return loaded or {}


def experiment_asked(overrides: Sequence[str]) -> str | None:
    """The experiment that overrides name, if any."""
    named = [o.partition("=")[2] for o in overrides if o.partition("=")[0] == "experiment"]
    return named[0] if named else None


def refuse_experiment(overrides: Sequence[str], sweep: str, tune: str) -> None:
    """Raise BadInput where overrides of one run name a whole experiment. sweep, tune: what to use, with {} for it."""
    if name := experiment_asked(overrides):
        whole, use = ("search", tune) if "search" in read("experiment", name) else ("sweep", sweep)
        asked = f"experiment={name}"
        raise BadInput(f"{asked} is a whole {whole}; use {use.format(asked)}.")


def about(group: str, name: str) -> str:
    """The comment that a choice's file begins with: what it is, in a line."""
    first = choice_path(group, name).read_text(encoding="utf-8", errors="replace").splitlines()[:1]
    return first[0].lstrip("# ").strip() if first and first[0].startswith("#") else ""
