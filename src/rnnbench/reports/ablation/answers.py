"""The answers to a study's questions in plain sentences, and the choice, from the verdicts on its variants."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rnnbench.reports.ablation.gradients import NONE, PROBLEM, UNKNOWN
from rnnbench.reports.tables.numbers import missing, ratio

LARGER = 0.01  # parameters more than the baseline's, as a share, from which size may be the reason
HELPS, HURTS, SAME = "helps", "hurts", "does not matter"
BY_SIZE = "helps, perhaps by its size"
ORDER = (HELPS, BY_SIZE, HURTS, SAME, UNKNOWN)


@dataclass(frozen=True)
class Verdict:
    """One word for one variant, and in half a sentence why."""

    word: str
    why: str


@dataclass(frozen=True)
class Case:
    """What verdicts are made from. sign: +1 where more is better. main, costs, ends: rows by variant.

    effects, gradients: the verdicts, as far as they are known. Everything but `base` is by name of variant or control.
    """

    base: str
    sign: float
    margin: float
    main: Mapping[str, Mapping[str, Any]]
    costs: Mapping[str, Mapping[str, Any]]
    ends: Mapping[str, Mapping[str, Any]]
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

    def gain(name: str) -> float:
        difference = case.main[name]["difference"]
        return -math.inf if missing(difference) else case.sign * float(difference)

    def price(name: str) -> tuple[float, float, str]:
        seconds, params = (case.costs[name][key] for key in ("train_seconds", "params"))
        return (
            math.inf if missing(seconds) else float(seconds),
            math.inf if missing(params) else float(params),
            name,
        )

    if helping := case.with_effect(HELPS, sound=True):
        least = max(map(gain, helping)) - (0.0 if missing(case.margin) else case.margin)
        return min((name for name in helping if gain(name) >= least), key=price)
    sizes = {name: case.costs[name]["params_ratio"] for name in case.with_effect(SAME, sound=True)}
    leaner = [name for name, size in sizes.items() if not missing(size) and size <= 1 - LARGER]
    return min(leaner, key=lambda name: (float(sizes[name]), name), default=case.base)


def answers(case: Case, choice: str) -> dict[str, str]:
    """Plain words by question, names in Markdown's bold."""
    return {"effect": _effect(case), "gradient": _gradient(case), "choice": _choice(case, choice)}


def _effect(case: Case) -> str:
    used = {word: names for word in ORDER if (names := case.with_effect(word))}
    if len(used) == 1 and len(case.variants) > 1:
        word = next(iter(used))
        return f"{_capital(word)}, all {len(case.variants)} variants alike: {_listed(case.variants, case.effects)}."
    return " ".join(f"{_capital(word)}: {_listed(names, case.effects)}." for word, names in used.items())


def _gradient(case: Case) -> str:
    texts = []
    for word, head in ((PROBLEM, "Yes, in"), (NONE, "None in"), (UNKNOWN, "Not enough evidence on")):
        names = [name for name in case.variants if case.gradients[name].word == word]
        if names and word == NONE:
            texts.append(f"{head} {_bold(names)}: every recorded sign is ruled out.")
        elif names and len({case.gradients[name].why for name in names}) == 1:
            texts.append(f"{head} {_bold(names)} ({case.gradients[names[0]].why}).")
        elif names:
            texts.append(f"{head} {_listed(names, case.gradients)}.")
    own = case.ends[case.base]
    return " ".join([*texts, f"The baseline, **{case.base}**, diverged in {own['diverged']} of {own['runs']} runs."])


def _choice(case: Case, choice: str) -> str:
    if choice != case.base:
        cost, verdict = case.costs[choice], case.effects[choice]
        price = [
            f"{ratio(cost[key])} {what}"
            for key, what in (("params_ratio", "the parameters"), ("seconds_ratio", "the training time"))
            if not missing(cost[key])
        ]
        text = f"**{choice}**: it {verdict.word}" + (f", at {' and '.join(price)}" if price else "")
        gradient = case.gradients[choice].word
        return f"{text}; gradient problem: {gradient}."
    reasons = []
    for word, text in (
        (HELPS, "{} would help, but with a gradient problem"),
        (BY_SIZE, "{} may be better only by size: a larger baseline may do as well"),
        (HURTS, "{} would hurt"),
        (SAME, "{} would change nothing that matters"),
        (UNKNOWN, "not enough evidence for {}"),
    ):
        if names := case.with_effect(word):
            reasons.append(text.replace("{}", _bold(names)))
    return f"**{case.base}**, the baseline: {'; '.join(reasons) or 'there is no variant'}."


def _listed(names: Iterable[str], verdicts: Mapping[str, Verdict]) -> str:
    return "; ".join(f"**{name}** ({verdicts[name].why})" for name in names)


def _bold(names: Iterable[str]) -> str:
    return ", ".join(f"**{name}**" for name in names)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
