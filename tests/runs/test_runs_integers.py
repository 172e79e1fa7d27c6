"""Whole numbers that 64 bits do not hold: one sentence, of every integer option, in every command."""

import pytest

from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import axes
from rnnbench.runs.axes import check_integer, leaves
from rnnbench.runs.compose import compose, expand
from rnnbench.runs.plan import prepare
from rnnbench.runs.space import read_space
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.search.definition import define

BEYOND = [2**63, 2**64, 10**20, -(2**63) - 1, -(10**30), 10**4000]
CONTEXTS = [[], ["dataset=moving_digits", "cell=convlstm"], ["dataset=dyck"]]
INTEGERS = [
    (context, key)
    for context in CONTEXTS
    for key, value in leaves(dict(compose(context)[0])).items()
    if isinstance(value, int) and not isinstance(value, bool) and ".meta." not in key
]


@pytest.mark.parametrize(("context", "key"), INTEGERS)
def test_every_integer_option_is_held_to_64_bits(context, key):
    for value in BEYOND:
        with pytest.raises(BadInput, match=rf"^{key} must lie between -2\^63 and 2\^63 - 1, not at ") as caught:
            prepare([*context, f"{key}={value}"])
        assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "override", ["optimizer.betas=[0.9,99999999999999999999]", "forecast.sizes=[4,9223372036854775808]"]
)
def test_in_a_list_too(override):
    with pytest.raises(BadInput, match="must lie between"):
        prepare([override])


def test_what_64_bits_hold_is_a_seed():
    assert prepare([f"seed={2**63 - 1}"]).config["seed"] == 2**63 - 1
    assert check_integer("seed", [2**63 - 1, -(2**63)]) is None


@pytest.mark.parametrize(
    "words",
    [
        ["run", "seed=9223372036854775808"], ["plan", "seed=0,9223372036854775808"],
        ["sweep", "hidden_size=8,99999999999999999999"],
        ["plan", "seed=range(99999999999999999999)"], ["plan", "seed=range(2000000)"],
        ["plan", "seed=range(2000)", "hidden_size=range(1,2000)"], ["run", "params=99999999999999999999"],
        ["tune", "hidden_size=int(interval(1,99999999999999999999))"], ["tune", "hidden_size=8,99999999999999999999"],
        ["tune", "optimizer.lr=0.1,0.2", "--seed", "9223372036854775808"],
        ["tune", "hidden_size=range(1,99999999999999999999)"], ["run", "seed=" + "9" * 5000],
    ],
)  # fmt: skip
def test_every_command_says_it_in_one_sentence(words, tmp_path, capsys):
    trials = ["--trials", "2"] if words[0] == "tune" else []
    assert main([*words, "device=cpu", *trials, "--results", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnnbench: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_the_limits_are_of_what_is_planned_and_no_others():
    assert len(list(expand(["seed=range(1000)", "hidden_size=1,2"]))) == 2000
    assert axes.LIMIT == 2**63
    (dimension,) = read_space(["hidden_size=range(1,100)"])[0]
    assert (dimension.low, dimension.high) == (1, 99)
    assert len(plan(["seed=0,1", "device=cpu"]).jobs) == 2
    assert define(["hidden_size=8,16", "device=cpu"], trials=2).trials == 2
