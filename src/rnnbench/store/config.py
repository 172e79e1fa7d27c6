"""The resolved config of a run: what `conf/config.yaml` composes, every `auto` settled. A record keeps it.

A group's node has the keys that all its choices share. What a cell, a dataset, an optimizer or a schedule has besides
is its own, and stays open: whoever makes one hands all of it on (`runs.build`).
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

Options = dict[str, Any]  # dotted key -> value: "cell.forget_bias" -> 1.0; which there are, the chosen groups say
Composed = dict[str, Any]  # a config, or a part of one, as yaml has it: any keys, unchecked


# The families of cells in the order they are shown in: what a cell's yaml has (meta.family) -> its words for people.
FAMILIES = {
    "classic": "The classics",
    "lstm_edits": "The LSTM with one thing changed",
    "gated": "Other gated cells",
    "linear": "Linear in their state: trained by a scan",
    "ode": "Steps of a differential equation",
    "xlstm": "Exponential gates and matrix memories (xLSTM)",
    "frames": "For frames",
    "no_recurrence": "Beside them, without recurrence",
}


class CellMeta(TypedDict):
    """What a cell says of itself, and what it can take. kernel: torch's, by name; needs: a network, by its kind.

    family: one of FAMILIES; paper: authors, year, title; params: of one layer of 64 units on 64 inputs (channels of
    frames), with the cell's own options, where that is one number.
    compiles: whether its step can be compiled; somebody's own cell may leave it open.
    scans: whether it is linear in its state, or has another scan over whole sequences; left out, it has none.
    dropout: `between` layers, as in every stack, or `within` each, as in a network without recurrence by itself.
    """

    name: str
    label: str
    family: NotRequired[str]
    paper: NotRequired[str]
    params: NotRequired[int]
    version: int
    operator: str
    kernel: str | None
    compiles: NotRequired[bool]
    scans: NotRequired[bool]
    peephole_gates: list[str] | None
    peephole_shapes: NotRequired[list[str]]
    no_peephole: NotRequired[str]
    needs: NotRequired[str]
    recurrent: NotRequired[bool]
    dropout: NotRequired[str]
    directions: NotRequired[list[str]]
    no_direction: NotRequired[str]


class CellNode(TypedDict):
    """The chosen cell, with options of its own."""

    meta: CellMeta
    _target_: str


class DatasetMeta(TypedDict):
    """What a dataset says of itself. causal: whether it asks for the very steps that come.

    files: which of its options name files or folders of the user's. content: of these options that are set, the sha256
    of what lies there (`store.content`); put in when a run is planned, part of its id in place of the paths.
    reader: which of `datasets.own.readers` reads them, while a run is planned already. share: false keeps its values
    out of published sets.
    """

    name: str
    version: int
    inputs: str
    outputs: str
    download: NotRequired[str]
    paper: NotRequired[Composed]
    causal: NotRequired[bool]
    files: NotRequired[list[str]]
    reader: NotRequired[str]
    share: NotRequired[bool]
    content: NotRequired[dict[str, str]]


class DatasetNode(TypedDict):
    """The chosen dataset, with options of its own."""

    meta: DatasetMeta
    _target_: str


class DepthNode(TypedDict):
    """How many layers, and what is between them. layers: null of `depth=covering` until the run is planned."""

    layers: int
    dropout: float
    residual: bool
    norm: str


class DirectionNode(TypedDict):
    """Which way through time; merge: of two ways, else null."""

    way: str
    merge: str | None


class PeepholeNode(TypedDict):
    """What the gates see of the cell state."""

    shape: str
    gates: list[str]
    output_sees: str
    gradient: str
    start: str


class SamplingNode(TypedDict):
    """What a rollout is fed while it learns; stop: null for the budget's updates."""

    mode: str
    stop: int | None
    alpha: float


class ForecastNode(TypedDict):
    """The network around cells that predict frames; what the kind does not read is null."""

    kind: str
    patch: int
    sizes: list[int] | None
    reads: str | None
    bias: bool
    sampling: SamplingNode | None
    decouple: float | None


class BudgetNode(TypedDict):
    """How long is trained."""

    name: str
    updates: int
    batch_size: int
    val_every: int
    patience: int | None


class OptimizerNode(TypedDict):
    """The chosen optimizer, with options of its own."""

    name: str
    _target_: str


class ScheduleNode(TypedDict):
    """The chosen schedule, with options of its own; without a class the rate stays."""

    name: str
    _target_: NotRequired[str]


class TrackerNode(TypedDict):
    """The chosen tracker, with options of its own."""

    name: str


class HarnessNode(TypedDict):
    """How a run is run, which is no part of its id, but for a number of threads other than 1."""

    timeout: float | None
    checkpoint_seconds: float
    diagnostics: bool
    malloc_tuning: bool
    threads: int
    device_index: int


class Config(TypedDict):
    """One run, resolved. Of frames encoder, encoder_size and head are null, of sequences forecast is."""

    cell: CellNode
    depth: DepthNode
    direction: DirectionNode
    peephole: PeepholeNode
    dataset: DatasetNode
    forecast: NotRequired[ForecastNode | None]  # records of before there were frames have none
    optimizer: OptimizerNode
    schedule: ScheduleNode
    budget: BudgetNode
    tracker: TrackerNode
    seed: int
    hidden_size: int | None
    params: int | None
    encoder: str | None
    encoder_size: int | None
    head: str | None
    backend: str
    device: str
    precision: str
    clip: float | None
    input_noise: NotRequired[float | None]  # nor have older records this
    harness: HarnessNode
