"""Who is compared with whom: the studied factor, its baseline, and for every entry the baseline it is paired with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.ablation.titles import told_apart
from rnnbench.reports.selection.coverage import fill_unknown
from rnnbench.reports.selection.frame import records_frame
from rnnbench.store.record import canonical
from rnnbench.store.rows import BLOCK, part

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

    baseline: Mapping[str, Any]
    margin: float
    questions: Mapping[str, str]
    only: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    alone: bool = False
    parts: Sequence[Spec] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any] | None) -> Spec:
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
        baseline = content.get("baseline") or DEFAULT_BASELINE
        if not isinstance(baseline, Mapping):
            raise BadInput(f"ablation.baseline is a mapping such as {{peephole: off}}, not {baseline!r}.")
        margin = content.get("margin", DEFAULT_MARGIN)
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 < margin < 1:
            raise BadInput(f"ablation.margin is a share between 0 and 1, not {margin!r}.")
        plain = {str(key): _word(value) for key, value in baseline.items()}
        if not isinstance(alone := content.get("alone", False), bool):
            raise BadInput(f"ablation.alone is true or false, not {alone!r}.")
        asked = _questions(content.get("questions"))
        return cls(plain, float(margin), asked, _chosen(content), alone, _parts(content))

    def takes(self, axes: Mapping[str, Any]) -> bool:
        """Does an entry with these axes take part?"""
        return all(axes.get(key) in values for key, values in self.only.items())


def _chosen(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    only = content.get("only") or {}
    if not isinstance(only, Mapping) or not all(isinstance(values, list) for values in only.values()):
        raise BadInput(f"ablation.only is a mapping of lists such as {{peephole: [off, on]}}, not {only!r}.")
    return {str(key): [_word(value) for value in values] for key, values in only.items()}


def _parts(content: Mapping[str, Any]) -> list[Spec]:
    parts = content.get("parts") or []
    if not isinstance(parts, list) or not all(isinstance(p, Mapping) and "parts" not in p for p in parts):
        raise BadInput("ablation.parts is a list of mappings with baseline, only, margin or questions.")
    whole = {key: value for key, value in content.items() if key != "parts"}
    return [Spec.read({**whole, **p}) for p in parts]


def _questions(asked: Any) -> dict[str, str]:
    if asked is None:
        return dict(ASKED)
    items = [asked] if isinstance(asked, Mapping) else asked
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
    return ("on" if value else "off") if isinstance(value, bool) else canonical(value)


@dataclass(frozen=True)
class Arm:
    """One entry of a study. name: what is special about it; role: baseline | variant | control (of size).

    runs: its rows of the runs frame, one a seed, indexed by seed.
    """

    name: str
    label: str
    role: str
    runs: pd.DataFrame


def design(records: Iterable[Mapping[str, Any]], spec: Spec) -> list[tuple[str, list[Arm], Spec]]:
    """The studies in records: (title, arms with the baseline first, controls last; the part of the spec it is of).

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
        mine = frame[[one.takes(axes[str(run)]) for run in frame["id"]]]
        studies += [(n, title, arms) for title, arms in _studies(mine, unique, one)]
    if not studies:
        wanted = " or ".join(", ".join(f"{key}={value}" for key, value in one.baseline.items()) for one in parts)
        raise BadInput(
            f"no entry has {wanted} with another to compare; name the baseline in the experiment's ablation."
        )
    titles = told_apart([(title, unique[str(arms[0].runs["id"].iloc[0])]) for _, title, arms in studies])
    named = zip(titles, studies, strict=True)  # of each part the plainest title comes first: nothing unusual about it
    ordered = sorted(named, key=lambda study: (study[1][0], len(study[0])))
    return [(title, arms, parts[n]) for title, (n, _, arms) in ordered]


def _studies(
    frame: pd.DataFrame, records: Mapping[str, Mapping[str, Any]], spec: Spec
) -> Iterator[tuple[str, list[Arm]]]:
    """The studies of one part: (title, arms)."""
    for _, block in frame.groupby(list(COMPARABLE), dropna=False, sort=True):
        entries = {
            str(entry): _axes(records[str(runs["id"].iloc[0])], spec)
            for entry, runs in block.groupby("entry", sort=True)
        }
        for baseline, members in _assigned(entries, block["entry"].value_counts(), spec).items():
            yield _title(block, block["entry"] == baseline), _arms(baseline, members, entries, block, spec)


