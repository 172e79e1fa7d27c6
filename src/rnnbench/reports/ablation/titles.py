"""Titles of the studies of one ablation: what is special about each, where their names alone are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnbench.store.rows import device_kind, number, part


def told_apart(studies: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Titles that differ. studies: (title, a record of its baseline).

    Equal titles get what is unusual among them: "... · clip=null", "... · input_steps=20, output_steps=20"; studies
    that even these leave equal get a number.
    """
    found = [title for title, _ in studies]
    for title, times in Counter(found).items():
        if times > 1:
            places = [n for n, (one, _) in enumerate(studies) if one == title]
            for n, unusual in zip(places, _unusual([_setting(studies[n][1]) for n in places]), strict=True):
                found[n] = f"{title} · {unusual}" if unusual else title
    return list(_numbered(found))


def _setting(record: Mapping[str, Any]) -> dict[str, Any]:
    """Under which conditions a study was made: training, precision, device, the dataset's options."""
    axes, config = part(record, "axes"), part(record, "config")
    data = {key: value for key, value in part(config, "dataset").items() if key not in ("meta", "_target_")}
    setting = {key: axes.get(key) for key in ("optimizer", "schedule")} | dict(part(axes, "options")) | data
    return setting | {"precision": record.get("precision"), "device": device_kind(record.get("device"))}


def _unusual(settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """For each setting, in words, what most of the others have otherwise; an optimizer goes with its options."""
    missing = object()
    keys = list(dict.fromkeys(key for setting in settings for key in setting))
    usual = {}
    for key in keys:
        counts = Counter(repr(setting.get(key, missing)) for setting in settings)
        usual[key] = max(counts, key=lambda value: (counts[value], value == repr(missing)))  # of equals, the default
    for setting in settings:
        own = [key for key in keys if repr(setting.get(key, missing)) != usual[key]]
        named = {key for key in own if key in ("optimizer", "schedule")}
        told = [key for key in own if key.partition(".")[0] not in named or key in named]
        yield ", ".join(f"{key}={_text(setting[key]) if key in setting else 'default'}" for key in told)


def _text(value: Any) -> str:
    return "null" if value is None else f"{value:g}" if number(value) == value else str(value)


def _numbered(titles: Sequence[str]) -> Iterator[str]:
    for n, title in enumerate(titles):
        yield f"{title} ({titles[: n + 1].count(title)})" if titles.count(title) > 1 else title
