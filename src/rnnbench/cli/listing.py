"""What can be chosen: the command list."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rnnbench.cli.common import OK, Commands
from rnnbench.errors import BadInput

PARAMS_OF = "Parameters: of one layer of 64 units on 64 inputs (frames: channels), with each cell's own options."
OTHERS = "Others"  # the heading of cells that name no family
CELL_ROW = "{name:<14} {params:>11}  {about}"


def add(commands: Commands) -> None:
    """list."""
    listing = commands.add("list", _list, "List what can be chosen.")
    listing.add_argument(
        "what", metavar="GROUP",
        help="cells (by family, each with its parameters and its paper), datasets, axes, experiments, claims, "
        "or any group",
    )  # fmt: skip


def _list(args: argparse.Namespace) -> int:
    from rnnbench.errors import nearest
    from rnnbench.runs import own_choices, registry
    from rnnbench.runs.axes import axis_choices

    groups = (*registry.GROUPS, "experiment")
    what = args.what.removesuffix("s") if args.what.removesuffix("s") in groups else args.what
    if what == "axes":
        for group, names in axis_choices().items():
            print(f"{group:<10} {' '.join(names)}")
        return OK
    if what == "claims":
        from rnnbench.cli.claims import read

        for claim in read():
            print(f"{claim.n:>2}  {claim.text}")
        return OK
    if what not in groups:
        raise BadInput(f"unknown group {args.what!r}; {nearest(args.what, ['cells', 'datasets', 'axes', *groups])}")
    if what == "cell":
        _print_cells()
    else:
        for name in registry.choices(what):
            print(f"{name:<18} {registry.about(what, name)}")
    sys.stdout.flush()
    if registry.extra_dirs():  # what is broken is said below what there is
        for name in registry.choices(what):
            own_choices.check(what, name)
    return OK


def _print_cells() -> None:
    """The cells by family: name, parameters and what it is, and in the line below the paper."""
    from rnnbench.runs import registry
    from rnnbench.store.config import FAMILIES

    metas = {name: _meta(name) for name in registry.choices("cell")}
    print(PARAMS_OF)
    for family in (*FAMILIES, None):
        names = [name for name, meta in metas.items() if _family(meta) == family]
        if not names:
            continue
        print(f"\n{FAMILIES[family] if family else OTHERS}")
        for name in names:
            meta, about = metas[name], registry.about("cell", name)
            params = f"{meta['params']:,}" if isinstance(meta.get("params"), int) else ""
            print(CELL_ROW.format(name=name, params=params, about=about))
            if isinstance(meta.get("paper"), str):
                print(CELL_ROW.format(name="", params="", about=meta["paper"]))


def _family(meta: dict[str, Any]) -> str | None:
    """A cell's family; None where it names none that is known, which of a user's own is said by `own_choices.check`."""
    from rnnbench.store.config import FAMILIES

    family = meta.get("family")
    return family if isinstance(family, str) and family in FAMILIES else None


def _meta(name: str) -> dict[str, Any]:
    """What a cell's yaml says of it; nothing where it is broken, which is said below."""
    from rnnbench.runs import registry

    try:
        meta = registry.read("cell", name).get("meta")
    except BadInput:
        return {}
    return meta if isinstance(meta, dict) else {}
