"""Claims as they stand in conf/claims.yaml, checked: a claim, its checks, and which runs each is about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.claims.measures import MEASURES
from rnnbench.store.rows import part

RELATIONS = ("above", "below", "within", "equals")
KEYS = {"entry", "first", "second", "each", "measure", "ratio", "outputs", *RELATIONS}
Select = Mapping[str, Any]  # {"cell": "rnn", "dataset.T": 50}: what of a record must be equal
NAMED = {"dataset": "dataset", "budget": "budget"}  # parts of a record that have a name of their own
AXES = ("cell", "peephole", "direction", "depth", "hidden_size", "encoder", "forecast", "backend")


@dataclass(frozen=True)
class Check:
    """One measured statement: `measure` of first (less, or by, that of second) is above, below, within or equal.

    second: None for a level. ratio: first / second. outputs: of the head, for `recurrent_params`.
    """

    first: Select
    second: Select | None
    measure: str
    relation: str
    bound: float
    ratio: bool = False
    outputs: int | None = None

    @property
    def words(self) -> str:
        """`gru / lstm, digits, native`: who is compared on what."""
        if self.second is None:
            return _say(self.first)
        both = {k: v for k, v in self.first.items() if k in self.second and self.second[k] == v}
        own = [{k: v for k, v in side.items() if k not in both} for side in (self.first, self.second)]
        return f"{_say(own[0])} {'/' if self.ratio else '-'} {_say(own[1])}" + (f", {_say(both)}" if both else "")

    @property
    def says(self) -> str:
        """What would make it true: `score above 0.5`."""
        return f"{self.measure.replace('_', ' ')} {self.relation} {'±' * (self.within_difference)}{self.bound:g}"

    @property
    def within_difference(self) -> bool:
        """Whether the bound is one to both sides of 0."""
        return self.relation == "within" and not self.ratio


@dataclass(frozen=True)
class Claim:
    """What is said, by whom, and the checks that decide it. needs: all | any of them.

    experiments: whose runs decide it; also: others that hold some of the same runs, read where they are there.
    """

    n: int
    text: str
    source: str
    experiments: tuple[str, ...]
    checks: tuple[Check, ...]
    needs: str = "all"
    also: tuple[str, ...] = ()


def read_claims(content: Mapping[str, Any]) -> list[Claim]:
    """The claims of the file's content, by number. Raises BadInput on what is not as the file's head says."""
    claims = [_claim(each) for each in content["claims"]]
    if len({claim.n for claim in claims}) != len(claims):
        raise BadInput("claims.yaml: two claims have one number.")
    return sorted(claims, key=lambda claim: claim.n)


def _claim(node: Mapping[str, Any]) -> Claim:
    what = f"claims.yaml, claim {node.get('n')}"
    if unknown := set(node) - {"n", "text", "source", "experiments", "checks", "needs", "also"}:
        raise BadInput(f"{what}: unknown key {min(unknown)!r}.")
    if missing := {"n", "text", "source", "experiments", "checks"} - set(node):
        raise BadInput(f"{what} lacks {', '.join(sorted(missing))}.")
    if node.get("needs", "all") not in ("all", "any"):
        raise BadInput(f"{what}: needs is all or any, not {node['needs']!r}.")
    checks = tuple(check for each in node["checks"] for check in _checks(each, what))
    named, also = (tuple(map(str, node.get(key) or ())) for key in ("experiments", "also"))
    return Claim(int(node["n"]), node["text"], node["source"], named, checks, node.get("needs", "all"), also)


def _checks(node: Mapping[str, Any], what: str) -> list[Check]:
    """A check for every combination of `each`; a key there may say whose it is, second.cell."""
    if unknown := set(node) - KEYS:
        raise BadInput(f"{what}: unknown key {min(unknown)!r}; {nearest(min(unknown), KEYS)}")
    relations = [key for key in RELATIONS if key in node]
    if len(relations) != 1 or ("entry" in node) == ("first" in node) or ("first" in node) != ("second" in node):
        raise BadInput(f"{what}: a check has entry, or first and second, and one of {', '.join(RELATIONS)}.")
    if node.get("measure") not in MEASURES:
        raise BadInput(f"{what}: unknown measure; {nearest(str(node.get('measure')), MEASURES)}")
    if node["measure"] == "score" and "second" in node and (relations[0] == "below" or node.get("ratio")):
        raise BadInput(
            f"{what}: scores are compared as a difference, above a bound or within it; turn first and second."
        )
    each = node.get("each") or {}
    found = []
    for values in itertools.product(*each.values()):
        first, second = dict(node.get("entry") or node.get("first") or {}), dict(node.get("second") or {})
        for key, value in zip(each, values, strict=True):
            for name, side in (("first", first), ("second", second)):
                if key.partition(".")[0] == name or key.partition(".")[0] not in ("first", "second"):
                    side[key.removeprefix(f"{name}.")] = value
        against = second if "second" in node else None
        ratio, outputs = bool(node.get("ratio")), node.get("outputs")
        found.append(Check(first, against, node["measure"], relations[0], float(node[relations[0]]), ratio, outputs))
    return found


def matches(record: Mapping[str, Any], select: Select) -> bool:
    """Whether a record is of a run that this selects."""
    return all(_field(record, key) == value for key, value in select.items())


def _field(record: Mapping[str, Any], key: str) -> Any:
    if key in NAMED:
        return part(record, NAMED[key]).get("name")
    if key == "params":
        return part(record, "axes").get("params_budget")
    if key in AXES:
        return part(record, "axes").get(key)
    value: Any = record.get("config")
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _say(select: Select) -> str:
    """`rnn, adding, T=50`: names alone where they say what they are."""
    alone = ("cell", "dataset", "backend", "direction", "forecast", "forecast.sampling.mode")
    words = [
        str(v) if k in alone else "hidden size as given" if v is None else f"{k.rpartition('.')[2]}={v}"
        for k, v in select.items()
    ]
    return ", ".join(words)


def asked(claims: Sequence[Claim], numbers: Sequence[int]) -> list[Claim]:
    """The claims of these numbers, in their order; all without any. Raises BadInput on a number that is none."""
    known = {claim.n: claim for claim in claims}
    if unknown := [n for n in numbers if n not in known]:
        raise BadInput(f"there is no claim {unknown[0]}; they go from {min(known)} to {max(known)}.")
    return [known[n] for n in sorted(set(numbers))] if numbers else list(claims)
