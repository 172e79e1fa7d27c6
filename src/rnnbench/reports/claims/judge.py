"""`rnnbench claims`: what tutorials say, and the verdict of the records by stated rules; never by a person."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnnbench.reports.claims.measures import EXACT, OF_COST
from rnnbench.reports.claims.values import Values, values_of
from rnnbench.reports.claims.wording import Check, Claim
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.statistics.paired import holm, sign_flip_p, smallest_p
from rnnbench.reports.statistics.ratios import ratio_of
from rnnbench.reports.statistics.room import LEARNED, SMALLEST, NoRoom, Room, no_room
from rnnbench.reports.tables.numbers import p_bound, p_text, short
from rnnbench.store.curves import Curves
from rnnbench.store.record import Record

HOLDS, FAILS, DEPENDS, OPEN = "holds", "does not hold", "depends", "not enough evidence"
YES, NO, UNKNOWN, VOID = "yes", "no", "open", "void"
ALPHA = 0.05
FEWEST_LEVEL, FEWEST_TEST = 5, 8  # runs for an interval; pairs for a test
Records = Sequence[Record]


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
        return f"{said} ({self.compared_on})" if self.compared_on else said

    @property
    def compared_on(self) -> str:
        """Backend, device and threads of comparisons of cost."""
        named = {on for finding in self.findings for on in finding.compared_on.split("; ")}
        return "; ".join(sorted(named - {""}))


def rules() -> list[str]:
    """The rules of all verdicts as they stand under every table."""
    return [
        "Score: the main metric on test, 0 at the dataset's floor and 1 at its target (an error of 0 where none is "
        "known); a run that diverged has 0. Runs of budget=smoke are no evidence.",
        f"A level is decided by the 95% interval over at least {FEWEST_LEVEL} seeds: yes where all of it is on the "
        "claimed side of the bound, no where all of it is on the other, else open.",
        f"A comparison is paired by seed. Of scores and losses: at least {FEWEST_TEST} pairs, the interval as above, "
        f"and Holm's p < {p_bound(ALPHA)} of the sign-flip test against the bound, over the claim's tests.",
        f"Of speed, time and memory: at least {FEWEST_LEVEL} pairs, the interval of the geometric mean of the ratios; "
        "both runs of a pair on one machine, torch, thread count and precision; backend, device and threads are named, "
        "and it says nothing of others. Where one run of a pair never reaches the target, it counts with all of its "
        "training time, which is less than it would need; a pair where neither does is none.",
        f"Within a bound: at least {FEWEST_TEST} pairs (cost: {FEWEST_LEVEL}); yes where all of the interval is "
        "within it, no where all of it is outside. Equal: exact in every run; one is enough.",
        "A comparison of scores is void where the task has no room for it: where neither network comes "
        f"{LEARNED:g} above the floor; where one should be above another that is already within the bound of the "
        "target, and is not worse by the bound; or where two should be equal that have both solved the task (both are "
        "within the bound of the target, or where the record says that it is solved) and do not differ by more than "
        "the bound. So is one of losses where neither has learned the task or both have solved it (within "
        f"{SMALLEST:g} of the target).",
        "Verdict, of the checks that are not void: holds where all say yes (of a claim that something exists: any), "
        "does not hold where all say no, depends where some say yes and some no, not enough evidence where none is "
        "left or what is open could change that. The test of a void check stays in Holm's count.",
    ]


def judge(claim: Claim, records: Records, histories: Curves) -> Judged:
    """The verdict on one claim from the records of its experiments."""
    found = [values_of(check, records, histories) for check in claim.checks]
    p_values = _p_values(claim.checks, found)
    findings = tuple(_decide(*each) for each in zip(claim.checks, found, p_values, strict=True))
    return Judged(claim, verdict([finding.answer for finding in findings], claim.needs), findings)


def _p_values(checks: Sequence[Check], found: Sequence[Values]) -> list[float | None]:
    """Of every check that is a test with enough pairs: Holm's p against its bound; None of the others."""
    raw: list[float] = []
    for check, some in zip(checks, found, strict=True):
        is_tested = _is_test(check) and len(some.values) >= FEWEST_TEST
        raw.append(sign_flip_p([value - _scaled(check) for value in some.values]) if is_tested else math.nan)
    return [None if math.isnan(p) else p for p in holm(raw)]


