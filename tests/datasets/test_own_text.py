"""Users' texts as a task: chunks, streams, context, metrics, what a network writes."""

from __future__ import annotations

import math
import warnings
from itertools import chain

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score
from torch.nn import functional as F
from torchmetrics import classification

from rnnbench.datasets import OwnText, data_hash
from rnnbench.datasets.base import loading, named_metrics
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.own import text
from rnnbench.datasets.own.text import reading
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


@pytest.mark.parametrize("cell", [LSTM, pytest.param(GRU, marks=pytest.mark.slow)])
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


def shares_of(novel, tokens, order):
    """The truth of test from its second symbol on and an add-one model's shares, by dictionaries."""
    read = OwnText(path=novel, tokens=tokens).read.text
    ids, V = read.ids.tolist(), len(read.symbols)
    seen: dict[tuple[int, ...], list[int]] = {}
    for at in range(order - 1, read.borders[1]):
        seen.setdefault(tuple(ids[at - order + 1 : at]), [0] * V)[ids[at]] += 1
    rows = []
    for at in range(read.borders[2] + 1, len(ids)):
        counts = np.array(seen.get(tuple(ids[at - order + 1 : at]), [0] * V))
        rows.append((counts + 1) / (counts.sum() + V))
    return torch.tensor(ids[read.borders[2] + 1 :]), torch.from_numpy(np.stack(rows))


@pytest.mark.parametrize("tokens", ["chars", "words"])
@pytest.mark.parametrize(
    ("metric", "by"),
    [
        ("accuracy", lambda shares, wanted: (shares.argmax(-1) == wanted).double().mean()),
        ("macro_f1", lambda shares, wanted: f1_score(wanted, shares.argmax(-1), average="macro", zero_division=0)),
        ("balanced_accuracy", lambda shares, wanted: recalls(shares, wanted).mean()),
        ("min_recall", lambda shares, wanted: recalls(shares, wanted).min()),
        ("CohenKappa", lambda shares, wanted: cohen_kappa_score(wanted, shares.argmax(-1))),
        ({"name": "Accuracy", "top_k": 3, "average": "micro"}, lambda shares, wanted: within_three(shares, wanted)),
    ],
)
def test_floors_are_in_the_main_metric(novel, cache, tokens, metric, by):
    task = OwnText(path=novel, bptt=T, tokens=tokens, metrics=[metric])
    data, spec = loading.load(task), task.spec
    assert (spec.goal, spec.floor, spec.reference, len(spec.metrics)) == ("max", "bigram", None, 1)
    wanted = {}
    for name, order in (("unigram", 1), ("bigram", 2), ("trigram", 3)):
        truth, shares = shares_of(novel, tokens, order)
        wanted[name] = float(by(shares, truth))
    assert task.floors(data) == pytest.approx(wanted, rel=1e-9)
    if isinstance(metric, str) and metric.islower():
        told = ", ".join(f"{name} {value:.4f}" for name, value in wanted.items())
    else:
        told = "each run computes them"  # planning knows no torchmetrics, and says no floor of another metric
    assert task.reading().lines[-1] == f"floors on test, {spec.metric}: {told}"


def recalls(shares, wanted):
    return recall_score(wanted, shares.argmax(-1), average=None, labels=np.unique(wanted))


def within_three(shares, wanted):
    return (shares.topk(3).indices == wanted[:, None]).any(1).double().mean()


@pytest.mark.parametrize("cell", [GRU, TCN])
def test_metrics_by_name_are_torchmetrics_on_every_symbol_but_the_first(novel, cell):
    chosen = ["bpc", "macro_f1", {"name": "FBetaScore", "beta": 2.0}, "AUROC", "MatthewsCorrCoef", "perplexity"]
    task = OwnText(path=novel, bptt=T, context=5, metrics=chosen)
    data, spec = loading.load(task), task.spec
    names = ("bpc", "macro_f1", "FBetaScore(beta=2.0)", "AUROC", "MatthewsCorrCoef", "perplexity")
    assert (spec.metric, spec.metrics, spec.goal, spec.floor) == ("bpc", names, "min", "bigram")
    model, ids, V = network(task, cell).eval(), parts(task)[2], spec.output_size
    logits = []
    with torch.no_grad():
        if cell is GRU:
            logits.append(model(ids[None, :-1])[0])
        else:
            for at in range(0, len(ids) - 1, T):
                first = max(0, at - 5)
                logits.append(model(ids[None, first : min(at + T, len(ids) - 1)])[0, at - first :])
    shares, wanted = torch.cat(logits).double().softmax(-1), ids[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that do not occur
        by = classification.MulticlassFBetaScore(2.0, V), classification.MulticlassAUROC(V)
        by += (classification.MulticlassMatthewsCorrCoef(V),)
        values = [float(metric.set_dtype(torch.float64)(shares, wanted)) for metric in by]
    nats = float(F.nll_loss(shares.log(), wanted))
    macro = f1_score(wanted, shares.argmax(-1), average="macro", zero_division=0)
    expected = [nats / math.log(2), macro, *values, math.exp(nats)]
    for batch_size in (1, 4, 100):
        found = evaluate(model, task, data.test, batch_size=batch_size)
        assert [found[name] for name in names] == pytest.approx(expected, rel=1e-5)


def test_metrics_that_cannot_be_are_refused_in_a_sentence(novel, tmp_path):
    def refusal(**options):
        with pytest.raises(BadInput) as caught:
            reading({"path": novel, **options})
        return str(caught.value)

    assert refusal(metric="bpd") == "dataset.metrics: there is no metric 'bpd'; did you mean bpc?"
    assert refusal(metric="bpc", tokens="words").startswith("dataset.metrics: there is no metric 'bpc'; ")
    assert refusal(metrics=["MeanSquaredError"]) == (
        "dataset.metrics: 'MeanSquaredError' is told of numbers, and this dataset predicts classes."
    )
    many = tmp_path / "many.txt"
    many.write_text(" ".join(f"w{n}" for n in range(7000)) + " w1 w2 w3" * 200)
    words = {"path": str(many), "tokens": "words"}
    assert refusal(**words, metrics=["CohenKappa"]) == (
        "dataset.metrics: CohenKappa counts every pair of 6,841 classes, 0.4 GB; up to 0.3 GB are taken, so take "
        "macro_f1 or accuracy."
    )
    reading({**words, "metrics": ["macro_f1", {"name": "F1Score", "average": "micro"}]})
    named_metrics.affordable(["AUROC(thresholds=10)"], items=82_000, outputs=10_000)
    with pytest.raises(
        BadInput, match=r"AUROC keeps 10,000 shares for each of 82,000 items, 6.6 GB; .*thresholds: 100}"
    ):
        named_metrics.affordable(["AUROC"], items=82_000, outputs=10_000)


def test_floors_that_would_take_too_long_are_refused(novel, monkeypatch):
    monkeypatch.setattr(text, "MOST_SHARES", 100)
    with pytest.raises(BadInput, match=r"dataset.metric=AUROC needs floors, .* accuracy as dataset.metric\."):
        OwnText(path=novel, metric="AUROC").spec  # noqa: B018
    assert OwnText(path=novel, metric="accuracy").spec.metric == "accuracy"


def test_every_option_that_moves_a_number_is_in_the_protocol_and_the_name_of_the_file_is_not(novel, tmp_path):
    other = tmp_path / "other name.txt"
    other.write_text(NOVEL)
    said = {OwnText(path=novel).spec.protocol}
    assert OwnText(path=str(other), sample={"characters": 3}).spec.protocol in said
    assert OwnText(path=novel, encoding="UTF8").spec.protocol in said
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
