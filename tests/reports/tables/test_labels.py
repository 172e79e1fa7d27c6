from __future__ import annotations

import math

from rnnbench.reports.tables.labels import bracketed, dotted, told_apart


def apart(labels, words, otherwise=None):
    return told_apart(labels, lambda n: words[n], otherwise)


def test_labels_that_differ_stay_as_they_are_and_nobody_is_asked():
    def never(n):
        raise AssertionError("no two are equal")

    assert told_apart(["a", "b"], never) == ["a", "b"]


def test_equal_labels_get_the_words_that_not_all_of_them_share():
    words = [["depth=1", "clip=null"], ["depth=2", "clip=null"], ["depth=2"], ["depth=9"]]
    assert apart(["a", "a", "a", "b"], words) == [
        "a [depth=1, clip=null]",
        "a [depth=2, clip=null]",
        "a [depth=2]",
        "b",
    ]


def test_who_has_no_word_of_its_own_keeps_the_plain_label():
    assert apart(["a", "a"], [["lr=1"], ["lr=1", "clip=null"]]) == ["a", "a [clip=null]"]


def test_a_word_that_two_facts_say_is_said_once():
    assert apart(["a", "a"], [["x=1", "x=1"], ["x=2"]]) == ["a [x=1]", "a [x=2]"]


def test_what_no_word_tells_apart_is_numbered_or_named_by_its_id():
    assert apart(["a", "a", "a"], [["x"], ["x"], ["y"]]) == ["a [x, 1]", "a [x, 2]", "a [y]"]
    assert apart(["a", "a"], [["x"], ["x"]], ["entry 7f", "entry 03"]) == ["a [entry 7f]", "a [entry 03]"]


def test_words_in_a_row():
    assert dotted("digits", None, "", math.nan, "small") == "digits · small"
    assert bracketed("a", []) == "a"
    assert bracketed("a", ["b", "c"]) == "a [b, c]"
