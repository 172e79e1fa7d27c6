"""One run for a person: what came out, beside which floor and target, at what cost, made from what, and how again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.tables.numbers import count, known, short, with_arrow
from rnnbench.store.files import read_regular
from rnnbench.store.gathered import resolve_run, the_record
from rnnbench.store.parse import parse, parse_yaml
from rnnbench.store.record import NOT_IN_ID, Parsed, Record, RecordError
from rnnbench.store.rows import compact, device_kind, number, part
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

COLOURS = {"ok": "green", "pruned": "yellow"}  # every other end is red
Pairs = list[tuple[str, str]]


def show_run(store: Store, run_id: str) -> Group:
    """Everything that is known of one run, finished or not, to print with rich.

    run_id: the id or an unambiguous beginning of it, or what else means one run (`store.gathered.resolve_run`). Raises
    BadInput where there is no such run. A damaged record is said to be so, and the rest of the folder is shown.
    """
    from rich.console import Group
    from rich.text import Text

    found = resolve_run(store, run_id)
    run_id = found.name
    if not isinstance(found.where, Store):
        return Group(*_recorded(the_record(found)), _section("frozen in", [("published set", str(found.where))]))
    store = found.where
    folder = store.folder(run_id)
    damage = ""
    try:
        record = store.read(run_id)
    except RecordError as error:
        record, damage = None, str(error)
    if record is not None:
        parts = _recorded(record)
    else:
        state = "damaged record" if damage else "not finished"
        parts = [Text.assemble((state, "bold red" if damage else "bold yellow"), "  ", (run_id, "bold"))]
        parts += [Text(damage)] if damage else []
        parts += [_section("known so far", _unfinished(store, run_id))]
    parts += [_section("files", _files(folder))]
    if attempts := _attempts(folder):
        parts += [_section("attempts", attempts)]
    return Group(*parts)


def _recorded(record: Record) -> list[Any]:
    """How a finished run ended, and the sections of its record."""
    from rich.text import Text

    status = str(record["status"])
    head = Text.assemble((status, f"bold {COLOURS.get(status, 'red')}"), "  ", (str(record["id"]), "bold"))
    reason = [Text(str(record["reason"]))] if record.get("reason") else []
    return [head, *reason, *_finished(record)]


def _section(title: str, pairs: Pairs) -> Table:
    """Names and values in two columns under a title."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = f"\n{title}", "left", "bold"
    table.add_column(style="dim", no_wrap=True, min_width=14)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(Text(name), Text(value))
    return table


def _finished(record: Record) -> list[Table]:
    """The sections of a run that has its record."""
    task = _pairs(record, {"seed": "seed"})
    task[:0] = [(name, text) for name in ("dataset", "budget") if (text := compact(part(record, name)))]
    axes = [(name, text) for name, value in part(record, "axes").items() if (text := compact(value))]
    sections = {"axes": axes, "task": task, "metrics": _metrics(record), "cost": _cost(record)}
    sections["made by"] = _provenance(record)
    return [_section(name, pairs) for name, pairs in sections.items() if pairs]


def _metrics(record: Record) -> Pairs:
    """Every metric, the main one on test first and beside the floors and the target."""
    metrics, metric = part(record, "metrics"), record.get("metric")
    main = [name for name in (f"test/{metric}", f"val/{metric}") if name in metrics]
    pairs = [(with_arrow(name, record.get("goal")), short(number(metrics[name])) or "missing") for name in main]
    pairs += _scale(record)
    others = sorted(name for name in metrics if name not in main)
    pairs += [(name, short(number(metrics[name])) or "missing") for name in others]
    return pairs + _pairs(record, {"best_step": "best step"})


def _scale(record: Record) -> Pairs:
    """Every floor and the target, with what is score 0 and what score 1, and from where on the task is solved."""
    pairs = []
    for name, value in part(record, "floors").items():
        text = short(number(value))
        pairs.append((f"floor {name}", f"{text} (score 0)" if name == record.get("floor") else text))
    target = number(record.get("target"))
    if known(target):
        source = record.get("target_source")
        said = f"score 1; {source}" if source else "score 1"
        pairs.append(("target", f"{short(target)} ({said})"))
    if known(solved := number(record.get("solved"))):
        pairs.append(("solved from", f"{short(solved)} on"))
    return pairs


def _pairs(record: Record, names: Mapping[str, str], unit: str = "") -> Pairs:
    """The named values of a record that are there, whole numbers in full, others with 4 digits."""
    pairs = []
    for key, name in names.items():
        value = record.get(key)
        if isinstance(value, Mapping):
            value = compact(value)
        if value is not None:
            pairs.append((name, _text(value) + unit))
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, int):
        return count(value)
    return short(value) if isinstance(value, float) else str(value)


def _cost(record: Record) -> Pairs:
    names = {key: key.replace("_", " ") for key in ("params", "live_params", "state_size", "flops_per_step", "updates")}
    pairs = _pairs(record, names)
    pairs += _pairs(record, {"train_seconds": "training", "wall_seconds": "wall time"}, " s")
    pairs += _pairs(record, {"steps_per_second": "speed"}, " updates/s")
    return pairs + _pairs(record, {"peak_memory_mb": "peak memory"}, " MB")


