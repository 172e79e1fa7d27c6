"""What lies in users' files, read while runs are planned: every refusal comes before a run is claimed. No torch.

A dataset's yaml says who reads it (`meta: {reader: series}`). A file is read once with the same options and the same
content, however many runs are planned on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from rnnbench.datasets.base.reading import Reading
from rnnbench.errors import BadInput
from rnnbench.store.config import Config
from rnnbench.store.record import canonical

KEPT = 256  # readings of this process
TRAINED_ON = {"series": "windows", "sequences": "sequences", "text": "chunks"}  # by kind: what a batch is made of
_kept: dict[str, Reading] = {}


def of(config: Config, *, fetch: bool = False) -> Reading | None:
    """What a planned run's dataset was read as; None of a dataset without a reader.

    None as well where its file has yet to be downloaded, unless fetch: then it is. Raises what the reader raises:
    BadInput, MissingData.
    """
    node: Mapping[str, Any] = config["dataset"]
    reader = node["meta"].get("reader")
    if reader is None:
        return None
    from rnnbench.datasets.base.fetch import cache_folder
    from rnnbench.datasets.own import readers

    options = {name: value for name, value in node.items() if name not in ("meta", "_target_")}
    if not (fetch or readers.is_here(reader, options)):
        return None
    text = json.dumps(canonical(node), sort_keys=True, default=str)  # the path as well: what was read names it
    key = f"{cache_folder()} {text}"
    if key not in _kept:
        found = readers.reading(reader, options)
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = found
    return _kept[key]


def trained_on(reader: str, reading: Reading) -> int | None:
    """How many windows, sequences or chunks train has; None where the reading does not say."""
    from rnnbench.datasets.own import readers

    facts, kind = reading.facts, readers.kind(reader)
    sizes = facts.get("windows" if kind == "series" else "sizes")
    if sizes is None:
        return None
    if kind == "text":
        predicted: int = sizes[0] - 1  # every symbol but the first
        return math.ceil(predicted / int(facts["bptt"]))
    return int(sizes[0])


def check_batch(config: Config, reading: Reading) -> None:
    """Raises BadInput where an update asks for more than there is to train on."""
    from rnnbench.datasets.own import readers

    reader, batch_size = config["dataset"]["meta"]["reader"], config["budget"]["batch_size"]
    train = trained_on(reader, reading)
    if train is not None and train < batch_size:
        raise BadInput(
            f"train has {train:,} {TRAINED_ON[readers.kind(reader)]}, fewer than budget.batch_size={batch_size}: "
            f"set budget.batch_size={train} or less."
        )


def lines(configs: Iterable[Config], *, fetch: bool = False) -> list[str]:
    """What was read for these runs, in words, its warnings behind it. fetch: see `of`.

    Of a file that is read with several options, what was read is said once, then what differs.
    """
    found: dict[int, Reading] = {}
    seen: set[str] = set()
    for config in configs:
        node = config["dataset"]
        if "reader" not in node["meta"] or (text := json.dumps(node, sort_keys=True, default=str)) in seen:
            continue
        seen.add(text)
        if (reading := of(config, fetch=fetch)) is not None:
            found[id(reading)] = reading
    of_file: dict[str, dict[str, None]] = {}  # by the first line, which says what was read
    for reading in found.values():
        told = said(reading)
        of_file.setdefault(told[0] if told else "", {}).update(dict.fromkeys(told))
    return [line for told in of_file.values() for line in told]


def said(reading: Reading) -> list[str]:
    """A reading as it is printed, a line each."""
    return [*reading.lines, *(f"warning: {sentence}" for sentence in reading.warnings)]
