"""`rnnbench show --kernel CELL`: the C that a cell's step becomes, and what compiles it here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnbench.cli.common import OK
from rnnbench.errors import BadInput

if TYPE_CHECKING:
    from rnnbench.nn import Cell

DTYPES = ("float32", "float64")


def show_kernel(name: str, overrides: Sequence[str], *, dtype: str, whole: bool) -> int:
    """Print the C of a cell: its two loops, or with whole the source as it is compiled. No compiler is needed.

    name, overrides: as `cell=` and the others of `run`. dtype: of DTYPES. Raises BadInput where there is no such cell,
    or its step has no compiled loop.
    """
    from rnnbench.runs import registry
    from rnnbench.runs.host import room_for_torch

    registry.choice_path("cell", name)
    if any(word.partition("=")[0] == "cell" for word in overrides):
        raise BadInput(f"--kernel {name} names the cell; leave cell=... out.")
    room_for_torch()
    from rnnbench.nn.backends.compiled import does_not_compile, program_of
    from rnnbench.nn.backends.compiled.emit import loops

    cell = _cell(name, overrides)
    if why := does_not_compile(cell):
        raise BadInput(f"cell={name} has no compiled loop: {why}; docs/speed.md has what a step may use.")
    program = program_of(cell, dtype)
    print(_head(" ".join([f"cell={name}", *overrides]), program.source, dtype, whole=whole))
    print(program.source if whole else loops(program.layout), end="")
    return OK


def _cell(name: str, overrides: Sequence[str]) -> Cell:
    """The cell as a run would make it, of any size: the C is the same for all. Raises BadInput."""
    from rnnbench.runs.axes import check_axes, is_rival
    from rnnbench.runs.build import cell_factory
    from rnnbench.runs.compose import compose

    config, _ = compose([f"cell={name}", *overrides])
    operator = config["cell"]["meta"]["operator"]
    if is_rival(config):
        raise BadInput(f"cell={name} has no compiled loop: it is no recurrent cell and has no step.")
    if operator != "dense":
        raise BadInput(
            f"cell={name} has no compiled loop: its operator is {operator}, and products of vectors compile."
        )
    check_axes(config)
    return cell_factory(config)(8, config["hidden_size"] or 64)


def _head(asked: str, source: str, dtype: str, *, whole: bool) -> str:
    """What is shown, and what makes a library of it on this machine, as a comment of C."""
    from importlib.resources import files

    from rnnbench import toolchain
    from rnnbench.nn.backends.compiled.emit import FIXED

    folder = files("rnnbench.nn.backends.compiled")
    lines = [f"{asked}, R = {dtype}: " + ("the source as it is compiled" if whole else "the two loops")]
    if not whole:
        lines.append(f"with --whole all of it: {', '.join(FIXED)} before them, of {folder}")
    tools = toolchain.find()
    if tools is None:
        lines.append(f"not compiled here: {toolchain.why_none()}")
    else:
        lines.append(f"compiler: {tools.compiler} for {tools.processor}: {' '.join((*tools.command, *tools.flags))}")
        library = toolchain.library_of(source, tools)
        lines.append(f"library: {library}" + ("" if library.exists() else " (not compiled yet)"))
    return "/* " + "\n   ".join(line.replace("*/", "* /") for line in lines) + " */\n"
