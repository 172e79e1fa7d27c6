"""The charts' library of a page: Vega, Vega-Lite and vega-embed as one minified script.

Putting it together takes half of the time of a small page and gives the same text every time, so it is kept in this
user's cache folder, by version and with its own checksum; a file that does not fit is made anew. It is made in a
process of its own: the bundler holds Python's lock all the while, and a server must answer meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from rnnbench.store.store import write_atomic

BUNDLE = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode())
"""


@functools.cache
def charts_library() -> str:
    """The script, fit to stand in a script element."""
    kept = _kept()
    if kept is None or (text := _read(kept)) is None:
        text = _bundle()
        if kept is not None:
            _keep(kept, text)
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _kept() -> Path | None:
    """The file in the folder where this user's programs keep what they can make again; None for a user without home."""
    try:
        named = os.environ.get("XDG_CACHE_HOME")
        folder = Path(named) if named else Path.home() / ".cache"
    except RuntimeError:
        return None
    return folder / "rnnbench" / f"charts-{version('vl-convert-python')}.js"


def _bundle() -> str:
    done = subprocess.run([sys.executable, "-P", "-c", BUNDLE], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode("utf-8")


def _read(path: Path) -> str | None:
    """What was kept; None where there is nothing, or not what was written."""
    try:
        head, _, text = path.read_bytes().decode("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if head == f"// {_sha256(text)}" else None


def _keep(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # a home that cannot be written to costs time, not the page
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, f"// {_sha256(text)}\n{text}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
