"""The front door. Each command is a few lines that call one room. Imports nothing heavy before it knows the command."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence

from rnnbench.cli import claims, data, listing, page, reports, runs, search, stores, streams, sweeps, tables, tracking
from rnnbench.cli.common import BAD_INPUT, INTERRUPTED, OK, Commands, Parser, a_file_in_the_way
from rnnbench.cli.output import printable_streams
from rnnbench.errors import BadInput, no_room, no_start, unwritable
from rnnbench.store.record import RecordError
from rnnbench.store.text import sentence

READING = 50_000  # new objects before Python looks for garbage in cycles: at its 700 that is a tenth of a large table


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What a user can cause ends in one sentence, never in a traceback."""
    streams.never_fail()
    with printable_streams():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    args = _parse(argv)
    try:
        from rnnbench.runs import registry
        from rnnbench.runs.host import passive_threads

        passive_threads()
        for folder in args.config_dir or []:
            registry.add_config_dir(folder)
        registry.import_extra_dirs()
        if not hasattr(args, "overrides"):  # it reads: very many objects, hardly a cycle among them
            gc.set_threshold(READING)
        if hasattr(args, "overrides"):
            args.overrides = registry.take_search_path(args.overrides)
        command: Callable[[argparse.Namespace], int] = args.command
        code = command(args)
        sys.stdout.flush()  # here, where a reader that is gone can still be answered
        return code
    except (BadInput, RecordError) as error:
        print(f"rnnbench: {sentence(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("rnnbench: interrupted; the same command resumes.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `rnnbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:  # a store that is a file, a full disk
        if said := a_file_in_the_way(error, output=bool(getattr(args, "output", None))):
            print(f"rnnbench: {said}", file=sys.stderr)
            return BAD_INPUT
        what = f"{error.filename}: " if error.filename else ""
        said = unwritable(error, getattr(args, "output", None) or args.results or "results")
        print(f"rnnbench: {said or what + str(error.strerror or error)}.", file=sys.stderr)
        return BAD_INPUT
    except (MemoryError, ImportError) as error:
        if not no_room(error):
            raise
        print(f"rnnbench: {no_start(error)}.", file=sys.stderr)
        return BAD_INPUT


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of_all()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["run"]:  # as `wandb agent` says it
        words = tracking.agent_words(words, parser.options("run"))
    args, rest = parser.parse_known_args(words)
    args.words = words  # for a command that starts itself again
    several = next((name for name in ("overrides", "selection") if hasattr(args, name)), None)
    if rest and (several is None or any(word.startswith("-") for word in rest)):
        parser.error("unrecognized arguments: " + " ".join(rest))
    if rest and several:  # words behind an option: argparse takes only the first row of them
        setattr(args, several, [*getattr(args, several), *rest])
    return args


def parser_of_all() -> Parser:
    """The parser with every command."""
    commands = Commands()
    for module in (runs, listing, data, sweeps, search, stores, reports, tables, claims, page, tracking):
        module.add(commands)
    return commands.parser