def _axes(record: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """The axes of a record with its options, flat; what follows from another axis is left out."""
    axes = part(record, "axes")
    left_out = {"label", "options"} | ({"hidden_size"} if axes.get("params_budget") is not None else set())
    if "cell" in spec.baseline:
        left_out |= {"cell_version", "operator"}
    flat = {key: value for key, value in axes.items() if key not in left_out and value is not None}
    options = {key: "null" if value is None else value for key, value in part(axes, "options").items()}  # clip=null
    return {key: _word(value) for key, value in (flat | options).items()}


def _assigned(entries: Mapping[str, Mapping[str, Any]], runs: pd.Series[int], spec: Spec) -> dict[str, list[str]]:
    """Baseline -> its other entries, for the entries of one block; empty where it has no baseline or nothing else."""
    at_baseline = [e for e, axes in entries.items() if all(axes.get(k) == v for k, v in spec.baseline.items())]
    others = [entry for entry in entries if entry not in at_baseline]
    if not at_baseline or len(entries) < 2:
        return {}

    def apart(one: str, two: str) -> int:
        return len(_beside(entries[one], entries[two], spec))

    exact = [b for b in at_baseline if any(apart(b, other) == 0 for other in others)]
    by_axes = {json.dumps(entries[b], sort_keys=True): b for b in sorted(exact, key=lambda b: (runs[b], b))}
    baselines = sorted(by_axes.values())  # of equals the one with most runs
    if not baselines:
        baselines = [min(at_baseline, key=lambda b: (sum(apart(b, e) for e in entries), -runs[b], b))]
    found: dict[str, list[str]] = {baseline: [] for baseline in baselines}
    for entry in entries:
        nearest_one = min(baselines, key=lambda b: (apart(b, entry), b))
        beside = set(_beside(entries[entry], entries[nearest_one], spec))
        if entry not in found and not (spec.alone and beside - SIZE):
            found[nearest_one].append(entry)
    return {baseline: members for baseline, members in found.items() if members}


def _beside(one: Mapping[str, Any], two: Mapping[str, Any], spec: Spec) -> list[str]:
    """The axes in which two entries differ beside the factor."""
    return sorted(key for key in {*one, *two} - set(spec.baseline) if one.get(key) != two.get(key))


def _arms(
    baseline: str, members: Iterable[str], entries: Mapping[str, Mapping[str, Any]], block: pd.DataFrame, spec: Spec
) -> list[Arm]:
    """The arms of one study, with names that say what is special about each."""
    found: list[tuple[str, str, list[str]]] = [(baseline, "baseline", [])]
    for entry in members:
        beside = _beside(entries[entry], entries[baseline], spec)
        same = all(entries[entry].get(key) == value for key, value in spec.baseline.items())
        found.append((entry, "control" if same and beside and set(beside) <= SIZE else "variant", beside))
    names = [_name(entries[entry], beside, spec) for entry, _, beside in found]
    arms = []
    for (entry, role, _), name in zip(found, names, strict=True):
        runs = block[block["entry"] == entry].drop_duplicates("seed").set_index("seed", drop=False).sort_index()
        unique = name if names.count(name) == 1 or role == "baseline" else f"{name} [{entry}]"
        arms.append(Arm(unique, str(runs["label"].iloc[0]), role, runs))
    order = {"baseline": 0, "variant": 1, "control": 2}
    return sorted(arms, key=lambda arm: (order[arm.role], arm.name))


def _name(axes: Mapping[str, Any], beside: Iterable[str], spec: Spec) -> str:
    """ "hadamard detach", or "off (hidden_size=70)": the factor's values and what else differs from the baseline."""
    value = " ".join(str(axes.get(key, "default")).replace(", ", " ") for key in spec.baseline)
    solved = {"hidden_size"} if "params_budget" in axes else set()  # by the budget, which is named
    others = ", ".join(f"{key}={axes.get(key, 'default')}" for key in beside if key not in solved)
    return f"{value} ({others})" if others else value


def _title(block: pd.DataFrame, baseline: pd.Series[bool]) -> str:
    first = block[baseline].iloc[0]
    return " · ".join(str(first[key]) for key in ("dataset", "budget", "label") if not pd.isna(first[key]))
