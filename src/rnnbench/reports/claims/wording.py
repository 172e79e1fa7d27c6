"""Claims as they stand in conf/claims.yaml, checked: a claim, its checks, and which runs each is about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.claims.measures import MEASURES
from rnnbench.store.record import Record
from rnnbench.store.rows import part

RELATIONS = ("above", "below", "within", "equals")
CLAIM_KEYS = {"n", "text", "source", "experiments", "checks"}
KEYS = {"entry", "first", "second", "each", "measure", "ratio", "outputs", *RELATIONS}
Node = Mapping[str, Any]  # a part of claims.yaml, before it is checked
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
        both = {key: value for key, value in self.first.items() if key in self.second and self.second[key] == value}
        first = _say({key: value for key, value in self.first.items() if key not in both})
        second = _say({key: value for key, value in self.second.items() if key not in both})
        compared = f"{first} / {second}" if self.ratio else f"{first} - {second}"
        return f"{compared}, {_say(both)}" if both else compared

    @property
    def says(self) -> str:
        """What would make it true: `score above 0.5`."""
        bound = f"±{self.bound:g}" if self.within_difference else f"{self.bound:g}"
        return f"{self.measure.replace('_', ' ')} {self.relation} {bound}"

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


def read_claims(content: Node) -> list[Claim]:
    """The claims of the file's content, by number. Raises BadInput on what is not as the file's head says."""
    claims = [_claim(each) for each in content["claims"]]
    if len({claim.n for claim in claims}) != len(claims):
        raise BadInput("claims.yaml: two claims have one number.")
    return sorted(claims, key=lambda claim: claim.n)


def _claim(node: Node) -> Claim:
    what = f"claims.yaml, claim {node.get('n')}"
    unknown = set(node) - CLAIM_KEYS - {"needs", "also"}
    if unknown:
        raise BadInput(f"{what}: unknown key {min(unknown)!r}.")
    missing = CLAIM_KEYS - set(node)
    if missing:
        raise BadInput(f"{what} lacks {', '.join(sorted(missing))}.")
    needs = node.get("needs", "all")
    if needs not in ("all", "any"):
        raise BadInput(f"{what}: needs is all or any, not {needs!r}.")
    return Claim(
        n=int(node["n"]),
        text=node["text"],
        source=node["source"],
        experiments=tuple(map(str, node["experiments"] or ())),
        checks=tuple(check for each in node["checks"] for check in _checks(each, what)),
        needs=needs,
        also=tuple(map(str, node.get("also") or ())),
    )


def _checks(node: Node, what: str) -> list[Check]:
    """A check for every combination of `each`; a key there may say whose it is, second.cell."""
    relation = _relation(node, what)
    each = node.get("each") or {}
    found = []
    for values in itertools.product(*each.values()):
        chosen = dict(zip(each, values, strict=True))
        first = dict(node.get("entry") or node.get("first") or {}) | _of_side("first", chosen)
        second = dict(node["second"] or {}) | _of_side("second", chosen) if "second" in node else None
        check = Check(
            first=first,
            second=second,
            measure=node["measure"],
            relation=relation,
            bound=float(node[relation]),
            ratio=bool(node.get("ratio")),
            outputs=node.get("outputs"),
        )
        found.append(check)
    return found


def _relation(node: Node, what: str) -> str:
    """Which of `RELATIONS` a check states. Raises BadInput where the check is not as it must be."""
    unknown = set(node) - KEYS
    if unknown:
        raise BadInput(f"{what}: unknown key {min(unknown)!r}; {nearest(min(unknown), KEYS)}")
    relations = [key for key in RELATIONS if key in node]
    sides = {"entry", "first", "second"} & set(node)
    if len(relations) != 1 or sides not in ({"entry"}, {"first", "second"}):
        raise BadInput(f"{what}: a check has entry, or first and second, and one of {', '.join(RELATIONS)}.")
    measure = node.get("measure")
    if measure not in MEASURES:
        raise BadInput(f"{what}: unknown measure; {nearest(str(measure), MEASURES)}")
    is_turned = relations[0] == "below" or node.get("ratio")
    if measure == "score" and "second" in node and is_turned:
        raise BadInput(
            f"{what}: scores are compared as a difference, above a bound or within it; turn first and second."
        )
    return relations[0]


def _of_side(side: str, chosen: Node) -> dict[str, Any]:
    """What `each` says of one side: `cell` is for both, `second.cell` for the second alone."""
    found = {}
    for key, value in chosen.items():
        whose = key.partition(".")[0]
        if whose == side or whose not in ("first", "second"):
            found[key.removeprefix(f"{side}.")] = value
    return found


def matches(record: Record, select: Select) -> bool:
    """Whether a record is of a run that this selects."""
    return all(_field(record, key) == value for key, value in select.items())


def _field(record: Record, key: str) -> Any:
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
    return ", ".join(_word(key, value) for key, value in select.items())


def _word(key: str, value: Any) -> str:
    if key in ("cell", "dataset", "backend", "direction", "forecast", "forecast.sampling.mode"):
        return str(value)
    if value is None:
        return "hidden size as given"
    return f"{key.rpartition('.')[2]}={value}"


def asked(claims: Sequence[Claim], numbers: Sequence[int]) -> list[Claim]:
    """The claims of these numbers, in their order; all without any. Raises BadInput on a number that is none."""
    known = {claim.n: claim for claim in claims}
    unknown = [n for n in numbers if n not in known]
    if unknown:
        raise BadInput(f"there is no claim {unknown[0]}; they go from {min(known)} to {max(known)}.")
    return [known[n] for n in sorted(set(numbers))] if numbers else list(claims)
