"""Users' texts as a task: chunks, streams, context, metrics, what a network writes."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rnnbench.datasets import OwnText, data_hash
from rnnbench.datasets.base import loading
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.own_text import drawn_from
from rnnbench.errors import BadInput
from rnnbench.nn import GRU, LSTM, SequenceModel, build_stack, make_encoder, start
from rnnbench.nn.rivals import TCN, Transformer
from rnnbench.runs import samples
from rnnbench.training.batches import Streams
from rnnbench.training.evaluate import evaluate, stream_places

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "the", "dog", "sleeps"]
NOVEL = " ".join(WORDS[n * n % 13 - n // 7 % 3] for n in range(400))
T = 8


@pytest.fixture(scope="module")
def novel(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("own") / "novel.txt"
    path.write_text(NOVEL)
    return str(path)


@pytest.fixture(scope="module")
def task(novel) -> OwnText:
    return OwnText(path=novel, bptt=T, context=5)


@pytest.fixture(scope="module")
def data(task):
    return loading.load(task)


def network(task, cell=LSTM, hidden=6, backend="eager", layers=2):
    encoder, size = make_encoder("embedding", task.spec.input_size, 5)
    if cell in (TCN, Transformer):
        stack = cell(size, hidden, layers=1)
    else:
        stack = build_stack(cell, size, hidden, layers=layers, backend=backend)
    model = SequenceModel(encoder, stack, head="every", output_size=task.spec.output_size)
    start(model, 3)
    return model


def parts(task):
    """The numbers of train, val and test, by a way of its own."""
    alphabet = sorted(set(NOVEL))
    ids = torch.tensor([alphabet.index(c) for c in NOVEL])
    a, b = int(0.9 * len(ids)), int(0.9 * len(ids)) + int(0.05 * len(ids))
    return ids[:a], ids[a:b], ids[b:]


def test_chunks_are_at_multiples_of_bptt_and_predict_every_symbol_but_the_first_once(task, data):
    for split, ids in zip(data, parts(task), strict=True):
        seen = []
        for n in range(split.size):
            batch = task.batch(split, torch.tensor([n]))
            assert batch.x[0].tolist() == ids[n * T : n * T + T][: len(ids) - 1 - n * T].tolist()
            seen += batch.y[0].tolist()
        assert seen == ids[1:].tolist()


def test_a_batch_with_the_last_chunk_has_lengths(task, data):
    test = data.test
    batch = task.batch(test, torch.tensor([0, test.size - 1]))
    rest = (len(parts(task)[2]) - 1) % T
    assert 0 < rest < T
    assert batch.lengths.tolist() == [T, rest]
    assert task.batch(test, torch.tensor([0, 1])).lengths is None


@pytest.mark.parametrize(("size", "B"), [(50, 7), (49, 7), (12, 12), (20, 19)])
def test_training_streams_cover_the_chunks_as_stated(task, data, size, B):
    split = data.train._replace(x=data.train.x[:size], y=data.train.y[:size])
    streams, M = Streams(task, split, B, seed=4), size // B
    firsts = set()
    for epoch in range(40):
        places = torch.stack([streams.index(epoch * M + n) for n in range(M)], 1)  # B M
        first = int(places[0, 0])
        firsts.add(first)
        assert places.flatten().tolist() == list(range(first, first + B * M))
        assert [streams.begins(epoch * M + n) for n in range(M)] == [True] + [False] * (M - 1)
    assert firsts == set(range(size - B * M + 1))
    again = Streams(task, split, B, seed=4)
    assert again.index(17 * M + M - 1).tolist() == streams.index(17 * M + M - 1).tolist()


def test_evaluation_streams_hold_every_chunk_once_in_order():
    for size in range(1, 40):
        for streams in (1, 2, 10):
            found = list(stream_places(size, streams))
            rows = [[int(index[b]) for index in found if b < len(index)] for b in range(min(streams, size))]
            assert [*chain(*rows)] == list(range(size))
            assert max(map(len, rows)) - min(map(len, rows)) <= 1


def literal(model, ids, S):
    """The mean nats of every symbol but the first: S streams of chunks, each read symbol by symbol from zeros."""
    chunks = [list(range(at, min(at + T, len(ids) - 1))) for at in range(0, len(ids) - 1, T)]
    nats = []
    for stream in np.array_split(np.arange(len(chunks)), min(S, len(chunks))):
        state = None
        for at in chain(*(chunks[n] for n in stream)):
            with torch.no_grad():
                logits, state = model.step(ids[None, None, at], state)
            nats.append(float(F.cross_entropy(logits[0], ids[at + 1, None])))
    return nats


@pytest.mark.parametrize("cell", [LSTM, GRU])
def test_evaluation_is_a_literal_loop_symbol_by_symbol(task, data, cell):
    model = network(task, cell)
    for split, ids, S in ((data.val, parts(task)[1], 10), (data.test, parts(task)[2], 1)):
        counts: list[int] = []

        def count(index, batch, prediction, counts=counts):
            counts.append(batch.y.numel() if batch.lengths is None else int(batch.lengths.sum()))

        found = evaluate(model, task, split, observe=count)
        nats = literal(model, ids, S)
        assert sum(counts) == len(nats) == len(ids) - 1
        assert found["loss"] == pytest.approx(np.mean(nats), rel=1e-6)
        assert found["bpc"] == pytest.approx(np.mean(nats) / math.log(2), rel=1e-6)


def test_the_state_counts(task, data):
    """An evaluation whose every chunk began from zeros would be another one."""
    model, ids = network(task), parts(task)[2]
    found = evaluate(model, task, data.test)["loss"]
    fresh = np.mean([*chain(*(literal(model, ids[at : at + T + 1], 1) for at in range(0, len(ids) - 1, T)))])
    assert abs(found - fresh) > 1e-4


@pytest.mark.parametrize("cell", [TCN, Transformer])
@pytest.mark.parametrize("context", [0, 3, 20])
def test_a_network_without_a_state_sees_its_context_and_every_symbol_counts_once(novel, cell, context):
    task = OwnText(path=novel, bptt=T, context=context)
    data = loading.load(task)
    model, ids = network(task, cell).eval(), parts(task)[2]
    nats, right = [], []
    for at in range(0, len(ids) - 1, T):
        first, last = max(0, at - context), min(at + T, len(ids) - 1)
        with torch.no_grad():
            logits = model(ids[None, first:last])[0, at - first :]
        nats += F.cross_entropy(logits, ids[at + 1 : last + 1], reduction="none").tolist()
        right += (logits.argmax(-1) == ids[at + 1 : last + 1]).tolist()
    assert len(nats) == len(ids) - 1
    for batch_size in (1, 4, 100):
        found = evaluate(model, task, data.test, batch_size=batch_size)
        assert found["loss"] == pytest.approx(np.mean(nats), rel=1e-5)
        assert found["accuracy"] == pytest.approx(np.mean(right))


def test_context_is_of_the_split_alone(task, data):
    found = task.in_context(data.test, torch.tensor([0, 1, 3]))
    ids = parts(task)[2]
    assert found.x[0, :T].tolist() == ids[:T].tolist()
    assert found.x[2].tolist() == ids[3 * T - 5 : 4 * T].tolist()
    assert found.lengths.tolist() == [T, T + 5, T + 5]
    assert (found.skip, found.y[1, :6].tolist()) == (0, [IGNORED] * 5 + [int(ids[T + 1])])
    later = task.in_context(data.test, torch.tensor([1, 3]))
    assert (later.skip, later.lengths) == (5, None)
    assert not (later.y == IGNORED).any()


def test_words_have_a_perplexity_of_the_whole_split(novel):
    task = OwnText(path=novel, bptt=T, tokens="words", vocabulary=6)
    data = loading.load(task)
    found = evaluate(network(task), task, data.test)
    assert set(found) == {"loss", "perplexity", "accuracy"}
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert task.spec.floor == "unigram"
    assert task.spec.output_size == 7


def test_every_option_that_moves_a_number_is_in_the_protocol_and_the_name_of_the_file_is_not(novel, tmp_path):
    other = tmp_path / "other name.txt"
    other.write_text(NOVEL)
    said = {OwnText(path=novel).spec.protocol}
    assert OwnText(path=str(other), sample={"characters": 3}).spec.protocol in said
    options = (
        {"bptt": 32}, {"context": 9}, {"split": [0.8, 0.1, 0.1]}, {"encoding": "latin-1"}, {"newlines": "unix"},
        {"tokens": "words"}, {"tokens": "bytes"}, {"tokens": "words", "eos": False}, {"vocabulary": 5},
        {"tokens": "words", "vocabulary": 5},
    )  # fmt: skip
    said |= {OwnText(path=novel, **given).spec.protocol for given in options}
    said.add(OwnText(path=novel, val_path=novel, test_path=novel).spec.protocol)
    assert len(said) == len(options) + 2


def test_a_protocol_tells_the_spec_without_the_file(task):
    far = OwnText(path="/nowhere/novel.txt", bptt=T, context=5)
    far.recall(task.spec.protocol)
    assert far.spec.protocol == task.spec.protocol
    assert (far.spec.input_size, far.spec.max_length) == (task.spec.input_size, T + 5)


def test_the_data_hash_sees_every_symbol(novel, task, data, tmp_path):
    changed = tmp_path / "novel.txt"
    changed.write_text(NOVEL[:100] + NOVEL[101] + NOVEL[100] + NOVEL[102:])
    other = OwnText(path=str(changed), bptt=T, context=5)
    assert data_hash(other.load()) != data_hash(data)
    assert data_hash(OwnText(path=novel, bptt=T, context=5).load()) == data_hash(data)


def written(task, data, model, run="0123456789ab"):
    return task.shown(data.test).samples(run, samples.Tested(model, task.spec, "32", torch.device("cpu")))


@pytest.mark.parametrize("cell", [LSTM, TCN])
def test_what_a_network_writes_is_drawn_from_the_run_alone(novel, cell):
    task = OwnText(path=novel, bptt=T, sample={"characters": 30})
    data = loading.load(task)
    model = network(task, cell)
    first = written(task, data, model)
    first.check()
    assert first.prompt == "".join(sorted(set(NOVEL))[n] for n in parts(task)[2][:T])
    assert len(first.sample) == 30
    torch.manual_seed(7)
    assert written(task, data, model) == first
    assert written(task, data, model, run="ba9876543210").sample != first.sample


def test_a_recurrent_network_writes_as_if_it_read_all_of_it_anew_each_time(novel):
    task = OwnText(path=novel, bptt=T, sample={"characters": 25, "temperature": 0.01, "prompt": "the dog"})
    data = loading.load(task)
    model, alphabet = network(task), sorted(set(NOVEL))
    found = written(task, data, model)
    seen = [alphabet.index(c) for c in "the dog"]
    for _ in range(25):
        with torch.no_grad():
            seen.append(int(model(torch.tensor([seen]))[0, -1].argmax()))
    assert found.prompt + found.sample == "".join(alphabet[n] for n in seen)


def test_a_prompt_that_train_does_not_have_is_refused(novel):
    with pytest.raises(BadInput, match=r"dataset.sample.prompt holds 'é', which train does not have\."):
        loading.load(OwnText(path=novel, sample={"prompt": "café"}))


def test_symbols_are_drawn_by_their_shares():
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    drawn = [drawn_from(logits, 1.0, at) for at in np.linspace(0, 1, 1000, endpoint=False)]
    assert np.abs(np.bincount(drawn) - [200, 500, 300]).max() <= 1
    assert drawn_from(logits, 0.01, 0.999) == 1


@pytest.mark.parametrize("given", [{"tokens": "chars"}, {"tokens": "words"}, {"tokens": "bytes"}])
def test_the_checks_of_loading_hold(novel, given):
    task = OwnText(path=novel, bptt=T, **given)
    data = loading.load(task)
    assert task.reading().facts["sizes"] == [
        task.read.text.borders[n + 1] - task.read.text.borders[n] for n in range(3)
    ]
    assert task.spec.floor in task.floors(data)
    assert (task.spec.reference in task.floors(data)) == (given["tokens"] != "words")
    assert "chunks of 8" in task.summary(data)
