"""Users' texts: how they are read, cut, numbered, refused, and what predicts them without a network."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets.own import ngrams, readers, symbols
from rnnbench.datasets.own.text import Options, options, read, reading
from rnnbench.errors import BadInput, MissingData

CASES = Path(os.environ.get("RNNBENCH_DATA", "nowhere")) / "own_cases"
NOVEL = "It was the best of times, it was the worst of times.\nIt was the age of wisdom.\n" * 12


def written(folder: Path, text: str | bytes, name: str = "novel.txt") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def literal_bits(train: list, before: list, test: list, V: int, order: int) -> float:
    """Add-one n-grams, one symbol after the other."""
    grams = Counter(tuple(train[n : n + order]) for n in range(len(train) - order + 1))
    contexts = Counter(tuple(train[n : n + order - 1]) for n in range(len(train) - order + 1))
    told, nats = [*before, *test], []
    for at in range(len(before) + 1, len(told)):
        context = tuple(told[at - order + 1 : at])
        nats.append(-math.log((grams[(*context, told[at])] + 1) / (contexts[context] + V)))
    return sum(nats) / len(nats) / math.log(2)


def test_a_text_is_cut_in_order_and_numbered_by_its_characters(tmp_path):
    found = read(Options(path=written(tmp_path, NOVEL))).text
    alphabet = sorted(set(NOVEL))
    n = len(NOVEL)
    assert found.symbols == tuple(alphabet)
    assert found.borders == (0, n * 9 // 10, n * 9 // 10 + n // 20, n)
    assert [alphabet[i] for i in found.ids] == list(NOVEL)
    assert found.ids.dtype == np.uint8
    assert found.unknown is None


def test_the_numbers_do_not_depend_on_how_the_file_is_read(tmp_path, monkeypatch):
    path = written(tmp_path, "naïve cafés, ünïcödé\r\n€ 𝄞 words  \t and\n\nlines" * 9)
    given = [
        {"tokens": tokens, "newlines": lines} for tokens in ("chars", "words", "bytes") for lines in ("keep", "unix")
    ]
    whole = [read(Options(path=path, **each)) for each in given]
    monkeypatch.setattr("rnnbench.datasets.own.text.BLOCK", 1)
    monkeypatch.setattr(symbols, "AT_ONCE", 3)
    monkeypatch.setattr(ngrams, "AT_ONCE", 5)
    for before, each in zip(whole, given, strict=True):
        again = read(Options(path=path, **each))
        assert again.text.symbols == before.text.symbols
        assert (again.text.ids == before.text.ids).all()
        assert again.returns == before.returns
        assert again.floors == pytest.approx(before.floors, rel=1e-12)


def test_words_have_the_end_of_each_line_and_come_most_frequent_first(tmp_path):
    text = "b a b\na b c\n" * 20
    found = read(Options(path=written(tmp_path, text), tokens="words")).text
    words = text.replace("\n", " <eos> ").split()
    assert found.symbols == ("b", "<eos>", "a", "c")
    assert [found.symbols[n] for n in found.ids] == words
    without = read(Options(path=written(tmp_path, text), tokens="words", eos=False)).text
    assert [without.symbols[n] for n in without.ids] == text.split()
    assert symbols.words_of("words", words[:8]) == "b a b\na b c\n"


def test_what_train_does_not_have_or_the_vocabulary_leaves_out_is_unknown(tmp_path):
    text = "ab" * 100 + "aabz"
    found = read(Options(path=written(tmp_path, text)))
    assert found.text.symbols == ("a", "b", "<unk>")
    assert found.text.ids[-1] == found.text.unknown == 2
    assert reading({"path": written(tmp_path, text)}).warnings == (
        "9.09% of test is <unk>: characters that train's vocabulary does not have",
    )
    fewer = read(Options(path=written(tmp_path, "a b a c a b d e " * 40), tokens="words", vocabulary=2)).text
    assert fewer.symbols == ("a", "b", "<unk>")
    assert fewer.ids[:8].tolist() == [0, 1, 0, 2, 0, 1, 2, 2]


def test_an_unknown_word_that_is_written_is_the_unknown_word(tmp_path):
    train = written(tmp_path, "the <unk> sat\nthe cat sat\n" * 9, "train")
    val, test = (written(tmp_path, "the dog sat\n", name) for name in ("val", "test"))
    found = read(Options(path=train, val_path=val, test_path=test, tokens="words")).text
    assert sorted(found.symbols) == ["<eos>", "<unk>", "cat", "sat", "the"]
    assert [found.symbols[n] for n in found.part(2)] == ["the", "<unk>", "sat", "<eos>"]
    assert found.symbols[found.unknown] == "<unk>"
    assert found.borders == (0, 72, 76, 80)


@pytest.mark.parametrize("tokens", ["chars", "words", "bytes"])
def test_floors_are_add_one_ngrams(tmp_path, tokens):
    rng = np.random.default_rng(5)
    text = "".join(rng.choice(list("abc é\n"), p=[0.3, 0.2, 0.1, 0.2, 0.1, 0.1], size=900))
    found = read(Options(path=written(tmp_path, text), tokens=tokens))
    told = {"chars": list(text), "bytes": list(text.encode()), "words": text.replace("\n", " <eos> ").split()}[tokens]
    train_end, test_start = int(0.9 * len(told)), int(0.9 * len(told)) + int(0.05 * len(told))
    train, known = told[:train_end], set(told[:train_end])
    told = [symbol if symbol in known else None for symbol in told]
    V = len(known) + (None in told)
    for order, name in enumerate(("unigram", "bigram", "trigram"), 1):
        bits = literal_bits(train, told[test_start - 1 : test_start], told[test_start:], V, order)
        assert found.floors[name] == pytest.approx(2**bits if tokens == "words" else bits, rel=1e-12)


@pytest.mark.data
def test_the_accepted_values_of_the_small_files():
    accepted = json.loads((CASES / "ACCEPT.json").read_text())
    for name in ("t01_small.txt", "t05_crlf.txt"):
        wanted, found = accepted[name], reading({"path": str(CASES / name), "bptt": 32})
        assert sum(found.facts["sizes"]) == wanted["chars"]
        assert (found.facts["vocabulary"], found.facts["sizes"][2]) == (wanted["V"], wanted["test"])
        for floor in ("unigram", "bigram"):
            assert found.facts["floors"][floor] == pytest.approx(wanted[floor], abs=5e-7)


@pytest.mark.data
def test_every_listed_file_is_read_or_refused_as_listed():
    with (CASES / "INDEX.csv").open() as file:
        rows = [row for row in csv.reader(file) if row[1] == "own_text"]
    assert len(rows) == 3
    for _, _, name, given, outcome, said in rows:
        asked = {
            key.removeprefix("dataset."): int(value)
            for key, _, value in (each.partition("=") for each in given.split())
        }
        if outcome == "error":
            with pytest.raises(BadInput, match="5 characters, which are too few"):
                reading({"path": str(CASES / name), **asked})
        else:
            told = " ".join(reading({"path": str(CASES / name), **asked}).lines)
            assert ("\\r is a character" in told) == ("\\r is a character" in said)
            assert ("9,600 characters" in told and ", 11 different" in told) == ("9,600 characters" in said)


@pytest.mark.data
@pytest.mark.integration
def test_tiny_shakespeare():
    found = reading({"source": "shakespeare"})
    assert found.facts["vocabulary"] == 65
    assert found.facts["sizes"] == [1_003_854, 55_769, 55_771]
    wanted = json.loads((CASES / "text_floors.json").read_text())["90/5/5"]
    for name in ("unigram", "bigram", "trigram"):
        assert found.facts["floors"][name] == pytest.approx(wanted[f"{name} add-1"], abs=5e-7)
    assert found.facts["floors"]["bz2"] == pytest.approx(
        wanted["compressor bz2: (C(train+test)-C(train))*8/test"], abs=5e-5
    )
    assert found.warnings == ()


def test_carriage_returns_are_kept_and_said_or_folded(tmp_path):
    path = written(tmp_path, b"one line\r\n" * 30)
    assert any("\\r is a character: 30 of them" in line for line in reading({"path": path}).lines)
    folded = read(options({"path": path, "newlines": "unix"}))
    assert "\r" not in folded.text.symbols
    assert len(folded.text.ids) == 9 * 30


@pytest.mark.parametrize(
    ("content", "given", "sentence"),
    [
        (b"caf\xe9 " * 30, {}, r"novel.txt is not UTF-8 \(byte 0xe9 at 3\): convert it, or dataset.encoding=latin-1\."),
        (b"ab" * 40 + b"\xe2\x82", {}, r"is not UTF-8 \(byte 0xe2 at 80\)"),
        (b"", {}, r"novel.txt is empty\."),
        ("text".encode("utf-16"), {}, r"novel.txt is UTF-16: save it as UTF-8\."),
        ("It was late. ".encode("utf-16-le") * 9, {}, r"novel.txt is UTF-16: save it as UTF-8\."),
        ("It was late. ".encode("utf-16-be") * 9, {"tokens": "words"}, r"novel.txt is UTF-16: save it as UTF-8\."),
        ("It was late. ".encode("utf-32-le") * 9, {}, r"novel.txt is UTF-32: save it as UTF-8\."),
        ("It was late. ".encode("utf-32") * 9, {}, r"novel.txt is UTF-32: save it as UTF-8\."),
        (b"half +2AA- of a pair" * 30, {"encoding": "utf-7"}, r"novel.txt is not utf-7: convert it"),
        (b"hello", {}, r"holds 5 characters, which are too few: they make splits of 4, 0 and 1, and each takes"),
        (b"a" * 100, {}, r"one character again and again"),
        (b"x" * 20_000, {"tokens": "words"}, r"a word of more than 10,000 characters: dataset.tokens=chars"),
        (b"x" * 10_001 + b" and so on" * 30, {"tokens": "words"}, r"a word of more than 10,000 characters"),
        (b"ab" * 50, {"context": 91}, r"dataset.context=91 is more than train's 90 characters\."),
        (b"ab" * 50, {"split": [0.5, 0.5, 0.1]}, r"dataset.split must be three shares"),
        (b"ab" * 50, {"tokens": "letters"}, r"dataset.tokens must be one of"),
        (b"ab" * 50, {"encoding": "rot13"}, r"dataset.encoding must be a text encoding"),
        (b"ab" * 50, {"eos": True}, r"dataset.eos is true or false of dataset.tokens=words"),
        (b"ab" * 50, {"bptt": 1}, r"dataset.bptt must be a whole number of at least 2"),
        (b"ab" * 50, {"btpt": 32}, r"dataset.btpt is no option of a text; did you mean bptt"),
        (b"ab" * 50, {"val_path": "x"}, r"dataset.val_path and dataset.test_path are given both or neither"),
        (b"ab" * 50, {"sample": {"temperature": 0}}, r"dataset.sample.temperature must be a number above 0"),
        (b"ab" * 50, {"sample": {"temperature": True}}, r"dataset.sample.temperature must be a number above 0"),
        (b"ab" * 50, {"source": "shakespeare"}, r"name two texts: give one of them"),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_sentence(tmp_path, content, given, sentence):
    with pytest.raises(BadInput, match=sentence) as caught:
        reading({"path": written(tmp_path, content), **given})
    assert "\n" not in str(caught.value)


def test_carriage_returns_that_end_no_line_of_words_are_said(tmp_path, monkeypatch):
    said = "\\r alone ends no line: 30 of them are white space"
    alone, pairs = (written(tmp_path, "one two\rthree four\r\n" * 30), written(tmp_path, "a b\r\n" * 30, "pairs"))
    for block in (1 << 20, 1):
        monkeypatch.setattr("rnnbench.datasets.own.text.BLOCK", block)
        assert any(said in line for line in reading({"path": alone, "tokens": "words"}).lines)
        for given in ({"path": pairs}, {"path": alone, "newlines": "unix"}, {"path": alone, "eos": False}):
            assert not any("\\r" in line for line in reading({"tokens": "words", **given}).lines)


def test_white_space_of_every_kind_parts_words_and_nothing_else_does(tmp_path):
    text = "a\u00a0b\u2003c\u2028d\x85e\x0bf\x1cg\u200bh \ufeffi \0j k\u0301 𝄞\n" * 20
    found = read(Options(path=written(tmp_path, text), tokens="words")).text
    words = ["a", "b", "c", "d", "e", "f", "g\u200bh", "\ufeffi", "\0j", "k\u0301", "𝄞", "<eos>"]
    assert [found.symbols[n] for n in found.ids[:12]] == words


def test_a_prompt_has_the_line_ends_of_its_text(tmp_path):
    path = written(tmp_path, "one\r\ntwo\r\n" * 30)
    found = read(options({"path": path, "newlines": "unix", "sample": {"prompt": "one\r\ntwo\r"}}))
    assert "".join(found.text.symbols[n] for n in found.prompt) == "one\ntwo\n"


def test_a_compressor_that_needs_no_more_bytes_for_test_is_no_reference(tmp_path):
    assert set(read(Options(path=written(tmp_path, b"a\0b" * 50))).floors) == {"unigram", "bigram", "trigram"}


def test_a_reading_names_long_words_by_their_beginning(tmp_path):
    found = reading({"path": written(tmp_path, ("x" * 9_000 + " y ") * 60), "tokens": "words"})
    assert found.facts["symbols"] == ["x" * 100, "y"]


@pytest.mark.parametrize("reader", ["text", "series", "sequences"])
def test_a_name_may_begin_with_a_tilde(tmp_path, monkeypatch, reader):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingData, match=r"~\$novel.csv does not exist"):
        readers.reading(reader, {"path": "~$novel.csv"})
    written(tmp_path, "ab" * 50, "~$novel.txt")
    assert reading({"path": "~$novel.txt"}).lines[0].startswith("~$novel.txt: 100 characters")


def test_a_byte_order_mark_is_left_out_and_a_near_name_is_named(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbf" + b"ab" * 50)
    assert read(Options(path=path)).text.symbols == ("a", "b")
    assert "byte order mark left out" in reading({"path": path}).lines[0]
    with pytest.raises(MissingData, match=r"does not exist; did you mean novel.txt\?"):
        reading({"path": str(tmp_path / "novell.txt")})


def test_the_penn_treebank_is_the_users_own_three_files(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=r"ptb.train.txt is missing, and may not be passed on"):
        reading({"source": "ptb", "tokens": "words"})
    (tmp_path / "ptb").mkdir()
    for name in ("train", "valid", "test"):
        written(tmp_path / "ptb", " no it was n't black monday \n", f"ptb.{name}.txt")
    found = reading({"source": "ptb", "tokens": "words"})
    assert found.facts["sizes"] == [7, 7, 7]
    assert "each a file of its own" in found.lines[1]
