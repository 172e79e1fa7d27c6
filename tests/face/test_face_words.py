"""What is said in Python as words of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnbench.errors import BadInput
from rnnbench.face.words import overrides_of, selection_of, side_of


@pytest.mark.parametrize(
    ("words", "named", "wanted"),
    [
        (["cell=gru dataset=digits"], {}, ["cell=gru", "dataset=digits"]),
        ([["cell=gru", "dataset.path=a film.npy"]], {}, ["cell=gru", "dataset.path=a film.npy"]),
        (["cell=gru", "'dataset.path=a film.npy'"], {}, ["cell=gru", "dataset.path=a film.npy"]),
        ([("cell=gru",), "seed=1"], {}, ["cell=gru", "seed=1"]),
        ([], {"cell": "gru", "seed": 0}, ["cell=gru", "seed=0"]),
        (["cell=gru"], {"seed": range(3)}, ["cell=gru", "seed=0,1,2"]),
        ([], {"cell": ["rnn", "lstm"], "optimizer.lr": 0.01}, ["cell=rnn,lstm", "optimizer.lr=0.01"]),
        ([], {"clip": None, "peephole": True, "depth.residual": True},
         ["clip=null", "peephole=on", "depth.residual=true"]),
        ([], {"peephole": [False, True]}, ["peephole=off,on"]),
        ([], {"dataset.path": Path("a film.npy")}, ['dataset.path="a film.npy"']),
        ([], {"optimizer.lr": "choice(0.1,0.01)"}, ["optimizer.lr=choice(0.1,0.01)"]),
        ([], {}, []),
    ],
)  # fmt: skip
def test_overrides(words, named, wanted):
    assert overrides_of(words, named) == wanted


@pytest.mark.parametrize("value", [{"name": "gru"}, b"gru", object()])
def test_what_is_no_value_is_refused(value):
    with pytest.raises(BadInput, match=r"^cell=.*: an override is a text, a number, True, False, None, or a list"):
        overrides_of([], {"cell": value})


def test_a_quote_that_is_not_closed_is_refused():
    with pytest.raises(BadInput, match="is no overrides"):
        overrides_of(["dataset.path='film.npy"], {})
    with pytest.raises(BadInput, match="is no selection"):
        side_of("label='GRU")


@pytest.mark.parametrize("word", [5, None, b"cell=gru", {"cell": "gru"}])
def test_what_is_no_text_or_list_is_no_words(word):
    with pytest.raises(BadInput, match="is no overrides: give one string, or a list of words"):
        overrides_of([word], {})
    with pytest.raises(BadInput, match="is no selection: give one string, or a list of words"):
        selection_of([word])


def test_a_folder_may_have_spaces_in_its_name(tmp_path):
    folder = tmp_path / "my results"
    folder.mkdir()
    assert selection_of([str(folder)]) == selection_of([folder]) == [str(folder)]
    assert selection_of([f"{folder} cell=gru"]) == [str(tmp_path / "my"), "results", "cell=gru"]
    assert selection_of(["first cell=rnn,gru", ["quickstart"]]) == ["first", "cell=rnn,gru", "quickstart"]
