"""`rnnbench claims`: what tutorials say, and the verdict of the records by stated rules; never by a person."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnbench.reports.claims_data import Check, Claim, Select, matches
from rnnbench.reports.claims_measures import EXACT, MEASURES, OF_COST
from rnnbench.reports.curves import Curves
from rnnbench.reports.numbers import short
from rnnbench.reports.paired import holm, sign_flip_p, smallest_p
from rnnbench.reports.stats import mean_ci

HOLDS, FAILS, DEPENDS, OPEN = "holds", "does not hold", "depends", "not enough evidence"
YES, NO, UNKNOWN = "yes", "no", "open"
ALPHA = 0.05
FEWEST_LEVEL, FEWEST_TEST = 5, 8  # runs for an interval; pairs for a test
SMOKE = "smoke"
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """A check and what the runs say of it. answer: yes | no | open; words: the numbers, or what is missing.

    low, high: the 95% interval of mean; p: of the test against the bound, by Holm over the claim's tests; NaN if none.
    missing: there are too few runs, where more seeds may not be what an open answer with enough of them needs.
    """

    check: Check
    answer: str
    words: str
    n: int = 0
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    compared_on: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict and the findings it stands on."""

    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]

    @property
    def to_do(self) -> str:
        """Where there is not enough evidence: why, and the command that makes more; else empty."""
        if self.verdict != OPEN:
            return ""
        if any(finding.missing for finding in self.findings):
            return f"runs are missing: rnnbench claims --run {self.claim.n}"
        names = self.claim.experiments
        return f"undecided with these seeds; more: rnnbench sweep experiment={names[0]} 'seed=range({2 * FEWEST_TEST})'"

    @property
    def evidence(self) -> str:
        """How many checks say what, and of cost, what it was compared on: `4 yes, 1 open (native, cpu, threads=1)`."""
        counts = Counter(finding.answer for finding in self.findings)
        said = ", ".join(f"{counts[word]} {word}" for word in (YES, NO, UNKNOWN) if counts[word])
        return said + (f" ({self.compared_on})" if self.compared_on else "")

    @property
    def compared_on(self) -> str:
        """Backend, device and threads of comparisons of cost."""
        return "; ".join(sorted({on for f in self.findings for on in f.compared_on.split("; ") if on}))


def rules() -> list[str]:
    """The rules of all verdicts as they stand under every table."""
    return [
        "Score: the main metric on test, 0 at the dataset's floor and 1 at its target (an error of 0 where none is "
        "known); a run that diverged has 0. Runs of budget=smoke are no evidence.",
        f"A level is decided by the 95% interval over at least {FEWEST_LEVEL} seeds: yes where all of it is on the "
        "claimed side of the bound, no where all of it is on the other, else open.",
        f"A comparison is paired by seed. Of scores and losses: at least {FEWEST_TEST} pairs, the interval as above, "
        f"and Holm's p < {ALPHA:g} of the sign-flip test against the bound, over the claim's tests.",
        f"Of speed, time and memory: at least {FEWEST_LEVEL} pairs, the interval of the geometric mean of the ratios; "
        "backend, device and threads are named, and it says nothing of others. Only runs that reach the target count.",
        f"Within a bound: at least {FEWEST_TEST} pairs (cost: {FEWEST_LEVEL}); yes where all of the interval is "
        "within it, no where all of it is outside. Equal: exact in every run; one is enough.",
        "Verdict: holds where all checks say yes (of a claim that something exists: any), does not hold where all say "
        "no, depends where some say yes and some no, not enough evidence where what is open could change that.",
    ]


def judge(claim: Claim, records: Records, histories: Curves) -> Judged:
    """The verdict on one claim from the records of its experiments."""
    raw = [_measured(check, records, histories) for check in claim.checks]
    tests = [i for i, (check, _, values) in enumerate(raw) if _is_test(check) and len(values) >= FEWEST_TEST]
    adjusted = holm([sign_flip_p([v - _scaled(raw[i][0]) for v in raw[i][2]]) for i in tests])
    p_values = dict(zip(tests, adjusted, strict=True))
    findings = tuple(_decide(finding, values, p_values.get(i)) for i, (_, finding, values) in enumerate(raw))
    return Judged(claim, verdict([f.answer for f in findings], claim.needs), findings)


def verdict(answers: Sequence[str], needs: str) -> str:
    """What the answers of a claim's checks amount to."""
    yes, no, unknown = (answers.count(word) for word in (YES, NO, UNKNOWN))
    if needs == "any":
        return HOLDS if yes else FAILS if not unknown else OPEN
    if yes and no:
        return DEPENDS
    return OPEN if unknown or not answers else HOLDS if yes else FAILS


def _is_test(check: Check) -> bool:
    """Whether it is decided by a test, too: a comparison of scores or losses with a direction."""
    return check.second is not None and check.measure not in OF_COST and check.relation in ("above", "below")


