"""What every command of the front door shares: exit codes, the parser, the words of overrides, the console."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rnnbench._version import __version__
from rnnbench.cli.output import console as console
from rnnbench.errors import BadInput

if TYPE_CHECKING:
    from rnnbench.store.store import Store

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Trains every recurrent variant on shared tasks and logs the results to tables.

  rnnbench run   cell=lstm peephole=on depth=2 direction=bidirectional dataset=digits seed=0
  rnnbench sweep cell=rnn,lstm,gru depth=1,2 dataset=digits,adding "seed=range(5)"
  rnnbench sweep experiment=quickstart
  rnnbench tune  cell=gru 'optimizer.lr=tag(log,interval(1e-4,1e-1))' --trials 20 --final-seeds 5
  rnnbench leaderboard
"""
OVERRIDES = """\
Overrides are Hydra's: key=value. The axes are groups whose choices `rnnbench list` shows:
  cell=gru   depth=2   direction=bidirectional   peephole=on   dataset=adding
  budget=smoke|small|medium|paper   optimizer=adam|adamw|sgd|rmsprop   schedule=constant|cosine|onecycle|step
  tracker=none|wandb|tensorboard   forecast=encoder_forecaster|rollout (for datasets of frames)
and every option of a choice can be set: hidden_size=128  params=70k  optimizer.lr=0.01  dataset.T=100  clip=null
  input_noise=0.1  seed=0  backend=eager  device=cuda  precision=bf16  harness.timeout=600
"""
EXIT = "Exit codes: 0 all ok or skipped, 1 some failed, 2 bad input, 130 interrupted (the same command resumes)."


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong; the usage is in --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"rnnbench: {message}; see `{self.prog} --help`.\n")

    def commands(self) -> dict[str, argparse.ArgumentParser]:
        """The commands' own parsers by name."""
        found = [a for a in self._actions if isinstance(a, argparse._SubParsersAction)]
        return dict(found[0].choices) if found else {}

    def options(self, command: str) -> list[str]:
        """The options of a command: --results, -h ..."""
        return [option for action in self.commands()[command]._actions for option in action.option_strings]


class Commands:
    """The commands of the front door, each added by its module; all take --results and --config-dir."""

    def __init__(self) -> None:
        self.common = Parser(add_help=False)
        self.common.add_argument(
            "--results", metavar="DIR", help="the store (default: RNNBENCH_RESULTS, else results/)"
        )
        self.common.add_argument(
            "--config-dir", metavar="DIR", action="append",
            help="your own conf folder: DIR/cell/mine.yaml, DIR/mymodule.py",
        )  # fmt: skip
        raw = argparse.RawDescriptionHelpFormatter
        self.parser = Parser("rnnbench", description=DESCRIPTION, epilog=EXIT, formatter_class=raw)
        self.parser.add_argument("--version", action="version", version=f"rnnbench {__version__}")
        self._commands = self.parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(self, name: str, function: Callable[[argparse.Namespace], int], text: str, *, epilog: str = EXIT) -> Parser:
        """A command: what it is called, what it does, one sentence of help."""
        sub = self._commands.add_parser(
            name, parents=[self.common], help=text, description=text, epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.set_defaults(command=function)
        return sub


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Heavy imports within: they make objects by the hundred thousand and next to no garbage, and Python's collector,
    which looks through all of them again and again, takes a fifth of their time. It leaves them alone for good."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def positive(text: str) -> int:
    """A whole number of at least 1, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def whole(text: str) -> int:
    """A whole number of at least 0, as an option's type."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 0")
    return int(text)


def late(module: str, name: str) -> Callable[[str], Any]:
    """A reader of sweeps/ as an option's type, imported where the option is given; its BadInput is argparse's error."""

    def read(text: str) -> Any:
        import importlib
        from operator import attrgetter

        try:
            return attrgetter(name)(importlib.import_module(f"rnnbench.sweeps.{module}"))(text)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """KEY=VALUE words of a repeated option by key. Raises BadInput."""
    if wrong := [word for word in words if "=" not in word]:
        raise BadInput(f"{option} {wrong[0]}: it is KEY=VALUE.")
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def a_file_in_the_way(error: OSError, *, output: bool) -> str | None:
    """Why a folder could not be made, in a sentence, where a file has its name; None of any other error.

    output: whether the command has an option --output.
    """
    if not isinstance(error, (FileExistsError, NotADirectoryError)) or error.filename is None:
        return None
    path = Path(os.fsdecode(error.filename))
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    if file is None:
        return None
    return f"{file} is a file; " + ("--output names a folder." if output else "a folder is needed there.")


def show_report(store: Store, name: str, shown: Any, remarks: Sequence[str]) -> int:
    """Print what a report of a sweep has to say, its remarks on the error stream. Returns OK."""
    from rnnbench.face.selecting import stale_remarks

    for remark in [*remarks, *stale_remarks(store, name)]:
        print(remark, file=sys.stderr)
    console().print(shown)
    return OK
