"""Checks of the options a user writes (dataset.view=..., dataset.T=...), each refusal in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from rnnbench.errors import BadInput


def one_of(option: str, value: object, known: Iterable[str]) -> None:
    """Raises BadInput unless value is one of the known names."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise BadInput(f"dataset.{option} must be one of {', '.join(known)}; got {value!r}.")


def whole(option: str, value: object, minimum: int, why: str = "") -> None:
    """Raises BadInput unless value is a whole number (a bool is none) of at least minimum."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        reason = f" ({why})" if why else ""
        raise BadInput(f"dataset.{option} must be a whole number of at least {minimum}{reason}; got {value!r}.")


def counts(**options: object) -> None:
    """Raises BadInput unless every option is a whole number of at least 1."""
    for option, value in options.items():
        whole(option, value, 1)


def sizes_and_seed(train: object, val: object, test: object, data_seed: object) -> None:
    """Raises BadInput unless a generated dataset's three sizes and its seed can be used."""
    counts(train=train, val=val, test=test)
    whole("data_seed", data_seed, 0)
