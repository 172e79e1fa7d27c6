"""Your own text: the next character, word or byte, with the state carried through the whole text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnbench.datasets.base.kept_floors import kept
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.shown import Network, Shown
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.base.words import sizes
from rnnbench.datasets.own import ngrams, text
from rnnbench.datasets.own.symbols import words_of
from rnnbench.seeds import derive
from rnnbench.store.samples import Samples
from rnnbench.store.samples import Text as TextSamples

VAL_STREAMS = 10  # in which validation is read side by side; test is read in one, from its beginning to its end
SHARES_AT_ONCE = 1 << 22  # of symbols, by n-gram models
FORM = re.compile(r"^(?P<content>\S+) next [a-z]+ of (?P<V>\d+), ")  # in a protocol


class OwnText(Task):
    """Predict each symbol of your own text from those before it.

    path: a text file, cut in order by `split`; or train, with val_path and test_path. source: a text by name instead
    (`shakespeare`; `ptb`, your own three files). tokens: `chars`, `words` or `bytes`. vocabulary: only train's so many
    most frequent symbols, the rest is `<unk>`; null: all of train's. bptt: T, symbols that a gradient goes back over.
    context: symbols that a network without a state is given before each chunk; null: as many as bptt. newlines: `keep`,
    or `unix`, which makes of every other line end a newline. eos: whether a line's end is a word. sample: what a run
    writes after its test (see `Written`): characters, temperature, prompt (null: the beginning of test).

    A sequence is a chunk of T symbols and the T that follow each of them: x B T, y B T, int64; a split's last chunk may
    be shorter. Chunks of a stream follow each other from update to update, and a network's state is carried, without
    its gradient, from zeros at an epoch's first update. Validation is read in VAL_STREAMS streams, test in one; every
    symbol of a split but its first is predicted once. Split.x: N 2, where a chunk begins in the text, and its length.

    Metrics: `bpc`, bits a character or byte, or `perplexity` of words, of the mean over the whole split; `accuracy`;
    metrics, metric: others (`perplexity`, `macro_f1`, `balanced_accuracy`, `min_recall`), and the main one, also by
    torchmetrics' names, which are told of V shares and the symbol wherever one is predicted. Floors on test, in the
    main metric: add-one `unigram`, `bigram` and `trigram` (ngrams.py); the floor is the bigram, of the perplexity of
    words the unigram. An n-gram model's answer is its likeliest symbol, of several the one with the least number.
    Reference of bpc, and of the perplexity of characters: `bz2`. Raises BadInput and MissingData as `own.text.read`,
    when the spec is first asked for.
    """

    def __init__(self, **options: Any) -> None:
        self.options = text.options(options)
        self.form: tuple[str, int] | None = None  # content and vocabulary, where a protocol has told them
        self._on: dict[torch.device, Tensor] = {}

    @cached_property
    def read(self) -> text.Read:
        """The text in numbers; the whole file is read."""
        return text.read(self.options)

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Reads the file, unless a protocol has told what is in it."""
        content, V = self.form or (self.read.content, len(self.read.text.symbols))
        asked = self.options
        chosen = asked.measured(V) if self.form else self.read.chosen
        words = asked.tokens == "words"
        packed = not self.form and chosen.metric in text.OF_LOSS and "bz2" in self.read.floors
        return TaskSpec(
            name=asked.name,
            protocol=f"{content} next {asked.unit} of {V}, {self._how()}, {self._unit()}, reading {text.VERSION}",
            inputs="tokens",
            input_size=V,
            outputs="step",
            output_size=V,
            loss="cross_entropy",
            metric=chosen.metric,
            metrics=chosen.metrics,
            goal=chosen.goal,
            floor="unigram" if words and chosen.metric in text.OF_LOSS else "bigram",
            target=None,
            target_source="",
            causal=True,
            max_length=asked.seen_before + asked.bptt,
            reference="bz2" if packed else None,
            carry=True,
        )

    def _unit(self) -> str:
        """What a text's losses are told in; tables keep main metrics apart by their names."""
        return "perplexity" if self.options.tokens == "words" else "bpc"

    def _how(self) -> str:
        """Every option that moves a number, in words."""
        asked = self.options
        shares = "/".join(f"{share:g}".removeprefix("0") for share in asked.split)
        how = [
            f"{asked.coding}, newlines {asked.newlines}" if asked.tokens != "bytes" else f"newlines {asked.newlines}",
            *(["<eos> a line" if asked.end_of_line else "no <eos>"] if asked.tokens == "words" else []),
            *([f"the {asked.vocabulary} most frequent"] if asked.vocabulary is not None else []),
            "three files" if asked.given else f"split {shares} in order",
            f"chunks of {asked.bptt}, state carried, {VAL_STREAMS} streams on val and 1 on test",
            f"else context {asked.seen_before}",
        ]
        return ", ".join(how)

    def recall(self, protocol: str) -> None:
        """The vocabulary as the spec wrote it into the protocol."""
        if found := FORM.match(protocol):
            self.form = found["content"], int(found["V"])

    def load(self) -> Data:
        """Read the text, and note where its chunks begin."""
        found = self.read.text
        wide = torch.int32 if found.borders[-1] < 1 << 31 else torch.int64
        digest = hashlib.sha256(f"{text.VERSION} {found.ids.dtype} {found.borders} {len(found.symbols)}".encode())
        digest.update(found.ids.data)
        stamp = torch.tensor([[int.from_bytes(digest.digest()[:8], "big") >> 1]])  # what data_hash sees of the ids
        T = self.options.bptt
        splits = []
        for begin, end in zip(found.borders, found.borders[1:], strict=False):
            starts = torch.arange(begin, end - 1, T, dtype=wide)
            x = torch.stack([starts, (end - 1 - starts).clamp(max=T)], 1)
            splits.append(Split(x, stamp.expand(len(x), 1)))
        return Data(*splits)

    def batch(self, split: Split, index: Tensor) -> Batch:
        """Chunks and what follows each of their symbols, int64, B T."""
        start, length = split.x.index_select(0, index).long().unbind(1)
        return self._cut(start, length)

    def in_context(self, split: Split, index: Tensor) -> Batch:
        """Chunks with the symbols of their split before them, as many as there are up to `context`."""
        start, length = split.x.index_select(0, index).long().unbind(1)
        before = (start - split.x[0, 0]).clamp(max=self.options.seen_before)
        found = self._cut(start - before, length + before)
        skip = int(before.min())
        if bool((before > skip).any()):  # at a split's beginning some chunks have less before them than others
            at = torch.arange(found.y.shape[1], device=before.device)
            found = found._replace(y=found.y.masked_fill(at < before[:, None], IGNORED))
        return found._replace(skip=skip)

    def _cut(self, start: Tensor, length: Tensor) -> Batch:
        """Symbols from each start on, B, and those that follow them."""
        ids = self._ids(start.device)
        T = int(length.max())
        at = start[:, None] + torch.arange(T + 1, device=start.device)
        symbols = ids[at.clamp(max=len(ids) - 1)].long()
        return Batch(symbols[:, :-1], symbols[:, 1:], None if bool((length == T).all()) else length)

    def _ids(self, device: torch.device) -> Tensor:
        """The whole text on a device, once on each."""
        if device not in self._on:
            self._on[device] = torch.from_numpy(self.read.text.ids).to(device)
        return self._on[device]

    def item_steps(self, split: Split) -> int:
        """A chunk with its context."""
        return self.options.seen_before + self.options.bptt

    def streams(self, split: Split) -> int:
        """VAL_STREAMS of validation, 1 of test."""
        return VAL_STREAMS if int(split.x[0, 0]) == self.read.text.borders[1] else 1

    def floors(self, data: Data) -> Mapping[str, float]:
        """The n-gram models and the compressor (`own.ngrams`), in the main metric on test."""
        if self.read.floors_in == self.spec.metric:
            return self.read.floors
        return kept(self, data, lambda: self._floors_by_name(data.test), by="numpy")

    def _floors_by_name(self, test: Split) -> dict[str, float]:
        """The n-gram models in a main metric of torchmetrics: measured as a network that gives their shares."""
        V, T = self.spec.output_size, self.options.bptt
        chunks = max(1, SHARES_AT_ONCE // (T * V))
        found = {}
        for name, order in ngrams.ORDERS.items():
            model, metrics, done = ngrams.model(self.read.text, order), self.metrics(), 0
            for index in torch.arange(test.size).split(chunks):
                batch = self.batch(test, index)
                count = int(test.x[index, 1].sum())
                shares = torch.from_numpy(model.logarithms(done, done + count))
                padded = torch.zeros(batch.y.numel(), V, dtype=torch.float64)  # only after the last chunk's end
                padded[:count] = shares
                metrics.update(padded.view(*batch.y.shape, V), batch)
                done += count
            found[name] = metrics.compute()[self.spec.metric]
        return found

    @cached_property
    def _reading(self) -> Reading:
        return text.reading_of(self.read)

    def reading(self) -> Reading:
        """What was read of the file."""
        return self._reading

    def summary(self, data: Data) -> str:
        """`1,115,394 characters, 65 different; 15,686/872/872 chunks of 64`."""
        found = self.read.text
        chunks = sizes(data)
        return (
            f"{len(found.ids):,} {self.options.unit}s, {len(found.symbols):,} different; {chunks} chunks of "
            f"{self.options.bptt}"
        )

    def shown(self, test: Split) -> Shown | None:
        """What the network writes."""
        return Written(self) if text.sample(self.options.sample).characters else None


class Written(Shown):
    """A text that a network writes: symbol by symbol drawn from what it predicts, at a temperature.

    A recurrent network goes on from its state; another is given its context anew for every symbol. What is drawn
    depends on the run and on nothing else.
    """

    whole = False

    def __init__(self, task: OwnText) -> None:
        self.task = task

    def samples(self, run: str, network: Network) -> Samples | None:
        """The prompt and what the network goes on with."""
        asked, found = text.sample(self.task.options.sample), self.task.read.text
        prompt = list(self.task.read.prompt)
        going_on = _GoingOn(network, prompt, self.task.options.seen_before)
        rng = np.random.default_rng(derive(0, "sample", run))
        drawn: list[int] = []
        written = 0
        while written < asked.characters:
            symbol = drawn_from(going_on.logits(), asked.temperature, rng.random())
            going_on.add(symbol)
            drawn.append(symbol)
            written += len(found.symbols[symbol]) + 1 if found.tokens == "words" else 1
        given, made = (words_of(found.tokens, [found.symbols[n] for n in part]) for part in (prompt, drawn))
        return TextSamples(run, given, made, f"temperature {asked.temperature:g}")


class _GoingOn:
    """What a network predicts after a text that grows by a symbol at a time.

    context: the symbols before the last one that a network without a state is given.
    """

    def __init__(self, network: Network, prompt: list[int], context: int) -> None:
        self.network, self.context = network, context
        self._symbols = list(prompt)
        self._unread = list(prompt)  # what the state has not seen yet
        self._state: Any = None
        self._has_state = True

    def add(self, symbol: int) -> None:
        """The text goes on with this symbol."""
        self._symbols.append(symbol)
        self._unread = [symbol]

    def logits(self) -> Tensor:
        """What comes after the text, V. Asked once after each symbol."""
        if self._has_state:
            try:
                prediction, self._state = self.network.step(self._as_row(self._unread), self._state)
                return prediction[0, -1]
            except ValueError:  # it carries no state
                self._has_state = False
        last = self._symbols[-self.context - 1 :]
        return self.network(Batch(self._as_row(last), torch.empty(0)))[0, -1]

    def _as_row(self, symbols: list[int]) -> Tensor:
        return torch.tensor([symbols], device=self.network.device)


def drawn_from(logits: Tensor, temperature: float, at: float) -> int:
    """The symbol at a place in [0, 1) of softmax(logits / temperature), V, in float64."""
    shares = (logits.double() / temperature).softmax(-1).cumsum(-1).cpu()
    return min(int((shares <= at * shares[-1]).sum()), len(shares) - 1)
