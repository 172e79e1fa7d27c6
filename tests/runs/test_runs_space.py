"""Hydra's sweep grammar as the dimensions of a search: bounds, scales, values as overrides, and what is refused."""

from __future__ import annotations

import pytest

from rnnbench.errors import BadInput
from rnnbench.runs.compose import compose
from rnnbench.runs.space import read_space


def one(text):
    (dimension,), rest = read_space([text])
    assert rest == []
    return dimension


@pytest.mark.parametrize(
    ("text", "kind", "bounds", "scale", "step"),
    [
        ("optimizer.lr=interval(0.1,0.5)", "float", (0.1, 0.5), "linear", None),
        ("optimizer.lr=tag(log,interval(1e-4,1e-1))", "float", (1e-4, 0.1), "log", None),
        ("optimizer.momentum=tag(log1m, interval(0, 0.99))", "float", (0.01, 1), "log1m", None),
        ("hidden_size=int(interval(20,200))", "int", (20, 200), "linear", None),
        ("hidden_size=tag(log, int(interval(20, 200)))", "int", (20, 200), "log", None),
        ("hidden_size=range(8,33,8)", "int", (8, 32), "linear", 8),
        ("hidden_size=range(32,7,-8)", "int", (8, 32), "linear", 8),
        ("depth.dropout=range(0,0.5,0.1)", "float", (0, 0.4), "linear", 0.1),
    ],
)
def test_numbers_have_their_bounds_and_scale(text, kind, bounds, scale, step):
    found = one(text)
    assert (found.kind, found.bounds, found.scale, found.step) == (kind, bounds, scale, step)


def test_a_value_is_an_override_of_six_digits_that_hydra_takes():
    rate = one("optimizer.lr=tag(log,interval(1e-6,1e-2))")
    assert rate.override(1.23456789e-5) == "optimizer.lr=1.23457e-05"
    momentum = one("optimizer.momentum=tag(log1m,interval(0,0.99))")
    assert [momentum.override(p) for p in (1.0, 0.1, 0.01)] == [
        "optimizer.momentum=0.0", "optimizer.momentum=0.9", "optimizer.momentum=0.99",
    ]  # fmt: skip
    config, _ = compose(["optimizer=sgd", rate.override(1.23456789e-5), momentum.override(0.1)])
    assert (config["optimizer"]["lr"], config["optimizer"]["momentum"]) == (1.23457e-05, 0.9)


def test_a_value_stays_within_its_bounds_whatever_the_rounding_does():
    narrow = one("optimizer.lr=interval(0.12345612,0.2)")
    assert narrow.value(0.12345612) == 0.12345612


def test_lists_are_choices_and_lists_of_lists_as_well():
    assert one("cell=lstm,gru").texts == ("cell='lstm'", "cell='gru'")
    assert [one("optimizer.lr=choice(0.1,0.2)").override(n) for n in (0, 1)] == ["optimizer.lr=0.1", "optimizer.lr=0.2"]
    assert one("forecast.sizes=[8],[8,8]").override(1) == "forecast.sizes=[8,8]"
    assert set(one("direction=glob(bi*)").texts) == {"direction='bidirectional'", "direction='bidirectional_sum'"}


def test_a_choice_has_its_place_whatever_hydra_shuffles():
    assert one("optimizer.lr=shuffle(0.3,0.1,0.2)").texts == one("optimizer.lr=shuffle(0.2,0.3,0.1)").texts
    assert one("direction=glob(bi*)").text == "bidirectional,bidirectional_sum", "one more would be another space"


def test_the_grid_of_a_dimension():
    assert one("hidden_size=range(8,33,8)").grid() == [8, 16, 24, 32]
    assert one("depth.dropout=range(0,0.5,0.1)").grid() == [0, 0.1, 0.2, 0.3, 0.4]
    assert one("cell=lstm,gru").grid() == [0, 1]
    with pytest.raises(BadInput, match="a grid takes lists"):
        one("optimizer.lr=interval(0.1,0.5)").grid()


def test_the_last_word_on_a_key_counts():
    space, rest = read_space(["hidden_size=8,16", "seed=1", "hidden_size=32"])
    assert (space, rest) == ([], ["seed=1", "hidden_size=32"])
    space, rest = read_space(["hidden_size=32", "hidden_size=8,16"])
    assert ([d.key for d in space], rest) == (["hidden_size"], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer.lr=tag(log,interval(0,1))", "begins above 0, not at 0"),
        ("optimizer.momentum=tag(log1m,interval(0,1))", "ends below 1, not at 1"),
        ("optimizer.lr=interval(0.5,0.1)", "from its low end to its high one"),
        ("optimizer.lr=tag(lgo,interval(0.1,0.5))", "unknown tag 'lgo'; did you mean log"),
        ("optimizer.lr=tag(log,choice(0.1,0.5))", "only an interval has a scale"),
        ("hidden_size=tag(log1m,int(interval(1,9)))", "not for whole ones"),
        ("cell=lstm,lstm", "values, each once"),
        ("seed=range(5)", "gives its trials their seeds"),
    ],
)
def test_what_is_no_space_is_refused_in_a_sentence(text, said):
    with pytest.raises(BadInput, match=said.replace("(", r"\(")) as refused:
        read_space([text])
    assert "\n" not in str(refused.value)
