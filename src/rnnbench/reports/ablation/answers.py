"""The answers to a study's questions in plain sentences, and the choice, from the verdicts on its variants."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnbench.reports.ablation.effects import LARGER
from rnnbench.reports.ablation.gradients import NONE, PROBLEM, UNKNOWN
from rnnbench.reports.statistics.room import Room
from rnnbench.reports.tables.frames import Row
from rnnbench.reports.tables.numbers import missing, ratio

HELPS, HURTS, SAME, VOID = "helps", "hurts", "does not matter", "void"
BY_SIZE = "helps, perhaps by its size"
ORDER = (HELPS, BY_SIZE, HURTS, SAME, VOID, UNKNOWN)


@dataclass(frozen=True)
class Verdict:
    """One word for one variant, and in half a sentence why."""

    word: str
    why: str


@dataclass(frozen=True)
class Case:
    """What verdicts are made from, by the name of a variant or control.

    base: the baseline's name; sign: +1 where more is better, else -1; margin: the smallest effect of interest, in the
    metric's unit; room: between which values (times sign) the task tells two apart. main, costs, ends: rows of the
    frames of effects, cost and coverage. effects, gradients: the verdicts, as far as they are known.
    """

    base: str
    sign: float
    margin: float
    room: Room
    main: Mapping[str, Row]
    costs: Mapping[str, Row]
    ends: Mapping[str, Row]
    effects: dict[str, Verdict]
    gradients: dict[str, Verdict]

    @property
    def variants(self) -> list[str]:
        """The names of the variants, without controls."""
        return [name for name, row in self.main.items() if row["role"] == "variant"]

    def with_effect(self, word: str, *, sound: bool = False) -> list[str]:
        """The variants with this verdict; sound: only those without a gradient problem."""
        names = [name for name in self.variants if self.effects[name].word == word]
        return [name for name in names if not sound or self.gradients[name].word != PROBLEM]


def choose(case: Case) -> str:
    """The name of what a user should choose, by the rule of `rules`."""
    helping = case.with_effect(HELPS, sound=True)
    if helping:
        gains = {name: _gain(case, name) for name in helping}
        margin = 0.0 if missing(case.margin) else case.margin
        best = [name for name in helping if gains[name] >= max(gains.values()) - margin]
        return min(best, key=lambda name: _price(case, name))
    sizes = {name: case.costs[name]["params_ratio"] for name in case.with_effect(SAME, sound=True)}
    leaner = [name for name, size in sizes.items() if not missing(size) and size <= 1 - LARGER]
    return min(leaner, key=lambda name: (float(sizes[name]), name), default=case.base)


def _gain(case: Case, name: str) -> float:
    """By how much a variant is better than the baseline."""
    difference = case.main[name]["difference"]
    return -math.inf if missing(difference) else case.sign * float(difference)


def _price(case: Case, name: str) -> tuple[float, float, str]:
    """To sort by: the time to train, then the parameters; what is not known comes last."""
    seconds, params = case.costs[name]["train_seconds"], case.costs[name]["params"]
    return (
        math.inf if missing(seconds) else float(seconds),
        math.inf if missing(params) else float(params),
        name,
    )


def answers(case: Case, choice: str) -> dict[str, str]:
    """Plain words by question, names in Markdown's bold."""
    return {"effect": _effect(case), "gradient": _gradient(case), "choice": _choice(case, choice)}


def _effect(case: Case) -> str:
    by_word = {word: names for word in ORDER if (names := case.with_effect(word))}
    are_alike = len(by_word) == 1 and len(case.variants) > 1
    said = []
    for word, names in by_word.items():
        head = f"{_capital(word)}, all {len(names)} variants alike" if are_alike else _capital(word)
        said.append(f"{head}: {_listed(names, case.effects)}.")
    return " ".join(said)


def _gradient(case: Case) -> str:
    texts = []
    for word, head in ((PROBLEM, "Yes, in"), (NONE, "None in"), (UNKNOWN, "Not enough evidence on")):
        names = [name for name in case.variants if case.gradients[name].word == word]
        if not names:
            continue
        reasons = {case.gradients[name].why for name in names}
        if word == NONE:
            texts.append(f"{head} {_bold(names)}: every recorded sign is ruled out.")
        elif len(reasons) == 1:
            texts.append(f"{head} {_bold(names)} ({reasons.pop()}).")
        else:
            texts.append(f"{head} {_listed(names, case.gradients)}.")
    own = case.ends[case.base]
    return " ".join([*texts, f"The baseline, **{case.base}**, diverged in {own['diverged']} of {own['runs']} runs."])


def _choice(case: Case, choice: str) -> str:
    return _choice_of_baseline(case) if choice == case.base else _choice_of_variant(case, choice)


def _choice_of_variant(case: Case, choice: str) -> str:
    cost = case.costs[choice]
    price = [
        f"{ratio(cost[key])} {what}"
        for key, what in (("params_ratio", "the parameters"), ("seconds_ratio", "the training time"))
        if not missing(cost[key])
    ]
    text = f"**{choice}**: it {case.effects[choice].word}"
    if price:
        text += f", at {' and '.join(price)}"
    return f"{text}; gradient problem: {case.gradients[choice].word}."


def _choice_of_baseline(case: Case) -> str:
    reasons = []
    for word, text in (
        (HELPS, "{} would help, but with a gradient problem"),
        (BY_SIZE, "{} may be better only by size: a larger baseline may do as well"),
        (HURTS, "{} would hurt"),
        (SAME, "{} would change nothing that matters"),
        (VOID, "the task leaves no room to see what {} would do"),
        (UNKNOWN, "not enough evidence for {}"),
    ):
        names = case.with_effect(word)
        if names:
            reasons.append(text.replace("{}", _bold(names)))
    return f"**{case.base}**, the baseline: {'; '.join(reasons) or 'there is no variant'}."


def _listed(names: Iterable[str], verdicts: Mapping[str, Verdict]) -> str:
    return "; ".join(f"**{name}** ({verdicts[name].why})" for name in names)


def _bold(names: Iterable[str]) -> str:
    return ", ".join(f"**{name}**" for name in names)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