def _provenance(record: Record) -> Pairs:
    """On what, from which source, when; and the command that makes the run again."""
    git, device = part(record, "git"), record.get("device")
    words = compact(device) if isinstance(device, Mapping) else device
    pairs = [("device", str(words))] if words and device_kind(device) else []
    names = ("precision", "backend", "threads", "deterministic", "host")
    pairs += _pairs(record, {name: name for name in names})
    commit = git.get("commit")
    if commit:
        pairs.append(("commit", f"{commit} with uncommitted changes" if git.get("dirty") else str(commit)))
    pairs += _pairs(record, {"source_hash": "source hash", "packages": "packages"})
    pairs += _pairs(record, {"started": "started", "finished": "finished", "attempts": "attempts"})
    command = record.get("command")
    if isinstance(command, (list, tuple)):
        command = shlex.join(str(word) for word in command)
    return [*pairs, ("again with", str(command) if command else "not recorded; config.yaml has the resolved config")]


def _unfinished(store: Store, run_id: str) -> Pairs:
    """What a run without a readable record has left so far: its config and its history."""
    path = store.folder(run_id) / "config.yaml"
    if path.exists():
        pairs = _config(path) + _command(path)
    else:
        pairs = [("config", "config.yaml is missing: the run was claimed but never began")]
    history = store.history(run_id)
    if not history:
        return [*pairs, ("history", "nothing written yet")]
    last = {key: short(value) if known(number(value)) else value for key, value in history[-1].items()}
    return [*pairs, ("history", f"{len(history)} rows"), ("last row", compact(last) or "")]


def _config(path: Path) -> Pairs:
    """A config.yaml, a line a group, without what is in no run's id."""
    try:
        content = parse_yaml(read_regular(path).decode())
    except (OSError, ValueError) as error:
        content = f"cannot be read ({' '.join(str(error).split())})"
    config = content if isinstance(content, Mapping) else {"config": content}
    texts = {str(name): compact(value) for name, value in config.items() if name not in NOT_IN_ID}
    return [(name, text) for name, text in texts.items() if text]


def _command(path: Path) -> Pairs:
    """The command that a config.yaml names in its head."""
    try:
        lines = read_regular(path).decode(errors="replace").splitlines()
    except OSError:
        return []
    return [("again with", line.removeprefix("# ")) for line in lines if line.startswith("# rnnbench ")]


def _files(folder: Path) -> Pairs:
    """The folder and the files in it with their sizes; earlier records that a retry set aside are among them."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [("folder", str(folder)), *((path.name, f"{count(path.stat().st_size)} bytes") for path in files)]


def _attempts(folder: Path) -> Pairs:
    """One line an attempt: what its JSON files say (who, where, how it ended) and whether it left a traceback."""
    attempts = sorted(path for path in (folder / "attempts").glob("*") if path.is_dir())
    return [(attempt.name, _attempt(attempt)) for attempt in attempts]


ENDED = ("status", "outcome", "reason")  # what an attempt says of its end


def _attempt(folder: Path) -> str:
    """How an attempt ended, what else its files say, and its tracebacks."""
    said = _said(folder)
    end = ": ".join(" ".join(str(said[key]).split()) for key in ENDED if said.get(key))
    hidden = {key for key in ENDED if said.get(key)} | {"born", "time", "boot", "ticks", "space"}
    plain = {key: value for key, value in said.items() if value != "" and not isinstance(value, (dict, list))}
    rest = {key: value for key, value in plain.items() if key not in hidden}
    traces = [path.name for path in sorted(folder.glob("*traceback*"))]
    return "; ".join(filter(None, [end or "no outcome", compact(rest), *traces]))


def _said(folder: Path) -> Parsed:
    """What the JSON files of an attempt say, and when it began and last gave a sign of life."""
    said: Parsed = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = parse(read_regular(path))
        except (OSError, ValueError):
            content = None
        said |= content if isinstance(content, dict) else {path.name: "cannot be read"}
    sign = folder / "heartbeat"
    times = {"began": said.get("time"), "last sign": sign.stat().st_mtime if sign.exists() else None}
    for name, seconds in times.items():
        if known(number(seconds)):
            with contextlib.suppress(ValueError, OverflowError, OSError):  # a time that no calendar has
                said[name] = datetime.fromtimestamp(number(seconds), UTC).isoformat(timespec="seconds")
    return said


def run_summary(record: Record, folder: Path) -> Group:
    """What a finished run says on the terminal: its metrics beside floor and target, its cost, and where it is."""
    from rich.console import Group
    from rich.text import Text

    status = str(record["status"])
    label = part(record, "axes").get("label")
    what = f"  {label} · {part(record, 'dataset').get('name')}"
    head = Text.assemble((status, f"bold {COLOURS.get(status, 'red')}"), what)
    parts: list[Any] = [head, *([Text(str(record["reason"]))] if record.get("reason") else [])]
    sections = {"metrics": _metrics(record), "cost": _cost(record)}
    parts += [_section(name, pairs) for name, pairs in sections.items() if pairs]
    return Group(*parts, Text(f"\nrecord  {folder / 'record.json'}"))
