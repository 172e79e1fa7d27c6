"""`rnnbench claims`: what tutorials say, and the verdict of the records by stated rules; never by a person."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnbench.reports.claims.measures import EXACT, OF_COST
from rnnbench.reports.claims.values import Values, values_of
from rnnbench.reports.claims.wording import Check, Claim
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.statistics.paired import holm, sign_flip_p, smallest_p
from rnnbench.reports.tables.numbers import p_text, short
from rnnbench.store.curves import Curves

HOLDS, FAILS, DEPENDS, OPEN = "holds", "does not hold", "depends", "not enough evidence"
YES, NO, UNKNOWN, VOID = "yes", "no", "open", "void"
ALPHA = 0.05
LEARNED = 0.05  # of the way from floor to target: a task on which neither network comes so far does not compare them
FEWEST_LEVEL, FEWEST_TEST = 5, 8  # runs for an interval; pairs for a test
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """A check and what the runs say of it. answer: yes | no | open | void; words: the numbers, or what is missing.

    low, high: the 95% interval of mean; p: of the test against the bound, by Holm over the claim's tests; NaN if none.
    missing: there are too few runs, whatever became of them; settings: they are of more than one setting.
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
    settings: bool = False


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
        if self.is_missing:
            return f"runs are missing: rnnbench claims --run {self.claim.n}"
        if any(finding.settings for finding in self.findings):
            return (
                f"runs of several settings are mixed; apart: rnnbench claims --run {self.claim.n} --results ELSEWHERE"
            )
        if not any(finding.answer == UNKNOWN for finding in self.findings):
            return "its tasks leave no room for a difference; others, or another budget, would"
        seeds = 2 * max(FEWEST_TEST, *(finding.n for finding in self.findings))
        more = "; ".join(f"rnnbench sweep experiment={name} 'seed=range({seeds})'" for name in self.claim.experiments)
        return f"undecided with these seeds; more: {more}"

    @property
    def is_missing(self) -> bool:
        """Whether a check has too few runs."""
        return any(finding.missing for finding in self.findings)

    @property
    def evidence(self) -> str:
        """How many checks say what, and of cost, what it was compared on: `4 yes, 1 open (native, cpu, threads=1)`."""
        counts = Counter(finding.answer for finding in self.findings)
        said = ", ".join(f"{counts[word]} {word}" for word in (YES, NO, UNKNOWN, VOID) if counts[word])
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
        "both runs of a pair on one machine, torch, thread count and precision; backend, device and threads are named, "
        "and it says nothing of others. Where one run of a pair never reaches the target, it counts with all of its "
        "training time, which is less than it would need; a pair where neither does is none.",
        f"Within a bound: at least {FEWEST_TEST} pairs (cost: {FEWEST_LEVEL}); yes where all of the interval is "
        "within it, no where all of it is outside. Equal: exact in every run; one is enough.",
        "A comparison of scores is void where the task has no room for it: where neither network comes "
        f"{LEARNED:g} above the floor, or where one should be above another that is already within the bound of the "
        "target, and is not worse by the bound.",
        "Verdict, of the checks that are not void: holds where all say yes (of a claim that something exists: any), "
        "does not hold where all say no, depends where some say yes and some no, not enough evidence where none is "
        "left or what is open could change that. The test of a void check stays in Holm's count.",
    ]


def judge(claim: Claim, records: Records, histories: Curves) -> Judged:
    """The verdict on one claim from the records of its experiments."""
    raw = [(check, values_of(check, records, histories)) for check in claim.checks]
    tests = [i for i, (check, found) in enumerate(raw) if _is_test(check) and len(found.values) >= FEWEST_TEST]
    adjusted = holm([sign_flip_p([v - _scaled(raw[i][0]) for v in raw[i][1].values]) for i in tests])
    p_values = dict(zip(tests, adjusted, strict=True))
    findings = tuple(_decide(check, found, p_values.get(i)) for i, (check, found) in enumerate(raw))
    return Judged(claim, verdict([f.answer for f in findings], claim.needs), findings)


def verdict(answers: Sequence[str], needs: str) -> str:
    """What the answers of a claim's checks amount to."""
    yes, no, unknown = (answers.count(word) for word in (YES, NO, UNKNOWN))
    if needs == "any":
        return HOLDS if yes else FAILS if no and not unknown else OPEN
    if yes and no:
        return DEPENDS
    return OPEN if unknown or not (yes or no) else HOLDS if yes else FAILS


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


def _decide(check: Check, found: Values, p: float | None) -> Finding:
    """The answer of a check: by the interval, and by the test where it is one."""
    values, bound = found.values, _scaled(check)
    fewest, n = _fewest(check), len(values)
    finding = Finding(check, UNKNOWN, "; ".join(found.notes), n, compared_on=found.compared_on)
    if n < fewest:
        what = "runs" if check.second is None else "pairs"
        said = [f"{n} of at least {fewest} {what}", *found.notes]
        missing = not found.settings and found.found < fewest
        return replace(finding, words="; ".join(said), missing=missing, settings=found.settings)
    mean, low, high = mean_ci(values)
    if check.relation == "equals":
        answer = YES if all(math.isclose(v, bound, abs_tol=1e-12) for v in values) else NO
    else:
        answer = _side(check.relation, bound, low, high)
        if _is_test(check) and answer != UNKNOWN and not (p is not None and p < ALPHA):
            answer = UNKNOWN
    if void := _no_room(check, found, answer, high):
        answer, finding = VOID, replace(finding, words="; ".join(filter(None, [void, finding.words])))
    back = math.exp if check.ratio else float
    shown = f"{short(back(mean))}"
    if math.isfinite(low) and check.relation != "equals":
        shown += f" [{short(back(low))}, {short(back(high))}]"
    tested = f", p {p_text(p)} against the bound" if p is not None else ""
    if p is not None and answer == UNKNOWN and smallest_p(n) >= ALPHA:
        tested += " (so few pairs cannot go lower)"
    words = "; ".join(filter(None, [f"{shown}, n={n}{tested}", finding.words]))
    p_shown = math.nan if p is None else p
    return replace(finding, answer=answer, words=words, mean=back(mean), low=back(low), high=back(high), p=p_shown)


def _no_room(check: Check, found: Values, answer: str, high: float) -> str:
    """Why the task of a comparison of scores could not show the difference, whatever came of it; else empty."""
    if check.second is None or check.measure != "score":
        return ""
    if max(found.levels) < LEARNED:
        return "neither has learned the task"
    ceiling = check.relation == "above" and found.levels[1] > 1 - check.bound
    ceiling = ceiling and answer != YES and not high < -check.bound
    return f"the second leaves no room, {short(found.levels[1])}" if ceiling else ""


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
