"""One run for a person: what came out, beside which floor and target, at what cost, made from what, and how again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.tables.numbers import count, known, short
from rnnbench.store.record import NOT_IN_ID, RecordError
from rnnbench.store.rows import compact, device_kind, number, part
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

COLOURS = {"ok": "green", "pruned": "yellow"}  # every other end is red
ARROW = {"max": "↑", "min": "↓"}
Pairs = list[tuple[str, str]]


def summary_line(record: Mapping[str, Any]) -> str:
    """A run in one line: status, id, what on what, and its main value or the reason why there is none."""
    axes = part(record, "axes")
    what = [axes.get("label") or axes.get("cell"), *(part(record, key).get("name") for key in ("dataset", "budget"))]
    what.append(f"seed {record.get('seed')}")
    head = f"{record['status']} {record['id']}  " + " · ".join(str(text) for text in what if text)
    if record["status"] != "ok":
        return f"{head}: {' '.join(str(record.get('reason') or 'no reason recorded').split())}"
    metric = record.get("metric")
    value = number(part(record, "metrics").get(f"test/{metric}"))
    floor = number(part(record, "floors").get(str(record.get("floor"))))
    beside = [f"{name} {short(n)}" for name, n in (("floor", floor), ("target", record.get("target"))) if known(n)]
    text = f"{head} · test/{metric} {short(value) or 'missing'}" + (f" ({', '.join(beside)})" if beside else "")
    seconds = number(record.get("train_seconds"))
    return text + (f" · {short(seconds, 3)} s" if known(seconds) else "")


def show_run(store: Store, run_id: str) -> Group:
    """Everything the store knows of one run, finished or not, to print with rich.

    run_id: the id or an unambiguous beginning of it. Raises BadInput where there is no such run. A damaged record is
    said to be so, and the rest of the folder is shown.
    """
    from rich.console import Group
    from rich.text import Text

    run_id = store.find(run_id)
    folder = store.folder(run_id)
    damage = ""
    try:
        record = store.read(run_id)
    except RecordError as error:
        record, damage = None, str(error)
    if record is not None:
        status = str(record["status"])
        head = Text.assemble((status, f"bold {COLOURS.get(status, 'red')}"), "  ", (run_id, "bold"))
        parts: list[Any] = [head, *([Text(str(record["reason"]))] if record.get("reason") else []), *_finished(record)]
    else:
        state = "damaged record" if damage else "not finished"
        parts = [Text.assemble((state, "bold red" if damage else "bold yellow"), "  ", (run_id, "bold"))]
        parts += [Text(damage)] if damage else []
        parts += [_section("known so far", _unfinished(store, run_id))]
    parts += [_section("files", _files(folder))]
    if attempts := _attempts(folder):
        parts += [_section("attempts", attempts)]
    return Group(*parts)


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


def _finished(record: Mapping[str, Any]) -> list[Table]:
    """The sections of a run that has its record."""
    task = _pairs(record, {"seed": "seed"})
    task[:0] = [(name, text) for name in ("dataset", "budget") if (text := compact(part(record, name)))]
    axes = [(name, text) for name, value in part(record, "axes").items() if (text := compact(value))]
    sections = {"axes": axes, "task": task, "metrics": _metrics(record), "cost": _cost(record)}
    sections["made by"] = _provenance(record)
    return [_section(name, pairs) for name, pairs in sections.items() if pairs]


def _metrics(record: Mapping[str, Any]) -> Pairs:
    """Every metric, the main one on test first and beside the floors and the target."""
    metrics, metric = part(record, "metrics"), record.get("metric")
    main = [name for name in (f"test/{metric}", f"val/{metric}") if name in metrics]
    arrow = ARROW.get(str(record.get("goal")), "")
    pairs = [(f"{name} {arrow}".strip(), short(number(metrics[name])) or "missing") for name in main]
    for name, value in part(record, "floors").items():
        pairs.append((f"floor {name}", short(number(value)) + (" (score 0)" if name == record.get("floor") else "")))
    if known(target := number(record.get("target"))):
        source = record.get("target_source")
        pairs.append(("target", f"{short(target)} (score 1{f'; {source}' if source else ''})"))
    others = sorted(name for name in metrics if name not in main)
    pairs += [(name, short(number(metrics[name])) or "missing") for name in others]
    return pairs + _pairs(record, {"best_step": "best step"})


def _pairs(record: Mapping[str, Any], names: Mapping[str, str], unit: str = "") -> Pairs:
    """The named values of a record that are there, whole numbers in full, others with 4 digits."""
    pairs = []
    for key, name in names.items():
        value = record.get(key)
        if isinstance(value, Mapping):
            value = compact(value)
        if value is not None:
            numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
            text = (count(value) if isinstance(value, int) else short(number(value))) if numeric else str(value)
            pairs.append((name, text + unit))
    return pairs


def _cost(record: Mapping[str, Any]) -> Pairs:
    names = {key: key.replace("_", " ") for key in ("params", "live_params", "state_size", "flops_per_step", "updates")}
    pairs = _pairs(record, names)
    pairs += _pairs(record, {"train_seconds": "training", "wall_seconds": "wall time"}, " s")
    pairs += _pairs(record, {"steps_per_second": "speed"}, " updates/s")
    return pairs + _pairs(record, {"peak_memory_mb": "peak memory"}, " MB")


def _provenance(record: Mapping[str, Any]) -> Pairs:
    """On what, from which source, when; and the command that makes the run again."""
    git, device = part(record, "git"), record.get("device")
    words = compact(device) if isinstance(device, Mapping) else device
    pairs = [("device", str(words))] if words and device_kind(device) else []
    names = ("precision", "backend", "threads", "deterministic", "host")
    pairs += _pairs(record, {name: name for name in names})
    if commit := git.get("commit"):
        pairs.append(("commit", f"{commit}{' with uncommitted changes' if git.get('dirty') else ''}"))
    pairs += _pairs(record, {"source_hash": "source hash", "packages": "packages"})
    pairs += _pairs(record, {"started": "started", "finished": "finished", "attempts": "attempts"})
    command = record.get("command")
    if isinstance(command, (list, tuple)):
        command = shlex.join(str(word) for word in command)
    return [*pairs, ("again with", str(command) if command else "not recorded; config.yaml has the resolved config")]


def _unfinished(store: Store, run_id: str) -> Pairs:
    """What a run without a readable record has left so far: its config and its history."""
    pairs: Pairs = []
    path = store.folder(run_id) / "config.yaml"
    if path.exists():
        import yaml

        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            config = {"config": f"cannot be read ({str(error).splitlines()[0]})"}
        config = config if isinstance(config, Mapping) else {"config": config}
        config = {str(name): value for name, value in config.items() if name not in NOT_IN_ID}
        pairs += [(name, text) for name, value in config.items() if (text := compact(value))]
        heads = [line[2:] for line in path.read_bytes().decode(errors="replace").splitlines() if line[:2] == "# "]
        pairs += [("again with", line) for line in heads if line.startswith("rnnbench ")]
    else:
        pairs.append(("config", "config.yaml is missing: the run was claimed but never began"))
    history = store.history(run_id)
    pairs.append(("history", f"{len(history)} rows" if history else "nothing written yet"))
    if history:
        values = {key: short(value) if known(number(value)) else value for key, value in history[-1].items()}
        pairs.append(("last row", compact(values) or ""))
    return pairs


def _files(folder: Path) -> Pairs:
    """The folder and the files in it with their sizes; earlier records that a retry set aside are among them."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [("folder", str(folder)), *((path.name, f"{count(path.stat().st_size)} bytes") for path in files)]


