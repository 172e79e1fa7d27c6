"""Who is compared with whom: the studied factor, its baseline, and for every entry the baseline it is paired with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.selection.coverage import fill_unknown
from rnnbench.reports.selection.frame import records_frame
from rnnbench.store.manifests import Experiment
from rnnbench.store.record import Record, canonical
from rnnbench.store.rows import BLOCK, device_kind, number, part

# Runs are paired only where all of these are equal.
COMPARABLE = (*BLOCK, "task", "device_kind", "precision")
# An entry that differs in these alone is a control of size.
SIZE = {"hidden_size", "params_budget", "depth", "forecast.sizes"}
ASKED = {
    "effect": "Does it help, hurt, or not matter?",
    "gradient": "Is there a gradient problem, and in which variant?",
    "choice": "What should a user choose?",
}
DEFAULT_BASELINE = {"peephole": "off"}
DEFAULT_MARGIN = 0.02


@dataclass(frozen=True)
class Spec:
    """What an ablation asks; the key `ablation` of an experiment's yaml.

    baseline: the studied factor as axes or options by dotted key with the baseline's values: {"peephole": "off"}
    margin: the smallest effect of interest, as a share of the distance from floor to baseline
    questions: which are answered, in this order, with their words; keys of `ASKED`
    only: the entries that take part, as values by axis or option: {"peephole": ["off", "on"]}; empty: all
    alone: only entries that differ from a baseline in the factor alone, and controls of size
    parts: specs of their own for an experiment that asks several things of one set of runs, each with its own family
        of comparisons; then this one's baseline is not used
    """

    baseline: Flat
    margin: float
    questions: Mapping[str, str]
    only: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    alone: bool = False
    parts: Sequence[Spec] = ()

    @classmethod
    def read(cls, content: Experiment | None) -> Spec:
        """A spec from yaml. Raises BadInput on what it does not know.

        A part has the keys of a spec; what it does not say it has from the whole. `questions` is a list of keys
        (`effect`), or of one-item mappings with words of one's own (`effect: Does seeing C help, hurt, or not
        matter?`), or one such mapping.
        """
        content = content or {}
        known = ("baseline", "margin", "questions", "only", "alone", "parts")
        for key in content:
            if key not in known:
                raise BadInput(f"ablation has no key {key!r}; {nearest(str(key), known)}")
        alone = content.get("alone", False)
        if not isinstance(alone, bool):
            raise BadInput(f"ablation.alone is true or false, not {alone!r}.")
        return cls(
            baseline=_baseline(content),
            margin=_margin(content),
            questions=_questions(content.get("questions")),
            only=_only(content),
            alone=alone,
            parts=_parts(content),
        )

    def takes(self, axes: Flat) -> bool:
        """Does an entry with these axes take part?"""
        return all(axes.get(key) in values for key, values in self.only.items())


def _baseline(content: Experiment) -> Flat:
    baseline = content.get("baseline") or DEFAULT_BASELINE
    if not isinstance(baseline, Mapping):
        raise BadInput(f"ablation.baseline is a mapping such as {{peephole: off}}, not {baseline!r}.")
    return {str(key): _word(value) for key, value in baseline.items()}


def _margin(content: Experiment) -> float:
    margin = content.get("margin", DEFAULT_MARGIN)
    is_number = isinstance(margin, (int, float)) and not isinstance(margin, bool)
    if not is_number or not 0 < margin < 1:
        raise BadInput(f"ablation.margin is a share between 0 and 1, not {margin!r}.")
    return float(margin)


def _only(content: Experiment) -> dict[str, list[Any]]:
    only = content.get("only") or {}
    if not isinstance(only, Mapping) or not all(isinstance(values, list) for values in only.values()):
        raise BadInput(f"ablation.only is a mapping of lists such as {{peephole: [off, on]}}, not {only!r}.")
    return {str(key): [_word(value) for value in values] for key, values in only.items()}


def _parts(content: Experiment) -> list[Spec]:
    parts = content.get("parts") or []
    if not isinstance(parts, list) or not all(isinstance(p, Mapping) and "parts" not in p for p in parts):
        raise BadInput("ablation.parts is a list of mappings with baseline, only, margin or questions.")
    whole = {key: value for key, value in content.items() if key != "parts"}
    return [Spec.read({**whole, **p}) for p in parts]


def _questions(asked: Any) -> dict[str, str]:
    if asked is None:
        return dict(ASKED)
    items = [asked] if isinstance(asked, Mapping) else asked  # one mapping is a list of one
    if not isinstance(items, list) or not items:
        raise BadInput(f"ablation.questions is a list of {', '.join(ASKED)}, not {asked!r}.")
    found: dict[str, str] = {}
    for item in items:
        pairs = item.items() if isinstance(item, Mapping) else [(item, None)]
        for key, words in pairs:
            if key not in ASKED:
                raise BadInput(f"ablation has no question {key!r}; {nearest(str(key), ASKED)}")
            found[str(key)] = str(words or ASKED[key])
    return found


def _word(value: Any) -> Any:
    """`peephole: off` in yaml is a boolean: its author meant the word."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return canonical(value)


@dataclass(frozen=True)
class Arm:
    """One entry of a study. name: what is special about it; role: baseline | variant | control (of size).

    runs: its rows of the runs frame, one a seed, indexed by seed.
    """

    name: str
    label: str
    role: str
    runs: pd.DataFrame


# Axes of one entry with its options, flat, or the conditions of a study: what may differ from others, by name.
Flat = Mapping[str, Any]


def design(records: Iterable[Record], spec: Spec) -> list[tuple[str, list[Arm], Spec]]:
    """The studies in records: (title, arms with the baseline first and controls last, the part of the spec it is of).

    Records are paired within one dataset, protocol, budget, device kind and precision. Entries at the baseline's values
    that have variants equal in everything but the factor are baselines; where there is none, the one entry at those
    values that differs least from all others. Every other entry is paired with the baseline from which it differs in
    the fewest axes beside the factor. Raises BadInput where nothing can be compared.
    """
    unique = {str(record["id"]): record for record in records}
    frame = fill_unknown(records_frame(unique.values()))
    frame = frame[frame["seed"].notna()]
    axes = {str(run): _axes(unique[str(run)], spec) for run in frame["id"]}
    parts = spec.parts or [spec]
    studies: list[tuple[int, str, list[Arm]]] = []
    for n, one in enumerate(parts):
        takes_part = [one.takes(axes[str(run)]) for run in frame["id"]]
        studies += [(n, title, arms) for title, arms in _studies(frame[takes_part], unique, one)]
    if not studies:
        wanted = " or ".join(_values_of(one) for one in parts)
        raise BadInput(
            f"no entry has {wanted} with another to compare; name the baseline in the experiment's ablation."
        )
    titles = told_apart([(title, unique[str(arms[0].runs["id"].iloc[0])]) for _, title, arms in studies])
    # Of each part the plainest title comes first: nothing is unusual about it.
    ordered = sorted(zip(titles, studies, strict=True), key=lambda study: (study[1][0], len(study[0])))
    return [(title, arms, parts[n]) for title, (n, _, arms) in ordered]


def _values_of(spec: Spec) -> str:
    return ", ".join(f"{key}={value}" for key, value in spec.baseline.items())


def _studies(frame: pd.DataFrame, records: Mapping[str, Record], spec: Spec) -> Iterator[tuple[str, list[Arm]]]:
    """The studies of one part: (title, arms)."""
    for _, block in frame.groupby(list(COMPARABLE), dropna=False, sort=True):
        entries = {}
        for entry, runs in block.groupby("entry", sort=True):
            first = str(runs["id"].iloc[0])
            entries[str(entry)] = _axes(records[first], spec)
        assigned = _assigned(entries, block["entry"].value_counts(), spec)
        for baseline, members in assigned.items():
            yield _title(block, block["entry"] == baseline), _arms(baseline, members, entries, block, spec)


def _axes(record: Record, spec: Spec) -> Flat:
    """The axes of a record with its options, flat; what follows from another axis is left out."""
    axes = part(record, "axes")
    left_out = {"label", "options"}
    if axes.get("params_budget") is not None:  # which decides the hidden size
        left_out.add("hidden_size")
    if "cell" in spec.baseline:
        left_out |= {"cell_version", "operator"}
    flat = {key: value for key, value in axes.items() if key not in left_out and value is not None}
    for key, value in part(axes, "options").items():
        flat[key] = "null" if value is None else value  # clip=null
    return {key: _word(value) for key, value in flat.items()}


def _assigned(entries: Mapping[str, Flat], runs: pd.Series[int], spec: Spec) -> dict[str, list[str]]:
    """Baseline -> its other entries, for the entries of one block; empty where it has no baseline or nothing else.

    runs: how many runs an entry has.
    """
    baselines = _baselines(entries, runs, spec)
    found: dict[str, list[str]] = {baseline: [] for baseline in baselines}
    for entry in entries:
        if entry in found or not baselines:
            continue
        beside = {one: _beside(entries[entry], entries[one], spec) for one in baselines}
        baseline = min(beside, key=lambda one: (len(beside[one]), one))
        differs_in_size_only = set(beside[baseline]) <= SIZE
        if differs_in_size_only or not spec.alone:
            found[baseline].append(entry)
    return {baseline: members for baseline, members in found.items() if members}


def _is_at_baseline(axes: Flat, spec: Spec) -> bool:
    return all(axes.get(key) == value for key, value in spec.baseline.items())


def _baselines(entries: Mapping[str, Flat], runs: pd.Series[int], spec: Spec) -> list[str]:
    """Of the entries at the baseline's values those that others are paired with (see `design`), sorted."""
    at_baseline = [entry for entry, axes in entries.items() if _is_at_baseline(axes, spec)]
    others = [entry for entry in entries if entry not in at_baseline]

    def apart(one: str, two: str) -> int:
        return len(_beside(entries[one], entries[two], spec))

    exact = [one for one in at_baseline if any(apart(one, other) == 0 for other in others)]
    if exact:
        by_axes = {}
        for one in sorted(exact, key=lambda one: (runs[one], one)):  # of equals the one with most runs stays
            by_axes[json.dumps(entries[one], sort_keys=True)] = one
        return sorted(by_axes.values())

    def distance(one: str) -> tuple[int, int, str]:
        return sum(apart(one, entry) for entry in entries), -runs[one], one

    return sorted(at_baseline, key=distance)[:1]


def _beside(one: Flat, two: Flat, spec: Spec) -> list[str]:
    """The axes in which two entries differ beside the factor."""
    compared = {*one, *two} - set(spec.baseline)
    return sorted(key for key in compared if one.get(key) != two.get(key))


def _arms(
    baseline: str, members: Iterable[str], entries: Mapping[str, Flat], block: pd.DataFrame, spec: Spec
) -> list[Arm]:
    """The arms of one study, with names that say what is special about each."""
    found: list[tuple[str, str, str]] = [(baseline, "baseline", _name(entries[baseline], (), spec))]
    for entry in members:
        beside = _beside(entries[entry], entries[baseline], spec)
        differs_in_size = bool(beside) and set(beside) <= SIZE
        is_control = differs_in_size and _is_at_baseline(entries[entry], spec)
        found.append((entry, "control" if is_control else "variant", _name(entries[entry], beside, spec)))
    names = Counter(name for _, _, name in found)
    arms = []
    for entry, role, name in found:
        runs = block[block["entry"] == entry].drop_duplicates("seed").set_index("seed", drop=False).sort_index()
        is_unique = names[name] == 1 or role == "baseline"
        arms.append(Arm(name if is_unique else f"{name} [{entry}]", str(runs["label"].iloc[0]), role, runs))
    order = {"baseline": 0, "variant": 1, "control": 2}
    return sorted(arms, key=lambda arm: (order[arm.role], arm.name))


def _name(axes: Flat, beside: Iterable[str], spec: Spec) -> str:
    """ "hadamard detach", or "off (hidden_size=70)": the factor's values and what else differs from the baseline."""
    value = " ".join(str(axes.get(key, "default")).replace(", ", " ") for key in spec.baseline)
    solved = {"hidden_size"} if "params_budget" in axes else set()  # by the budget, which is named
    others = ", ".join(f"{key}={axes.get(key, 'default')}" for key in beside if key not in solved)
    return f"{value} ({others})" if others else value


def _title(block: pd.DataFrame, baseline: pd.Series[bool]) -> str:
    first = block[baseline].iloc[0]
    return " · ".join(str(first[key]) for key in ("dataset", "budget", "label") if not pd.isna(first[key]))


def told_apart(studies: Sequence[tuple[str, Record]]) -> list[str]:
    """Titles that differ. studies: (title, a record of its baseline).

    Equal titles get what is unusual among them: "... · clip=null", "... · input_steps=20, output_steps=20"; studies
    that even these leave equal get a number.
    """
    found = [title for title, _ in studies]
    for title, times in Counter(found).items():
        if times == 1:
            continue
        places = [n for n, (one, _) in enumerate(studies) if one == title]
        settings = [_setting(studies[n][1]) for n in places]
        for n, unusual in zip(places, _unusual(settings), strict=True):
            found[n] = f"{title} · {unusual}" if unusual else title
    return list(_numbered(found))


def _setting(record: Record) -> Flat:
    """Under which conditions a study was made: training, precision, device, the dataset's options."""
    axes, config = part(record, "axes"), part(record, "config")
    data = {key: value for key, value in part(config, "dataset").items() if key not in ("meta", "_target_")}
    return {
        "optimizer": axes.get("optimizer"),
        "schedule": axes.get("schedule"),
        **part(axes, "options"),
        **data,
        "precision": record.get("precision"),
        "device": device_kind(record.get("device")),
    }


ABSENT = "default"  # said of an option that a setting does not name


def _unusual(settings: Sequence[Flat]) -> Iterator[str]:
    """For each setting, in words, what most of the others have otherwise; an optimizer goes with its options."""
    keys = list(dict.fromkeys(key for setting in settings for key in setting))
    usual = {key: _usual([_told(setting, key) for setting in settings]) for key in keys}
    for setting in settings:
        own = [key for key in keys if _told(setting, key) != usual[key]]
        yield ", ".join(f"{key}={_text(setting[key]) if key in setting else ABSENT}" for key in _without_owned(own))


def _without_owned(keys: Sequence[str]) -> list[str]:
    """Without the options of an optimizer or schedule that is itself among the keys: they go without saying."""
    owners = {"optimizer", "schedule"} & set(keys)
    return [key for key in keys if key in owners or key.partition(".")[0] not in owners]


def _told(setting: Flat, key: str) -> str | None:
    """A value as something to count; None where the setting does not have it."""
    return repr(setting[key]) if key in setting else None


def _usual(values: Sequence[str | None]) -> str | None:
    """The commonest value; of equally common ones None, which is the default."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value is None))


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if number(value) == value else str(value)


def _numbered(titles: Sequence[str]) -> Iterator[str]:
    times = Counter(titles)
    for n, title in enumerate(titles):
        yield f"{title} ({titles[: n + 1].count(title)})" if times[title] > 1 else title