def _fewest(check: Check) -> int:
    if check.relation == "equals" or check.measure in EXACT:
        return 1
    return FEWEST_LEVEL if check.second is None or check.measure in OF_COST else FEWEST_TEST


def _scaled(check: Check) -> float:
    """The bound on the scale of the values: ratios are compared by their logarithm."""
    return math.log(check.bound) if check.ratio else check.bound


def _measured(check: Check, records: Records, histories: Curves) -> tuple[Check, Finding, list[float]]:
    """The values of a check, one a seed, and what there is to say of the runs that have none."""
    sides = [
        _by_seed(select, check, records, histories) for select in (check.first, check.second) if select is not None
    ]
    notes = list(dict.fromkeys(note for _, side_notes, _ in sides for note in side_notes))
    on = "; ".join(sorted({word for _, _, words in sides for word in words})) if check.measure in OF_COST else ""
    seeds = sorted(set.intersection(*(set(values) for values, _, _ in sides)))
    if len(sides) == 1:
        values = [sides[0][0][seed] for seed in seeds]
    elif check.ratio:
        values = [math.log(sides[0][0][seed] / sides[1][0][seed]) for seed in seeds]
    else:
        values = [sides[0][0][seed] - sides[1][0][seed] for seed in seeds]
    return check, Finding(check, UNKNOWN, "; ".join(notes), len(values), compared_on=on), values


def _by_seed(
    select: Select, check: Check, records: Records, histories: Curves
) -> tuple[dict[int, float], list[str], set[str]]:
    """The measure of the runs selected by seed, remarks on those that do not count, and what they were computed on."""
    found = [record for record in records if matches(record, select)]
    tried = [record for record in found if (record.get("budget") or {}).get("name") == SMOKE]
    runs = [record for record in found if record not in tried]
    notes = [f"{len(tried)} runs of budget=smoke do not count"] * bool(tried)
    values: dict[int, float] = {}
    failed: Counter[str] = Counter()
    on: set[str] = set()
    if len({(record["seed"], record["id"]) for record in runs}) > len({record["seed"] for record in runs}):
        return {}, [*notes, "the runs are of more than one setting (budget or options)"], on
    for record in runs:
        value = MEASURES[check.measure](record, histories.get(str(record["id"]), []), check.outputs)
        usable = record["status"] == "ok" or (check.measure == "score" and record["status"] == "diverged")
        if record["status"] != "ok":
            failed[str(record["status"])] += 1
        if usable and value is not None and (value > 0 or not check.ratio):
            values[int(record["seed"])] = value
            on.add(f"{record.get('backend')}, {record.get('device')}, threads={record.get('threads')}")
        elif usable:
            failed[f"without {check.measure.replace('_', ' ')}"] += 1
    return values, notes + [f"{n} {word}" for word, n in failed.items()], on


def _decide(finding: Finding, values: Sequence[float], p: float | None) -> Finding:
    """The answer of a check: by the interval, and by the test where it is one."""
    check, bound = finding.check, _scaled(finding.check)
    fewest, n = _fewest(check), len(values)
    if n < fewest:
        what = "runs" if check.second is None else "pairs"
        said = [f"{n} of at least {fewest} {what}", *filter(None, [finding.words])]
        return replace(finding, words="; ".join(said), missing=True)
    mean, low, high = mean_ci(values)
    if check.relation == "equals":
        answer = YES if all(math.isclose(v, bound, abs_tol=1e-12) for v in values) else NO
    else:
        answer = _side(check.relation, bound, low, high)
        if _is_test(check) and answer != UNKNOWN and not (p is not None and p < ALPHA):
            answer = UNKNOWN
    back = math.exp if check.ratio else float
    shown = f"{short(back(mean))}"
    if math.isfinite(low) and check.relation != "equals":
        shown += f" [{short(back(low))}, {short(back(high))}]"
    tested = f", p {short(p, 2)} against the bound" if p is not None else ""
    if p is not None and answer == UNKNOWN and smallest_p(n) >= ALPHA:
        tested += " (so few pairs cannot go lower)"
    words = "; ".join(filter(None, [f"{shown}, n={n}{tested}", finding.words]))
    p_shown = math.nan if p is None else p
    return replace(finding, answer=answer, words=words, mean=back(mean), low=back(low), high=back(high), p=p_shown)


def _side(relation: str, bound: float, low: float, high: float) -> str:
    """Where an interval lies: wholly on the claimed side, wholly on the other, or on both."""
    if math.isnan(low):
        return UNKNOWN
    if relation == "within":
        inside, outside = low >= -bound and high <= bound, low > bound or high < -bound
        return YES if inside else NO if outside else UNKNOWN
    above, below = low > bound, high < bound
    wanted, other = (above, below) if relation == "above" else (below, above)
    return YES if wanted else NO if other else UNKNOWN