def _attempts(folder: Path) -> Pairs:
    """One line an attempt: what its JSON files say (who, where, how it ended) and whether it left a traceback."""
    pairs: Pairs = []
    for attempt in sorted(path for path in (folder / "attempts").glob("*") if path.is_dir()):
        said: dict[str, Any] = {}
        for path in sorted(attempt.glob("*.json")):
            try:
                content = json.loads(path.read_bytes())
            except (OSError, ValueError):
                content = {path.name: "cannot be read"}
            said |= content if isinstance(content, dict) else {}
        sign = attempt / "heartbeat"
        for name, seconds in (
            ("began", said.get("time")),
            ("last sign", sign.stat().st_mtime if sign.exists() else None),
        ):
            if known(number(seconds)):
                said[name] = datetime.fromtimestamp(number(seconds), UTC).isoformat(timespec="seconds")
        said = {key: value for key, value in said.items() if value != "" and key not in ("born", "time")}
        last = [" ".join(str(said.pop(key)).split()) for key in ("status", "outcome", "reason") if said.get(key)]
        rest = compact({key: value for key, value in said.items() if not isinstance(value, (dict, list))})
        traces = [path.name for path in sorted(attempt.glob("*traceback*"))]
        ended = ": ".join(last) or "no outcome"
        pairs.append((attempt.name, "; ".join(filter(None, [ended, rest, *traces]))))
    return pairs


def run_summary(record: Mapping[str, Any], folder: Path) -> Group:
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
