"""Whether what was read from JSON is of the kinds that a TypedDict says: the type is the one description of a file."""

from __future__ import annotations

import functools
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

NOTHING = type(None)
MOST_SHAPES = 1_000  # that are remembered of a kind
WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object",
         list: "a list", NOTHING: "null"}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a value may be. types: exactly one of these; keys: of an object, the kind of each value by its key (other
    keys are open); each: of every value in an object or a list; deep: whether one of the two says something."""

    types: frozenset[type]
    keys: Mapping[str, Kind] | None = None
    each: Kind | None = None
    deep: bool = False
    shapes: set[tuple[object, ...]] = field(default_factory=set, compare=False)  # those that were seen to fit

    @functools.cached_property
    def flat(self) -> list[str]:
        """The keys of objects with keys of their own, and nothing inside."""
        return [key for key, kind in (self.keys or {}).items() if kind.deep and kind.keys and not kind.is_nested]

    @functools.cached_property
    def others(self) -> list[tuple[str, Kind]]:
        """The keys of what is looked into besides."""
        return [(key, kind) for key, kind in (self.keys or {}).items() if kind.deep and key not in self.flat]

    @property
    def is_nested(self) -> bool:
        return any(kind.deep for kind in (self.keys or {}).values())

    @property
    def words(self) -> str:
        """What it may be, as in "a text or null"; a number that may be whole or not is "a number"."""
        named = self.types - {int} if float in self.types else self.types
        return " or ".join(text for kind, text in WORDS.items() if kind in named)


Wrong = tuple[str, Any, Kind]  # the dotted key, what is there, and what should be


def kinds_of(typed: Any, open_types: Collection[str] = (), *, may_lack: bool = False) -> dict[str, Kind]:
    """The kinds of a TypedDict's values by key. open_types: names of TypedDicts that are not looked into.

    may_lack: null will do for each. Inside of an object or a list it always does: nothing is known of it.
    """
    found = {key: _kind(hint, open_types, may_lack=may_lack) for key, hint in get_type_hints(typed).items()}
    return {key: kind for key, kind in found.items() if kind is not None}


def _kind(hint: Any, open_types: Collection[str], *, may_lack: bool) -> Kind | None:
    """The kind of a type, or of a union of such; None of Any."""
    if get_origin(hint) in (NotRequired, Required):
        hint = get_args(hint)[0]
    if hint is Any:
        return None
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    found = [_of_one(option, open_types) for option in options]
    allowed = frozenset[type]().union(*(kind.types for kind in found), {NOTHING} if may_lack else ())
    inner = next((kind for kind in found if kind.deep), Kind(frozenset()))
    return Kind(allowed, inner.keys, inner.each, inner.deep)


def _of_one(hint: Any, open_types: Collection[str]) -> Kind:
    """The kind of a type that is no union."""
    if is_typeddict(hint):
        keys = None if hint.__name__ in open_types else kinds_of(hint, open_types, may_lack=True)
        return Kind(frozenset({dict}), keys, deep=bool(keys))
    origin, inner = get_origin(hint), get_args(hint)
    if origin is None:
        return Kind(frozenset({int, float} if hint is float else {hint}))
    each = _kind(inner[-1], open_types, may_lack=True)
    container = dict if issubclass(origin, Mapping) else list
    return Kind(frozenset({container}), each=each, deep=each is not None)


def fits(value: Any, kind: Kind) -> bool:
    """Whether nothing inside an object is of another kind: `first_wrong` at a third of its price.

    Objects share few shapes, which are their keys with the types of their values; one that was seen to fit is known.
    """
    shape = [*value, *map(type, value.values())]
    for key in kind.flat:
        if type(inner := value.get(key)) is dict:
            shape += (len(inner), *inner, *map(type, inner.values()))
    known = tuple(shape)
    if known in kind.shapes:
        return not [key for key, own in kind.others if (inner := value.get(key)) and not _each_fits(inner, own)]
    if first_wrong(value, kind) is not None:
        return False
    if len(kind.shapes) < MOST_SHAPES:
        kind.shapes.add(known)
    return True


def _each_fits(value: Any, kind: Kind) -> bool:
    if kind.keys is None and kind.each is not None and not kind.each.deep:  # nothing but numbers, say: told at once
        return kind.each.types.issuperset(map(type, value.values() if type(value) is dict else value))
    return first_wrong(value, kind) is None


def first_wrong(value: Any, kind: Kind) -> Wrong | None:
    """The first value inside an object or a list that is of another kind; None where there is none."""
    if type(value) is str:  # of a kind that is an object or a text: nothing is inside
        return None
    items: Iterable[tuple[Any, Any]] = value.items() if type(value) is dict else enumerate(value)
    for key, inner in items:
        own = kind.each if kind.keys is None else kind.keys.get(key)
        if own is None:
            continue
        if type(inner) not in own.types:
            return str(key), inner, own
        if own.deep and inner and (found := first_wrong(inner, own)) is not None:
            return f"{key}.{found[0]}", *found[1:]
    return None