def verdict(answers: Sequence[str], needs: str) -> str:
    """What the answers of a claim's checks amount to."""
    yes, no, unknown = (word in answers for word in (YES, NO, UNKNOWN))
    if needs == "any" and yes:
        return HOLDS
    if yes and no:
        return DEPENDS
    if unknown or not (yes or no):
        return OPEN
    return HOLDS if yes else FAILS


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
    if len(found.values) < _fewest(check):
        return _too_few(check, found)
    mean, low, high = mean_ci(found.values)
    answer = _answer(check, found.values, low, high, p)
    void = _no_room(check, found, answer, high)
    answer = VOID if void else answer
    back = ratio_of if check.ratio else float
    finding = Finding(
        check=check,
        answer=answer,
        words="",
        n=len(found.values),
        mean=back(mean),
        low=back(low),
        high=back(high),
        p=math.nan if p is None else p,
        compared_on=found.compared_on,
    )
    words = [_numbers(finding), void, *found.notes]
    return replace(finding, words="; ".join(filter(None, words)))


def _too_few(check: Check, found: Values) -> Finding:
    """The finding of a check that has fewer values than it needs."""
    n, fewest = len(found.values), _fewest(check)
    what = "runs" if check.second is None else "pairs"
    return Finding(
        check=check,
        answer=UNKNOWN,
        words="; ".join([f"{n} of at least {fewest} {what}", *found.notes]),
        n=n,
        compared_on=found.compared_on,
        missing=not found.settings and found.found < fewest,
        settings=found.settings,
    )


def _answer(check: Check, values: Sequence[float], low: float, high: float, p: float | None) -> str:
    """What enough values say. low, high: their interval; p: of the test, where it is one."""
    bound = _scaled(check)
    if check.relation == "equals":
        are_equal = all(math.isclose(value, bound, abs_tol=1e-12) for value in values)
        return YES if are_equal else NO
    if _is_test(check) and (p is None or p >= ALPHA):
        return UNKNOWN
    return _side(check.relation, bound, low, high)


def _numbers(finding: Finding) -> str:
    """ "0.12 [0.08, 0.16], n=8, p 0.0078 against the bound"."""
    text = short(finding.mean)
    if math.isfinite(finding.low) and finding.check.relation != "equals":
        text += f" [{short(finding.low)}, {short(finding.high)}]"
    text += f", n={finding.n}"
    if math.isnan(finding.p):
        return text
    text += f", p {p_text(finding.p)} against the bound"
    if finding.answer == UNKNOWN and smallest_p(finding.n) >= ALPHA:
        text += " (so few pairs cannot go lower)"
    return text


def _no_room(check: Check, found: Values, answer: str, high: float) -> str:
    """Why the task of a comparison of scores or losses could not show the difference, whatever came of it; else empty.

    high: the upper end of the interval of the difference.
    """
    if len(found.scores) < 2 or check.measure not in ("score", "gap"):
        return ""
    first, second = found.scores
    is_score, better = check.measure == "score", check.measure == "score" and check.relation == "above"
    near = 1 - (check.bound if is_score else SMALLEST)
    ceiling = near if better or math.isnan(found.solved) else min(near, found.solved)
    why = no_room(first, second, Room(LEARNED, ceiling), better=better)
    if why is not NoRoom.CEILING:
        return "" if why is None else str(why)
    if not better:
        return "" if is_score and answer == NO else str(why)
    is_decided = answer == YES or high < -check.bound
    return "" if is_decided else f"the second leaves no room, {short(second)}"


def _side(relation: str, bound: float, low: float, high: float) -> str:
    """Where an interval lies: wholly on the claimed side, wholly on the other, or on both."""
    if math.isnan(low):
        return UNKNOWN
    if relation == "within":
        is_yes = -bound <= low and high <= bound
        is_no = bound < low or high < -bound
    elif relation == "above":
        is_yes, is_no = low > bound, high < bound
    else:
        is_yes, is_no = high < bound, low > bound
    if is_yes:
        return YES
    return NO if is_no else UNKNOWN
