"""What commands print, safe on every terminal: no character of a record, a path or a name is obeyed by it.

One place for all: while a command runs, what is written to the two standard streams is made printable. Rich, which
colours with the very characters that are taken out here, writes past it, and what it is given is cleaned before.
"""

from __future__ import annotations

import contextlib
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from rnnbench.store.text import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.measure import Measurement

PADDING = re.compile(r"[ \t]+(?=\n|\Z)")


class Printable:
    """A stream that takes text and writes it printable; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # where rich looks for the stream that it may colour

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(printable(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def printable_streams() -> Iterator[None]:
    """Everything that is printed meanwhile is printable."""
    out, err = Printable(sys.stdout), Printable(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


class _Trimmed:
    """A stream without the blanks that pad lines to the right: nobody sees them, and they end in files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(PADDING.sub("", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def console() -> Console:
    """A console that wraps nothing away where the output is a file or a pipe, and pads no line there.

    A text is a text: nothing in it is rich's markup, or a character that a terminal obeys.
    """
    from rich.console import Console

    stream = sys.stdout.rich_proxied_file if isinstance(sys.stdout, Printable) else sys.stdout
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    if not stream.isatty():
        plain |= {"width": 120, "file": _Trimmed(stream)}
    made = Console(**plain)
    hook = types.SimpleNamespace(process_renderables=lambda renderables: [_Cleaned(each) for each in renderables])
    made.push_render_hook(cast("RenderHook", hook))  # as a subclass it would have to import rich at every start
    return made


@dataclass(frozen=True)
class _Cleaned:
    """Something to print, its texts printable, the control codes of rich's own as they are."""

    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for text, style, control in console.render(self.inner, options):
            yield Segment(text if control else printable(text), style, control)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, self.inner)
