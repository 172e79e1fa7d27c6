"""Users' sequences: every case of the test files, splits, scales, and refusals in one sentence."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.datasets.own import sequence_splits, sequences
from rnnbench.datasets.own.gathered import Sequences, class_names, joined
from rnnbench.errors import BadInput, MissingData


def table(cases: int = 12, classes: int = 2, seed: int = 0, **columns: object) -> pd.DataFrame:
    """A long table of `cases` sequences of 3 to 6 steps with channels a and b."""
    rng = np.random.default_rng(seed)
    rows = [
        {"id": f"q{n}", "t": t, "a": rng.normal(5, 2), "b": rng.normal(), "label": f"c{n % classes}"}
        for n in range(cases)
        for t in range(3 + n % 4)
    ]
    return pd.DataFrame(rows).assign(**columns)


@pytest.fixture
def save(tmp_path: Path):
    """save(frame, name="data.csv") -> its path as a text."""

    def write(frame: pd.DataFrame, name: str = "data.csv") -> str:
        path = tmp_path / name
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return str(path)

    return write


def cases() -> list[dict[str, str]]:
    folder = os.environ.get("RNNBENCH_DATA")
    index = Path(folder) / "own_cases" / "INDEX.csv" if folder else None
    if index is None or not index.is_file():
        return []
    with index.open() as stream:
        return [row for row in csv.DictReader(stream) if row["dataset"] == "own_sequences"]


EXPECTED = {
    "q01": "30 sequences of 8 to 19 steps, 2 channels (a, b), 3 classes (cat 10, dog 10, eel 10)",
    "q02": "sequence 'q3' has two labels, cat and dog",
    "q04": "class 'fox' has 1 sequence; three splits take at least 3 of each class",
    "q07": "10 groups",
    "q08": "30 sequences of 20 steps, 2 channels, 3 classes",
    "q09": "30 sequences and 29 labels",
    "q12": "30 sequences of 8 to 19 steps, 2 channels, 3 classes (cat 10, dog 10, eel 10)",
    "q14": "case 3 is labelled 'eel', which @classLabel does not name",
    "q17": "12 sequences of 18 to 32 steps, 40 channels, 3 classes (a 4, b 4, c 4), 4 groups",
}


@pytest.mark.data
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_the_test_files_read_as_their_index_expects(case: dict[str, str]) -> None:
    options = dict(word.removeprefix("dataset.").split("=") for word in case["options"].split())
    options["path"] = f"{os.environ['RNNBENCH_DATA']}/own_cases/{case['file']}"
    if case["kind"] == "error":
        with pytest.raises(BadInput) as caught:
            sequences.reading(options)
        assert EXPECTED[case["id"]] in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        reading = sequences.reading(options)
        assert EXPECTED[case["id"]] in reading.lines[0]
        assert reading.warnings == ()
        assert json.loads(json.dumps(reading.as_dict())) == reading.as_dict(), "a record keeps it"


def test_a_long_table_is_split_whole_scaled_by_train_and_padded(save) -> None:
    frame = table(cases=20)
    found = sequences.read({"path": save(frame.sample(frac=1, random_state=1)), "id": "id"})
    order = list(dict.fromkeys(frame.sample(frac=1, random_state=1)["id"]))
    names = [name.removeprefix("sequence ").strip("'") for part in found.parts for name in part.names]
    assert sorted(names) == sorted(order)
    assert [len(part.x) for part in found.parts] == found.reading.facts["sizes"] == [14, 2, 4]
    train = {name.removeprefix("sequence ").strip("'") for name in found.parts[0].names}
    seen = frame[frame["id"].isin(train)][["a", "b"]]
    mean, std = seen.mean(), seen.std(ddof=0)
    for part in found.parts:
        for x, y, length, name in zip(part.x, part.y, part.lengths, part.names, strict=True):
            rows = frame[frame["id"] == name.removeprefix("sequence ").strip("'")].sort_values("t")
            assert length == len(rows)
            assert np.allclose(x[:length], ((rows[["a", "b"]] - mean) / std).to_numpy(), atol=1e-6)
            assert not x[length:].any()
            assert found.classes[y] == rows["label"].iloc[0]
    assert found.max_steps == 6
    assert found.channels == ("a", "b")


def test_scales(save) -> None:
    frame = table()
    path = save(frame)
    plain = sequences.read({"path": path, "scale": "none"}).parts[0]
    each = sequences.read({"path": path, "scale": "each"}).parts[0]
    first = frame[frame["id"] == plain.names[0].split("'")[1]][["a", "b"]].to_numpy()
    assert np.array_equal(plain.x[0, : len(first)], first.astype(np.float32))
    assert np.allclose(each.x[0, : len(first)], (first - first.mean(0)) / first.std(0), atol=1e-6)


def test_numbers_in_test_never_move_a_scale(save) -> None:
    frame = table(cases=20)
    before = sequences.read({"path": save(frame)})
    tested = {name.split("'")[1] for part in before.parts[1:] for name in part.names}
    frame.loc[frame["id"].isin(tested), ["a", "b"]] *= 1000
    after = sequences.read({"path": save(frame, "other.csv")})
    assert np.array_equal(before.parts[0].x, after.parts[0].x)
    assert not np.array_equal(before.parts[2].x, after.parts[2].x)


def test_regression_standardises_its_numbers_by_train(save) -> None:
    rng = np.random.default_rng(0)
    value = {f"q{n}": rng.normal(100, 5) for n in range(20)}
    frame = table(cases=20)
    frame["label"] = frame["id"].map(value)
    path = save(frame)
    found = sequences.read({"path": path, "task": "regress"})
    of = [[value[name.split("'")[1]] for name in part.names] for part in found.parts]
    for part, numbers in zip(found.parts, of, strict=True):
        assert np.allclose(part.y[:, 0], (np.array(numbers) - np.mean(of[0])) / np.std(of[0]), atol=1e-6)
    raw = sequences.read({"path": path, "task": "regress", "scale": "none"})
    assert np.allclose(raw.parts[0].y[:, 0], of[0])
    assert found.classes == ()
    floor = np.mean(np.square(found.parts[2].y))
    assert found.reading.lines[-1] == f"floor on test, mse: mean {floor:.4f}"
    with pytest.raises(BadInput, match=r"class '.*' has 1 sequence; .*dataset\.task=regress"):
        sequences.read({"path": path})


def test_nested_parquet_and_npz_hold_the_same_as_a_long_table(save, tmp_path: Path) -> None:
    frame = table(cases=12)
    by = frame.groupby("id", sort=False)
    nested = pd.DataFrame({"a": by["a"].apply(list), "b": by["b"].apply(list), "label": by["label"].first()})
    long = sequences.read({"path": save(frame, "long.parquet")})
    rows = sequences.read({"path": save(nested.reset_index(drop=True), "nested.parquet")})
    x = np.full((12, 6, 2), np.nan)
    for n, (_, part) in enumerate(by):
        x[n, : len(part)] = part[["a", "b"]]
    lengths = by.size().to_numpy()
    np.savez(tmp_path / "data.npz", x=x, y=by["label"].first().to_numpy(str), lengths=lengths)
    packed = sequences.read({"path": str(tmp_path / "data.npz")})
    for other in (rows, packed):
        for mine, theirs in zip(long.parts, other.parts, strict=True):
            assert np.array_equal(mine.x, theirs.x)
            assert np.array_equal(mine.y, theirs.y)
            assert np.array_equal(mine.lengths, theirs.lengths)
        assert other.classes == long.classes


def test_a_file_in_another_order_of_rows_is_the_same_sequence(save) -> None:
    frame = table()
    back = pd.concat([part.iloc[::-1] for _, part in frame.groupby("id", sort=False)])
    first, second = (sequences.read({"path": save(each, name)}) for each, name in ((frame, "a.csv"), (back, "b.csv")))
    assert np.array_equal(first.parts[0].x, second.parts[0].x)


def test_every_option_that_moves_a_number_is_in_the_protocol(save) -> None:
    frame = table(cases=24, classes=2, group=lambda f: f["id"].str[1:].astype(int).map(lambda n: f"g{n // 3}"))
    frame["c"] = frame["a"] * 2
    path = save(frame.drop(columns="group"))
    grouped = {"path": save(frame, "groups.csv")}
    variants = [
        {}, {"data_seed": 1}, {"scale": "none"}, {"scale": "each"}, {"columns": ["a"]}, {"columns": ["b", "a"]},
        {"split": [0.5, 0.25, 0.25]}, {"max_steps": 3, "longer": "truncate"}, {"max_steps": 6},
        {"time": "c"}, grouped, {**grouped, "test_group": "g1"},
    ]  # fmt: skip
    protocols = {sequences.read({"path": path, **variant}).protocol for variant in variants}
    assert len(protocols) == len(variants)


def test_a_test_file_is_the_test_set_and_a_part_of_the_protocol(save) -> None:
    train, test = table(cases=16), table(cases=6, seed=1)
    found = sequences.read({"path": save(train), "test_path": save(test, "test.csv")})
    assert [len(part.x) for part in found.parts] == [14, 2, 6]
    assert found.protocol.split()[0].count("+") == 1
    assert "official test, val by class, seed 0" in found.protocol
    assert all(name.endswith("of test.csv") for name in found.parts[2].names)
    test.loc[test["id"] == "q3", "label"] = "new"
    with pytest.raises(BadInput, match=r"class 'new' is in test \(sequence 'q3' of test2\.csv\) and not in train"):
        sequences.read({"path": save(train), "test_path": save(test, "test2.csv")})
    narrow = save(test.drop(columns="b"), "narrow.csv")
    with pytest.raises(BadInput, match=r"narrow\.csv has the channels a, and data\.csv a, b"):
        sequences.read({"path": save(train), "test_path": narrow})


def test_ts_files_find_their_test_set(tmp_path: Path) -> None:
    lines = ["@classLabel true a b", "@data"]
    for ending, shift in (("_TRAIN.ts", 0), ("_TEST.ts", 100)):
        rows = [f"{n + shift},{n},{n % 3}:{n},{n},{n}:{'ab'[n % 2]}" for n in range(8)]
        (tmp_path / f"X{ending}").write_text("\n".join(lines + rows))
    found = sequences.read({"path": str(tmp_path / "X_TRAIN.ts"), "scale": "none"})
    assert [len(part.x) for part in found.parts] == [7, 1, 8]
    assert found.parts[2].x[3].tolist() == [[103, 3], [3, 3], [0, 3]]
    assert found.parts[0].lengths is None
    alone = sequences.read({"path": str(tmp_path / "X_TEST.ts")})
    assert [len(part.x) for part in alone.parts] == [6, 1, 1]


def with_columns(**values: object):
    return lambda frame: frame.assign(**values)


def at(row: int, column: str, value: object):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (at(4, "a", None), {}, r"data\.csv: 1 value is missing in 'a', first at line 6: fill them"),
        (at(5, "b", np.inf), {}, r"infinity in 'b' at line 7"),
        (at(3, "label", "other"), {}, r"sequence 'q1' has two labels, other and c1"),
        (lambda f: f.assign(label=f["label"].where(f["id"] != "q1")), {}, r"sequence 'q1' has no label\."),
        (at(4, "t", 0), {}, r"0 stands twice in sequence 'q1' \(lines 5 and 6\)"),
        (with_columns(), {"label": "lable"}, r"data\.csv has no column 'lable'; did you mean label"),
        (with_columns(), {"columns": ["a", "label"]}, r"dataset\.columns names 'label', which is the id, time,"),
        (lambda f: f.drop(columns="id"), {}, r"has the columns t, a, b, label, and none is called id: dataset\.id="),
        (lambda f: f.drop(columns="label"), {}, r"none is called label: dataset\.label="),
        (lambda f: f.drop(columns=["a", "b"]), {}, r"has no column of numbers beside id, time, label and group"),
        (with_columns(), {"max_steps": 4}, r"sequence 'q2' has 5 steps, more than dataset\.max_steps=4 \(6 of 12 do\)"),
        (with_columns(label="one"), {}, r"all sequences of train have one label, 'one': there is nothing to learn"),
        (with_columns(), {"test_group": "p1"}, r"dataset\.test_group names a group, and the data has none"),
        (with_columns(), {"group": "label"}, r"2 groups \(c0, c1\); three splits take at least 3\."),
        (with_columns(), {"task": "regress"}, r"the labels 'label' are no numbers \(first 'c0'\): set dataset\.task"),
        (with_columns(), {"label": "id"}, r"'id' is both id and label: dataset\.label= names another\."),
        (with_columns(), {"label": 5}, r"data\.csv has no column '5'"),
        (with_columns(), {"audio": {"mels": 20}}, r"dataset\.audio is for recordings, and data\.csv holds none"),
    ],
)  # fmt: skip
def test_what_a_table_cannot_mean_is_refused_in_one_sentence(save, change, options, sentence: str) -> None:
    path = save(change(table()))
    with pytest.raises(BadInput, match=sentence) as caught:
        sequences.reading({"path": path, **options})
    assert "\n" not in str(caught.value)


def test_equal_sequences_in_two_splits_are_refused_with_both_names(save) -> None:
    frame = table(cases=20)
    found = sequences.read({"path": save(frame)})
    one, other = (found.parts[k].names[0].split("'")[1] for k in (0, 2))
    copy = frame[frame["id"] == one].assign(id=other, label=frame[frame["id"] == other]["label"].iloc[0])
    doubled = pd.concat([copy if name == other else part for name, part in frame.groupby("id", sort=False)])
    with pytest.raises(BadInput, match=rf"sequence '{one}' \(train\) and sequence '{other}' \(test\) hold the same"):
        sequences.read({"path": save(doubled, "doubled.csv")})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": None}, r"dataset\.path must name a file"),
        ({"path": "missing.csv"}, r"missing\.csv does not exist"),
        ({"path": "x", "lable": 1}, r"dataset\.lable is no option of own_sequences; did you mean"),
        ({"path": "x", "task": "sort"}, r"dataset\.task must be one of classify, regress; got 'sort'"),
        ({"path": "x", "split": [0.5, 0.5]}, r"dataset\.split must be three parts above 0 that make 1"),
        ({"path": "x", "split": [0.7, 0.2, 0.2]}, r"dataset\.split must be three parts above 0 that make 1"),
        ({"path": "x", "max_steps": 0}, r"dataset\.max_steps must be a whole number of at least 1"),
        ({"path": "x", "audio": {"mel": 40}}, r"dataset\.audio has no 'mel'; did you mean mels"),
        ({"path": "x", "audio": {"hop_ms": 0}}, r"dataset\.audio\.hop_ms must be a number above 0; got 0"),
        ({"path": "x", "audio": 5}, r"dataset\.audio must be options by name, e\.g\. \{mels: 40\}; got 5"),
        ({"path": "x", "audio": {"mels": 10**6}}, r"dataset\.audio\.mels must be at most 1,024"),
        ({"path": "x", "audio": {"window_ms": 1e300}}, r"dataset\.audio\.window_ms must be at most 1e\+09"),
        ({"path": "x", "longer": "truncate"}, r"dataset\.longer=truncate needs dataset\.max_steps"),
        ({"path": "x", "id": True}, r"dataset\.id must be a name; got True"),
        ({"path": "x", "test_group": ["a"]}, r"dataset\.test_group must be a name; got a list of 1"),
        ({"path": "x", "columns": "a"}, r"dataset\.columns must be a list of names"),
        ({"path": "x", "columns": []}, r"dataset\.columns must be a list of names, each once"),
        ({"path": "x", "columns": ["a", "a"]}, r"dataset\.columns must be a list of names, each once"),
        ({"path": "x", "source": "co2"}, r"dataset\.path and dataset\.source are given: name one"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], sentence: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=sentence):
        sequences.reading(options)


def test_a_missing_file_has_near_names(tmp_path: Path) -> None:
    (tmp_path / "sounds.npz").touch()
    with pytest.raises(MissingData, match=r"sound\.npz does not exist; did you mean sounds\.npz"):
        sequences.reading({"path": str(tmp_path / "sound.npz")})
    with pytest.raises(BadInput, match=r"sounds\.npz is empty\."):
        sequences.reading({"path": str(tmp_path / "sounds.npz")})
    (tmp_path / "data.xlsx").write_text("x")
    with pytest.raises(BadInput, match=r"dataset\.path must be \.npz, \.csv"):
        sequences.reading({"path": str(tmp_path / "data.xlsx")})


def test_options_that_cannot_act_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((6, 2)), y=np.arange(6) % 2)
    (tmp_path / "sounds").mkdir()
    for name, option, what in (
        ("data.npz", {"label": "y"}, r"a \.npz file"),
        ("data.npz", {"separator": ";"}, r"a \.npz file"),
        ("sounds", {"columns": ["a"]}, r"a folder of recordings"),
    ):
        with pytest.raises(BadInput, match=rf"dataset\.{next(iter(option))} is for tables, and this is {what}: leave"):
            sequences.reading({"path": str(tmp_path / name), **option})


def test_classes_are_sorted_by_number_where_they_are_numbers() -> None:
    assert class_names(["10", "9", "1.5", "9"]) == ["1.5", "9", "10"]
    assert class_names(["10", "9", "x"]) == ["10", "9", "x"]


def unlabelled(groups: list[str] | None, labels: list[str]) -> Sequences:
    """Different sequences of one step."""
    x = [np.array([[float(n)]]) for n in range(len(labels))]
    return Sequences(x, labels, [f"sequence {n}" for n in range(len(labels))], ["0"], groups)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=12), st.integers(0, 5))
@pytest.mark.integration
def test_groups_are_never_split_and_no_split_is_empty(counts: list[int], seed: int) -> None:
    groups = [f"g{n}" for n, count in enumerate(counts) for _ in range(count)]
    of = sequence_splits.shares([0.7, 0.1, 0.2])
    parts = sequence_splits.split(unlabelled(groups, ["1"] * len(groups)), of, seed, classes=False).parts
    owners = [{groups[i] for i in part.tolist()} for part in parts]
    assert all(owners)
    assert sum(map(len, owners)) == len(counts)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
    held = [len(part) for part in parts]
    assert all(abs(size - len(groups) * share) <= 2 * max(counts) for size, share in zip(held, of, strict=True)), (
        "as near to the shares as whole groups can be"
    )


@given(st.lists(st.integers(3, 30), min_size=2, max_size=5), st.integers(0, 5))
def test_without_groups_every_class_is_in_proportion(counts: list[int], seed: int) -> None:
    labels = [f"c{n}" for n, count in enumerate(counts) for _ in range(count)]
    of = sequence_splits.shares([0.7, 0.1, 0.2])
    parts = sequence_splits.split(unlabelled(None, labels), of, seed, classes=True).parts
    N = len(labels)
    assert [len(part) for part in parts[1:]] == [max(1, int(N * Fraction(1, 10))), max(1, int(N * Fraction(1, 5)))]
    for part in parts:
        found = Counter(labels[i] for i in part.tolist())
        for n, count in enumerate(counts):
            assert abs(found[f"c{n}"] - count * len(part) / N) <= 1


def test_leave_one_group_out() -> None:
    labels = ["a", "b"] * 20
    groups = [f"p{n // 4}" for n in range(40)]
    of = sequence_splits.shares([0.7, 0.1, 0.2])
    found = sequence_splits.split(unlabelled(groups, labels), of, 0, classes=True, test_group="p3")
    owners = [{groups[i] for i in part.tolist()} for part in found.parts]
    assert owners[2] == {"p3"}
    assert len(owners[1]) == 1
    assert owners[0] | owners[1] | owners[2] == {f"p{n}" for n in range(10)}
    with pytest.raises(BadInput, match=r"there is no group 'q3'; did you mean"):
        sequence_splits.split(unlabelled(groups, labels), of, 0, classes=True, test_group="q3")


def test_a_given_test_set_with_groups_of_train_is_told() -> None:
    labels, groups = ["a", "b"] * 10, ["x", "x", "y", "y"] * 5
    given_test = unlabelled(groups, labels)
    given_test.official = np.arange(20) >= 16
    found = sequence_splits.split(given_test, sequence_splits.shares([0.7, 0.1, 0.2]), 0, classes=True)
    assert found.warnings == ("2 of the test set's 2 groups are trained on, too: x, y",)


def test_a_given_test_set_of_new_groups_is_validated_by_new_groups() -> None:
    labels, groups = ["a", "b"] * 12, [f"p{n // 4}" for n in range(24)]
    given_test = unlabelled(groups, labels)
    given_test.official = np.arange(24) >= 16
    of = sequence_splits.shares([0.7, 0.1, 0.2])
    found = sequence_splits.split(given_test, of, 0, classes=True)
    train, val, test = ({groups[i] for i in part.tolist()} for part in found.parts)
    assert test == {"p4", "p5"}
    assert len(val) == 1
    assert train | val == {"p0", "p1", "p2", "p3"}
    assert not train & val
    assert found.how == "official test, val by whole group, seed 0"
    with pytest.raises(BadInput, match=r"dataset\.test_group and a test set of its own are given: leave one"):
        sequence_splits.split(given_test, of, 0, classes=True, test_group="p1")


def test_as_many_groups_as_sequences_are_split_in_no_time() -> None:
    many = unlabelled([str(n) for n in range(8_000)], ["a", "b"] * 4_000)
    parts = sequence_splits.split(many, sequence_splits.shares([0.7, 0.1, 0.2]), 0, classes=True).parts
    assert [len(part) for part in parts] == [5_600, 800, 1_600]


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (["1", "1.0", "2"], r"data\.csv: the labels '1' and '1\.0' are one number: write it in one way\."),
        (["a", "b\nb", "c"], r"data\.csv: the label 'b\\nb' is longer than 200 characters or has control characters"),
        (["a", "b" * 201, "c"], r"data\.csv: the label 'bbb.*\(203 characters\) is longer than 200"),
    ],
)
def test_labels_that_cannot_be_told_apart_or_shown_are_refused(save, label: list[str], sentence: str) -> None:
    frame = table(cases=18)
    frame["label"] = frame["id"].str[1:].astype(int).map(lambda n: label[n % 3])
    with pytest.raises(BadInput, match=sentence) as caught:
        sequences.reading({"path": save(frame)})
    assert "\n" not in str(caught.value)


def test_labels_that_differ_in_case_are_told(save) -> None:
    frame = table(cases=18)
    frame["label"] = frame["id"].str[1:].astype(int).map(lambda n: ["Cat", "cat", "dog"][n % 3])
    told = sequences.reading({"path": save(frame)})
    assert told.warnings[0] == "two labels that differ in nothing but case: 'Cat' and 'cat'"
    assert told.facts["classes"] == 3


@pytest.mark.parametrize("scale", ["standard", "none", "each"])
@pytest.mark.parametrize("where", ["x_train", "x_test"])
def test_values_that_overflow_are_refused(tmp_path: Path, scale: str, where: str) -> None:
    rng = np.random.default_rng(0)
    held = {"x_train": rng.normal(size=(12, 4, 2)), "x_test": rng.normal(size=(4, 4, 2))}
    held[where][:, 0, 1] = 1e300
    np.savez(tmp_path / "data.npz", **held, y_train=np.arange(12) % 2, y_test=np.arange(4) % 2)
    with pytest.raises(BadInput, match=r"data\.npz: channel 1 has values too large to be computed with"):
        sequences.read({"path": str(tmp_path / "data.npz"), "scale": scale})


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_numbers_that_are_all_the_same_or_overflow_are_refused(tmp_path: Path, scale: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    options = {"path": str(tmp_path / "data.npz"), "task": "regress", "scale": scale}
    np.savez(tmp_path / "data.npz", x=x, y=np.full(30, 0.1))  # whose deviation is 1e-17, by rounding
    with pytest.raises(BadInput, match=r"all labels of train are 0\.1: nothing to learn"):
        sequences.read(options)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(30) * 1e300)
    with pytest.raises(BadInput, match=r"the label of sequence 29, 2\.9e\+301, is too large to be computed with"):
        sequences.read(options)


def test_numbers_to_predict_are_written_as_the_file_writes_numbers(tmp_path: Path) -> None:
    frame = table(cases=20)
    frame["label"] = frame["id"].str[1:].astype(float) / 4
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    frame.to_csv(tmp_path / "point.csv", index=False)
    options = {"task": "regress"}
    one, other = (sequences.read({"path": str(tmp_path / f"{name}.csv"), **options}) for name in ("comma", "point"))
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        assert np.array_equal(mine.x, theirs.x)
        assert np.array_equal(mine.y, theirs.y)
    assert other.parts[0].y.std() == pytest.approx(1)


def test_a_column_called_T_is_a_channel(save) -> None:
    frame = table().rename(columns={"a": "T", "t": "n"})
    assert sequences.read({"path": save(frame)}).channels == ("n", "T", "b")


def test_a_test_set_at_another_rate_is_refused() -> None:
    sounds = [Sequences([np.zeros((3, 1))], ["a"], ["b.wav"], ["mel 0"], rate=rate) for rate in (8000, 16000)]
    with pytest.raises(BadInput, match=r"test is 16000 Hz, and train 8000: resample one\."):
        joined(*sounds, Path("train"), Path("test"))
